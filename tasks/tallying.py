"""Closing batches: joining predictions with the labels that arrived in time, once and for good."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from io import BytesIO

import polars as pl

from analysis.class_names import class_names, is_class_type
from analysis.evidence import BatchTally, closing_date
from analysis.measures import Task
from analysis.record import digest
from analysis.score_tally import score_tally
from analysis.tally import ENTITY, count_rows, decision_column, join_labels, score_column, segment_column
from tasks.errors import DethroneError, first_line
from tasks.predictions import DamagedError, Manifest, manifest_key, manifests, read_parts
from tasks.project import Columns, Project
from tasks.store import AlreadyThereError, NotThereError, Store

__all__ = ["AnotherTaskError", "Closed", "ClosedBatch", "LabelError", "close_batches"]


class LabelError(DethroneError):
    """The labels cannot be read."""


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
    closed, waiting = [], []
    for manifest in manifests(store, project):
        if manifest.date > as_of:
            continue
        if as_of < closing_date(manifest.date, project.maturity_days):
            waiting.append(manifest)
        else:
            closed.append(_close(store, project, manifest, keep=keep))
    return Closed(tuple(closed), tuple(waiting))


def _close(store: Store, project: Project, manifest: Manifest, *, keep: bool) -> ClosedBatch:
    """Read the tally, or make it; the sums of scores are written first, so that a tally never lacks them."""
    key = f"{project.name}/tallies/{manifest.batch}.parquet"
    beside = f"{project.name}/tallies/{manifest.batch}.scores.parquet"
    try:
        kept = {beside: store.read(beside), key: store.read(key)}
    except NotThereError:
        joined = _joined(store, project, manifest)
        made = {
            beside: _parquet(score_tally(joined, project.policy)),
            key: _parquet(count_rows(joined, task=project.task)),
        }
        kept = {k: _keep(store, k, data) for k, data in made.items()} if keep else made
    scored = {s.version: s.contender for s in manifest.scored if s.contender and not s.failure}
    frames = {k: _frame(store, k, data) for k, data in kept.items()}
    classes, flags = frames[key].schema["label"] == pl.String, any(c.threshold is not None for c in scored.values())
    _require_versions(store, key, frames[key], manifest)
    _require_task(project, manifest, "multiclass" if classes else "binary" if flags else "regression")
    batch = BatchTally(manifest.batch, manifest.date, frames[key], scored, frames[beside])
    files = {k: hashlib.sha256(data).hexdigest() for k, data in kept.items()}
    return ClosedBatch(manifest, batch, {manifest_key(project, manifest.batch): digest(manifest), **files})


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
        c for c in frame.columns if c not in ("excluded", "label", "n", ENTITY) and not c.startswith(segment_column(""))
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


def _joined(store: Store, project: Project, manifest: Manifest) -> pl.DataFrame:
    """All file sets of a batch hold its rows in one order, so decisions and scores stand side by side without a join."""
    rows = read_parts(store, manifest.parts)
    kind = pl.String if project.task == "multiclass" else pl.Int8
    for scored in manifest.scored:
        name = decision_column(scored.version)
        if scored.failure is None:
            predictions = read_parts(store, scored.parts)
            _require_task(project, manifest, _task_of(predictions))
            decision = predictions["decision"] if "decision" in predictions.columns else pl.lit(1, dtype=kind)
            rows = rows.with_columns(decision.alias(name))
            if "score" in predictions.columns:
                rows = rows.with_columns(predictions["score"].alias(score_column(scored.version)))
        else:
            rows = rows.with_columns(pl.lit(None, dtype=kind).alias(name))
    rows = rows.with_columns(pl.col("id").cast(pl.String))
    deadline = closing_date(manifest.date, project.maturity_days)
    return join_labels(rows, _labels(store, project, rows["id"], deadline), task=project.task)


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


def _labels(store: Store, project: Project, ids: pl.Series, deadline: date) -> pl.DataFrame:
    """The labels of these ids that were observed by the deadline."""
    prefix = f"{project.name}/labels"
    keys = [k for k in store.keys(prefix) if k.endswith(".parquet")]
    if not keys:
        msg = f"{store.uri} holds no Parquet file below {prefix}/; labels with id, label and observed_at belong there"
        raise LabelError(msg)
    wanted = ids.unique().to_frame("id").lazy()
    found = [_labels_in(store, project, key, deadline).join(wanted, on="id", how="semi") for key in keys]
    try:
        return pl.concat(found).collect()
    except pl.exceptions.PolarsError as error:
        msg = f"{store.uri}: the labels below {prefix}/ cannot be read; write them anew ({first_line(error)})"
        raise LabelError(msg) from error


def _labels_in(store: Store, project: Project, key: str, deadline: date) -> pl.LazyFrame:
    """The labels of one file as id, label and observed_at of one type each, whatever types the file has."""
    names, task = project.columns, project.task
    frame = store.scan_parquet([key])
    try:
        schema = frame.collect_schema()
    except pl.exceptions.PolarsError as error:
        msg = f"{store.uri}: {key} cannot be read as Parquet; write it anew ({first_line(error)})"
        raise LabelError(msg) from error
    _check_schema(schema, names, key)
    if task != "binary" and not is_class_type(schema[names.label]):
        msg = f"{key}: the column '{names.label}' is {schema[names.label]}; labels are text or numbers"
        raise LabelError(msg)
    observed = pl.col(names.observed_at)
    zone = getattr(schema[names.observed_at], "time_zone", None)
    observed = observed.dt.convert_time_zone("UTC").dt.replace_time_zone(None) if zone else observed
    return frame.filter(observed.cast(pl.Date) <= deadline).select(
        id=pl.col(names.id).cast(pl.String),
        label=_classes(names, schema) if task == "multiclass" else _number(names),
        observed_at=observed.cast(pl.Datetime("us")),
    )


def _number(names: Columns) -> pl.Expr:
    """A label as a number, NaN where it is none."""
    number = pl.col(names.label).cast(pl.Float64, strict=False)
    return pl.when(pl.col(names.label).is_not_null() & number.is_null()).then(float("nan")).otherwise(number)


def _classes(names: Columns, schema: pl.Schema) -> pl.Expr:
    """A label as the name of a class, empty where it is none."""
    named = class_names(pl.col(names.label), schema[names.label])
    return pl.when(pl.col(names.label).is_not_null()).then(named.fill_null(""))


def _check_schema(schema: pl.Schema, names: Columns, key: str) -> None:
    observed_at = names.observed_at
    missing = [repr(c) for c in (names.id, names.label, observed_at) if c not in schema]
    if missing:
        msg = (
            f"{key}: the labels have no column {', '.join(missing)}; they have {', '.join(schema.names())}; "
            "rename one, or name it in 'columns' of the project file"
        )
        raise LabelError(msg)
    if schema[names.id].is_float():
        msg = f"{key}: the column '{names.id}' is {schema[names.id]}; ids are integers or text, as in the batches"
        raise LabelError(msg)
    if schema[observed_at] not in (pl.Date, pl.Datetime):
        msg = f"{key}: the column '{observed_at}' is {schema[observed_at]}; it must be a date or a time"
        raise LabelError(msg)
