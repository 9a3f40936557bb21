"""Closing batches: joining predictions with the labels that arrived in time, once and for good."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from io import BytesIO
from typing import NamedTuple

import polars as pl

from analysis.evidence import BatchTally, closing_date
from analysis.measures import Task
from analysis.row_labels import NO_ID_MATCHES, id_occurs_once, join_labels
from analysis.score_tally import score_tally
from analysis.tally import ENTITY, PROBABILITY, count_rows, decision_column, score_column, segment_column
from tasks.errors import DethroneError
from tasks.label_files import LabelError, example_of_a_label_id, read_labels
from tasks.predictions import DamagedError, Manifest, manifest_bytes, manifest_key, manifests, read_parts
from tasks.project import Absent, Project
from tasks.rows import first_day
from tasks.store import AlreadyThereError, NotThereError, Store

log = logging.getLogger("dethrone")

__all__ = ["AnotherTaskError", "Closed", "ClosedBatch", "LabelError", "audit_date", "close_batches"]


class AnotherTaskError(DethroneError):
    """The batch was scored when the project had another task."""


@dataclass(frozen=True, slots=True)
class ClosedBatch:
    """A closed batch: its manifest, its tally with the sums of scores beside it, and the digests by key of all that a look reads of it."""

    manifest: Manifest
    tally: BatchTally
    files: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Closed:
    """The closed batches by date, and the scored ones that are still open."""

    batches: tuple[ClosedBatch, ...]
    waiting: tuple[Manifest, ...]


def close_batches(store: Store, project: Project, as_of: date, *, keep: bool = True) -> Closed:
    """Tally every batch whose maturity window has passed by ``as_of``; a tally that exists stays as it is.

    With ``keep=False`` new tallies are made and not written. Batches dated after ``as_of`` are left out. Raises
    LabelError, DamagedError, AnotherTaskError.
    """
    scored = [m for m in manifests(store, project) if m.date <= as_of]
    due = [m for m in scored if as_of >= closing_date(m.date, project.maturity_days)]
    closed = [_close(store, project, m, scored, as_of, keep=keep) for m in due]
    return Closed(tuple(closed), tuple(m for m in scored if m not in due))


def audit_date(batch_date: date, maturity_days: int) -> date:
    """The day at whose end the labels that came after a batch had closed are looked at: one to four weeks after it has."""
    return closing_date(batch_date, maturity_days) + timedelta(days=min(max(maturity_days, 7), 28))


def _ids(store: Store, manifest: Manifest) -> pl.Series:
    return read_parts(store, manifest.parts)["id"].cast(pl.String)


def _recurring(
    store: Store, project: Project, manifest: Manifest, ids: pl.Series, scored: Sequence[Manifest], deadline: date
) -> tuple[pl.Series, str]:
    """The ids that a batch has too whose labels can come in the same time, and the last such batch."""
    found, where = ids.clear(), ""
    if project.columns.period:
        return found, where
    earliest = manifest.date - (audit_date(manifest.date, project.maturity_days) - manifest.date)
    for other in scored:
        if other.batch != manifest.batch and earliest <= other.date <= deadline:
            shared = ids.filter(ids.is_in(_ids(store, other).implode()))
            if len(shared):
                found, where = found.append(shared), other.batch
    return found.unique(), where


def _refuse_most(manifest: Manifest, ids: pl.Series, found: _Labelled) -> None:
    """Raise LabelError where the ids that recur are most of the rows; what has closed stays, whatever comes later."""
    recurring, where = found.recurring, found.where
    if 2 * len(recurring) > ids.n_unique():
        msg = (
            f"batch {manifest.batch}: {len(recurring)} of its {ids.n_unique()} ids, such as '{min(recurring)}', are ids of another batch "
            f"too (of {where}), so a label cannot be told to belong to one of them; give every row an id of its own, or name the column "
            "of the labels that says which batch they belong to: columns.period"
        )
        raise LabelError(msg)


def _refuse_rare(project: Project, manifest: Manifest, rows: pl.DataFrame) -> None:
    """Raise LabelError for a row on which two models disagree whose probability of being labelled is below the bound for such rows."""
    sampling = project.policy.sampling
    if sampling is None or sampling.disagreements is None:
        return
    decisions = [pl.col(decision_column(s.version)) for s in manifest.scored]
    rare = (pl.max_horizontal(decisions) != pl.min_horizontal(decisions)) & (
        pl.col("probability") < sampling.disagreements
    )
    found = rows.filter(rare & pl.col("label").is_not_null()).sort("id")
    for row in found.head(1).iter_rows(named=True):
        msg = (
            f"batch {manifest.batch}: the models disagree on '{row['id']}', which was labelled with probability {row['probability']:g} "
            f"({found.height} rows are so); policy.sampling.disagreements says at least {sampling.disagreements:g}; "
            "lower it, or correct the labels"
        )
        raise LabelError(msg)


def _close(
    store: Store, project: Project, manifest: Manifest, scored: Sequence[Manifest], as_of: date, *, keep: bool
) -> ClosedBatch:
    """Read the tally, or make it; the sums of scores are written first, so that a tally never lacks them."""
    key = f"{project.name}/tallies/{manifest.batch}.parquet"
    beside = f"{project.name}/tallies/{manifest.batch}.scores.parquet"
    try:
        kept = {beside: store.read(beside), key: store.read(key)}
    except NotThereError:
        deadline = closing_date(manifest.date, project.maturity_days)
        rows = _scored_rows(store, project, manifest)
        found = _labelled(store, project, manifest, rows, scored, deadline, absent=project.absent)
        _refuse_most(manifest, rows["id"], found)
        _refuse_rare(project, manifest, found.rows)
        joined = (
            found.rows
            if found.matched or project.absent == "negative"
            else _unmatched(store, project, manifest, found.rows)
        )
        made = {
            beside: _parquet(score_tally(joined, project.policy)),
            key: _parquet(count_rows(joined, task=project.task)),
        }
        kept = {k: _keep(store, k, data) for k, data in made.items()} if keep else made
    contenders = {s.version: s.contender for s in manifest.scored if s.contender and not s.failure}
    frames = {k: _frame(store, k, data) for k, data in kept.items()}
    classes, flags = frames[key].schema["label"] == pl.String, any(c.threshold is not None for c in contenders.values())
    _require_versions(store, key, frames[key], manifest)
    _require_task(project, manifest, "multiclass" if classes else "binary" if flags else "regression")
    late_key = f"{project.name}/tallies/{manifest.batch}.late.parquet"
    late = None
    if as_of >= audit_date(manifest.date, project.maturity_days) and (
        _lacks_labels(frames[key]) or project.absent == "negative"
    ):
        kept[late_key] = _late(store, project, manifest, scored, late_key, keep=keep)
        late = _frame(store, late_key, kept[late_key])
    batch = BatchTally(manifest.batch, manifest.date, frames[key], contenders, frames[beside], late)
    read = {manifest_key(project, manifest.batch): manifest_bytes(manifest), **kept}
    files = {k: hashlib.sha256(data).hexdigest() for k, data in read.items()}
    return ClosedBatch(manifest, batch, files)


def _lacks_labels(frame: pl.DataFrame) -> bool:
    return not frame.filter(pl.col("label").is_null() & id_occurs_once()).is_empty()


def _late(
    store: Store, project: Project, manifest: Manifest, scored: Sequence[Manifest], key: str, *, keep: bool
) -> bytes:
    """The tally of the rows whose first label came after the batch had closed, by the day on which late labels are looked at."""
    try:
        return store.read(key)
    except NotThereError:
        deadline = closing_date(manifest.date, project.maturity_days)
    looked_at = audit_date(manifest.date, project.maturity_days)
    rows = _scored_rows(store, project, manifest)
    in_time, later = (
        _labelled(store, project, manifest, rows, scored, day, absent="missing").rows for day in (deadline, looked_at)
    )
    before = in_time.filter(pl.col("label").is_not_null()).select("id")
    late = later.filter(pl.col("label").is_not_null() & pl.col("excluded").is_null()).join(before, on="id", how="anti")
    if project.absent == "negative":  # of those that silence made negatives, only positives tell something
        late = late.filter(pl.col("label") == 1)
    data = _parquet(count_rows(late, task=project.task))
    return _keep(store, key, data) if keep else data


def _keep(store: Store, key: str, data: bytes) -> bytes:
    """Write what is not there yet; what somebody else wrote first is the truth."""
    try:
        store.create(key, data)
    except AlreadyThereError:
        return store.read(key)
    return data


def _frame(store: Store, key: str, data: bytes) -> pl.DataFrame:
    try:
        return pl.read_parquet(BytesIO(data))
    except pl.exceptions.PolarsError as error:
        msg = f"{store.uri}: {key} cannot be read as a tally any more; restore it from a backup"
        raise DamagedError(msg) from error


def _require_versions(store: Store, key: str, frame: pl.DataFrame, manifest: Manifest) -> None:
    """A tally has one column for each version of the manifest, those that failed included."""
    known = {decision_column(s.version) for s in manifest.scored}
    found = {
        c
        for c in frame.columns
        if c not in ("excluded", "label", "n", ENTITY, PROBABILITY) and not c.startswith(segment_column(""))
    }
    if found != known:
        msg = (
            f"{store.uri}: {key} counts {', '.join(sorted(found))}, and the batch was scored by {', '.join(sorted(known))}; "
            "restore it from a backup"
        )
        raise DamagedError(msg)


def _parquet(frame: pl.DataFrame) -> bytes:
    buffer = BytesIO()
    frame.write_parquet(buffer)
    return buffer.getvalue()


def _scored_rows(store: Store, project: Project, manifest: Manifest) -> pl.DataFrame:
    """The rows with what each version said of them.

    All file sets of a batch hold its rows in one order, so decisions and scores stand side by side without a join.
    """
    rows = read_parts(store, manifest.parts)
    kind = pl.String if project.task == "multiclass" else pl.Int8
    for one in manifest.scored:
        name = decision_column(one.version)
        if one.failure is None:
            predictions = read_parts(store, one.parts)
            _require_task(project, manifest, _task_of(predictions))
            decision = predictions["decision"] if "decision" in predictions.columns else pl.lit(1, dtype=kind)
            rows = rows.with_columns(decision.alias(name))
            if "score" in predictions.columns:
                rows = rows.with_columns(predictions["score"].alias(score_column(one.version)))
        else:
            rows = rows.with_columns(pl.lit(None, dtype=kind).alias(name))
    return rows.with_columns(pl.col("id").cast(pl.String))


class _Labelled(NamedTuple):
    """Rows with their labels, the ids that ``where`` has too, and how many labels there are of these rows at any time."""

    rows: pl.DataFrame
    recurring: pl.Series
    where: str
    matched: int


def _labelled(
    store: Store, project: Project, manifest: Manifest, rows: pl.DataFrame, scored: Sequence[Manifest], deadline: date,
    *, absent: Absent,
) -> _Labelled:  # fmt: skip
    """The rows with the labels that were observed by the deadline."""
    ids = rows["id"]
    labels = read_labels(store, project, ids, batch=manifest.batch, dated=manifest.date, deadline=deadline)
    recurring, where = _recurring(store, project, manifest, ids, scored, deadline)
    joined = join_labels(
        rows,
        labels.frame,
        task=project.task,
        begins=first_day(manifest.batch, manifest.date),
        absent_is_negative=absent == "negative",
        recurring=recurring,
    )
    return _Labelled(joined, recurring, where, labels.matched)


def _unmatched(store: Store, project: Project, manifest: Manifest, rows: pl.DataFrame) -> pl.DataFrame:
    """The rows of a batch none of whose ids is among the labels, with an example of both sides as the reason, if there are labels."""
    own, other = rows["id"][0], example_of_a_label_id(store, project)
    if other is None:
        return rows
    log.warning(
        "batch %s: %s: the batch has ids such as %s, the labels such as %s", manifest.batch, NO_ID_MATCHES, own, other
    )
    reason = f"{NO_ID_MATCHES}, such as {own}; the labels have ids such as {other}"
    return rows.with_columns(excluded=pl.coalesce("excluded", pl.lit(reason)))


def _task_of(predictions: pl.DataFrame) -> Task:
    if "score" not in predictions.columns:
        return "multiclass"
    return "binary" if "decision" in predictions.columns else "regression"


def _require_task(project: Project, manifest: Manifest, found: Task) -> None:
    if found != project.task:
        msg = (
            f"batch {manifest.batch} was scored as {found}, and the project's task is {project.task} now; "
            "set it back, or give the new task a project of its own"
        )
        raise AnotherTaskError(msg)
