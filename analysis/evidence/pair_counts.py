"""The counts of pairs of versions in many tallies at once: one ``group_by`` over all tallies, and not several for each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from analysis.any_look.sampled import SampledCounts
from analysis.evidence.segment_tables import SegmentTables
from analysis.evidence.tally import (
    NOT_SCORED_BY_BOTH,
    PROBABILITY,
    UNLABELLED,
    decision_column,
    segment_column,
    segment_columns,
)
from analysis.kinds import BINARY, Cell, Kind
from analysis.tables.counts import Confusion
from analysis.tables.pair_table import PairTable

__all__ = ["TALLY", "PairCounts", "confusion", "pair_table", "stacked"]

TALLY = "tally"  # the position of the tally that a row is of


class PairCounts:
    """The tallies ``frames`` as one frame, from which the counts of any pair are taken, by the positions of the tallies.

    A frame is None where there is no tally. Columns may differ between tallies: a version without a column scored none of the rows.
    """

    def __init__(self, frames: Sequence[pl.DataFrame | None]) -> None:
        self._frames = frames
        self._columns = [frozenset(f.columns) if f is not None else frozenset() for f in frames]
        self._all = stacked(frames)
        rows = dict(self._all.group_by(TALLY).agg(pl.col("n").sum()).iter_rows())
        self.rows: list[int] = [rows.get(i, 0) for i in range(len(frames))]

    def tables(self, champion: str, challenger: str, kind: Kind, of: Collection[int]) -> dict[int, Any]:
        """The table of the pair in each of the tallies ``of``, over the rows that both scored; its type depends on the kind."""
        parts: dict[int, list[Cell]] = {i: [] for i in of}
        for i, *cell in self._cells(champion, challenger, of).iter_rows():
            parts[i].append((cell[0], cell[1], cell[2], cell[3]))
        return {i: kind.table(cells) for i, cells in parts.items()}

    def segments(
        self, champion: str, challenger: str, kind: Kind, of: Collection[int]
    ) -> dict[int, Mapping[tuple[str, str], PairTable]]:
        """The same for each segment, (column, value), in the order of the names; a missing value is "(missing)"."""
        parts = []
        for column in segment_columns(self._all):
            having = [i for i in of if column in self._columns[i]]
            name, value = pl.lit(column.removeprefix(segment_column(""))), pl.col(column).fill_null("(missing)")
            parts.append(self._cells(champion, challenger, having, name.alias("column"), value.alias("value")))
        if not parts:
            return {i: {} for i in of}
        cells = pl.concat(parts, how="vertical_relaxed").sort(TALLY, maintain_order=True)
        heights = dict(cells.group_by(TALLY).len().iter_rows())
        found: dict[int, Mapping[tuple[str, str], PairTable]] = {}
        start, cells = 0, cells.drop(TALLY)
        for i in sorted(of):
            height = heights.get(i, 0)
            found[i] = SegmentTables(cells.slice(start, height).lazy(), kind)
            start += height
        return found

    def sampled(self, champion: str, challenger: str, of: Collection[int]) -> dict[int, SampledCounts]:
        """The labelled rows of the pair by the probability with which they were chosen, of the tallies that have probabilities."""
        having = [i for i in of if PROBABILITY in self._columns[i]]
        if not having:
            return {}
        cells = self._cells(champion, challenger, having, pl.col(PROBABILITY)).filter(pl.col("label").is_not_null())
        found: dict[int, dict[float, list[int]]] = {i: {} for i in having}
        for i, p, label, old, new, n in cells.iter_rows():
            found[i].setdefault(p, [0] * 8)[4 * int(label) + 2 * int(old) + int(new)] += n
        return {i: SampledCounts.of((p, tuple(cells)) for p, cells in of_i.items()) for i, of_i in found.items()}  # type: ignore[misc]

    def exclusions(self, champion: str, challenger: str, of: Collection[int]) -> dict[str, int]:
        """Rows of these tallies that do not count for the pair, by reason; reasons without a row are left out."""
        rows = self._of(of)
        excluded: Counter[str] = Counter()
        by_reason = rows.filter(pl.col("excluded").is_not_null()).group_by("excluded").agg(pl.col("n").sum())
        excluded.update(dict(by_reason.sort("excluded").iter_rows()))
        plain = rows.filter(pl.col("excluded").is_null())
        both = self._scored_by_both(plain, champion, challenger)
        excluded[UNLABELLED] += _total(both.filter(pl.col("label").is_null()))
        excluded[NOT_SCORED_BY_BOTH] += _total(plain) - _total(both)
        return {reason: n for reason, n in excluded.items() if n}

    def _of(self, positions: Collection[int]) -> pl.DataFrame:
        if len(positions) == len(self._frames):
            return self._all
        return self._all.filter(pl.col(TALLY).is_in(pl.Series(sorted(positions), dtype=pl.UInt32).implode()))

    def _decision(self, version: str) -> pl.Expr:
        name = decision_column(version)
        return pl.col(name) if name in self._all.columns else pl.lit(None, dtype=pl.Int8)

    def _scored_by_both(self, rows: pl.DataFrame, champion: str, challenger: str) -> pl.DataFrame:
        return rows.filter(self._decision(champion).is_not_null() & self._decision(challenger).is_not_null())

    def _cells(self, champion: str, challenger: str, of: Collection[int], *by: pl.Expr) -> pl.DataFrame:
        """``tally``, ``by``, label, the decisions of both and ``n``; the label is null wherever it cannot be used."""
        rows = self._scored_by_both(self._of(of), champion, challenger)
        label = pl.when(pl.col("excluded").is_null()).then(pl.col("label")).alias("label")
        cells = rows.select(
            TALLY, *by, label, self._decision(champion).alias("c"), self._decision(challenger).alias("h"), "n"
        )
        return cells.group_by(pl.exclude("n")).agg(pl.col("n").sum()).sort(pl.exclude("n"))


def stacked(frames: Sequence[pl.DataFrame | None]) -> pl.DataFrame:
    """One frame of all these tallies; the column ``tally`` is the position of the one that a row is of."""
    empty = pl.DataFrame(schema={TALLY: pl.UInt32, "excluded": pl.String, "label": pl.Int8, "n": pl.Int64})
    given = [(i, f) for i, f in enumerate(frames) if f is not None]
    if not given:
        return empty
    at = np.repeat(np.array([i for i, _ in given], dtype=np.uint32), [f.height for _, f in given])
    return pl.concat([f for _, f in given], how="diagonal_relaxed").with_columns(pl.Series(TALLY, at))


def _total(rows: pl.DataFrame) -> int:
    return int(rows["n"].sum())


def pair_table(frame: pl.DataFrame, champion: str, challenger: str, kind: Kind = BINARY) -> Any:
    """The counts of the rows of one tally that both versions scored; the type of the table depends on the kind."""
    return PairCounts([frame]).tables(champion, challenger, kind, [0])[0]


def confusion(frame: pl.DataFrame, version: str) -> Confusion:
    """The confusion matrix of one version, which decides between 0 and 1, over the rows that count and have a label."""
    matrix: Confusion = pair_table(frame, version, version).champion
    return matrix
