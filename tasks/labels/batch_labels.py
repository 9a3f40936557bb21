"""The scored rows of a batch joined with the labels that were observed by a day."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import polars as pl

from analysis.evidence import closing_date
from analysis.evidence.row_labels import join_labels
from tasks.base.project import Project
from tasks.batches.predictions import Manifest
from tasks.batches.rows import first_day
from tasks.labels.batch_faults import require_common_probabilities, require_own_ids, require_plausible_numbers
from tasks.labels.label_files import LabelFiles
from tasks.labels.missing_labels import broken_feed, unmatched_ids
from tasks.labels.scored_rows import ids_of, scored_rows
from tasks.store import Store

__all__ = ["Labelled", "first_label", "label_rows", "settled_date"]


@dataclass(frozen=True, slots=True)
class Labelled:
    """Rows with their labels; ``silent``: none of them has a label that can be used.

    ``labels_from`` is the day on which the first label of these ids was observed since the batch began; None if none was.
    """

    rows: pl.DataFrame
    silent: bool
    labels_from: date | None


def settled_date(batch_date: date, maturity_days: int) -> date:
    """The day whose labels make the settled tally, with late and corrected labels: one to four weeks after the closing date."""
    return closing_date(batch_date, maturity_days) + timedelta(days=min(max(maturity_days, 7), 28))


def label_rows(
    store: Store,
    project: Project,
    files: LabelFiles,
    manifest: Manifest,
    scored: Sequence[Manifest],
    deadline: date,
    *,
    strict: bool,
) -> Labelled:
    """The scored rows of one batch with the labels that were observed by the end of the deadline, as ``join_labels`` gives them.

    ``scored`` are all scored batches. A fault of the labels of the whole batch raises LabelError if ``strict``, for a batch that
    is about to close; else it only excludes rows. Raises also AnotherTaskError, DamagedError.
    """
    rows = scored_rows(store, manifest, project.task)
    ids = rows["id"]
    labels = files.of(ids, batch=manifest.batch, dated=manifest.date)
    neighbours = _neighbours(manifest, scored, project.maturity_days, deadline)
    recurring, other_batch = _recurring(store, manifest, neighbours, ids, labels, period=project.columns.period)
    if strict:
        require_own_ids(project, manifest, ids, recurring, other_batch)
    begins = first_day(manifest.batch, manifest.date)
    absent_is_negative, reason = project.absent == "negative", None
    if absent_is_negative:
        day = pl.col("observed_at").cast(pl.Date)
        in_time = labels.filter(pl.col("label").is_not_null() & day.is_between(begins, deadline)).height
        reason = broken_feed(store, project, files, manifest, ids, scored, neighbours, deadline, in_time)
    joined = join_labels(
        rows,
        labels,
        task=project.task,
        begins=begins,
        deadline=deadline,
        absent_is_negative=absent_is_negative and not reason,
        recurring=recurring,
    )
    if strict:
        _require_plausible(project, manifest, joined)
    if not labels.height and (reason or not absent_is_negative):
        reason = unmatched_ids(project, files, manifest, ids) or reason
    if reason:
        unexplained = pl.col("label").is_null() & pl.col("excluded").is_null()
        joined = joined.with_columns(excluded=pl.when(unexplained).then(pl.lit(reason)).otherwise("excluded"))
    # of a broken feed not even the labels count: positives without negatives are worse than no label
    broken = reason is not None and absent_is_negative
    silent = broken or joined["label"].null_count() == joined.height
    return Labelled(joined, silent, _labels_from(labels, begins))


def first_label(store: Store, files: LabelFiles, manifest: Manifest) -> date | None:
    """The day on which the first label of a scored batch was observed; None if none was. Raises LabelError, DamagedError, DeletedError."""
    labels = files.of(ids_of(store, manifest), batch=manifest.batch, dated=manifest.date)
    return _labels_from(labels, first_day(manifest.batch, manifest.date))


def _labels_from(labels: pl.DataFrame, begins: date) -> date | None:
    observed = labels["observed_at"].cast(pl.Date).fill_null(begins)  # one without its time may have been seen at any
    first = observed.filter(observed >= begins).min()
    assert first is None or isinstance(first, date)
    return first


def _require_plausible(project: Project, manifest: Manifest, joined: pl.DataFrame) -> None:
    sampling = project.policy.sampling
    if sampling and sampling.disagreements is not None:
        require_common_probabilities(manifest, joined, sampling.disagreements)
    if project.task == "regression" and project.labels is None:
        require_plausible_numbers(manifest, joined)


def _neighbours(manifest: Manifest, scored: Sequence[Manifest], maturity_days: int, deadline: date) -> list[Manifest]:
    """The other scored batches whose labels can be observed on the same days as those of the batch."""
    earliest = manifest.date - (settled_date(manifest.date, maturity_days) - manifest.date)
    return [m for m in scored if m.batch != manifest.batch and earliest <= m.date <= deadline]


def _recurring(
    store: Store,
    manifest: Manifest,
    neighbours: Sequence[Manifest],
    ids: pl.Series,
    labels: pl.DataFrame,
    *,
    period: str | None,
) -> tuple[pl.Series, str]:
    """The ids that also occur in a neighbour, so that their labels could be of either batch, and the last such neighbour.

    Where labels have a ``period``, these are only ids of neighbours with the same date, in labels that do not name the batch by its id.
    """
    if period:
        ids = labels.filter(~pl.col("of_batch").fill_null(value=False))["id"].unique()
        neighbours = [m for m in neighbours if m.date == manifest.date]
    recurring, other_batch = ids.clear(), ""
    for other in neighbours:
        shared = ids.filter(ids.is_in(ids_of(store, other).implode()))
        if len(shared):
            recurring, other_batch = recurring.append(shared), other.batch
    return recurring.unique(), other_batch
