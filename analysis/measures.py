"""What a policy may name: the measures of each task, their direction and their range."""

from __future__ import annotations

import math
from typing import Literal, TypeGuard, get_args

from analysis.counts import BinaryMetric
from analysis.metrics import METRICS, Metric

__all__ = [
    "LINEAR", "LOSSES", "MEASURES", "RANK_MEASURES", "SCORE_MEASURES", "LinearMetric", "Measure", "Task", "gain_sign", "is_linear",
    "is_tally_metric", "span",
]  # fmt: skip

Task = Literal["binary", "multiclass", "regression"]
LinearMetric = BinaryMetric
Measure = Literal[
    "recall", "specificity", "accuracy", "precision", "npv", "balanced_accuracy", "f1", "mcc", "alert_rate", "cost",
    "brier", "log_loss", "auc", "average_precision",
    "macro_recall", "macro_precision", "macro_f1",
    "squared_error", "absolute_error",
]  # fmt: skip

LINEAR: tuple[LinearMetric, ...] = get_args(LinearMetric)
"""Shares of rows fixed beforehand: wins and losses are all that a test of them needs."""

RANK_MEASURES: tuple[Measure, ...] = ("auc", "average_precision")
SCORE_MEASURES: tuple[Measure, ...] = ("brier", "log_loss", *RANK_MEASURES)

MEASURES: dict[Task, tuple[Measure, ...]] = {
    "binary": (*(m for m in METRICS if m != "alert_rate"), "cost", *SCORE_MEASURES),
    "multiclass": ("accuracy", "macro_recall", "macro_precision", "macro_f1"),
    "regression": ("squared_error", "absolute_error"),
}
"""What can be a primary metric or a guardrail. The alert rate cannot: neither direction of it is better."""

LOSSES: frozenset[Measure] = frozenset({"cost", "brier", "log_loss", "squared_error", "absolute_error"})
"""Lower is better."""

_UNBOUNDED: frozenset[Measure] = frozenset({"cost", "log_loss", "squared_error", "absolute_error"})


def is_linear(name: Measure) -> TypeGuard[LinearMetric]:
    """Whether wins and losses are all that a test of ``name`` needs."""
    return name in LINEAR


def is_tally_metric(name: Measure) -> TypeGuard[Metric]:
    """Whether ``name`` is a function of a confusion matrix alone."""
    return name in METRICS


def gain_sign(name: Measure) -> int:
    """+1 where a higher value is better, -1 where a lower one is: gain = sign x (challenger - champion)."""
    return -1 if name in LOSSES else 1


def span(name: Measure) -> float:
    """The most that two models can differ by; infinite for a loss without a bound."""
    if name in _UNBOUNDED:
        return math.inf
    return 2.0 if name == "mcc" else 1.0
