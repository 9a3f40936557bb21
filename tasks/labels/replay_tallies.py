"""The tallies of closed batches with the versions that were replayed on them. The tally with which a batch closed is never rewritten."""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date

import polars as pl

from analysis.evidence import BatchTally, closing_date
from analysis.evidence.row_labels import AFTER_CLOSING
from analysis.evidence.score_tally import score_tally
from analysis.evidence.tally import decision_column
from analysis.tables.record import canonical_json, digest
from tasks.base.project import Project
from tasks.batches.predictions import DamagedError, DeletedError, Manifest, Replay, by_finding, replay_key
from tasks.labels.batch_join import first_label
from tasks.labels.batch_labels import label_rows, settled_date
from tasks.labels.label_files import LabelError, LabelFiles
from tasks.labels.tally_files import (
    SETTLED,
    ClosedBatch,
    ReplayedTally,
    create_or_read,
    digests,
    settled_tally,
)
from tasks.store import AlreadyThereError, KeptStore, NotThereError, Store, StoredFrame

__all__ = ["ReplayTallies"]

log = logging.getLogger("dethrone")


@dataclass(frozen=True, slots=True)
class _Entry:
    """The commit of a tally with replays: which, the first label, and the day on which the tally was made.

    ``new`` are the replays that no entry made before it has. ``first_labels`` are those of all batches, as ``_youngest`` gives them.
    """

    replays: tuple[str, ...]
    new: tuple[str, ...]
    number: int
    labels_from: date | None
    first_labels: tuple[tuple[date, int], ...]
    made: date

    @property
    def name(self) -> str:
        return digest(list(self.replays))[:12]


