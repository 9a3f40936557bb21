"""Closing batches: counting predictions and the labels that arrived in time, once and for good."""

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
from tasks.labels.batch_labels import AnotherTaskError, audit_date, label_rows, require_task
from tasks.labels.label_files import LabelError
from tasks.store import AlreadyThereError, NotThereError, Store

_SETTLED = ".settled.parquet"

log = logging.getLogger("dethrone")

__all__ = ["AnotherTaskError", "Closed", "ClosedBatch", "LabelError", "close_batches"]


@dataclass(frozen=True, slots=True)
class ClosedBatch:
    """A closed batch: its manifest, its tally with the sums of scores beside it, and the digests by key of all that a look reads of it.

    A batch is ``silent`` if none of its rows has a label that can be used: why, and of how many rows. Then its tally is not kept, as it
    says nothing that a look could have used: once labels, ids or settings are put right, it is made anew.
    """

    manifest: Manifest
    tally: BatchTally
    files: Mapping[str, str]
    silent: Mapping[str, int] | None = None


@dataclass(frozen=True, slots=True)
class Closed:
    """The closed batches by date, and the scored ones that are still open. ``settled``: the batches that were looked at again."""

    batches: tuple[ClosedBatch, ...]
    waiting: tuple[Manifest, ...]
    settled: frozenset[str] = frozenset()


def close_batches(store: Store, project: Project, as_of: date, *, keep: bool = True) -> Closed:
    """Tally every batch whose maturity window has passed by ``as_of``; a tally that exists stays as it is.

    With ``keep=False`` new tallies are made and not written. Batches dated after ``as_of`` are left out. Raises
    LabelError, DamagedError, AnotherTaskError.
    """
    scored = [m for m in manifests(store, project.name) if m.date <= as_of]
    due = [m for m in scored if as_of >= closing_date(m.date, project.maturity_days)]
    found = [_close(store, project, m, scored, as_of, keep=keep) for m in due]
    settled = frozenset(b.manifest.batch for b in found if b.tally.settled is not None)
    return Closed(_that_say_something(found, project), tuple(m for m in scored if m not in due), settled)


def _that_say_something(found: Sequence[ClosedBatch], project: Project) -> tuple[ClosedBatch, ...]:
    """Without the second looks at batches that lack no label, unless labels are corrected in some: else a look would be new with each."""
    corrected = any(b.tally.settled is not None and _is_corrected(b.tally) for b in found)
    if corrected or project.absent == "negative":
        return tuple(found)
    return tuple(
        b if b.tally.settled is None or _lacks_labels(b.tally.frame) else _without_second_look(b) for b in found
    )


def _without_second_look(batch: ClosedBatch) -> ClosedBatch:
    files = {k: v for k, v in batch.files.items() if not k.endswith(_SETTLED)}
    return replace(batch, tally=replace(batch.tally, settled=None), files=files)


def _lacks_labels(frame: pl.DataFrame) -> bool:
    return not frame.filter(pl.col("label").is_null()).is_empty()


def _is_corrected(tally: BatchTally) -> bool:
    """Whether a row that had a label has another one, or none, at the second look."""
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
    """Read the tally, or make it; the sums of scores are written first, so that a tally never lacks them."""
    key = f"{project.name}/tallies/{manifest.batch}.parquet"
    beside = f"{project.name}/tallies/{manifest.batch}.scores.parquet"
    try:
        kept = {beside: store.read(beside), key: store.read(key)}
    except NotThereError:
        found = label_rows(
            store, project, manifest, scored, closing_date(manifest.date, project.maturity_days), refuse=True
        )
        counted = count_rows(found.rows, task=project.task)
        says_nothing = project.policy.unlabelled != "worst_case" and project.policy.sampling is None
        if found.silent and says_nothing:  # else a row without a label says something
            return _silent(project, manifest, counted)
        made = {beside: _parquet(score_tally(found.rows, project.policy)), key: _parquet(counted)}
        kept = {k: _keep(store, k, data) for k, data in made.items()} if keep else made
    contenders = manifest.contenders()
    frames = {k: _frame(store, k, data) for k, data in kept.items()}
    classes, flags = frames[key].schema["label"] == pl.String, any(c.threshold is not None for c in contenders.values())
    _require_versions(store, key, frames[key], manifest)
    require_task(project, manifest, "multiclass" if classes else "binary" if flags else "regression")
    later = f"{project.name}/tallies/{manifest.batch}{_SETTLED}"
    settled = None
    if as_of >= audit_date(manifest.date, project.maturity_days):
        data = _settled(store, project, manifest, scored, later, keep=keep)
        if data is not None:
            kept[later] = data
            settled = _frame(store, later, data)
    batch = BatchTally(manifest.batch, manifest.date, frames[key], contenders, frames[beside], settled)
    return ClosedBatch(manifest, batch, _digests(project, manifest, kept))


def _digests(project: Project, manifest: Manifest, kept: Mapping[str, bytes]) -> dict[str, str]:
    read = {manifest_key(project.name, manifest.batch): manifest_bytes(manifest), **kept}
    return {k: hashlib.sha256(data).hexdigest() for k, data in read.items()}


def _silent(project: Project, manifest: Manifest, counted: pl.DataFrame) -> ClosedBatch:
    reason = pl.col("excluded").fill_null(UNLABELLED)
    reasons = dict(counted.group_by(reason).agg(pl.col("n").sum()).sort("excluded").iter_rows())
    batch = BatchTally(manifest.batch, manifest.date, counted, manifest.contenders())
    return ClosedBatch(manifest, batch, _digests(project, manifest, {}), reasons)


def _settled(
    store: Store, project: Project, manifest: Manifest, scored: Sequence[Manifest], key: str, *, keep: bool
) -> bytes | None:
    """The tally with the labels that are known by the day on which late and corrected ones are looked at; None without predictions."""
    try:
        return store.read(key)
    except NotThereError:
        pass
    try:
        found = label_rows(
            store, project, manifest, scored, audit_date(manifest.date, project.maturity_days), refuse=False
        )
    except DeletedError as error:  # what has closed stays closed, but nobody can look at it again
        log.warning("batch %s: its late labels cannot be looked at: %s", manifest.batch, error)
        return None
    if found.silent:  # the labels that were there are gone: that is no second look
        return None
    data = _parquet(count_rows(found.rows, task=project.task))
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
