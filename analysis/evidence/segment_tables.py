"""The tables of a pair by segment. There can be thousands of them in a batch, so they are made where one is asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

import polars as pl

from analysis.kinds import Cell, Kind
from analysis.tables.pair_table import PairTable

__all__ = ["SegmentTables", "changed", "total_by_segment"]

_KEYS = ("column", "value", "label", "c", "h")

Tables = Mapping[tuple[str, str], PairTable]


class SegmentTables(Mapping[tuple[str, str], PairTable]):
    """The table of each segment, (column, value), in this order, from the counts of its cells.

    ``cells`` has the columns ``column``, ``value``, ``label``, ``c`` and ``h`` (champion and challenger), and ``n``, a number of rows; the
    rows of one cell add up. ``change`` turns each table into another one; that of a sum of tables is the sum of those of its parts.
    """

    def __init__(self, cells: pl.LazyFrame, kind: Kind, change: Callable[[Any], PairTable] | None = None) -> None:
        self.cells, self.kind, self.change = cells, kind, change

    @cached_property
    def _tables(self) -> dict[tuple[str, str], PairTable]:
        counted = self.cells.group_by(_KEYS).agg(pl.col("n").sum()).sort("column", "value").collect()
        by_segment: dict[tuple[str, str], list[Cell]] = {}
        for column, value, label, old, new, n in counted.iter_rows():
            by_segment.setdefault((column, value), []).append((label, old, new, n))
        tables = {key: self.kind.table(cells) for key, cells in by_segment.items()}
        return {key: self.change(t) for key, t in tables.items()} if self.change else tables

    def __getitem__(self, segment: tuple[str, str]) -> PairTable:
        return self._tables[segment]

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self._tables)

    def __len__(self) -> int:
        return len(self._tables)


def changed(tables: Tables, change: Callable[[Any], PairTable]) -> Tables:
    """Each table as ``change`` makes it."""
    if isinstance(tables, SegmentTables) and tables.change is None:
        return SegmentTables(tables.cells, tables.kind, change)
    return {key: change(table) for key, table in tables.items()}


def total_by_segment(parts: Sequence[Tables], kind: Kind) -> Tables:
    """The sum of the tables of each segment over disjoint sets of rows, by segment in their order."""
    lazy = [p for p in parts if isinstance(p, SegmentTables)]
    if lazy and len(lazy) == len(parts) and len({id(p.change) for p in lazy}) == 1:
        return SegmentTables(pl.concat([p.cells for p in lazy], how="vertical_relaxed"), kind, lazy[0].change)
    by_segment: dict[tuple[str, str], list[PairTable]] = {}
    for tables in parts:
        for key, table in tables.items():
            by_segment.setdefault(key, []).append(table)
    return {key: kind.total(tables) for key, tables in sorted(by_segment.items())}
