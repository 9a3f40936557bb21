"""Tallies: the count of every combination of (segment, label, decision of each version) in one batch.

A tally is a polars frame with the columns ``excluded`` (why the rows count for nothing, null if they count), one
``segment.<column>`` for each segment column, ``entity`` where rows are known to share one, ``label`` (0, 1, or null
where none arrived), ``probability`` where labelled rows were chosen with known ones, one ``v<version>`` a version (0, 1, or null
where it gave no decision) and ``n``. Its rows add up to all rows of the batch.

With several classes, ``label`` and ``v<version>`` are their names. With numbers they are 1 where there is one: the tally
counts rows, and their losses lie beside it (``analysis.evidence.score_tally``).
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from analysis.any_look.sampled import SampledCounts
from analysis.evidence.row_labels import join_labels
from analysis.one_look.measures import Task
from analysis.tables.class_counts import ClassCounts
from analysis.tables.counts import Confusion, PairedCounts

__all__ = [
    "ENTITY",
    "NOT_SCORED_BY_BOTH",
    "PROBABILITY",
    "UNLABELLED",
    "add_tallies",
    "confusion",
    "count_rows",
    "decision_column",
    "pair_classes",
    "pair_counts",
    "pair_exclusions",
    "pair_sampled",
    "score_column",
    "segment_column",
    "segment_counts",
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
    """The tally of rows that have their labels."""
    versions = [c for c in joined.columns if c.startswith("v")]
    label, decision = pl.col("label"), pl.String if task == "multiclass" else pl.Int8
    if task == "regression":
        label = pl.when(label.is_not_null()).then(pl.lit(1, dtype=pl.Int8)).alias("label")
    keys = [
        pl.col("excluded"),
        *(pl.col(s).cast(pl.String) for s in _segment_columns(joined)),
        *_entity(joined),
        *_probability(joined),
        label,
        *(pl.col(v).cast(decision) for v in versions),
    ]
    return _count(joined.select(keys).with_columns(n=pl.lit(1, dtype=pl.Int64)))


def _entity(rows: pl.DataFrame) -> list[pl.Expr]:
    """The entity, where a row can count for anything: the others need not swell the tally."""
    if ENTITY not in rows.columns:
        return []
    counts = pl.col("excluded").is_null() & pl.col("label").is_not_null()
    return [pl.when(counts).then(pl.col(ENTITY).cast(pl.String)).alias(ENTITY)]


def _probability(rows: pl.DataFrame) -> list[pl.Expr]:
    """The probability of being labelled, of the rows that have a label that can be used."""
    if PROBABILITY not in rows.columns:
        return []
    counts = pl.col("excluded").is_null() & pl.col("label").is_not_null()
    return [pl.when(counts).then(pl.col(PROBABILITY)).alias(PROBABILITY)]


def add_tallies(tallies: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """The tally of the union of disjoint sets of rows."""
    return _count(pl.concat(tallies, how="vertical"))


def _count(frame: pl.DataFrame) -> pl.DataFrame:
    keys = [c for c in frame.columns if c != "n"]
    return frame.group_by(keys).agg(pl.col("n").sum()).sort(keys, nulls_last=True)


def pair_counts(frame: pl.DataFrame, champion: str, challenger: str) -> PairedCounts:
    """The counts of the rows that a judgement of the pair may use: those scored by both.

    With several classes, label and decisions are 1 where they are right, so a row is in one of the cells with label 1; an
    unlabelled row is one that neither flags. With numbers, all are 1.
    """
    return sum((counts for _, counts in _pair_cells(frame, champion, challenger)), PairedCounts())


def segment_counts(frame: pl.DataFrame, champion: str, challenger: str) -> dict[tuple[str, str], PairedCounts]:
    """The counts of the pair within each value of each segment column."""
    columns = [c.removeprefix(_SEGMENT) for c in _segment_columns(frame)]
    found: dict[tuple[str, str], PairedCounts] = {}
    for values, counts in _pair_cells(frame, champion, challenger):
        for column, value in zip(columns, values, strict=True):
            key = column, "(missing)" if value is None else value
            found[key] = found.get(key, PairedCounts()) + counts
    return dict(sorted(found.items()))


def _pair_cells(
    frame: pl.DataFrame, champion: str, challenger: str
) -> list[tuple[tuple[str | None, ...], PairedCounts]]:
    """The counts of the pair, cell by cell, each with its values of the segment columns."""
    c, h = decision_column(champion), decision_column(challenger)
    if c not in frame.columns or h not in frame.columns:
        return []
    segments = _segment_columns(frame)
    cells = _usable(frame, c, h).select(*segments, "label", pl.col(c).alias("c"), pl.col(h).alias("h"), "n")
    cells = _right_or_wrong(cells) if _has_classes(frame) else cells
    cells = cells.group_by(pl.exclude("n")).agg(pl.col("n").sum()).sort(pl.exclude("n"))
    found = []
    for *values, label, old, new, n in cells.iter_rows():
        labelled, unlabelled = [0] * 8, [0] * 4
        if label is None:
            unlabelled[2 * old + new] = n
        else:
            labelled[4 * label + 2 * old + new] = n
        found.append((tuple(values), PairedCounts(tuple(labelled), tuple(unlabelled))))  # type: ignore[arg-type]
    return found


def _usable(frame: pl.DataFrame, c: str, h: str) -> pl.DataFrame:
    """The rows that both have scored; one whose label cannot be used, for whatever reason, is a row without a label."""
    usable = frame.lazy().filter(pl.col(c).is_not_null() & pl.col(h).is_not_null())
    return usable.with_columns(label=pl.when(pl.col("excluded").is_null()).then(pl.col("label"))).collect()


def _right_or_wrong(cells: pl.DataFrame) -> pl.DataFrame:
    """Label 1, and decisions 1 where they are the label; 0 where there is none."""
    labelled = pl.col("label").is_not_null()
    right = {d: (labelled & (pl.col(d) == pl.col("label"))).cast(pl.Int8) for d in ("c", "h")}
    return cells.with_columns(label=pl.when(labelled).then(pl.lit(1, dtype=pl.Int8)), **right)


def _has_classes(frame: pl.DataFrame) -> bool:
    return frame.schema["label"] == pl.String


def pair_classes(frame: pl.DataFrame, champion: str, challenger: str) -> ClassCounts | None:
    """The counts of the same rows by the classes named; None for a tally that names none."""
    c, h = decision_column(champion), decision_column(challenger)
    if not _has_classes(frame):
        return None
    if c not in frame.columns or h not in frame.columns:
        return ClassCounts()
    cells = _usable(frame, c, h).select("label", pl.col(c).alias("c"), pl.col(h).alias("h"), "n").rows()
    labelled = (((y, old, new), n) for y, old, new, n in cells if y is not None)
    return ClassCounts.of(labelled, (((old, new), n) for y, old, new, n in cells if y is None))


def pair_sampled(frame: pl.DataFrame, champion: str, challenger: str) -> SampledCounts | None:
    """The labelled rows of the pair by the probability with which they were chosen; None for a tally that knows of none."""
    c, h = decision_column(champion), decision_column(challenger)
    if PROBABILITY not in frame.columns:
        return None
    if c not in frame.columns or h not in frame.columns:
        return SampledCounts()
    cell = (4 * pl.col("label").cast(pl.Int64) + 2 * pl.col(c).cast(pl.Int64) + pl.col(h).cast(pl.Int64)).alias("cell")
    rows = _usable(frame, c, h).filter(pl.col("label").is_not_null()).group_by(PROBABILITY, cell).agg(pl.col("n").sum())
    found: dict[float, list[int]] = {}
    for p, at, n in rows.iter_rows():
        found.setdefault(p, [0] * 8)[at] += n
    return SampledCounts.of((p, tuple(cells)) for p, cells in found.items())  # type: ignore[misc]


def confusion(frame: pl.DataFrame, version: str) -> Confusion:
    """The confusion matrix of one version over the rows that count and are labelled, of decisions of 0 and 1."""
    name = decision_column(version)
    if name not in frame.columns:
        return Confusion(0, 0, 0, 0)
    cells = frame.filter(pl.col("excluded").is_null() & pl.col("label").is_not_null() & pl.col(name).is_not_null())
    n = {(y, d): k for y, d, k in cells.group_by("label", name).agg(pl.col("n").sum()).iter_rows()}
    return Confusion(tp=n.get((1, 1), 0), fp=n.get((0, 1), 0), fn=n.get((1, 0), 0), tn=n.get((0, 0), 0))


def pair_exclusions(frame: pl.DataFrame, champion: str, challenger: str) -> dict[str, int]:
    """Rows of the batch that do not count for the pair, by reason; zero counts are left out."""
    excluded = dict(
        frame.filter(pl.col("excluded").is_not_null())
        .group_by("excluded")
        .agg(pl.col("n").sum())
        .sort("excluded")
        .iter_rows()
    )
    plain = frame.filter(pl.col("excluded").is_null())
    counts = pair_counts(plain, champion, challenger)
    unlabelled = sum(counts.unlabelled)
    missing = int(plain["n"].sum()) - counts.n - unlabelled
    return {reason: n for reason, n in {**excluded, UNLABELLED: unlabelled, NOT_SCORED_BY_BOTH: missing}.items() if n}
