"""The face that the tables of all tasks have: the rows of one pair, counted by label and by what both models said."""

from __future__ import annotations

from typing import Protocol, Self

from analysis.tables.counts import PairedCounts, PairedOutcomes

__all__ = ["PairTable"]


class PairTable(Protocol):
    """Counts of the rows of one pair. Those of disjoint sets of rows add."""

    @property
    def n(self) -> int:
        """Labelled rows."""

    @property
    def unlabelled_rows(self) -> int:
        """Rows that both models scored and that have no label."""

    @property
    def disagreements(self) -> int:
        """Labelled rows of which the two models say different things, as far as these can be counted."""

    @property
    def unlabelled_disagreements(self) -> int:
        """The same among the rows without a label."""

    @property
    def errors(self) -> tuple[int, int]:
        """Labelled rows on which the champion is wrong, and the challenger; numbers are never right or wrong."""

    @property
    def one_class(self) -> bool:
        """Whether the labels are all of one class, where there are classes."""

    def outcomes(self, metric: str) -> PairedOutcomes:
        """Wins, losses and ties over the rows that ``metric`` is a share of. Raises ValueError for one that has none."""

    def corrected(self, settled: Self) -> int:
        """Disagreements that are not any more of the class that they are here, in the ``settled`` table of the same rows."""

    def swap(self) -> Self:
        """The same rows with the roles of the two models exchanged."""

    def as_recorded(self) -> PairedCounts:
        """The 2 x 2 x 2 table that stands for this one in records: of classes with label 1 and decisions 1 where they are right."""
