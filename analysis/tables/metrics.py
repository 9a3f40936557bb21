"""Confusion-matrix metrics, their paired differences and influence-function standard errors."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.tables.counts import Confusion, PairedCounts, Undefined
from analysis.tables.measure import Measure

__all__ = [
    "METRICS", "OUTCOME_METRICS", "DecisionMetric", "Difference", "Floats", "difference", "differences", "metric", "metric_array",
    "paired_metric", "paired_standard_error",
]  # fmt: skip

Floats = NDArray[np.float64]
_Quadruple = tuple[Floats, Floats, Floats, Floats]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DecisionMetric(Measure):
    """A function of (tp, fp, fn, tn) that is homogeneous of degree 0.

    ``value`` and ``gradient``, the partial derivatives in this order, take four arrays of counts or weights of one shape. They are NaN
    where the metric does not exist, and ``undefined`` says why.
    """

    value: Callable[[Floats, Floats, Floats, Floats], Floats]
    gradient: Callable[[Floats, Floats, Floats, Floats], _Quadruple]
    undefined: str


def _zero(like: Floats) -> Floats:
    return np.zeros_like(like)


def _accuracy_gradient(tp: Floats, fp: Floats, fn: Floats, tn: Floats) -> _Quadruple:
    n = tp + fp + fn + tn
    right, wrong = (fp + fn) / n**2, -(tp + tn) / n**2
    return right, wrong, wrong, right


def _balanced_accuracy_gradient(tp: Floats, fp: Floats, fn: Floats, tn: Floats) -> _Quadruple:
    p2, m2 = (tp + fn) ** 2, (tn + fp) ** 2
    return fn / p2 / 2, -tn / m2 / 2, -tp / p2 / 2, fp / m2 / 2


def _f1_gradient(tp: Floats, fp: Floats, fn: Floats, tn: Floats) -> _Quadruple:
    d2 = (2 * tp + fp + fn) ** 2
    return 2 * (fp + fn) / d2, -2 * tp / d2, -2 * tp / d2, _zero(tn)


def _mcc(tp: Floats, fp: Floats, fn: Floats, tn: Floats) -> Floats:
    # the product of square roots, not the root of the product: counts of 1e9 would overflow int64
    scale = np.sqrt(tp + fp) * np.sqrt(tp + fn) * np.sqrt(tn + fp) * np.sqrt(tn + fn)
    return np.asarray(np.clip((tp * tn - fp * fn) / scale, -1, 1), dtype=np.float64)


def _mcc_gradient(tp: Floats, fp: Floats, fn: Floats, tn: Floats) -> _Quadruple:
    """Chain rule on MCC = (tp tn - fp fn) / sqrt((tp+fp)(tp+fn)(tn+fp)(tn+fn))."""
    q, p, m, u = tp + fp, tp + fn, tn + fp, tn + fn
    root = np.sqrt(q) * np.sqrt(p) * np.sqrt(m) * np.sqrt(u)
    half = (tp * tn - fp * fn) / root / 2
    return (
        tn / root - half * (1 / q + 1 / p),
        -fn / root - half * (1 / q + 1 / m),
        -fp / root - half * (1 / p + 1 / u),
        tp / root - half * (1 / m + 1 / u),
    )


def _alert_rate_gradient(tp: Floats, fp: Floats, fn: Floats, tn: Floats) -> _Quadruple:
    n = tp + fp + fn + tn
    flagged, passed = (fn + tn) / n**2, -(tp + fp) / n**2
    return flagged, flagged, passed, passed


METRICS: dict[str, DecisionMetric] = {
    m.name: m
    for m in (
        DecisionMetric(
            name="recall", family="decisions", process="outcomes",
            value=lambda tp, fp, fn, tn: tp / (tp + fn),
            gradient=lambda tp, fp, fn, tn: (fn / (tp + fn) ** 2, _zero(fp), -tp / (tp + fn) ** 2, _zero(tn)),
            undefined="no labelled positive",
        ),
        DecisionMetric(
            name="precision", family="decisions", process="precision", mixes_classes=True,
            value=lambda tp, fp, fn, tn: tp / (tp + fp),
            gradient=lambda tp, fp, fn, tn: (fp / (tp + fp) ** 2, -tp / (tp + fp) ** 2, _zero(fn), _zero(tn)),
            undefined="nothing flagged among the labelled rows",
        ),
        DecisionMetric(
            name="specificity", family="decisions", process="outcomes",
            value=lambda tp, fp, fn, tn: tn / (tn + fp),
            gradient=lambda tp, fp, fn, tn: (_zero(tp), -tn / (tn + fp) ** 2, _zero(fn), fp / (tn + fp) ** 2),
            undefined="no labelled negative",
        ),
        DecisionMetric(
            name="npv", family="decisions", process="npv", mixes_classes=True,
            value=lambda tp, fp, fn, tn: tn / (tn + fn),
            gradient=lambda tp, fp, fn, tn: (_zero(tp), _zero(fp), -tn / (tn + fn) ** 2, fn / (tn + fn) ** 2),
            undefined="every labelled row was flagged",
        ),
        DecisionMetric(
            name="accuracy", family="decisions", process="outcomes", mixes_classes=True,
            value=lambda tp, fp, fn, tn: (tp + tn) / (tp + fp + fn + tn), gradient=_accuracy_gradient, undefined="no labelled row",
        ),
        DecisionMetric(
            name="balanced_accuracy", family="decisions",
            value=lambda tp, fp, fn, tn: (tp / (tp + fn) + tn / (tn + fp)) / 2, gradient=_balanced_accuracy_gradient,
            undefined="only one class among the labels",
        ),
        DecisionMetric(
            name="f1", family="decisions", mixes_classes=True,
            value=lambda tp, fp, fn, tn: 2 * tp / (2 * tp + fp + fn), gradient=_f1_gradient,
            undefined="no labelled positive and nothing flagged",
        ),
        DecisionMetric(
            name="mcc", family="decisions", mixes_classes=True, largest_difference=2.0, value=_mcc, gradient=_mcc_gradient,
            undefined="only one class among the labels or the decisions",
        ),
        DecisionMetric(  # a higher rate is not better than a lower one
            name="alert_rate", family="decisions", can_decide=False,
            value=lambda tp, fp, fn, tn: (tp + fp) / (tp + fp + fn + tn), gradient=_alert_rate_gradient, undefined="no labelled row",
        ),
    )
}  # fmt: skip
"""By name. To add a metric of decisions, add an entry here and a test."""

OUTCOME_METRICS: tuple[str, ...] = tuple(m.name for m in METRICS.values() if m.counts_outcomes)
"""Shares of rows that do not depend on the decisions: of the positives, the negatives, or all (``PairedCounts.outcomes``)."""


@dataclass(frozen=True, slots=True)
class Difference:
    """Challenger minus champion, with the delta-method standard error of the difference."""

    champion: float
    challenger: float
    value: float
    standard_error: float


def metric_array(name: str, tp: Floats, fp: Floats, fn: Floats, tn: Floats) -> Floats:
    """``name`` for arrays of counts or weights of one shape; NaN where it is undefined."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(METRICS[name].value(tp, fp, fn, tn))