class ReplayTallies:
    """The tallies with replays of a project, as of a day. A tally has the replays that there were when it was made, one per version."""

    def __init__(
        self,
        store: KeptStore,
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
        store.prefetch(k for j in self._keys for k in (j, f"{j[:-5]}.parquet", f"{j[:-5]}.scores.parquet"))
        self._first: tuple[tuple[date, int], ...] | None = None

    def of(self, closed: ClosedBatch) -> tuple[ReplayedTally, ...]:
        """The tallies with replays of a closed batch, in the order in which they were made; a new one if there are new replays."""
        if closed.silent is not None or not closed.manifest.replays:
            return ()
        by_key = {replay_key(self._project.name, r): r for r in closed.manifest.replays}
        made = self._entries(closed.manifest.batch)
        entries = sorted((e for e in made if e.made <= self._as_of), key=lambda e: (e.number, e.name))
        counted = {k for e in entries for k in e.new}
        entries += _new_entries(by_key, counted, number=len(made), made=self._as_of)
        tallies: list[ReplayedTally] = []
        known: set[str] = set()
        for entry in entries:
            if known.issuperset(entry.new):  # a look as of an earlier day counted them on their own
                continue
            if missing := [k for k in entry.replays if k not in by_key]:
                msg = f"{self._store.uri}: {missing[0]} was deleted after it was counted; restore it from a backup"
                raise DeletedError(msg)
            tally = self._tally(closed, entry, {k: by_key[k] for k in entry.replays}, known)
            known |= set(entry.new)
            tallies += [tally] if tally else []
        return tuple(tallies)

    def _entries(self, batch: str) -> list[_Entry]:
        prefix = f"{self._project.name}/tallies/{batch}.replay-"
        return [_parsed(self._store, k) for k in self._keys if k.startswith(prefix)]

    def _first_labels(self) -> tuple[tuple[date, int], ...]:
        """The first labels of all scored batches, closed or not, read once a look."""
        if self._first is None:
            known: list[tuple[date, date]] = []
            for m in self._scored:
                try:
                    came = first_label(self._project, self._labels, m)
                except DamagedError:  # without its rows, nobody knows which labels are its own
                    continue
                known += [(came, m.date)] if came else []
            self._first = _youngest(known)
        return self._first

    def _tally(
        self, closed: ClosedBatch, entry: _Entry, replays: dict[str, Replay], known: Collection[str]
    ) -> ReplayedTally | None:
        """Read the tally, or make it; its entry is written last. None if the labels are not those with which the batch closed."""
        store, project, manifest = self._store, self._project, closed.manifest
        merged = manifest.with_replays(list(replays.values()))
        prefix = f"{project.name}/tallies/{manifest.batch}.replay-{entry.name}"
        key, scores_key, entry_key = f"{prefix}.parquet", f"{prefix}.scores.parquet", f"{prefix}.json"
        frames = self._stored(entry_key, scores_key, key)
        if not frames:
            deadline = closing_date(manifest.date, project.maturity_days)
            try:
                labelled = label_rows(store, project, self._labels, merged, self._scored, deadline, strict=False)
                counted = labelled.counted()
                if not _same_rows(closed.tally.frame, counted, replays.values()):
                    counted = labelled.without_late().counted()
                same = _same_rows(_without_late(closed.tally.frame), _without_late(counted), replays.values())
                others = "" if same else "other rows have one now"
            except DeletedError as error:
                log.warning("batch %s: what was replayed on it cannot be counted: %s", manifest.batch, error)
                return None
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
            entry = replace(entry, labels_from=labelled.labels_from, first_labels=self._first_labels())
            made = {scores_key: score_tally(labelled.blocks, project.policy), key: counted}
            frames = {k: create_or_read(store, k, frame, keep=self._keep) for k, frame in made.items()}
            if self._keep:
                with contextlib.suppress(AlreadyThereError):
                    store.create(entry_key, canonical_json(entry))
        committed = canonical_json(entry) if not self._keep and entry_key not in self._keys else store.read(entry_key)
        settled = None
        if closed.tally.settled is not None and self._as_of >= settled_date(manifest.date, project.maturity_days):
            settled_key = f"{prefix}{SETTLED}"
            stored = settled_tally(store, project, self._labels, merged, self._scored, settled_key, keep=self._keep)
            if stored is not None:
                frames[settled_key] = stored
                settled = stored.frame
        new = tuple(sorted((replays[k] for k in entry.new if k not in known), key=by_finding))
        frame, scores = (frames[k].frame for k in (key, scores_key))
        tally = BatchTally(manifest.batch, manifest.date, frame, merged.contenders(), scores, settled)
        documents = {**{k: store.read(k) for k in replays}, entry_key: committed}
        entry_read = _parse(committed)
        files_read = digests(store, project.name, manifest, frames)
        files_read |= {k: hashlib.sha256(data).hexdigest() for k, data in documents.items()}
        return ReplayedTally(tally, files_read, new, entry_read.labels_from, entry_read.first_labels)

    def _stored(self, entry_key: str, *keys: str) -> dict[str, StoredFrame]:
        """The frames of a tally; none if it is not whole, and is made again."""
        if entry_key not in self._keys:
            return {}
        try:
            return {k: self._store.frame(k) for k in keys}
        except NotThereError:
            return {}


def _new_entries(
    by_key: Mapping[str, Replay], counted: Collection[str], *, number: int, made: date
) -> Iterator[_Entry]:
    """The entries of the replays that are not counted yet: one, or more if a version was replayed with several thresholds."""
    chosen = {by_key[k].scored.version: k for k in sorted(counted, key=lambda k: by_finding(by_key[k])) if k in by_key}
    left = sorted(by_key.keys() - set(counted), key=lambda k: by_finding(by_key[k]))
    while left:
        new: dict[str, str] = {}
        for k in left:
            new.setdefault(by_key[k].scored.version, k)
        chosen |= new
        left = [k for k in left if k not in new.values()]
        yield _Entry(tuple(sorted(chosen.values())), tuple(sorted(new.values())), number, None, (), made)
        number += 1


def _youngest(first_labels: Iterable[tuple[date, date]]) -> tuple[tuple[date, int], ...]:
    """From the days of first labels and the dates of their batches: each day on which a batch younger than any before had its first."""
    youngest: list[tuple[date, int]] = []
    for came, age in sorted((came, (came - dated).days) for came, dated in first_labels):
        if not youngest or age < youngest[-1][1]:
            youngest.append((came, age))
    return tuple(youngest)


def _without_late(frame: pl.DataFrame) -> pl.DataFrame:
    """The rows, or counts of rows, as if no label had come after closing: none had when the batch closed, or other ones."""
    late = pl.col("excluded").str.starts_with(AFTER_CLOSING).fill_null(value=False)
    return frame.with_columns(excluded=pl.when(~late).then("excluded"))


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
        tuple(value["new"]),
        value["number"],
        date.fromisoformat(labels_from) if labels_from else None,
        tuple((date.fromisoformat(came), age) for came, age in value["first_labels"]),
        date.fromisoformat(value["made"]),
    )
