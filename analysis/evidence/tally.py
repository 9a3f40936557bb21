"""Tallies: the count of every combination of (segment, label, decision of each version) in one batch.

A tally is a polars frame with the columns ``excluded`` (why the rows do not count, null if they do),
``segment.<column>`` for each segment column, ``entity`` if rows are known to share one, ``label`` (0, 1, or null if none
arrived), ``probability`` if labelled rows were chosen with known probabilities, ``v<version>`` for each version (0, 1,
or null if it gave no decision) and ``n``, the number of rows. The sum of ``n`` is the number of rows in the batch.

For several classes, ``label`` and ``v<version>`` are class names. For numbers they are 1 where there is a number: the
tally counts rows, and the losses are stored beside it (``analysis.evidence.score_tally``).
"""

from __future__ import annotations

from typing import Any

import polars as pl

from analysis.any_look.sampled import SampledCounts
from analysis.evidence.row_labels import join_labels
from analysis.kinds import BINARY, KINDS, Cell, Kind, Task
from analysis.tables.counts import Confusion
from analysis.tables.pair_table import PairTable

__all__ = [
    "ENTITY",
    "NOT_SCORED_BY_BOTH",
    "PROBABILITY",
    "UNLABELLED",
    "confusion",
    "count_rows",
    "decision_column",
    "pair_exclusions",
    "pair_sampled",
    "pair_table",
    "score_column",
    "segment_column",
    "segment_tables",
    "tally",
]

UNLABELLED = "unlabelled"
NOT_SCORED_BY_BOTH = "not scored by both"
ENTITY = "entity"
PROBABILITY = "probability"
_SEGMENT = "segment."


def decision_column(version: str) -> str:
    return f"v{version}"


def score_column(version: str) -> str:
    return f"s{version}"


def segment_column(column: str) -> str:
    return f"{_SEGMENT}{column}"


def _segment_columns(frame: pl.DataFrame) -> list[str]:
    return [c for c in frame.columns if c.startswith(_SEGMENT)]


def tally(rows: pl.DataFrame, labels: pl.DataFrame, *, task: Task = "binary") -> pl.DataFrame:
    """Count one batch: ``count_rows`` of ``join_labels``."""
    return count_rows(join_labels(rows, labels, task=task), task=task)


def count_rows(joined: pl.DataFrame, *, task: Task = "binary") -> pl.DataFrame:
    """The tally of the rows that ``join_labels`` gives."""
    versions = [c for c in joined.columns if c.startswith("v")]
    kind = KINDS[task]
    keys = [
        pl.col("excluded"),
        *(pl.col(s).cast(pl.String) for s in _segment_columns(joined)),
        *_entity(joined),
        *_probability(joined),
        kind.tally_label(pl.col("label")),
        *(pl.col(v).cast(kind.decision_type) for v in versions),
    ]
    return _count(joined.select(keys).with_columns(n=pl.lit(1, dtype=pl.Int64)))


def _entity(rows: pl.DataFrame) -> list[pl.Expr]:
    """The entity of the rows that count and have a label; the others do without it, which keeps the tally small."""
    if ENTITY not in rows.columns:
        return []
    counts = pl.col("excluded").is_null() & pl.col("label").is_not_null()
    return [pl.when(counts).then(pl.col(ENTITY).cast(pl.String)).alias(ENTITY)]


def _probability(rows: pl.DataFrame) -> list[pl.Expr]:
    """The probability of being labelled, for the rows whose label can be used."""
    if PROBABILITY not in rows.columns:
        return []
    counts = pl.col("excluded").is_null() & pl.col("label").is_not_null()
    return [pl.when(counts).then(pl.col(PROBABILITY)).alias(PROBABILITY)]


def _count(frame: pl.DataFrame) -> pl.DataFrame:
    keys = [c for c in frame.columns if c != "n"]
    return frame.group_by(keys).agg(pl.col("n").sum()).sort(keys, nulls_last=True)


def pair_table(frame: pl.DataFrame, champion: str, challenger: str, kind: Kind = BINARY) -> Any:
    """The counts of the rows that both versions scored; the type of the table depends on the kind."""
    return kind.total(table for _, table in _by_segments(frame, champion, challenger, kind))


