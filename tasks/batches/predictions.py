"""Predictions of every version for every row of a batch, and the manifest that commits them."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import date
from io import BytesIO
from typing import Any

import polars as pl

from analysis.evidence import Contender
from analysis.tables.record import canonical_json, plain
from tasks.base.errors import DamagedError, DeletedError
from tasks.store import NotThereError, Store

__all__ = [
    "BatchFile", "DamagedError", "DeletedError", "Manifest", "Part", "Scored", "commit_manifest", "contender_of",
    "manifest_bytes", "manifest_key", "manifests", "parse_manifest", "read_manifest", "read_parts", "scored_batches",
]  # fmt: skip


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
class Manifest:
    """A scored batch: its rows, versions and reign. A batch is scored if and only if its manifest exists.

    ``files`` tell rows that came later from those that were scored; a copy of a store keeps their names and sizes, and no times.
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
    value = plain(manifest)
    if value["files"] is None:
        del value["files"]
    for s in value["scored"]:
        if s["note"] is None:
            del s["note"]
    return canonical_json(value)


def commit_manifest(store: Store, project_name: str, manifest: Manifest) -> None:
    """Write the manifest, which makes the batch scored. Raises AlreadyThereError if it is scored already."""
    store.create(manifest_key(project_name, manifest.batch), manifest_bytes(manifest))


def read_manifest(store: Store, project_name: str, batch: str) -> Manifest | None:
    """The manifest of a batch; None if it is not scored. Raises DamagedError."""
    try:
        return _manifest_at(store, manifest_key(project_name, batch))
    except NotThereError:
        return None


def scored_batches(store: Store, project_name: str) -> list[str]:
    """The ids of all scored batches, sorted."""
    prefix, suffix = f"{project_name}/predictions/", "/manifest.json"
    return [k.removeprefix(prefix).removesuffix(suffix) for k in store.keys(prefix) if k.endswith(suffix)]


def manifests(store: Store, project_name: str) -> list[Manifest]:
    """The manifests of all scored batches, by date. Raises DamagedError."""
    unsorted = (_manifest_at(store, manifest_key(project_name, b)) for b in scored_batches(store, project_name))
    return sorted(unsorted, key=lambda m: (m.date, m.batch))


def _manifest_at(store: Store, key: str) -> Manifest:
    data = store.read(key)
    try:
        return parse_manifest(data)
    except (ValueError, KeyError, TypeError) as error:
        msg = f"{store.uri}: {key} cannot be read as a manifest; restore it from a backup"
        raise DamagedError(msg) from error


def parse_manifest(data: bytes) -> Manifest:
    """The manifest in these bytes. Raises ValueError, KeyError or TypeError if they do not hold one."""
    value: dict[str, Any] = json.loads(data)
    scored = tuple(
        Scored(
            s["version"],
            contender_of(s["contender"]) if s["contender"] else None,
            _parts(s["parts"]),
            s["failure"],
            s.get("note"),  # manifests from before notes existed have no such key
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
            "files": tuple(BatchFile(**f) for f in value["files"]) if "files" in value else None,
        }
    )


def contender_of(value: dict[str, Any]) -> Contender:
    """The contender in this JSON object."""
    learned = value["trained_through"]
    return Contender(**{**value, "trained_through": date.fromisoformat(learned) if learned else None})


def _parts(values: list[dict[str, Any]]) -> tuple[Part, ...]:
    return tuple(Part(**v) for v in values)
