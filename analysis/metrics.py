"""Confusion-matrix metrics, their paired differences and influence-function standard errors."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from analysis.counts import Confusion, PairedCounts, Undefined

__all__ = ["METRICS", "Difference", "Metric", "difference", "metric", "metric_array", "paired_metric"]

Metric = Literal[
    "recall", "precision", "specificity", "npv", "accuracy", "balanced_accuracy", "f1", "mcc", "alert_rate"
]
METRICS: tuple[Metric, ...] = get_args(Metric)

Floats = NDArray[np.float64]


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


def paired_metric(name: Metric, cells: Floats) -> tuple[Floats, Floats]:
    """``name`` of the champion and of the challenger for each row of ``cells`` (n x 8: 4 label + 2 champion + challenger)."""
    n = cells
    champion = metric_array(name, n[:, 6] + n[:, 7], n[:, 2] + n[:, 3], n[:, 4] + n[:, 5], n[:, 0] + n[:, 1])
    challenger = metric_array(name, n[:, 5] + n[:, 7], n[:, 1] + n[:, 3], n[:, 4] + n[:, 6], n[:, 0] + n[:, 2])
    return champion, challenger


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
    """Challenger minus champion with its influence-function standard error.

    Every metric here is homogeneous of degree 0 in the counts, so with g_j = n d(theta)/dN_j the standard error is
    sqrt(sum_j N_j g_j^2) / n over the eight cells (delta method). The gradients are closed forms of the cell counts.
    """
    champion, challenger = metric(name, counts.champion), metric(name, counts.challenger)
    for value in (champion, challenger):
        if isinstance(value, Undefined):
            return value
    assert isinstance(champion, float)
    assert isinstance(challenger, float)
    old, new = _gradient(name, counts.champion), _gradient(name, counts.challenger)
    variance = 0.0
    for cell, n in enumerate(counts.labelled):
        label, c, h = cell >> 2, (cell >> 1) & 1, cell & 1
        variance += n * (new[_outcome(label, h)] - old[_outcome(label, c)]) ** 2
    return Difference(champion, challenger, challenger - champion, math.sqrt(variance))


def _outcome(label: int, decision: int) -> int:
    """The position of a row in (tp, fp, fn, tn)."""
    if decision:
        return 0 if label else 1
    return 2 if label else 3


def _gradient(name: Metric, k: Confusion) -> tuple[float, float, float, float]:
    """The derivatives of ``name`` with respect to (tp, fp, fn, tn); the metric is defined at ``k``."""
    tp, fp, fn, tn = float(k.tp), float(k.fp), float(k.fn), float(k.tn)
    n = tp + fp + fn + tn
    match name:
        case "recall":
            p2 = (tp + fn) ** 2
            return fn / p2, 0.0, -tp / p2, 0.0
        case "precision":
            q2 = (tp + fp) ** 2
            return fp / q2, -tp / q2, 0.0, 0.0
        case "specificity":
            m2 = (tn + fp) ** 2
            return 0.0, -tn / m2, 0.0, fp / m2
        case "npv":
            u2 = (tn + fn) ** 2
            return 0.0, 0.0, -tn / u2, fn / u2
        case "accuracy":
            right, wrong = (fp + fn) / n**2, -(tp + tn) / n**2
            return right, wrong, wrong, right
        case "balanced_accuracy":
            p2, m2 = (tp + fn) ** 2, (tn + fp) ** 2
            return fn / p2 / 2, -tn / m2 / 2, -tp / p2 / 2, fp / m2 / 2
        case "f1":
            d2 = (2 * tp + fp + fn) ** 2
            return 2 * (fp + fn) / d2, -2 * tp / d2, -2 * tp / d2, 0.0
        case "alert_rate":
            flagged, passed = (fn + tn) / n**2, -(tp + fp) / n**2
            return flagged, flagged, passed, passed
        case "mcc":
            return _mcc_gradient(tp, fp, fn, tn)


def _mcc_gradient(tp: float, fp: float, fn: float, tn: float) -> tuple[float, float, float, float]:
    """Chain rule on MCC = (tp tn - fp fn) / sqrt((tp+fp)(tp+fn)(tn+fp)(tn+fn))."""
    q, p, m, u = tp + fp, tp + fn, tn + fp, tn + fn
    root = math.sqrt(q) * math.sqrt(p) * math.sqrt(m) * math.sqrt(u)
    half = (tp * tn - fp * fn) / root / 2
    return (
        tn / root - half * (1 / q + 1 / p),
        -fn / root - half * (1 / q + 1 / m),
        -fp / root - half * (1 / p + 1 / u),
        tp / root - half * (1 / m + 1 / u),
    )
