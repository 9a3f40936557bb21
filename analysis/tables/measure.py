"""Measures: what a policy may name, each with the properties that are needed to compute it, test it and show it.

Each is declared once, beside its formula: metrics of decisions in ``analysis.tables.metrics``, of classes in
``analysis.one_look.class_metrics``, of scores in ``analysis.one_look.scores``, of numbers in ``analysis.one_look.losses``, the cost in
``analysis.any_look.cost``. ``analysis.kinds`` says which of them a task has.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["Family", "Measure", "Process"]

Family = Literal["decisions", "cost", "classes", "scores", "ranks", "numbers"]
"""What a measure is computed from: a confusion matrix, a cost matrix, a table by class, the losses of scores, their ranks, or numbers."""

Process = Literal["outcomes", "precision", "npv", "cost", "asymptotic", "batches"]
"""The evidence process of a measure, unless the policy or the rows need another one (``analysis.verdict.process_choice``)."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Measure:
    """One measure.

    ``largest_difference`` is the most that two models can differ by, infinite without a bound. ``mixes_classes``: for decisions of 0
    and 1, whether the value depends on the share of each class in the rows. ``can_decide``: whether a policy may name it.
    """

    name: str
    family: Family
    process: Process = "asymptotic"
    lower_is_better: bool = False
    largest_difference: float = 1.0
    mixes_classes: bool = False
    can_decide: bool = True

    @property
    def sign(self) -> int:
        """+1 where a higher value is better, else -1: gain = sign x (challenger - champion)."""
        return -1 if self.lower_is_better else 1

    @property
    def counts_outcomes(self) -> bool:
        """Whether it is a share of rows that do not depend on the decisions, so that a test needs only wins and losses."""
        return self.process == "outcomes"

    @property
    def is_share(self) -> bool:
        """Whether it is a mean over rows, positives, negatives or decisions, so that the value of one model can be watched."""
        return self.process in ("outcomes", "precision", "npv", "cost")

    @property
    def beside_tally(self) -> bool:
        """Whether it is computed from the score sums that are stored beside a tally (``analysis.kinds.score_sums``)."""
        return self.family in ("scores", "ranks", "numbers")

    def bound(self, largest_error: float | None) -> float | None:
        """The largest loss per row if errors of numbers are clipped at ``largest_error``, else None; None for other measures."""
        return None

    def span(self, largest_error: float | None) -> float:
        """The most that two models can differ by if errors are clipped at ``largest_error``."""
        bound = self.bound(largest_error)
        return self.largest_difference if bound is None else bound

    def amount(self, value: float, *, sign: bool = False) -> str:
        """A value or a difference as text: four decimals, but five significant digits for losses of numbers, which may have any scale."""
        plus = "+" if sign else ""
        return f"{value:{plus}.5g}" if self.family == "numbers" else f"{value:{plus}.4f}"
