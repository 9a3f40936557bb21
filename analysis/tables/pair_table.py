"""The interface that the tables of all tasks share: the rows of one pair, counted by label and by the predictions of both models."""

from __future__ import annotations

from typing import Protocol, Self

from analysis.tables.counts import PairedCounts, PairedOutcomes

__all__ = ["PairTable"]


class PairTable(Protocol):
    """Counts of the rows of one pair. Tables of disjoint sets of rows can be added."""

    @property
    def n(self) -> int:
        """Labelled rows."""

    @property
    def unlabelled_rows(self) -> int:
        """Rows that both models scored and that have no label."""

    @property
    def disagreements(self) -> int:
        """Labelled rows for which the two models decide differently; 0 for numbers."""

    @property
    def unlabelled_disagreements(self) -> int:
        """The same among the rows without a label."""

    @property
    def errors(self) -> tuple[int, int]:
        """Labelled rows on which the champion is wrong, and those on which the challenger is wrong; 0 for numbers."""

    @property
    def one_class(self) -> bool:
        """Whether all labels are of one class; False for numbers."""

    def outcomes(self, metric: str) -> PairedOutcomes:
        """Wins, losses and ties over the rows that ``metric`` is a share of. Raises ValueError for a metric that has none."""

    def corrected(self, settled: Self) -> int:
        """The least number of disagreements whose label is gone or changed in ``settled``, the later table of the same rows."""

    def swap(self) -> Self:
        """The same rows with the roles of the two models exchanged."""

    def as_recorded(self) -> PairedCounts:
        """The 2x2x2 table that records hold; for several classes, it has label 1, and decision 1 where the prediction is right."""
