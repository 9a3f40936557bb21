"""Predictions: what each version said of each row of a batch, and the manifest that commits them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from io import BytesIO
from pathlib import Path
from typing import Any

import polars as pl

from analysis.evidence import Contender
from analysis.tables.record import canonical_json, plain
from tasks.base.errors import DamagedError, DeletedError
from tasks.base.project import Project
from tasks.store import NotThereError, Store

__all__ = [
    "DamagedError", "DeletedError", "Manifest", "Part", "Scored", "Staging", "commit_manifest", "contender_of", "manifest_bytes",
    "manifest_key", "manifests", "parse_manifest", "read_manifest", "read_parts",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Part:
    """One Parquet file of a file set."""

    key: str
    sha256: str
    rows: int


@dataclass(frozen=True, slots=True)
class Scored:
    """What one version did with a batch: its predictions, or why it has none; ``note`` is what is odd about them."""

    version: str
    contender: Contender | None
    parts: tuple[Part, ...]
    failure: str | None
    note: str | None = None


@dataclass(frozen=True, slots=True)
class Manifest:
    """What was scored by whom under which reign. Its presence means that the batch is scored, whole and for good."""

    batch: str
    date: date
    reign: int
    champion: str
    rows: int
    columns: tuple[str, ...]
    rows_digest: str
    parts: tuple[Part, ...]
    scored: tuple[Scored, ...]

    def contenders(self) -> dict[str, Contender]:
        """The versions that scored the batch, as they were then."""
        return {s.version: s.contender for s in self.scored if s.contender and not s.failure}

    def versions(self) -> list[str]:
        """The versions that scored the batch."""
        return [s.version for s in self.scored if s.failure is None]


class Staging:
    """Parts written to a local folder first, so that a batch that fails leaves nothing in the store."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def add(self, prefix: str, number: int, frame: pl.DataFrame) -> Part:
        """Stage one file. Its key holds its digest, so no two runs ever write different bytes under one key."""
        buffer = BytesIO()
        frame.write_parquet(buffer)
        data = buffer.getvalue()
        sha256 = hashlib.sha256(data).hexdigest()
        part = Part(f"{prefix}/part-{number:05}-{sha256[:12]}.parquet", sha256, frame.height)
        (self._folder / sha256).write_bytes(data)
        return part

    def upload(self, store: Store, parts: Iterable[Part]) -> None:
        for part in parts:
            store.write(part.key, (self._folder / part.sha256).read_bytes())


def read_parts(store: Store, parts: tuple[Part, ...]) -> pl.DataFrame:
    """The rows of a file set, each file checked against its digest. Raises DamagedError."""
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


def manifest_key(project: Project, batch: str) -> str:
    """Where the manifest of a batch lies."""
    return f"{project.name}/predictions/{batch}/manifest.json"


def manifest_bytes(manifest: Manifest) -> bytes:
    """The manifest as it is kept; without notes it has the bytes that it had before there were any."""
    value = plain(manifest)
    for s in value["scored"]:
        if s["note"] is None:
            del s["note"]
    return canonical_json(value)


def commit_manifest(store: Store, project: Project, manifest: Manifest) -> None:
    """Make the batch scored. Raises AlreadyThereError if it is."""
    store.create(manifest_key(project, manifest.batch), manifest_bytes(manifest))


def read_manifest(store: Store, project: Project, batch: str) -> Manifest | None:
    """The manifest of a batch, or None if it is not scored. Raises DamagedError."""
    try:
        return _manifest_at(store, manifest_key(project, batch))
    except NotThereError:
        return None


def manifests(store: Store, project: Project) -> list[Manifest]:
    """All scored batches, by date. Raises DamagedError."""
    prefix = f"{project.name}/predictions"
    found = [k for k in store.keys(prefix) if k.endswith("/manifest.json")]
    return sorted((_manifest_at(store, k) for k in found), key=lambda m: (m.date, m.batch))


def _manifest_at(store: Store, key: str) -> Manifest:
    data = store.read(key)
    try:
        return parse_manifest(data)
    except (ValueError, KeyError, TypeError) as error:
        msg = f"{store.uri}: {key} is not a manifest any more; restore it from a backup"
        raise DamagedError(msg) from error


def parse_manifest(data: bytes) -> Manifest:
    """The manifest that these bytes are."""
    value: dict[str, Any] = json.loads(data)
    scored = tuple(
        Scored(
            s["version"],
            contender_of(s["contender"]) if s["contender"] else None,
            _parts(s["parts"]),
            s["failure"],
            s.get("note"),  # manifests from before there were any have none
        )
        for s in value["scored"]
    )
    return Manifest(
        **{
            **value,
            "date": date.fromisoformat(value["date"]),
            "columns": tuple(value["columns"]),
            "parts": _parts(value["parts"]),
            "scored": scored,
        }
    )


def contender_of(value: dict[str, Any]) -> Contender:
    """The contender that this JSON object is."""
    learned = value["trained_through"]
    return Contender(**{**value, "trained_through": date.fromisoformat(learned) if learned else None})


def _parts(values: list[dict[str, Any]]) -> tuple[Part, ...]:
    return tuple(Part(**v) for v in values)
