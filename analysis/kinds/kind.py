"""The interface of a kind of task: all that depends on whether models decide between 0 and 1, name classes, or predict numbers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from analysis.kinds.score_sums import ScoredBlocks, ScoreSums, Sums
from analysis.one_look.bootstrap import Bootstrap
from analysis.one_look.by_class import ByClass
from analysis.one_look.losses import PairedLosses, PairedT
from analysis.one_look.marginals import TableTest
from analysis.tables.counts import PairedOutcomes, Undefined
from analysis.tables.measure import Measure
from analysis.tables.metrics import Difference
from analysis.tables.pair_table import PairTable

__all__ = ["LARGEST_NUMBER", "NOTHING_SETTLED", "Cell", "Details", "Kind", "Task"]

Task = Literal["binary", "multiclass", "regression"]
Cell = tuple[Any, Any, Any, int]
"""Label (None for rows without one), prediction of the champion, prediction of the challenger, number of rows."""

NOTHING_SETTLED = Undefined("no batch is old enough for its late labels to be looked at")

LARGEST_NUMBER = 1e60
"""The largest label or prediction that counts as a number, either way: the squares of squared errors have to be finite."""


@dataclass(frozen=True, slots=True)
class Details:
    """What a judgement shows for one kind of task only: ``losses`` for numbers, all others for classes."""

    class_counts: Mapping[tuple[str, str, str], int] = field(default_factory=dict)
    classes: Mapping[str, ByClass | Undefined] = field(default_factory=dict)
    marginals: Mapping[str, TableTest | Undefined] = field(default_factory=dict)
    losses: Mapping[str, PairedT | Undefined] = field(default_factory=dict)


class Kind(ABC):
    """One kind of task; ``analysis.kinds`` has one object per kind. To add a kind, write such a class and its ``PairTable``."""

    task: ClassVar[Task]
    measures: ClassVar[Mapping[str, Measure]]  # all that are shown
    primary: ClassVar[str]  # the policy's default, as are the guardrails
    guardrails: ClassVar[Mapping[str, float]]
    decides: ClassVar[bool] = False  # between 0 and 1: costs, entities and bounds on missing labels make sense
    names_classes: ClassVar[bool] = False  # labels and predictions are text
    right_or_wrong: ClassVar[bool] = True  # each row is one of the two, so it can be won or lost
    decision_type: ClassVar[type[pl.DataType]]  # of a version's column in a tally
    usable_label: ClassVar[pl.Expr]
    widths: ClassVar[tuple[int, ...]] = (1,)  # columns of an output, of which the last has the predictions
    unusable: ClassVar[str]  # why a label cannot be used
    differing: ClassVar[str]  # in words, the rows on which two models differ
    prediction: ClassVar[str]  # in words, what a model gives for a row
    trend: ClassVar[tuple[str, ...]]  # the first that is not the primary measure is plotted over time beside it
    served: ClassVar[tuple[str, ...]]  # the measures that are shown of a season

    def deciding(self) -> tuple[str, ...]:
        """The measures that a policy may name."""
        return tuple(name for name, m in self.measures.items() if m.can_decide)

    def outcome_metrics(self) -> tuple[str, ...]:
        """The measures whose tests need only wins and losses."""
        return tuple(name for name, m in self.measures.items() if m.counts_outcomes)

    def joined_label(self, label: pl.Expr) -> pl.Expr:
        """A usable label, converted to the type of labels of this kind."""
        return label

    def tally_label(self, label: pl.Expr) -> pl.Expr:
        """The label as a tally counts it."""
        return label

    def predictions(self, output: NDArray[Any]) -> NDArray[Any]:
        """One prediction per row, shape (n,), from a model's output, shape (n,) or (n, k); output of another shape is returned unchanged.

        Raises ValueError for a value that is no prediction; the message continues a sentence that begins with the version.
        """
        if output.ndim == 2 and output.shape[1] in self.widths:
            output = output[:, -1]
        return self.checked(output) if output.ndim == 1 else output

    @abstractmethod
    def checked(self, output: NDArray[Any]) -> NDArray[Any]:
        """The predictions in an output of shape (n,). Raises ValueError as ``predictions`` does."""

    @abstractmethod
    def table(self, cells: Iterable[Cell]) -> PairTable:
        """The counts of a pair from the cells of a tally."""

    @abstractmethod
    def total(self, tables: Iterable[Any]) -> Any:
        """The sum of the tables of disjoint sets of rows; an empty table for none."""

    @abstractmethod
    def value(self, name: str, table: Any) -> float | Undefined:
        """The champion's value of ``name``, a measure that is a function of a table; Undefined for other measures."""

    @abstractmethod
    def difference(self, name: str, table: Any) -> Difference | Undefined:
        """Challenger minus champion in such a measure."""

    def differences(self, name: str, tables: Sequence[Any]) -> list[Difference | Undefined]:
        """``difference`` of each of the tables."""
        return [self.difference(name, table) for table in tables]

    def score_sums(self, blocks: ScoredBlocks, *, named: Collection[str], largest_error: float | None) -> list[Sums]:
        """The score sums of a batch, which are stored beside its tally.

        ``named`` are the measures that the policy names; errors of numbers are clipped at ``largest_error``.
        """
        return []

    def details(self, table: Any, losses: Callable[[str], PairedLosses], confidence_level: float) -> Details:
        """What is shown for this kind only; ``losses`` maps the name of a loss to its sums over all batches."""
        return Details()

    def bootstrap(
        self, table: Any, *, rng: np.random.Generator, confidence_level: float, n_resamples: int
    ) -> Mapping[str, Bootstrap | Undefined]:
        """Bootstrap intervals of the differences in all measures that are functions of a table, from the same draws."""
        return {}

    @abstractmethod
    def log_e_selection(self, tables: Sequence[Any], sums: Sequence[Mapping[str, ScoreSums]]) -> float | Undefined:
        """Log of the e-value against H0: labels do not depend on the predictions; ``tables`` and ``sums`` have one entry per batch.

        Where rows are right or wrong, one disagreement at least has no label.
        """

    def log_e_audit(self, pairs: Sequence[tuple[Any, Any]]) -> float | Undefined:
        """The same for late labels; ``pairs`` has the table at closing and the settled table of each batch."""
        return NOTHING_SETTLED

    def disagreement(self, outcomes: PairedOutcomes, unit: str, metric: str) -> str | None:
        """A sentence that says on how many rows the two models differ; None for numbers."""
        return None
