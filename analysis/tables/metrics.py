"""Confusion-matrix metrics, their paired differences and influence-function standard errors."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, assert_never, get_args

import numpy as np
from numpy.typing import NDArray

from analysis.tables.counts import Confusion, PairedCounts, Undefined

__all__ = [
    "METRICS",
    "Difference",
    "Metric",
    "difference",
    "metric",
    "metric_array",
    "paired_metric",
    "paired_standard_error",
]

Metric = Literal[
    "recall", "precision", "specificity", "npv", "accuracy", "balanced_accuracy", "f1", "mcc", "alert_rate"
]
METRICS: tuple[Metric, ...] = get_args(Metric)

Floats = NDArray[np.float64]
_Quadruple = tuple[Floats, Floats, Floats, Floats]


@dataclass(frozen=True, slots=True)
class Difference:
    """Challenger minus champion, with the delta-method standard error of the difference."""

    champion: float
    challenger: float
    value: float
    standard_error: float


def metric_array(name: Metric, tp: Floats, fp: Floats, fn: Floats, tn: Floats) -> Floats:
    """``name`` for arrays of counts or weights of one shape; not-a-number where it is undefined."""
    with np.errstate(divide="ignore", invalid="ignore"):
        match name:
            case "recall":
                return tp / (tp + fn)
            case "precision":
                return tp / (tp + fp)
            case "specificity":
                return tn / (tn + fp)
            case "npv":
                return tn / (tn + fn)
            case "accuracy":
                return (tp + tn) / (tp + fp + fn + tn)
            case "balanced_accuracy":
                return (tp / (tp + fn) + tn / (tn + fp)) / 2
            case "f1":
                return 2 * tp / (2 * tp + fp + fn)
            case "mcc":
                # the product of square roots, not the root of the product: counts of 1e9 would overflow int64
                scale = np.sqrt(tp + fp) * np.sqrt(tp + fn) * np.sqrt(tn + fp) * np.sqrt(tn + fn)
                return np.asarray(np.clip((tp * tn - fp * fn) / scale, -1, 1), dtype=np.float64)
            case "alert_rate":
                return (tp + fp) / (tp + fp + fn + tn)
            case _:
                assert_never(name)


def paired_metric(name: Metric, cells: Floats) -> tuple[Floats, Floats]:
    """``name`` of the champion and of the challenger for each row of ``cells`` (n x 8: 4 label + 2 champion + challenger)."""
    champion, challenger = _confusions(cells)
    return metric_array(name, *champion), metric_array(name, *challenger)


def paired_standard_error(name: Metric, cells: Floats, *, squares: Floats | None = None) -> Floats:
    """Delta-method standard error of challenger minus champion for each row of ``cells``; not-a-number where undefined.

    Every metric here is homogeneous of degree 0 in the counts, so with g_j = n d(theta)/dN_j the standard error is
    sqrt(sum_j N_j g_j^2) / n over the eight cells. The gradients are closed forms of the cell counts. Where rows have weights,
    ``cells`` are sums of the weights and ``squares`` those of their squares, in place of N_j under the root.
    """
    squares = cells if squares is None else squares
    old, new = (_gradient(name, *confusion) for confusion in _confusions(cells))
    variance = np.zeros(len(cells))
    for cell in range(8):
        label, c, h = cell >> 2, (cell >> 1) & 1, cell & 1
        variance += squares[:, cell] * (new[_outcome(label, h)] - old[_outcome(label, c)]) ** 2
    return np.sqrt(variance)


def _confusions(cells: Floats) -> tuple[_Quadruple, _Quadruple]:
    """(tp, fp, fn, tn) of the champion and of the challenger."""
    n0, n1, n2, n3, n4, n5, n6, n7 = cells.T
    return (n6 + n7, n2 + n3, n4 + n5, n0 + n1), (n5 + n7, n1 + n3, n4 + n6, n0 + n2)


_NEEDS = {
    "recall": "no labelled positive",
    "precision": "nothing flagged among the labelled rows",
    "specificity": "no labelled negative",
    "npv": "every labelled row was flagged",
    "accuracy": "no labelled row",
    "balanced_accuracy": "only one class among the labels",
    "f1": "no labelled positive and nothing flagged",
    "mcc": "only one class among the labels or the decisions",
    "alert_rate": "no labelled row",
}


def metric(name: Metric, counts: Confusion) -> float | Undefined:
    """The value of ``name`` in [0, 1] (MCC in [-1, 1]), or why it does not exist."""
    tp, fp, fn, tn = (np.array(c, dtype=np.float64) for c in (counts.tp, counts.fp, counts.fn, counts.tn))
    value = float(metric_array(name, tp, fp, fn, tn))
    return value if math.isfinite(value) else Undefined(_NEEDS[name])


def difference(name: Metric, counts: PairedCounts) -> Difference | Undefined:
    """Challenger minus champion with its influence-function standard error (``paired_standard_error``)."""
    champion, challenger = metric(name, counts.champion), metric(name, counts.challenger)
    for value in (champion, challenger):
        if isinstance(value, Undefined):
            return value
    assert isinstance(champion, float)
    assert isinstance(challenger, float)
    standard_error = paired_standard_error(name, np.array([counts.labelled], dtype=np.float64))
    return Difference(champion, challenger, challenger - champion, float(standard_error[0]))


def _outcome(label: int, decision: int) -> int:
    """The position of a row in (tp, fp, fn, tn)."""
    if decision:
        return 0 if label else 1
    return 2 if label else 3


def _gradient(name: Metric, tp: Floats, fp: Floats, fn: Floats, tn: Floats) -> _Quadruple:
    """The derivatives of ``name`` with respect to (tp, fp, fn, tn); not-a-number where it is undefined."""
    n, zero = tp + fp + fn + tn, np.zeros_like(tp)
    p2, q2, m2, u2 = (tp + fn) ** 2, (tp + fp) ** 2, (tn + fp) ** 2, (tn + fn) ** 2
    with np.errstate(divide="ignore", invalid="ignore"):
        match name:
            case "recall":
                return fn / p2, zero, -tp / p2, zero
            case "precision":
                return fp / q2, -tp / q2, zero, zero
            case "specificity":
                return zero, -tn / m2, zero, fp / m2
            case "npv":
                return zero, zero, -tn / u2, fn / u2
            case "accuracy":
                right, wrong = (fp + fn) / n**2, -(tp + tn) / n**2
                return right, wrong, wrong, right
            case "balanced_accuracy":
                return fn / p2 / 2, -tn / m2 / 2, -tp / p2 / 2, fp / m2 / 2
            case "f1":
                d2 = (2 * tp + fp + fn) ** 2
                return 2 * (fp + fn) / d2, -2 * tp / d2, -2 * tp / d2, zero
            case "alert_rate":
                flagged, passed = (fn + tn) / n**2, -(tp + fp) / n**2
                return flagged, flagged, passed, passed
            case "mcc":
                return _mcc_gradient(tp, fp, fn, tn)
            case _:
                assert_never(name)


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
