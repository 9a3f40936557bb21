"""What a policy may name: the measures of each task, their direction and their range."""

from __future__ import annotations

import math
from typing import Literal, TypeGuard, get_args

from analysis.one_look.losses import RegressionLoss
from analysis.tables.counts import BinaryMetric
from analysis.tables.metrics import METRICS, Metric

__all__ = [
    "CLASS_MEASURES", "LINEAR", "LOSSES", "MEASURES", "MIXES_CLASSES", "RANK_MEASURES", "REGRESSION_LOSSES", "SCORE_MEASURES",
    "ClassMeasure", "LinearMetric", "Measure", "Task", "amount", "gain_sign", "is_class_measure", "is_linear", "is_regression_loss",
    "is_score_measure", "is_tally_metric", "loss_bound", "span",
]  # fmt: skip

Task = Literal["binary", "multiclass", "regression"]
LinearMetric = BinaryMetric
Measure = Literal[
    "recall", "specificity", "accuracy", "precision", "npv", "balanced_accuracy", "f1", "mcc", "alert_rate", "cost",
    "brier", "log_loss", "auc", "average_precision",
    "macro_recall", "macro_precision", "macro_f1",
    "squared_error", "absolute_error", "prediction", "prediction_unlabelled",
]  # fmt: skip

ClassMeasure = Literal["accuracy", "macro_recall", "macro_precision", "macro_f1"]
"""What a policy may name of ``analysis.one_look.multiclass``."""

CLASS_MEASURES: tuple[ClassMeasure, ...] = get_args(ClassMeasure)
REGRESSION_LOSSES: tuple[RegressionLoss, ...] = get_args(RegressionLoss)

LINEAR: tuple[LinearMetric, ...] = get_args(LinearMetric)
"""Shares of rows fixed beforehand: wins and losses are all that a test of them needs."""

RANK_MEASURES: tuple[Measure, ...] = ("auc", "average_precision")
SCORE_MEASURES: tuple[Measure, ...] = ("brier", "log_loss", *RANK_MEASURES)

MEASURES: dict[Task, tuple[Measure, ...]] = {
    "binary": (*(m for m in METRICS if m != "alert_rate"), "cost", *SCORE_MEASURES),
    "multiclass": CLASS_MEASURES,
    "regression": REGRESSION_LOSSES,
}
"""What can be a primary metric or a guardrail. The alert rate cannot: neither direction of it is better."""

MIXES_CLASSES: frozenset[Measure] = frozenset(
    {"accuracy", "precision", "npv", "f1", "mcc", "cost", "brier", "log_loss", "average_precision"}
)
"""Of decisions of 0 and 1: what depends on how many rows of each class there are."""

LOSSES: frozenset[Measure] = frozenset({"cost", "brier", "log_loss", *REGRESSION_LOSSES})
"""Lower is better."""

_UNBOUNDED: frozenset[Measure] = frozenset({"cost", "log_loss", *REGRESSION_LOSSES})


def is_linear(name: Measure) -> TypeGuard[LinearMetric]:
    """Whether wins and losses are all that a test of ``name`` needs."""
    return name in LINEAR


def is_tally_metric(name: Measure) -> TypeGuard[Metric]:
    """Whether ``name`` is a function of a confusion matrix alone."""
    return name in METRICS


def is_score_measure(name: Measure) -> bool:
    """Whether ``name`` needs what lies beside a tally: the sums of scores, or of the losses of numbers."""
    return name in SCORE_MEASURES or name in REGRESSION_LOSSES


def is_regression_loss(name: Measure) -> TypeGuard[RegressionLoss]:
    """Whether ``name`` is the loss of a predicted number, in units of the label or of its square."""
    return name in REGRESSION_LOSSES


def is_class_measure(name: Measure) -> TypeGuard[ClassMeasure]:
    """Whether ``name`` is a function of the counts of several classes."""
    return name in CLASS_MEASURES


def amount(name: Measure, value: float, *, sign: bool = False) -> str:
    """A value of ``name``, or a difference in it, for a reader.

    Four decimals; losses of numbers may have any scale and get five significant digits.
    """
    plus = "+" if sign else ""
    return f"{value:{plus}.5g}" if is_regression_loss(name) else f"{value:{plus}.4f}"


def gain_sign(name: Measure) -> int:
    """+1 where a higher value is better, -1 where a lower one is: gain = sign x (challenger - champion)."""
    return -1 if name in LOSSES else 1


def loss_bound(name: Measure, largest_error: float | None) -> float | None:
    """The most that a row may cost where errors of predicted numbers are clipped at ``largest_error``; else None."""
    if largest_error is None or not is_regression_loss(name):
        return None
    return largest_error**2 if name == "squared_error" else largest_error


def span(name: Measure, *, largest_error: float | None = None) -> float:
    """The most that two models can differ by; infinite for a loss without a bound."""
    bound = loss_bound(name, largest_error)
    if bound is not None:
        return bound
    if name in _UNBOUNDED:
        return math.inf
    return 2.0 if name == "mcc" else 1.0
