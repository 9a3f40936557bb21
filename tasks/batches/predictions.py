"""Predictions of every version for every row of a batch, and the manifest that commits them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from io import BytesIO
from typing import Any, TypeVar

import polars as pl

from analysis.evidence import Contender
from analysis.tables.record import canonical_json, plain
from tasks.base.errors import DamagedError, DeletedError
from tasks.store import AlreadyThereError, KeptStore, NotThereError, Store, keeping

__all__ = [
    "BatchFile", "DamagedError", "DeletedError", "Manifest", "Part", "Replay", "Scored", "by_finding", "commit_manifest", "commit_replay",
    "contender_of", "manifest_bytes", "manifest_key", "manifests", "parse_manifest", "parse_replay", "read_manifest", "read_parts",
    "replay_bytes", "replay_key", "replayed_versions", "scored_batches",
]  # fmt: skip

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Part:
    """One Parquet file of a file set: its key, its digest and its number of rows."""

    key: str
    sha256: str
    rows: int


@dataclass(frozen=True, slots=True)
class BatchFile:
    """A file that was read for the rows of a batch, by its name below the batch's folder, and its size in bytes."""

    name: str
    size: int


@dataclass(frozen=True, slots=True)
class Scored:
    """The result of one version on a batch: its predictions, or its failure; ``note`` says what is odd about the numbers."""

    version: str
    contender: Contender | None
    parts: tuple[Part, ...]
    failure: str | None
    note: str | None = None


@dataclass(frozen=True, slots=True)
class Replay:
    """The predictions of a version that scored a batch after its manifest was committed, and when its contender was first found."""

    batch: str
    scored: Scored
    found: date

    @property
    def contender(self) -> Contender:
        assert self.scored.contender is not None
        return self.scored.contender


@dataclass(frozen=True, slots=True)
class Manifest:
    """A scored batch: its rows, versions and reign. A batch is scored if and only if its manifest exists.

    ``files`` tell rows that came later from those that were scored; a copy of a store keeps their names and sizes, and no times.
    ``replays`` are what versions predicted of it afterwards; each is a file of its own beside the manifest.
    """

    batch: str
    date: date
    reign: int
    champion: str
    rows: int
    columns: tuple[str, ...]
    rows_digest: str
    parts: tuple[Part, ...]
    scored: tuple[Scored, ...]
    files: tuple[BatchFile, ...] | None = None
    replays: tuple[Replay, ...] = ()

    def with_replays(self, replays: Sequence[Replay] | None = None) -> Manifest:
        """The manifest as if these replays, by default all, had been scored with it: each stands for what its version did before."""
        chosen = sorted(self.replays if replays is None else replays, key=by_finding)
        scored = {s.version: s for s in (*self.scored, *(r.scored for r in chosen))}
        return replace(self, scored=tuple(scored[v] for v in sorted(scored, key=int)), replays=())

    def contenders(self) -> dict[str, Contender]:
        """Version to contender, of the versions that did not fail."""
        return {s.version: s.contender for s in self.scored if s.contender and not s.failure}

    def versions(self) -> list[str]:
        """The versions that did not fail."""
        return [s.version for s in self.scored if s.failure is None]


def read_parts(store: Store, parts: tuple[Part, ...]) -> pl.DataFrame:
    """The rows of a file set. Raises DeletedError, or DamagedError if a file does not have its digest."""
    frames = []
    for part in parts:
        try:
            data = store.read(part.key)
        except NotThereError:
            msg = f"{store.uri}: {part.key} was deleted after it was scored; restore it from a backup"
            raise DeletedError(msg) from None
        if hashlib.sha256(data).hexdigest() != part.sha256:
            msg = f"{store.uri}: {part.key} was changed after it was scored; restore it from a backup"
            raise DamagedError(msg)
        frames.append(pl.read_parquet(BytesIO(data)))
    return pl.concat(frames)


def manifest_key(project_name: str, batch: str) -> str:
    """The key of the manifest of a batch."""
    return f"{project_name}/predictions/{batch}/manifest.json"


def manifest_bytes(manifest: Manifest) -> bytes:
    """The stored bytes of a manifest. What did not exist from the beginning, notes and files, is left out where there is none."""
    value = plain(replace(manifest, replays=()))
    del value["replays"]
    if value["files"] is None:
        del value["files"]
    for s in value["scored"]:
        if s["note"] is None:
            del s["note"]
    return canonical_json(value)


def commit_manifest(store: Store, project_name: str, manifest: Manifest) -> None:
    """Write the manifest, which makes the batch scored. Raises AlreadyThereError if it is scored already."""
    store.create(manifest_key(project_name, manifest.batch), manifest_bytes(manifest))