def segment_tables(
    frame: pl.DataFrame, champion: str, challenger: str, kind: Kind = BINARY
) -> dict[tuple[str, str], PairTable]:
    """The counts of the pair for each segment, (column, value); a missing value is "(missing)"."""
    columns = [c.removeprefix(_SEGMENT) for c in _segment_columns(frame)]
    parts: dict[tuple[str, str], list[PairTable]] = {}
    for values, table in _by_segments(frame, champion, challenger, kind):
        for column, value in zip(columns, values, strict=True):
            parts.setdefault((column, "(missing)" if value is None else value), []).append(table)
    return {key: kind.total(tables) for key, tables in sorted(parts.items())}


def _by_segments(
    frame: pl.DataFrame, champion: str, challenger: str, kind: Kind
) -> list[tuple[tuple[str | None, ...], PairTable]]:
    """The counts of the pair for each combination of values of the segment columns."""
    c, h = decision_column(champion), decision_column(challenger)
    if c not in frame.columns or h not in frame.columns:
        return []
    segments = _segment_columns(frame)
    cells = _usable(frame, c, h).select(*segments, "label", pl.col(c).alias("c"), pl.col(h).alias("h"), "n")
    cells = cells.group_by(pl.exclude("n")).agg(pl.col("n").sum()).sort(pl.exclude("n"))
    by_values: dict[tuple[str | None, ...], list[Cell]] = {}
    for *values, label, old, new, n in cells.iter_rows():
        by_values.setdefault(tuple(values), []).append((label, old, new, n))
    return [(values, kind.table(of_values)) for values, of_values in by_values.items()]


def _usable(frame: pl.DataFrame, c: str, h: str) -> pl.DataFrame:
    """The rows that both versions scored; the label is null wherever it cannot be used."""
    usable = frame.lazy().filter(pl.col(c).is_not_null() & pl.col(h).is_not_null())
    return usable.with_columns(label=pl.when(pl.col("excluded").is_null()).then(pl.col("label"))).collect()


def pair_sampled(frame: pl.DataFrame, champion: str, challenger: str) -> SampledCounts | None:
    """The labelled rows of the pair by the probability with which they were chosen; None for a tally without probabilities."""
    c, h = decision_column(champion), decision_column(challenger)
    if PROBABILITY not in frame.columns:
        return None
    if c not in frame.columns or h not in frame.columns:
        return SampledCounts()
    cell = (4 * pl.col("label").cast(pl.Int64) + 2 * pl.col(c).cast(pl.Int64) + pl.col(h).cast(pl.Int64)).alias("cell")
    rows = _usable(frame, c, h).filter(pl.col("label").is_not_null()).group_by(PROBABILITY, cell).agg(pl.col("n").sum())
    by_probability: dict[float, list[int]] = {}
    for p, position, n in rows.iter_rows():
        by_probability.setdefault(p, [0] * 8)[position] += n
    return SampledCounts.of((p, tuple(cells)) for p, cells in by_probability.items())  # type: ignore[misc]


def confusion(frame: pl.DataFrame, version: str) -> Confusion:
    """The confusion matrix of one version, which decides between 0 and 1, over the rows that count and have a label."""
    matrix: Confusion = pair_table(frame, version, version).champion
    return matrix


def pair_exclusions(frame: pl.DataFrame, champion: str, challenger: str) -> dict[str, int]:
    """Rows of the batch that do not count for the pair, by reason; reasons without a row are left out."""
    excluded = dict(
        frame.filter(pl.col("excluded").is_not_null())
        .group_by("excluded")
        .agg(pl.col("n").sum())
        .sort("excluded")
        .iter_rows()
    )
    plain = frame.filter(pl.col("excluded").is_null())
    versions = [decision_column(v) for v in (champion, challenger)]
    scored = plain.filter(pl.all_horizontal(pl.col(v).is_not_null() if v in plain.columns else False for v in versions))
    unlabelled = int(scored.filter(pl.col("label").is_null())["n"].sum())
    missing = int(plain["n"].sum()) - int(scored["n"].sum())
    return {reason: n for reason, n in {**excluded, UNLABELLED: unlabelled, NOT_SCORED_BY_BOTH: missing}.items() if n}
