"""An exact e-process for losses with a declared bound, computed from sums that add over batches, without the rows."""

from __future__ import annotations

import math

import numpy as np
import scipy

from analysis.any_look.mixture import log_mixtures
from analysis.one_look.losses import PairedLosses
from analysis.tables.intervals import Interval
from analysis.tables.metrics import Floats

__all__ = ["confidence_sequence_of_loss", "log_e_loss", "log_e_sums"]

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(32)
_PANELS = 16
_DEPTH = 60.0  # nats below the mode at which the integrand is dropped


def log_e_loss(losses: PairedLosses, *, bound: float, null_gain: float = 0.0) -> float:
    """Log of the e-value against H0: on average the challenger's loss is lower by at most ``null_gain``.

    d is the champion's loss minus the challenger's on a row, and abs(d) is at most ``bound``, where losses were clipped.
    So with m = ``null_gain``, x = (d - m) / (bound + m) is at least -1, and exp(b x + (log(1 - b) + b) x^2) <= 1 + b x for
    each bet b in [0, 1) (Fan, Grama and Liu 2015, Electronic Journal of Probability 20:1). The product over rows is a
    function of S = sum x and V = sum x^2; it is averaged over b uniform on [0, 1]. Bets on single rows would gain
    evidence faster, but do not add over batches. Raises ValueError for losses beyond the bound, and for a gain that is
    not within the bound.
    """
    if not losses.largest <= bound < math.inf:
        msg = f"the two losses of a row differ by up to {losses.largest:g}, which is more than the bound {bound:g}"
        raise ValueError(msg)
    if not -bound < null_gain < bound:
        msg = f"the gain must lie between -{bound:g} and {bound:g} per row, not {null_gain:g}"
        raise ValueError(msg)
    scale = bound + null_gain
    mean = (losses.gain - null_gain) / scale
    return _log_mixture(losses.n * mean, losses.deviation / scale / scale + losses.n * mean**2)


def confidence_sequence_of_loss(losses: PairedLosses, *, bound: float, alpha: float) -> Interval:
    """The gains per row around the observed one that are not rejected, at ``alpha`` on each side; valid at all looks simultaneously."""
    low = _lower(losses, bound, alpha)
    return Interval(low, -_lower(losses.swap(), bound, alpha), 1 - 2 * alpha)


def log_e_sums(s: Floats, v: Floats) -> Floats:
    """``log_e_loss`` for arrays of S and V, for simulation: a fixed quadrature, within 1e-3 of it while abs(log E) < 30."""
    return log_mixtures([s, v], lambda b: np.stack([b, b + np.log1p(-b)]), prior=1.0)


def _log_mixture(s: float, v: float) -> float:
    """Log of the integral over b in [0, 1] of exp(b s + v (b + log(1 - b))).

    With b = 1 - exp(-t) the integrand is smooth up to its end. It has one mode, from which it falls by more than
    ``_DEPTH`` nats within t = ``_DEPTH`` + 1.
    """

    def exponent(t: float) -> float:
        b = -math.expm1(-t)
        return b * s + v * (b - t) - t

    mode = math.log((s + v) / (1 + v)) if s > 1 else 0.0
    floor, end = exponent(mode) - _DEPTH, mode + _DEPTH + 1
    low = 0.0 if floor <= 0 else scipy.optimize.brentq(lambda t: exponent(t) - floor, 0.0, mode)
    edges = np.linspace(low, scipy.optimize.brentq(lambda t: exponent(t) - floor, mode, end), _PANELS + 1)
    half = np.diff(edges)[:, None] / 2
    t = edges[:-1, None] + half * (_NODES + 1)
    b = -np.expm1(-t)
    return float(scipy.special.logsumexp(b * s + v * (b - t) - t, b=half * _WEIGHTS))


def _lower(losses: PairedLosses, bound: float, alpha: float) -> float:
    """The highest rejected gain below the observed one; at lower gains E may fall below the threshold again."""
    target = -math.log(alpha)

    def excess(gain: float) -> float:
        return log_e_loss(losses, bound=bound, null_gain=gain) - target

    if losses.gain <= -bound:
        return -bound
    previous = min(losses.gain, bound * (1 - 1e-12))  # the null gain must stay below the bound
    for part in np.geomspace(1e-6, 1, 100, endpoint=False):
        null = losses.gain - part * (losses.gain + bound)
        if excess(null) >= 0:
            return float(scipy.optimize.brentq(excess, null, previous, xtol=1e-12 * bound))
        previous = null
    return -bound
