"""Closing batches: counting predictions and the labels that came in time. A tally is written once."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from io import BytesIO

import polars as pl

from analysis.evidence import BatchTally, closing_date
from analysis.evidence.score_tally import score_tally
from analysis.evidence.tally import ENTITY, PROBABILITY, UNLABELLED, count_rows, decision_column, segment_column
from tasks.base.project import Project
from tasks.batches.predictions import DamagedError, DeletedError, Manifest, manifest_bytes, manifest_key, manifests
from tasks.labels.batch_labels import label_rows, settled_date
from tasks.labels.label_files import LabelError
from tasks.labels.scored_rows import AnotherTaskError, require_task
from tasks.store import AlreadyThereError, NotThereError, Store

_SETTLED = ".settled.parquet"

log = logging.getLogger("dethrone")

__all__ = ["AnotherTaskError", "Closed", "ClosedBatch", "LabelError", "close_batches"]


@dataclass(frozen=True, slots=True)
class ClosedBatch:
    """A closed batch: its manifest, its tally, and the digests by key of all files that a decision reads of it.

    ``silent`` is None, or, if none of the rows has a label that can be used, the number of rows by reason. The tally of a silent
    batch is not stored: no decision uses it, and it is made again once labels, ids or settings are corrected.
    """

    manifest: Manifest
    tally: BatchTally
    files: Mapping[str, str]
    silent: Mapping[str, int] | None = None


@dataclass(frozen=True, slots=True)
class Closed:
    """The closed batches by date, the scored ones that are still open, and the ids of batches that have a ``settled`` tally."""

    batches: tuple[ClosedBatch, ...]
    waiting: tuple[Manifest, ...]
    settled: frozenset[str] = frozenset()


def close_batches(store: Store, project: Project, as_of: date, *, keep: bool = True) -> Closed:
    """Tally every batch whose closing date is ``as_of`` or earlier; a tally that exists is read and not made again.

    With ``keep=False`` new tallies are not written. Batches dated after ``as_of`` are left out. Raises LabelError,
    DamagedError, AnotherTaskError.
    """
    scored = [m for m in manifests(store, project.name) if m.date <= as_of]
    due = [m for m in scored if as_of >= closing_date(m.date, project.maturity_days)]
    closed = [_close(store, project, m, scored, as_of, keep=keep) for m in due]
    settled = frozenset(b.manifest.batch for b in closed if b.tally.settled is not None)
    if project.absent != "negative":
        closed = _without_needless_settled(closed)
    return Closed(tuple(closed), tuple(m for m in scored if m not in due), settled)


def _without_needless_settled(closed: list[ClosedBatch]) -> list[ClosedBatch]:
    """Leave out the settled tallies of batches that lack no label, unless some batch has a corrected label.

    They would say nothing, and each would make the evidence differ, and so the decision a new one.
    """
    if any(b.tally.settled is not None and _is_corrected(b.tally) for b in closed):
        return closed
    return [b if b.tally.settled is None or _lacks_labels(b.tally.frame) else _without_settled(b) for b in closed]


def _without_settled(batch: ClosedBatch) -> ClosedBatch:
    files = {k: v for k, v in batch.files.items() if not k.endswith(_SETTLED)}
    return replace(batch, tally=replace(batch.tally, settled=None), files=files)


def _lacks_labels(frame: pl.DataFrame) -> bool:
    return not frame.filter(pl.col("label").is_null()).is_empty()


def _is_corrected(tally: BatchTally) -> bool:
    """Whether a row that had a label has another one, or none, in the settled tally."""
    assert tally.settled is not None
    keys = [c for c in tally.frame.columns if c not in ("excluded", "n", ENTITY, PROBABILITY)]
    before, after = (
        f.filter(pl.col("label").is_not_null()).group_by(keys).agg(pl.col("n").sum())
        for f in (tally.frame, tally.settled)
    )
    both = before.join(after, on=keys, how="left", suffix="_after", nulls_equal=True)
    return not both.filter(pl.col("n") > pl.col("n_after").fill_null(0)).is_empty()


def _close(
    store: Store, project: Project, manifest: Manifest, scored: Sequence[Manifest], as_of: date, *, keep: bool
) -> ClosedBatch:
    """Read the tally and the sums of scores, or make them; the sums are written first, so a tally always has them."""
    key = f"{project.name}/tallies/{manifest.batch}.parquet"
    scores_key = f"{project.name}/tallies/{manifest.batch}.scores.parquet"
    try:
        files = {scores_key: store.read(scores_key), key: store.read(key)}
    except NotThereError:
        deadline = closing_date(manifest.date, project.maturity_days)
        labelled = label_rows(store, project, manifest, scored, deadline, strict=True)
        counted = count_rows(labelled.rows, task=project.task)
        needs_labels = project.policy.unlabelled != "worst_case" and project.policy.sampling is None
        if labelled.silent and needs_labels:
            return _silent(project.name, manifest, counted)
        files = {scores_key: _parquet(score_tally(labelled.rows, project.policy)), key: _parquet(counted)}
        if keep:
            files = {k: _create_or_read(store, k, data) for k, data in files.items()}
    contenders = manifest.contenders()
    frames = {k: _frame(store, k, data) for k, data in files.items()}
    classes, flags = frames[key].schema["label"] == pl.String, any(c.threshold is not None for c in contenders.values())
    _require_versions(store, key, frames[key], manifest)
    require_task(manifest, "multiclass" if classes else "binary" if flags else "regression", project.task)
    settled_key = f"{project.name}/tallies/{manifest.batch}{_SETTLED}"
    settled = None
    if as_of >= settled_date(manifest.date, project.maturity_days):
        data = _settled(store, project, manifest, scored, settled_key, keep=keep)
        if data is not None:
            files[settled_key] = data
            settled = _frame(store, settled_key, data)
    batch = BatchTally(manifest.batch, manifest.date, frames[key], contenders, frames[scores_key], settled)
    return ClosedBatch(manifest, batch, _digests(project.name, manifest, files))


def _digests(project_name: str, manifest: Manifest, files: Mapping[str, bytes]) -> dict[str, str]:
    read = {manifest_key(project_name, manifest.batch): manifest_bytes(manifest), **files}
    return {k: hashlib.sha256(data).hexdigest() for k, data in read.items()}


def _silent(project_name: str, manifest: Manifest, counted: pl.DataFrame) -> ClosedBatch:
    reason = pl.col("excluded").fill_null(UNLABELLED)
    reasons = dict(counted.group_by(reason).agg(pl.col("n").sum()).sort("excluded").iter_rows())
    batch = BatchTally(manifest.batch, manifest.date, counted, manifest.contenders())
    return ClosedBatch(manifest, batch, _digests(project_name, manifest, {}), reasons)


def _settled(
    store: Store, project: Project, manifest: Manifest, scored: Sequence[Manifest], key: str, *, keep: bool
) -> bytes | None:
    """The settled tally as Parquet; None if predictions were deleted or no label is left."""
    try:
        return store.read(key)
    except NotThereError:
        pass
    try:
        day = settled_date(manifest.date, project.maturity_days)
        labelled = label_rows(store, project, manifest, scored, day, strict=False)
    except DeletedError as error:  # the batch stays closed, with its first tally only
        log.warning("batch %s: its late labels cannot be counted: %s", manifest.batch, error)
        return None
    if labelled.silent:  # somebody removed the labels that the first tally counted
        return None
    data = _parquet(count_rows(labelled.rows, task=project.task))
    return _create_or_read(store, key, data) if keep else data


def _create_or_read(store: Store, key: str, data: bytes) -> bytes:
    """Write the object if no other run has; returns what is stored."""
    try:
        store.create(key, data)
    except AlreadyThereError:
        return store.read(key)
    return data


def _frame(store: Store, key: str, data: bytes) -> pl.DataFrame:
    try:
        return pl.read_parquet(BytesIO(data))
    except pl.exceptions.PolarsError as error:
        msg = f"{store.uri}: {key} cannot be read as a tally; restore it from a backup"
        raise DamagedError(msg) from error


def _require_versions(store: Store, key: str, frame: pl.DataFrame, manifest: Manifest) -> None:
    """Raise DamagedError if the tally does not have a column for each version of the manifest, also for those that failed."""
    scored = {decision_column(s.version) for s in manifest.scored}
    counted = {
        c
        for c in frame.columns
        if c not in ("excluded", "label", "n", ENTITY, PROBABILITY) and not c.startswith(segment_column(""))
    }
    if counted != scored:
        msg = (
            f"{store.uri}: {key} counts {', '.join(sorted(counted))}, and the batch was scored by {', '.join(sorted(scored))}; "
            "restore it from a backup"
        )
        raise DamagedError(msg)


def _parquet(frame: pl.DataFrame) -> bytes:
    buffer = BytesIO()
    frame.write_parquet(buffer)
    return buffer.getvalue()
