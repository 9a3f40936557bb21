"""The beta-binomial mixture e-process on paired outcomes, and the confidence sequence that goes with it.

Under H0 an e-process has an expected value of at most 1 at every stopping time. By Ville's inequality it reaches 1/alpha
with probability at most alpha, however often and whenever one looks. It is a function of cumulative counts only.
"""

from __future__ import annotations

import math

import numpy as np
import scipy
from numpy.typing import ArrayLike

from analysis.any_look.mixture import check_bet, log_mixture, log_mixtures
from analysis.tables.counts import PairedOutcomes
from analysis.tables.intervals import Interval
from analysis.tables.metrics import Floats

__all__ = ["DEFAULT_PRIOR", "confidence_sequence", "log_e", "log_e_array", "prior_for"]

DEFAULT_PRIOR = 3.0
_CLOSED = 10**6  # disagreements up to which the closed form of log E is exact to 1e-9; its terms grow and cancel


def log_e(pairs: PairedOutcomes, *, null_gain: float = 0.0, prior: float = DEFAULT_PRIOR) -> float:
    """Log of the e-value against H0: the mean gain of the challenger is at most ``null_gain``.

    The gain x of a row is +1 for a win, -1 for a loss, 0 for a tie, so ``null_gain`` is in units of the metric. With
    ``null_gain = -margin`` a large value shows non-inferiority. The bet theta has a Beta(prior, prior) density
    truncated to [1/2, 1]. A row multiplies the capital by 1 + u (x - m) / (1 + m), u = 2 theta - 1, m = ``null_gain``.
    At m = 0 ties have no effect, and with a = ``prior`` E = 2^(w+l) B(a+w, a+l) / B(a, a) * P(Beta(a+w, a+l) > 1/2) / (1/2).
    Raises ValueError for a gain outside (-1, 1), and for a prior below 1.
    """
    check_bet(null_gain, prior)
    w, l = pairs.wins, pairs.losses
    if pairs.n == 0:
        return 0.0
    if null_gain == 0.0 and pairs.discordant <= _CLOSED:
        tail = float(scipy.special.betaincc(prior + w, prior + l, 0.5))
        if tail == 0.0:  # underflow: the challenger loses by far, but the log of the integral can still be computed
            return _integral(pairs, 0.0, prior)
        ratio = float(scipy.special.betaln(prior + w, prior + l) - scipy.special.betaln(prior, prior))
        return (w + l + 1) * math.log(2) + ratio + math.log(tail)
    return _integral(pairs, null_gain, prior)


def confidence_sequence(pairs: PairedOutcomes, *, alpha: float, prior: float = DEFAULT_PRIOR) -> Interval:
    """The gains that the e-process does not reject, at ``alpha`` on each side; valid at all looks simultaneously.

    The lower end is above a gain g exactly if E against "gain <= g" has reached 1/alpha, so the interval and the
    decision always agree. Raises ValueError for an alpha outside (0, 0.5).
    """
    if not 0 < alpha < 0.5:
        msg = f"alpha must lie between 0 and 0.5, not {alpha}"
        raise ValueError(msg)
    low = _lower_limit(pairs, alpha, prior)
    return Interval(low, -_lower_limit(pairs.swap(), alpha, prior), 1 - 2 * alpha)


def prior_for(win_share: float) -> float:
    """The prior with the most power for a challenger that wins this share of the disagreements, which must not come from the data.

    Raises ValueError for a share outside (0.5, 1].
    """
    if not 0.5 < win_share <= 1:
        msg = f"the planned win share must lie in (0.5, 1], not {win_share}"
        raise ValueError(msg)
    return float(np.clip(1 / (8 * (win_share - 0.5) ** 2) - 0.5, 1, 200))


def log_e_array(
    wins: ArrayLike, losses: ArrayLike, ties: ArrayLike, *, null_gain: float = 0.0, prior: float = DEFAULT_PRIOR
) -> Floats:
    """``log_e`` for arrays of counts, for simulation: exact at ``null_gain`` 0, else a fixed quadrature.

    The fixed nodes lie in octaves towards u = 0, which matters most near a threshold: the result is within 1e-3 of
    ``log_e`` while abs(log E) < 30 and there are fewer than 1e5 rows. At ``null_gain`` 0 it may be -inf where wins are hopelessly few.
    """
    check_bet(null_gain, prior)
    w, l, t = np.broadcast_arrays(*(np.asarray(x, dtype=np.float64) for x in (wins, losses, ties)))
    if null_gain != 0.0:
        return _octave_quadrature(w, l, t, null_gain, prior)
    tail = scipy.special.betaincc(prior + w, prior + l, 0.5)
    hopeless = tail == 0.0
    ratio = scipy.special.betaln(prior + w, prior + l) - scipy.special.betaln(prior, prior)
    value: Floats = np.where(w + l == 0, 0.0, (w + l + 1) * math.log(2) + ratio + np.log(np.where(hopeless, 1.0, tail)))
    if hopeless.any():
        value[hopeless] = _octave_quadrature(w[hopeless], l[hopeless], t[hopeless], 0.0, prior)
    return value


def _octave_quadrature(w: Floats, l: Floats, t: Floats, null_gain: float, prior: float) -> Floats:
    return log_mixtures([w, l, t], lambda u: np.log1p(np.outer(_slopes(null_gain), u)), prior)


def _integral(pairs: PairedOutcomes, m: float, prior: float) -> float:
    win, loss, tie = _slopes(m)
    return log_mixture(((pairs.wins, win), (pairs.losses, loss), (pairs.ties, tie)), prior)


def _slopes(m: float) -> tuple[float, float, float]:
    """The slopes of a win, a loss and a tie, which multiply the capital by 1 + slope * u."""
    return (1 - m) / (1 + m), -1.0, -m / (1 + m)


def _lower_limit(pairs: PairedOutcomes, alpha: float, prior: float) -> float:
    """The largest gain whose e-value has reached 1/alpha. E decreases in the gain, and is at most 1 at the observed one."""
    target = -math.log(alpha)
    floor = -1 + 1e-9
    if log_e(pairs, null_gain=floor, prior=prior) < target:
        return -1.0
    high = min((pairs.wins - pairs.losses) / pairs.n, 1 - 1e-9)
    return float(
        scipy.optimize.brentq(lambda m: log_e(pairs, null_gain=m, prior=prior) - target, floor, high, xtol=1e-12)
    )
