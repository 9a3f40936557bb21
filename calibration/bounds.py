"""Bounds on the numbers of a table, and whether a measured number breaks one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from scipy import stats

from calibration.cells import Cell

__all__ = ["CHANCE", "Bound", "UncheckedError", "Verdict", "judged"]

CHANCE = 0.001  # a share breaks its bound where one as far beyond it had a smaller probability at the bound


@dataclass(frozen=True, slots=True)
class Bound:
    """In every world of this table, ``quantity`` of ``rule`` stays on this side of ``limit``."""

    table: str
    quantity: str
    rule: str
    side: Literal["at most", "at least"]
    limit: float
    why: str

    def covers(self, table: str, cell: Cell) -> bool:
        return (self.table, self.quantity, self.rule) == (table, cell.quantity, cell.rule)

    def holds(self, cell: Cell) -> bool:
        """Whether the number is not beyond the limit by more than chance explains; an enumerated one leaves nothing to chance."""
        if cell.kind != "share":
            return cell.estimate <= self.limit if self.side == "at most" else cell.estimate >= self.limit
        alternative = "greater" if self.side == "at most" else "less"
        return float(stats.binomtest(cell.hits, cell.runs, self.limit, alternative=alternative).pvalue) >= CHANCE

    def __str__(self) -> str:
        return f"{self.side} {self.limit:g}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """A cell that a bound covers, and whether it holds."""

    bound: Bound
    cell: Cell
    holds: bool

    def __str__(self) -> str:
        c = self.cell
        runs = f"{c.runs} runs [{c.low:.4f}, {c.high:.4f}]" if c.runs else "enumeration"
        where = f"{self.bound.table}: {c.quantity} of {c.rule} ({c.world})"
        return f"{where} is {c.estimate:.4f} by {runs}, promised: {self.bound}"


class UncheckedError(RuntimeError):
    """A bound that no cell of its table answers to: a promise that nobody measures."""


def judged(table: str, cells: Sequence[Cell], bounds: Iterable[Bound]) -> list[Verdict]:
    """Hold every cell of the table to the bounds that cover it. Raises UncheckedError for a bound without a cell."""
    found = []
    for bound in bounds:
        if bound.table == table:
            covered = [c for c in cells if bound.covers(table, c)]
            if not covered:
                msg = f"{table}: no cell is the {bound.quantity} of {bound.rule}"
                raise UncheckedError(msg)
            found += [Verdict(bound, c, bound.holds(c)) for c in covered]
    return found
