"""The tallies of closed batches as files in the store. Each is written once."""

from __future__ import annotations

import contextlib
import hashlib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from io import BytesIO

import polars as pl

from analysis.evidence import BatchTally
from tasks.base.project import Project
from tasks.batches.predictions import DeletedError, Manifest, Replay, manifest_key
from tasks.labels.batch_labels import label_rows, settled_date
from tasks.labels.label_files import LabelFiles
from tasks.store import AlreadyThereError, KeptStore, NotThereError, Store, StoredFrame

__all__ = [
    "SETTLED",
    "Closed",
    "ClosedBatch",
    "ReplayedTally",
    "create_or_read",
    "digests",
    "settled_tally",
]

SETTLED = ".settled.parquet"

log = logging.getLogger("dethrone")


@dataclass(frozen=True, slots=True)
class ClosedBatch:
    """A closed batch: its manifest, its tally, and the digests by key of all files that a decision reads of it.

    ``silent`` is None, or, if none of the rows has a label that can be used, the number of rows by reason. The tally of a silent
    batch is not stored: no decision uses it, and it is made again once labels, ids or settings are corrected. ``replayed`` are its
    tallies with the versions that were replayed on it.
    """

    manifest: Manifest
    tally: BatchTally
    files: Mapping[str, str]
    silent: Mapping[str, int] | None = None
    replayed: tuple[ReplayedTally, ...] = ()


@dataclass(frozen=True, slots=True)
class ReplayedTally:
    """The tally of a closed batch with replayed versions beside those of its manifest; ``replays`` are those that no earlier one has.

    ``labels_from`` is the day on which the first label of the batch was observed, as it was known when the tally was made.
    ``first_labels`` are days on which a batch of the project, younger than any before, had its first label, with its age in days.
    """

    tally: BatchTally
    files: Mapping[str, str]
    replays: tuple[Replay, ...]
    labels_from: date | None
    first_labels: tuple[tuple[date, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Closed:
    """The closed batches by date, the scored ones that are still open, and the ids of batches that have a ``settled`` tally."""

    batches: tuple[ClosedBatch, ...]
    waiting: tuple[Manifest, ...]
    settled: frozenset[str] = frozenset()


def settled_tally(
    store: KeptStore,
    project: Project,
    labels: LabelFiles,
    manifest: Manifest,
    scored: Sequence[Manifest],
    key: str,
    *,
    keep: bool,
) -> StoredFrame | None:
    """The settled tally; None if predictions were deleted or no label is left."""
    try:
        return store.frame(key)
    except NotThereError:
        pass
    try:
        day = settled_date(manifest.date, project.maturity_days)
        labelled = label_rows(store, project, labels, manifest, scored, day, strict=False)
    except DeletedError as error:  # the batch stays closed, with its first tally only
        log.warning("batch %s: its late labels cannot be counted: %s", manifest.batch, error)
        return None
    if labelled.silent:  # somebody removed the labels that the first tally counted
        return None
    return create_or_read(store, key, labelled.counted(), keep=keep)


def create_or_read(store: KeptStore, key: str, frame: pl.DataFrame, *, keep: bool) -> StoredFrame:
    """Write the tally if no other run has, and return what is stored; without ``keep`` only return it as it would be stored."""
    buffer = BytesIO()
    frame.write_parquet(buffer)
    data = buffer.getvalue()
    if not keep:
        return StoredFrame(frame, hashlib.sha256(data).hexdigest())
    with contextlib.suppress(AlreadyThereError):
        store.create(key, data)
    return store.frame(key)


def digests(store: Store, project_name: str, manifest: Manifest, frames: Mapping[str, StoredFrame]) -> dict[str, str]:
    """The digests by key of these files of a closed batch, and of its manifest."""
    key = manifest_key(project_name, manifest.batch)
    return {key: hashlib.sha256(store.read(key)).hexdigest(), **{k: f.sha256 for k, f in frames.items()}}