def replay_key(project_name: str, replay: Replay) -> str:
    """The key of a replay; two versions can be one contender, if they were registered from one model."""
    name = f"{replay.scored.version}-{replay.contender.digest[:16]}"
    return f"{_replays(project_name)}/{replay.batch}/{name}.json"


def _replays(project_name: str) -> str:
    """Beside the predictions, so that one listing finds all replays."""
    return f"{project_name}/replays"


def replayed_versions(store: Store, project_name: str, batch: str) -> list[str]:
    """The versions that were replayed on a batch, from the names of their replays alone."""
    folder = f"{_replays(project_name)}/{batch}/"
    return [
        k.removeprefix(folder).partition("-")[0] for k in store.keys(_replays(project_name)) if k.startswith(folder)
    ]


def replay_bytes(replay: Replay) -> bytes:
    """The stored bytes of a replay."""
    return canonical_json(plain(replay))


def commit_replay(store: Store, project_name: str, replay: Replay) -> bool:
    """Write the replay, which makes it one; False if another run was first, which scored the same."""
    try:
        store.create(replay_key(project_name, replay), replay_bytes(replay))
    except AlreadyThereError:
        return False
    return True


def read_manifest(store: Store, project_name: str, batch: str) -> Manifest | None:
    """The manifest of a batch; None if it is not scored. Raises DamagedError."""
    try:
        return _parsed(store, manifest_key(project_name, batch), parse_manifest)
    except NotThereError:
        return None


def scored_batches(store: Store, project_name: str) -> list[str]:
    """The ids of all scored batches, sorted."""
    return list(_manifests(keeping(store), project_name))


def manifests(store: Store, project_name: str) -> list[Manifest]:
    """The manifests of all scored batches with their replays, by date. Raises DamagedError."""
    kept = keeping(store)
    found = _manifests(kept, project_name)
    replays: dict[str, list[Replay]] = {}
    keys = kept.keys(_replays(project_name))
    kept.prefetch(keys)
    for key in keys:
        replay = _parsed(kept, key, parse_replay)
        replays.setdefault(replay.batch, []).append(replay)
    with_replays = (replace(m, replays=tuple(sorted(replays.get(m.batch, ()), key=by_finding))) for m in found.values())
    return sorted(with_replays, key=lambda m: (m.date, m.batch))


def _manifests(store: KeptStore, project_name: str) -> dict[str, Manifest]:
    """The manifests by batch. A folder without one is of a batch that is being scored, or was when its run ended."""
    batches = store.folders(f"{project_name}/predictions")
    store.prefetch(manifest_key(project_name, b) for b in batches)
    found = {b: read_manifest(store, project_name, b) for b in batches}
    return {b: m for b, m in found.items() if m is not None}


def by_finding(replay: Replay) -> tuple[date, int, str]:
    """The order of replays: by the day on which their contenders were found, and by version."""
    return replay.found, int(replay.scored.version), replay.contender.digest


def _parsed(store: Store, key: str, parse: Callable[[bytes], T]) -> T:
    data = store.read(key)
    try:
        return parse(data)
    except (ValueError, KeyError, TypeError) as error:
        what = "a manifest" if key.endswith("/manifest.json") else "a replay"
        msg = f"{store.uri}: {key} cannot be read as {what}; restore it from a backup"
        raise DamagedError(msg) from error


def parse_manifest(data: bytes) -> Manifest:
    """The manifest in these bytes. Raises ValueError, KeyError or TypeError if they do not hold one."""
    value: dict[str, Any] = json.loads(data)
    return Manifest(
        **{
            **value,
            "date": date.fromisoformat(value["date"]),
            "columns": tuple(value["columns"]),
            "parts": _parts(value["parts"]),
            "scored": tuple(_scored(s) for s in value["scored"]),
            "files": tuple(BatchFile(**f) for f in value["files"]) if "files" in value else None,
        }
    )


def parse_replay(data: bytes) -> Replay:
    """The replay in these bytes. Raises ValueError, KeyError or TypeError if they do not hold one."""
    value: dict[str, Any] = json.loads(data)
    return Replay(value["batch"], _scored(value["scored"]), date.fromisoformat(value["found"]))


def _scored(value: dict[str, Any]) -> Scored:
    contender = contender_of(value["contender"]) if value["contender"] else None
    note = value.get("note")  # manifests from before notes existed have no such key
    return Scored(value["version"], contender, _parts(value["parts"]), value["failure"], note)


def contender_of(value: dict[str, Any]) -> Contender:
    """The contender in this JSON object."""
    learned = value["trained_through"]
    return Contender(**{**value, "trained_through": date.fromisoformat(learned) if learned else None})


def _parts(values: list[dict[str, Any]]) -> tuple[Part, ...]:
    return tuple(Part(**v) for v in values)
