"""The tallies of closed batches with the versions that were replayed on them. The tally with which a batch closed is never rewritten."""

from __future__ import annotations

import json
import logging
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import date

import polars as pl

from analysis.evidence import BatchTally, closing_date
from analysis.evidence.score_tally import score_tally
from analysis.evidence.tally import count_rows, decision_column
from analysis.tables.record import canonical_json, digest
from tasks.base.project import Project
from tasks.batches.predictions import DamagedError, DeletedError, Manifest, Replay, by_finding, replay_bytes, replay_key
from tasks.labels.batch_labels import label_rows, settled_date
from tasks.labels.label_files import LabelError, LabelFiles
from tasks.labels.tally_files import (
    SETTLED,
    ClosedBatch,
    ReplayedTally,
    create_or_read,
    digests,
    frame_of,
    parquet_of,
    settled_tally,
)
from tasks.store import Store

__all__ = ["ReplayTallies"]

log = logging.getLogger("dethrone")


@dataclass(frozen=True, slots=True)
class _Entry:
    """The commit of a tally with replays: which, the first label, and the day on which the tally was made."""

    replays: tuple[str, ...]
    labels_from: date | None
    made: date

    @property
    def name(self) -> str:
        return digest(list(self.replays))[:12]


class ReplayTallies:
    """The tallies with replays of a project, as of a day. A tally has all replays that there were when it was made."""

    def __init__(
        self,
        store: Store,
        project: Project,
        labels: LabelFiles,
        scored: Sequence[Manifest],
        as_of: date,
        *,
        keep: bool,
    ) -> None:
        self._store, self._project, self._labels, self._scored = store, project, labels, scored
        self._as_of, self._keep = as_of, keep
        self._keys = [k for k in store.keys(f"{project.name}/tallies") if k.endswith(".json")]

    def of(self, closed: ClosedBatch) -> tuple[ReplayedTally, ...]:
        """The tallies with replays of a closed batch, in the order in which they were made; a new one if there are new replays."""
        if closed.silent is not None or not closed.manifest.replays:
            return ()
        by_key = {replay_key(self._project.name, r): r for r in closed.manifest.replays}
        entries = sorted(self._entries(closed.manifest.batch), key=lambda e: (len(e.replays), e.replays))
        if by_key.keys() - {k for e in entries for k in e.replays}:
            entries.append(_Entry(tuple(sorted(by_key)), None, self._as_of))
        tallies: list[ReplayedTally] = []
        known: set[str] = set()
        for entry in entries:
            if missing := [k for k in entry.replays if k not in by_key]:
                msg = f"{self._store.uri}: {missing[0]} was deleted after it was counted; restore it from a backup"
                raise DeletedError(msg)
            tally = self._tally(closed, entry, {k: by_key[k] for k in entry.replays}, known)
            known |= set(entry.replays)
            tallies += [tally] if tally else []
        return tuple(tallies)

    def _entries(self, batch: str) -> list[_Entry]:
        prefix = f"{self._project.name}/tallies/{batch}.replay-"
        found = (_parsed(self._store, k) for k in self._keys if k.startswith(prefix))
        return [e for e in found if e.made <= self._as_of]

    def _tally(
        self, closed: ClosedBatch, entry: _Entry, replays: dict[str, Replay], known: Collection[str]
    ) -> ReplayedTally | None:
        """Read the tally, or make it; its entry is written last. None if the labels are not those with which the batch closed."""
        store, project, manifest = self._store, self._project, closed.manifest
        merged = manifest.with_replays(list(replays.values()))
        prefix = f"{project.name}/tallies/{manifest.batch}.replay-{entry.name}"
        key, scores_key, entry_key = f"{prefix}.parquet", f"{prefix}.scores.parquet", f"{prefix}.json"
        if entry_key in self._keys:
            files = {entry_key: store.read(entry_key), scores_key: store.read(scores_key), key: store.read(key)}
        else:
            deadline = closing_date(manifest.date, project.maturity_days)
            try:
                labelled = label_rows(store, project, self._labels, merged, self._scored, deadline, strict=False)
                counted = count_rows(labelled.rows, task=project.task)
                others = "" if _same_rows(closed.tally.frame, counted, replays.values()) else "other rows have one now"
            except LabelError as error:
                others = str(error)
            if others:
                log.warning(
                    "batch %s: its labels are not those with which it closed, so what was replayed on it is not counted (%s); "
                    "put back what was removed or changed",
                    manifest.batch,
                    others,
                )
                return None
            entry = _Entry(entry.replays, labelled.labels_from, entry.made)
            files = {
                scores_key: parquet_of(score_tally(labelled.rows, project.policy)),
                key: parquet_of(counted),
                entry_key: canonical_json(entry),
            }
            if self._keep:
                files = {k: create_or_read(store, k, data) for k, data in files.items()}
        frame, scores = (frame_of(store, k, files[k]) for k in (key, scores_key))
        settled = None
        if closed.tally.settled is not None and self._as_of >= settled_date(manifest.date, project.maturity_days):
            settled_key = f"{prefix}{SETTLED}"
            data = settled_tally(store, project, self._labels, merged, self._scored, settled_key, keep=self._keep)
            if data is not None:
                files[settled_key] = data
                settled = frame_of(store, settled_key, data)
        new = tuple(sorted((r for k, r in replays.items() if k not in known), key=by_finding))
        tally = BatchTally(manifest.batch, manifest.date, frame, merged.contenders(), scores, settled)
        read = {**{k: replay_bytes(r) for k, r in replays.items()}, **files}
        entry_read = _parse(files[entry_key])
        return ReplayedTally(tally, digests(project.name, manifest, read), new, entry_read.labels_from)


def _same_rows(closed: pl.DataFrame, counted: pl.DataFrame, replays: Iterable[Replay]) -> bool:
    """Whether both tallies count the same rows, apart from what the replayed versions decided."""
    left_out = {"n", *(decision_column(r.scored.version) for r in replays)}
    keys = [c for c in closed.columns if c not in left_out]
    if sorted(keys) != sorted(c for c in counted.columns if c not in left_out):
        return False
    one, other = (f.group_by(keys).agg(pl.col("n").sum()).sort(keys, nulls_last=True) for f in (closed, counted))
    return one.equals(other)


def _parsed(store: Store, key: str) -> _Entry:
    try:
        return _parse(store.read(key))
    except (ValueError, KeyError, TypeError) as error:
        msg = f"{store.uri}: {key} cannot be read as the entry of a tally; restore it from a backup"
        raise DamagedError(msg) from error


def _parse(data: bytes) -> _Entry:
    value = json.loads(data)
    labels_from = value["labels_from"]
    return _Entry(
        tuple(value["replays"]),
        date.fromisoformat(labels_from) if labels_from else None,
        date.fromisoformat(value["made"]),
    )
