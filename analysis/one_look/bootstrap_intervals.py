"""Bootstrap intervals of a paired difference from its replicates: percentile, basic, BCa and studentized.

Davison and Hinkley 1997, Bootstrap Methods and their Application, chapter 5. BCa and studentized are second-order
accurate for smooth statistics; on tables of counts with few disagreements ties and empty cells make them cover less than
the percentile interval.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import scipy

from analysis.tables.counts import PairedCounts, Undefined
from analysis.tables.intervals import Interval
from analysis.tables.metrics import Floats, paired_metric

__all__ = [
    "IntervalKind",
    "acceleration",
    "basic_interval",
    "bca_interval",
    "percentile_interval",
    "studentized_interval",
]

IntervalKind = Literal["percentile", "basic", "bca", "studentized"]

MAX_UNDEFINED_SHARE = 0.01

_ROUNDING = 1e-12  # differences lie in [-2, 2]: closer replicates differ by the order of a sum, not by their counts


def percentile_interval(replicates: Floats, confidence_level: float) -> Interval | Undefined:
    """The percentile interval of the replicates that are defined; Undefined if more than 1 % of them are not."""
    defined = _defined(replicates)
    if isinstance(defined, Undefined):
        return defined
    low, high = np.quantile(defined, _levels(confidence_level))
    return Interval(float(low), float(high), confidence_level)


def basic_interval(replicates: Floats, estimate: float, confidence_level: float) -> Interval | Undefined:
    """The percentile interval mirrored at the estimate, which may leave [-1, 1]; Undefined if no replicate varies."""
    defined = _varying(replicates)
    if isinstance(defined, Undefined):
        return defined
    low, high = np.quantile(defined, _levels(confidence_level))
    return Interval(float(2 * estimate - high), float(2 * estimate - low), confidence_level)


def bca_interval(
    replicates: Floats, estimate: float, acceleration: float, confidence_level: float
) -> Interval | Undefined:
    """Efron's bias-corrected and accelerated percentile interval (1987, JASA 82:171).

    z0 = Phi^-1(share of replicates below the estimate, ties counted half); the levels of the quantiles are
    Phi(z0 + (z0 + z) / (1 - a (z0 + z))). Undefined if no replicate varies, if all lie on one side of the estimate, or
    if a correction is so large that the levels no longer rise with z.
    """
    defined = _varying(replicates)
    if isinstance(defined, Undefined):
        return defined
    share = (np.mean(defined < estimate - _ROUNDING) + np.mean(defined <= estimate + _ROUNDING)) / 2
    if not 0 < share < 1:
        return Undefined("every bootstrap replicate lies on one side of the estimate")
    shifted = scipy.stats.norm.ppf(share) + scipy.stats.norm.ppf(_levels(confidence_level))
    if np.max(acceleration * shifted) >= 1:
        return Undefined("the acceleration is too large for a BCa interval")
    levels = scipy.stats.norm.cdf(scipy.stats.norm.ppf(share) + shifted / (1 - acceleration * shifted))
    low, high = np.quantile(defined, levels)
    return Interval(float(low), float(high), confidence_level)


def acceleration(name: str, counts: PairedCounts) -> float | Undefined:
    """Efron's acceleration of the difference of ``name`` by the jackknife (1987, JASA 82:171), from the cells alone.

    Rows of a cell leave the same table behind, so with theta_j the difference after one row of cell j is left out and
    d_j = mean - theta_j, a = sum N_j d_j^3 / (6 (sum N_j d_j^2)^(3/2)) over the non-empty cells. 0 if no row matters;
    Undefined if the metric needs one of the rows.
    """
    cells = np.array(counts.labelled, dtype=np.float64)
    filled = np.flatnonzero(cells)
    weights = cells[filled]
    champion, challenger = paired_metric(name, cells - np.eye(8)[filled])
    left = challenger - champion
    if not np.isfinite(left).all() or len(left) == 0:
        return Undefined(f"{name} does not exist for all tables with one row left out")
    d = np.average(left, weights=weights) - left
    square = float(np.sum(weights * d**2))
    return float(np.sum(weights * d**3)) / (6 * square**1.5) if square > 0 else 0.0


def studentized_interval(
    replicates: Floats,
    standard_errors: Floats,
    estimate: float,
    standard_error: float,
    confidence_level: float,
) -> Interval | Undefined:
    """The bootstrap-t interval: estimate - SE times the quantiles of t* = (replicate - estimate) / its own SE.

    May leave [-1, 1]. A replicate without a standard error, or with 0, has no t*: above 1 % of them the interval is
    Undefined, and so it is where the estimate's own standard error is 0.
    """
    if standard_error <= _ROUNDING:
        return Undefined("the standard error of the difference is 0")
    t = np.full(len(replicates), np.nan)
    np.divide(replicates - estimate, standard_errors, out=t, where=standard_errors > _ROUNDING)
    defined = _varying(t)
    if isinstance(defined, Undefined):
        return defined
    low, high = np.quantile(defined, _levels(confidence_level))
    return Interval(float(estimate - high * standard_error), float(estimate - low * standard_error), confidence_level)


def _levels(confidence_level: float) -> list[float]:
    tail = (1 - confidence_level) / 2
    return [tail, 1 - tail]


def _defined(values: Floats) -> Floats | Undefined:
    defined = values[np.isfinite(values)]
    undefined = len(values) - len(defined)
    if undefined > MAX_UNDEFINED_SHARE * len(values):
        return Undefined(f"undefined in {undefined} of {len(values)} bootstrap replicates")
    return defined


def _varying(values: Floats) -> Floats | Undefined:
    defined = _defined(values)
    if not isinstance(defined, Undefined) and np.ptp(defined) <= _ROUNDING:
        return Undefined("no bootstrap replicate differs from the others")
    return defined
