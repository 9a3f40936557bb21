"""Tallies: the count of every combination of (segment, label, decision of each version) in one batch.

A tally is a polars frame with the columns ``excluded`` (why the rows do not count, null if they do),
``segment.<column>`` for each segment column, ``entity`` if rows are known to share one, ``label`` (0, 1, or null if none
arrived), ``probability`` if labelled rows were chosen with known probabilities, ``v<version>`` for each version (0, 1,
or null if it gave no decision) and ``n``, the number of rows. The sum of ``n`` is the number of rows in the batch.

For several classes, ``label`` and ``v<version>`` are class names. For numbers they are 1 where there is a number: the
tally counts rows, and the losses are stored beside it (``analysis.evidence.score_tally``).
"""

from __future__ import annotations

from collections.abc import Iterable

import polars as pl

from analysis.evidence.row_labels import join_labels
from analysis.kinds import KINDS, Task

__all__ = [
    "ENTITY",
    "NOT_SCORED_BY_BOTH",
    "PROBABILITY",
    "UNLABELLED",
    "add_counts",
    "count_rows",
    "decision_column",
    "score_column",
    "segment_column",
    "segment_columns",
    "tally",
]

UNLABELLED = "unlabelled"
NOT_SCORED_BY_BOTH = "not scored by both"
ENTITY = "entity"
PROBABILITY = "probability"
_SEGMENT = "segment."
_HELD = 100_000  # counts that wait to be added up


def decision_column(version: str) -> str:
    return f"v{version}"


def score_column(version: str) -> str:
    return f"s{version}"


def segment_column(column: str) -> str:
    return f"{_SEGMENT}{column}"


def segment_columns(frame: pl.DataFrame) -> list[str]:
    """The columns of segments that this frame has."""
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
        *(pl.col(s).cast(pl.String) for s in segment_columns(joined)),
        *_entity(joined),
        *_probability(joined),
        kind.tally_label(pl.col("label")),
        *(pl.col(v).cast(kind.decision_type) for v in versions),
    ]
    counted = joined.lazy().group_by(keys).agg(n=pl.len().cast(pl.Int64)).collect()
    return counted.sort(pl.exclude("n"), nulls_last=True)


def add_counts(frames: Iterable[pl.DataFrame]) -> pl.DataFrame:
    """The tally of disjoint sets of rows, of which there is one at least, from that of each; ``frames`` are held few at a time."""
    waiting: list[pl.DataFrame] = []
    total = 0
    for frame in frames:
        waiting.append(frame)
        if sum(f.height for f in waiting[1:]) > max(total, _HELD):
            waiting = [_count(pl.concat(waiting))]
            total = waiting[0].height
    return _count(pl.concat(waiting))


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