def paired_metric(name: str, cells: Floats) -> tuple[Floats, Floats]:
    """``name`` of the champion and of the challenger, shape (n,), for each row of ``cells`` (n x 8: 4 label + 2 champion + challenger)."""
    champion, challenger = _confusions(cells)
    return metric_array(name, *champion), metric_array(name, *challenger)


def paired_standard_error(name: str, cells: Floats, *, squares: Floats | None = None) -> Floats:
    """Delta-method standard error of challenger minus champion for each row of ``cells`` (n x 8); NaN where it is undefined.

    Every metric here is homogeneous of degree 0 in the counts, so with g_j = n d(theta)/dN_j the standard error is
    sqrt(sum_j N_j g_j^2) / n over the eight cells. The gradients are closed forms of the cell counts. If rows have weights,
    ``cells`` are the sums of the weights, and ``squares`` are the sums of their squares, which replace N_j under the root.
    """
    squares = cells if squares is None else squares
    with np.errstate(divide="ignore", invalid="ignore"):
        old, new = (METRICS[name].gradient(*confusion) for confusion in _confusions(cells))
    variance = np.zeros(len(cells))
    for cell in range(8):
        label, c, h = cell >> 2, (cell >> 1) & 1, cell & 1
        variance += squares[:, cell] * (new[_outcome(label, h)] - old[_outcome(label, c)]) ** 2
    return np.sqrt(variance)


def _confusions(cells: Floats) -> tuple[_Quadruple, _Quadruple]:
    """(tp, fp, fn, tn) of the champion and of the challenger."""
    n0, n1, n2, n3, n4, n5, n6, n7 = cells.T
    return (n6 + n7, n2 + n3, n4 + n5, n0 + n1), (n5 + n7, n1 + n3, n4 + n6, n0 + n2)


def metric(name: str, counts: Confusion) -> float | Undefined:
    """The value of ``name``, in [0, 1] (MCC in [-1, 1]), or why it does not exist."""
    tp, fp, fn, tn = (np.array(c, dtype=np.float64) for c in (counts.tp, counts.fp, counts.fn, counts.tn))
    value = float(metric_array(name, tp, fp, fn, tn))
    return value if math.isfinite(value) else Undefined(METRICS[name].undefined)


def difference(name: str, counts: PairedCounts) -> Difference | Undefined:
    """Challenger minus champion with its influence-function standard error (``paired_standard_error``)."""
    return differences(name, [counts])[0]


def differences(name: str, tables: Sequence[PairedCounts]) -> list[Difference | Undefined]:
    """``difference`` of each of the tables."""
    cells = np.array([t.labelled for t in tables], dtype=np.float64).reshape(-1, 8)
    champion, challenger = paired_metric(name, cells)
    columns = (champion, challenger, challenger - champion, paired_standard_error(name, cells))
    exists = np.isfinite(champion) & np.isfinite(challenger)
    found = zip(exists.tolist(), *(c.tolist() for c in columns), strict=True)
    return [Difference(*values) if known else Undefined(METRICS[name].undefined) for known, *values in found]


def _outcome(label: int, decision: int) -> int:
    """The position of a row in (tp, fp, fn, tn)."""
    if decision:
        return 0 if label else 1
    return 2 if label else 3
