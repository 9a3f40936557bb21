"""Intervals and a non-inferiority test for the paired difference of two shares at one look, beside Newcombe's, which is shipped.

Each interval is of challenger minus champion, and needs the disagreements and the number of rows alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, assert_never

from scipy import optimize, stats

from analysis.tables.counts import PairedOutcomes, Undefined
from analysis.tables.intervals import Interval

__all__ = ["IntervalMethod", "NonInferiority", "noninferiority", "paired_difference"]

IntervalMethod = Literal["wald", "agresti-min", "bonett-price", "tango"]


@dataclass(frozen=True, slots=True)
class NonInferiority:
    """The score test of H0: the challenger is worse by at least ``margin``."""

    margin: float
    statistic: float
    p_value: float


def paired_difference(
    pairs: PairedOutcomes, *, method: IntervalMethod, confidence_level: float
) -> Interval | Undefined:
    """An interval that needs the disagreements and the number of rows alone.

    ``wald``: d +- z sqrt(w + l - (w - l)^2 / n) / n, too narrow when disagreements are few. ``agresti-min``: the same
    after adding 1/2 to each of the four cells (Agresti and Min 2005, Statistics in Medicine 24:729). Both may leave
    [-1, 1]. ``bonett-price``: Laplace-adjusted shares (w + 1) / (n + 2) and (l + 1) / (n + 2) (Bonett and Price 2012,
    JEBS 37:479), cut at -1 and 1. ``tango``: the differences that the score test does not reject (Tango 1998,
    Statistics in Medicine 17:891). Raises ValueError for a level outside (0, 1).
    """
    if not 0 < confidence_level < 1:
        msg = f"a confidence level lies in (0, 1), not {confidence_level}"
        raise ValueError(msg)
    if pairs.n == 0:
        return Undefined("no row to compare on")
    z = float(stats.norm.isf((1 - confidence_level) / 2))
    n, w, l = pairs.n, pairs.wins, pairs.losses
    match method:
        case "wald":
            low, high = _wald(w, l, n, z)
        case "agresti-min":
            low, high = _wald(w + 0.5, l + 0.5, n + 2, z)
        case "bonett-price":
            p1, p2 = (w + 1) / (n + 2), (l + 1) / (n + 2)
            half = z * math.sqrt((p1 + p2 - (p1 - p2) ** 2) / (n + 2))
            low, high = max(p1 - p2 - half, -1.0), min(p1 - p2 + half, 1.0)
        case "tango":
            low, high = -_tango_upper(pairs.swap(), z), _tango_upper(pairs, z)
        case _:
            assert_never(method)
    return Interval(low, high, confidence_level)


def noninferiority(pairs: PairedOutcomes, *, margin: float) -> NonInferiority | Undefined:
    """Tango's score test of H0: challenger - champion <= -margin, one-sided; at margin 0 the asymptotic McNemar test.

    Raises ValueError for a margin outside [0, 1).
    """
    if not 0 <= margin < 1:
        msg = f"a margin lies in [0, 1), not {margin}"
        raise ValueError(msg)
    if pairs.n == 0:
        return Undefined("no row to compare on")
    statistic = _tango_score(pairs, -margin)
    return NonInferiority(margin, statistic, float(stats.norm.sf(statistic)))


def _wald(w: float, l: float, n: float, z: float) -> tuple[float, float]:
    d = (w - l) / n
    half = z * math.sqrt(max(w + l - (w - l) ** 2 / n, 0.0)) / n
    return d - half, d + half


def _tango_score(pairs: PairedOutcomes, d0: float) -> float:
    """Tango's T for H0: difference = d0, with the constrained estimate q of the share of losses (1998, eq. 5)."""
    n, w, l = pairs.n, pairs.wins, pairs.losses
    a = 2 * n
    b = -w - l + (2 * n - w + l) * d0
    c = -l * d0 * (1 - d0)
    q = (math.sqrt(max(b * b - 4 * a * c, 0.0)) - b) / (2 * a)
    variance = n * (2 * q + d0 * (1 - d0))
    distance = w - l - n * d0
    if variance <= 0:
        return math.copysign(math.inf, distance) if distance else 0.0
    return distance / math.sqrt(variance)


def _tango_upper(pairs: PairedOutcomes, z: float) -> float:
    """The difference above the observed one at which T falls to -z; at 1 it is minus infinity unless every row was won."""
    if pairs.wins == pairs.n:
        return 1.0
    observed = (pairs.wins - pairs.losses) / pairs.n
    return float(optimize.brentq(lambda d0: _tango_score(pairs, d0) + z, observed, 1, xtol=1e-13))
