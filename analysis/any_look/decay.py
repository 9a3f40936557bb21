"""The alarm on one model's own level: has a share fallen below what it was at first, or below a floor? Valid at all looks of a year.

A share is the mean of numbers from 0 to 1, such as "was this positive found?". Batches vary by more than chance, so the sums of a batch
are divided by the dispersion of the first batches, as quasi-likelihood does (McCullagh and Nelder 1989, section 4.5). A factor of an
e-process that is raised to a power below 1 has a mean of at most 1 still, by Jensen's inequality, so the division costs no validity.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import scipy

from analysis.any_look.mixture import log_mixtures
from analysis.tables.metrics import Floats

__all__ = ["FIRST_BATCHES", "Alarm", "Share", "alarm", "lower_level"]

FIRST_BATCHES = 8
"""The batches that say what the share was at first, and how much batches vary; the alarm listens after them."""

_CONFIDENCE = 0.975  # of the lower limit; what the e-process allows in addition is in docs/calibration/decay.md
_QUANTILE = (
    0.4  # of chi-square, at which the dispersion is estimated: its mean would be too low in half of all projects
)
_YEAR = 365  # days
_UNIFORM = 1.0  # the prior of u


@dataclass(frozen=True)
class Share:
    """A share in each batch: the sum of numbers from 0 to 1, how many they are, both of shape (batches,), and the batch's day."""

    total: Floats
    n: Floats
    days: np.ndarray

    def of(self, part: slice) -> Share:
        return Share(self.total[part], self.n[part], self.days[part])

    @property
    def mean(self) -> float:
        """Over all batches; NaN without a number."""
        n = float(self.n.sum())
        return float(self.total.sum()) / n if n else math.nan


@dataclass(frozen=True, slots=True)
class Alarm:
    """What the e-process of a fall says of the current year.

    ``log_e`` is the evidence after the batch at the position ``reached``, the first with which it was enough; None if it was with none,
    then it is that after the last batch. ``since`` is the position of the batch from which the fall was clearest then.
    """

    log_e: float
    reached: int | None
    since: int


def _dispersion(share: Share) -> float:
    """How many times as much as chance alone the batches vary: Pearson's X2 over a low quantile of chi-square, and 1 at least."""
    counted = share.n > 0
    total, n = share.total[counted], share.n[counted]
    if len(n) < 2:
        return 1.0
    p = (total.sum() + 0.5) / (n.sum() + 1)
    x2 = float(np.sum((total - n * p) ** 2 / (n * p * (1 - p))))
    return max(1.0, x2 / float(scipy.stats.chi2.ppf(_QUANTILE, len(n) - 1)))


def lower_level(share: Share) -> float:
    """The lower 97.5 % limit of the share over these batches: Wilson's, with Student's t, on the numbers divided by their dispersion."""
    z = float(scipy.stats.t.ppf(_CONFIDENCE, max(1, int(np.sum(share.n > 0)) - 1)))
    n = float(share.n.sum()) / _dispersion(share)
    if not n:
        return 0.0
    p = share.mean
    centre, spread = p + z**2 / (2 * n), z * math.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    return max(0.0, (centre - spread) / (1 + z**2 / n))


def alarm(share: Share, level: float, *, begins: int, threshold: float) -> Alarm | None:
    """The evidence that the share has fallen below ``level`` at some batch from position ``begins`` on; None if there is none so late.

    H0: the mean of every batch is at least the level. A number x multiplies the capital by 1 + u (level - x) / (1 - level), mixed over
    u uniform on (0, 1); a batch's sums are divided by the dispersion of the first batches before it. The e-process of a year is a
    mixture over the batch at which the fall began (Shin, Ramdas and Rinaldo 2022, arXiv 2203.03532, use such sums): a batch has the
    share of the year that has passed since the one before it as its weight, which is known before its labels are. The weights of 365
    days add up to 1 at most, so in each year the log of the mixture reaches ``threshold`` with probability at most exp(-threshold).
    Then another year begins.
    """
    if begins >= len(share.n):
        return None
    day = np.timedelta64(1, "D")
    before = share.days[begins - 1] if begins else share.days[0] - 7 * day
    year = (share.days[begins:] - before) // (_YEAR * day)
    first = begins + int(np.argmax(year == year[-1]))
    since = np.maximum(share.days[first - 1] if first else before, before + year[-1] * _YEAR * day)
    gaps = np.diff(np.concatenate([[since], share.days[first:]])) / day
    log_weights = np.log(np.maximum(gaps, 0) / _YEAR, where=gaps > 0, out=np.full(len(gaps), -np.inf))
    by_number = [_dispersion(share.of(slice(i))) for i in range(FIRST_BATCHES + 1)]
    phi = np.array([by_number[min(i, FIRST_BATCHES)] for i in range(first, len(share.n))])
    good, bad = (
        np.concatenate([[0.0], (sums[first:] / phi).cumsum()]) for sums in (share.total, share.n - share.total)
    )
    for end in range(1, len(good)):
        log_es = _log_mixture(good[end] - good[:end], bad[end] - bad[:end], level)
        unused = max(0.0, 1.0 - float(np.exp(log_weights[:end]).sum()))
        log_e = float(np.logaddexp(scipy.special.logsumexp(log_weights[:end] + log_es), np.log(max(unused, 1e-300))))
        since = first + int(np.argmax(log_es))
        if log_e >= threshold:
            return Alarm(log_e, first + end - 1, since)
    return Alarm(log_e, None, since)


def _log_mixture(good: Floats, bad: Floats, level: float) -> Floats:
    """Log of the mean over u of (1 - u)^good (1 + u level / (1 - level))^bad; the sums have one shape, which the result has too."""
    return log_mixtures([good, bad], lambda u: np.stack([np.log1p(-u), np.log1p(u * level / (1 - level))]), _UNIFORM)
