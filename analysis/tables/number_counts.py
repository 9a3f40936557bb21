"""Counts of the rows of two models that predict numbers. No number is simply right or wrong, so only rows are counted."""

from __future__ import annotations

from dataclasses import dataclass

from analysis.tables.counts import PairedCounts, PairedOutcomes

__all__ = ["NumberCounts"]


@dataclass(frozen=True, slots=True)
class NumberCounts:
    """Rows that both models scored, ``n`` with a label and ``unlabelled_rows`` without. Their losses are stored beside the tally."""

    n: int = 0
    unlabelled_rows: int = 0

    def __add__(self, other: NumberCounts) -> NumberCounts:
        return NumberCounts(self.n + other.n, self.unlabelled_rows + other.unlabelled_rows)

    @property
    def disagreements(self) -> int:
        return 0

    @property
    def unlabelled_disagreements(self) -> int:
        return 0

    @property
    def errors(self) -> tuple[int, int]:
        return 0, 0

    @property
    def one_class(self) -> bool:
        return False

    def outcomes(self, metric: str) -> PairedOutcomes:
        """All rows are ties, whatever the ``metric``."""
        return PairedOutcomes(0, 0, self.n)

    def corrected(self, settled: NumberCounts) -> int:
        return 0

    def swap(self) -> NumberCounts:
        return self

    def as_recorded(self) -> PairedCounts:
        return PairedCounts((0, 0, 0, 0, 0, 0, 0, self.n), (0, 0, 0, self.unlabelled_rows))
