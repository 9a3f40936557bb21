"""The join of a batch's ids with the labels that there are of them, bucket by bucket."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date

import polars as pl

from analysis.evidence.row_labels import examples_of, labels_of_rows
from tasks.base.project import Project
from tasks.batches.predictions import Manifest
from tasks.batches.rows import first_day
from tasks.labels.buckets import Buckets
from tasks.labels.label_files import LabelFiles
from tasks.labels.label_values import LabelError
from tasks.labels.row_ids import as_key, key_type
from tasks.labels.row_outcomes import RowOutcomes

__all__ = ["Joined", "Recurring", "first_label", "join_batch"]


@dataclass(slots=True)
class Recurring:
    """The ids of a batch that also occur in a neighbour, so that their labels could be of either batch.

    ``number`` of ``ids`` different ones do, such as ``example``, and ``other`` is the last such neighbour.
    """

    ids: int = 0
    number: int = 0
    example: str = ""
    other: str = ""
    last: int = -1  # the place of ``other`` among the neighbours

    def add(self, rows: pl.DataFrame, shared: pl.DataFrame | None, neighbours: Sequence[Manifest]) -> pl.Series | None:
        """Add the rows of a bucket; ``shared`` are their ids in the neighbours with these ``number``s. Returns the different ones."""
        self.ids += rows["id"].n_unique()
        if shared is None or shared.is_empty():
            return None
        self.last = max(self.last, int(shared["number"].to_numpy().max()))
        self.other = neighbours[self.last].batch
        different = shared["id"].unique()
        self.number += len(different)
        example = str(different.cast(pl.String).min())
        self.example = min(self.example or example, example)
        return different


@dataclass(slots=True)
class Joined:
    """What is known of the labels of a batch: of each row, and of all ``labels`` with an id of it, of which ``in_time`` came in time.

    ``labels_from`` is the day on which the first of them was observed since the batch began; None if none was.
    """

    outcomes: RowOutcomes
    recurring: Recurring = field(default_factory=Recurring)
    examples: dict[str, str] = field(default_factory=dict)
    labels: int = 0
    in_time: int = 0
    labels_from: date | None = None

    def add(
        self, rows: pl.DataFrame, of_rows: pl.DataFrame, labels: pl.DataFrame, begins: date, deadline: date
    ) -> None:
        """Add the rows of a bucket, what ``labels_of_rows`` says of them, and their labels."""
        self.outcomes.put(rows["row"], of_rows)
        for reason, example in examples_of(of_rows).items():
            self.examples[reason] = min(self.examples.get(reason, example), example)
        self.labels += labels.height
        day = pl.col("observed_at").cast(pl.Date)
        self.in_time += labels.filter(pl.col("label").is_not_null() & day.is_between(begins, deadline)).height
        self.labels_from = _earlier(self.labels_from, _first(labels, begins))


def join_batch(
    project: Project, files: LabelFiles, manifest: Manifest, neighbours: Sequence[Manifest], deadline: date
) -> Joined:
    """Join the ids of a batch with the labels observed by the end of the deadline. Raises LabelError, DamagedError.

    Where labels have a period, ``neighbours`` matter only if they have the same date, and only to labels that do not name the
    batch by its id.
    """
    period, begins = project.columns.period, first_day(manifest.batch, manifest.date)
    neighbours = [m for m in neighbours if m.date == manifest.date] if period else list(neighbours)
    neighbours = files.ids.meeting(manifest, neighbours)
    found = Joined(RowOutcomes(manifest.rows, project.task, sampled=project.columns.label_probability is not None))
    improbable = _Improbable(project)
    with Buckets(manifest.rows) as buckets:
        key = _add_ids(buckets, files, manifest)
        _add_labels(buckets, files, manifest, key)
        for number, other in enumerate(neighbours):
            for ids in files.ids.parts(other):
                frame = as_key(ids, key).to_frame("id").drop_nulls().with_columns(number=pl.lit(number, pl.Int32))
                buckets.add("neighbours", frame)
        for bucket, rows in buckets:
            labels = buckets.joined("labels", bucket, rows)
            labels = _no_labels(project, key) if labels is None else labels
            improbable.look_at(labels)
            shared = buckets.joined("neighbours", bucket, rows)
            if period and shared is not None:
                shared = shared.join(labels.filter(~pl.col("of_batch").fill_null(value=False)), on="id", how="semi")
            recurring = found.recurring.add(rows, shared, neighbours)
            of_rows = labels_of_rows(
                rows, labels, task=project.task, begins=begins, deadline=deadline, recurring=recurring
            )
            found.add(rows, of_rows, labels, begins, deadline)
    improbable.refuse()
    return found


def first_label(project: Project, files: LabelFiles, manifest: Manifest) -> date | None:
    """The day on which the first label of the batch was observed since it began. Raises LabelError, DamagedError, DeletedError."""
    first, begins = None, first_day(manifest.batch, manifest.date)
    improbable = _Improbable(project)
    with Buckets(manifest.rows) as buckets:
        key = _add_ids(buckets, files, manifest)
        _add_labels(buckets, files, manifest, key)
        for bucket, rows in buckets:
            labels = buckets.joined("labels", bucket, rows)
            if labels is not None:
                improbable.look_at(labels)
                first = _earlier(first, _first(labels, begins))
    improbable.refuse()
    return first


def _add_ids(buckets: Buckets, files: LabelFiles, manifest: Manifest) -> pl.DataType:
    """Add the ids of the batch with the numbers of their rows; returns the type in which they are compared."""
    first, key = 0, pl.DataType()
    for ids in files.ids.parts(manifest):
        key = key_type(ids.dtype)
        row = pl.int_range(first, first + len(ids), dtype=pl.UInt32, eager=True)
        buckets.add_rows(pl.DataFrame([row.alias("row"), as_key(ids, key).alias("id")]))
        first += len(ids)
    return key


def _add_labels(buckets: Buckets, files: LabelFiles, manifest: Manifest, key: pl.DataType) -> None:
    known = files.ids.range(manifest)
    for labels in files.of(known, batch=manifest.batch, dated=manifest.date, all_ids=buckets.ids):
        of_key = labels.with_columns(as_key(labels["id"], key))
        buckets.add(
            "labels", of_key.filter(pl.col("id").is_between(pl.lit(known.least, key), pl.lit(known.greatest, key)))
        )


def _first(labels: pl.DataFrame, begins: date) -> date | None:
    observed = labels["observed_at"].cast(pl.Date).fill_null(begins)  # one without its time may have been seen at any
    first = observed.filter(observed >= begins).min()
    assert first is None or isinstance(first, date)
    return first


def _earlier(one: date | None, other: date | None) -> date | None:
    return min((d for d in (one, other) if d), default=None)


def _no_labels(project: Project, key: pl.DataType) -> pl.DataFrame:
    label = pl.String if project.policy.kind.names_classes else pl.Float64
    return pl.DataFrame(schema={"id": key, "label": label, "observed_at": pl.Datetime("us"), "of_batch": pl.Boolean})


class _Improbable:
    """Labels whose probability is missing or out of range: they can be neither weighted nor left out."""

    def __init__(self, project: Project) -> None:
        self._column, self._sampling = project.columns.label_probability, project.policy.sampling
        self._first: pl.DataFrame | None = None
        self._labels = 0

    def look_at(self, labels: pl.DataFrame) -> None:
        if not self._column or not self._sampling or "probability" not in labels.columns:
            return
        likely = pl.col("probability").is_between(self._sampling.least, 1).fill_null(value=False)
        wrong = labels.filter(pl.col("label").is_not_null() & ~likely)
        self._labels += wrong.height
        named = wrong.select("file", pl.col("id").cast(pl.String), "probability")
        self._first = (named if self._first is None else pl.concat([self._first, named])).sort("file", "id").head(1)

    def refuse(self) -> None:
        """Raise LabelError for the first of them in the order of files and ids."""
        for row in self._rows():
            value = "no number" if row["probability"] is None else f"{row['probability']:g}"
            assert self._sampling is not None
            msg = (
                f"{row['file']}: the label of '{row['id']}' has {value} in '{self._column}' ({self._labels} such labels); "
                f"it must lie between policy.sampling.least, which is {self._sampling.least:g}, and 1"
            )
            raise LabelError(msg)

    def _rows(self) -> Iterator[dict[str, object]]:
        return iter(()) if self._first is None else self._first.iter_rows(named=True)
