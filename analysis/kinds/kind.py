"""The face of a kind of task: what depends on whether models decide between 0 and 1, name classes, or predict numbers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from analysis.kinds.score_sums import ScoreSums, Sums
from analysis.one_look.bootstrap import Bootstrap
from analysis.one_look.by_class import ByClass
from analysis.one_look.losses import PairedLosses, PairedT
from analysis.one_look.marginals import TableTest
from analysis.tables.counts import PairedOutcomes, Undefined
from analysis.tables.measure import Measure
from analysis.tables.metrics import Difference, Floats
from analysis.tables.pair_table import PairTable

__all__ = ["LARGEST_NUMBER", "Cell", "Details", "Kind", "Task"]

Task = Literal["binary", "multiclass", "regression"]
Cell = tuple[Any, Any, Any, int]
"""Label (None without one), what the champion said, what the challenger said, and how many rows."""

LARGEST_NUMBER = 1e60
"""Beyond it a number is none: the squares of squared errors would no longer be finite."""


@dataclass(frozen=True, slots=True)
class Details:
    """What a judgement shows of one kind of task alone: of classes all but ``losses``, which are of numbers."""

    class_counts: Mapping[tuple[str, str, str], int] = field(default_factory=dict)
    classes: Mapping[str, ByClass | Undefined] = field(default_factory=dict)
    marginals: Mapping[str, TableTest | Undefined] = field(default_factory=dict)
    losses: Mapping[str, PairedT | Undefined] = field(default_factory=dict)


class Kind(ABC):
    """One kind of task; ``analysis.kinds`` has one of each. To add one is to write such a class, and the table of its counts."""

    task: ClassVar[Task]
    measures: ClassVar[Mapping[str, Measure]]  # all that are shown
    primary: ClassVar[str]  # the policy's default, as are the guardrails
    guardrails: ClassVar[Mapping[str, float]]
    decides: ClassVar[bool] = (
        False  # between 0 and 1 at a threshold: costs, entities and bounds on missing labels make sense
    )
    names_classes: ClassVar[bool] = False  # labels and predictions are text
    right_or_wrong: ClassVar[bool] = True  # each row is one of the two, so it can be won or lost
    decision_type: ClassVar[type[pl.DataType]]  # of a version's column in a tally
    usable_label: ClassVar[pl.Expr]
    unusable: ClassVar[str]  # why a label cannot be used
    differing: ClassVar[str]  # in words, the rows on which two models differ
    prediction: ClassVar[str]  # in words, what a model gives for a row
    trend: ClassVar[
        tuple[str, ...]
    ]  # what the plot over time shows beside the primary measure: the first that it is not
    served: ClassVar[tuple[str, ...]]  # what a season under a rule is told by

    def deciding(self) -> tuple[str, ...]:
        """The measures that a policy may name."""
        return tuple(name for name, m in self.measures.items() if m.can_decide)

    def outcome_metrics(self) -> tuple[str, ...]:
        """The measures of which wins and losses are all that a test needs."""
        return tuple(name for name, m in self.measures.items() if m.counts_outcomes)

    def joined_label(self, label: pl.Expr) -> pl.Expr:
        """A usable label in the type that rows of this kind have."""
        return label

    def tally_label(self, label: pl.Expr) -> pl.Expr:
        """What a tally keeps of a label."""
        return label

    @abstractmethod
    def predictions(self, output: NDArray[Any]) -> NDArray[Any]:
        """What a model gave for rows, shape (n,) or (n, k), as one prediction each, shape (n,); of any other shape it is returned as it is.

        Raises ValueError for a value that is no prediction, in words that follow the name of the version.
        """

    @abstractmethod
    def table(self, cells: Iterable[Cell]) -> PairTable:
        """The counts of a pair from the cells of a tally."""

    @abstractmethod
    def total(self, tables: Iterable[Any]) -> Any:
        """The counts of all these disjoint sets of rows, in tables of this kind."""

    @abstractmethod
    def value(self, name: str, table: Any) -> float | Undefined:
        """``name`` of the champion, of measures that are functions of a table."""

    @abstractmethod
    def difference(self, name: str, table: Any) -> Difference | Undefined:
        """Challenger minus champion, of the same."""

    def score_sums(
        self,
        y: Floats,
        scores: Mapping[str, Floats],
        unlabelled: Mapping[str, Floats],
        *,
        named: Collection[str],
        largest_error: float | None,
    ) -> list[Sums]:
        """What lies beside the tally of a batch: labels and scores by version of labelled rows, then scores of those without a label.

        ``named`` are the measures that the policy names.
        """
        return []

    def details(self, table: Any, losses: Callable[[str], PairedLosses], confidence_level: float) -> Details:
        """What is shown of this kind alone; ``losses`` gives the sums of a loss over all batches."""
        return Details()

    def bootstrap(
        self, table: Any, *, rng: np.random.Generator, confidence_level: float, n_resamples: int
    ) -> Mapping[str, Bootstrap | Undefined]:
        """Bootstrap intervals of all measures that are functions of a table, from the same draws."""
        return {}

    @abstractmethod
    def log_e_selection(self, tables: Sequence[Any], sums: Sequence[Mapping[str, ScoreSums]]) -> float | Undefined:
        """Log e-value against labels that do not depend on what the models said; tables and score sums of each batch."""

    def log_e_audit(self, pairs: Sequence[tuple[Any, Any]]) -> float | Undefined:
        """The same of labels that came late: pairs of the table at closing and the settled one."""
        return Undefined("no batch is old enough for its late labels to be looked at")

    def disagreement(self, outcomes: PairedOutcomes, unit: str, metric: str) -> str | None:
        """On how many rows the two differ, as a sentence; None where rows are neither right nor wrong."""
        return None
