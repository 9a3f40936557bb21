"""Roll-ups: copies of many small create-only objects in one, so that a look reads a few objects and not all that ever was written.

A roll-up is a zip file, ``<project>/rollups/<its sha256>.zip``:

- ``index.json`` names each object by its key, with its SHA-256 and where its copy lies, and says of which ``origin`` they are;
- ``documents`` has the bytes of JSON objects, one after the other;
- ``tables/<n>.parquet`` have the rows of Parquet objects, one after the other, with the columns of all.

Records of decisions are long, and only the last is read again, so that a roll-up does not have those of the ones that it takes in.
Roll-ups are for speed only: each can be removed, and what it holds is then read one by one.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import polars as pl

from tasks.store.port import NotThereError, Store

__all__ = ["DamagedRollupError", "Rollup", "StoredFrame", "copy_faults", "pack", "unpack"]

_INDEX, _DOCUMENTS = "index.json", "documents"
_MOST_TABLES = 32  # before those with different columns share one, from which columns must be taken out again
_RECORD = re.compile(r"[^/]+/decisions/[^/]+\.json")
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the same content gives the same bytes


class DamagedRollupError(Exception):
    """The bytes are not those of a roll-up."""


@dataclass(frozen=True, slots=True)
class StoredFrame:
    """The frame in a Parquet object, and the SHA-256 of the object's bytes."""

    frame: pl.DataFrame
    sha256: str


class Rollup:
    """The objects in one roll-up: ``documents`` are bytes by key, ``frames`` are named by their keys and cut out when asked for.

    ``size`` is that of the roll-up, in bytes.
    """

    def __init__(
        self, data: bytes, origin: str, documents: Mapping[str, bytes], frames: Mapping[str, Sequence[Any]]
    ) -> None:
        self.size, self.origin, self.documents, self._frames = len(data), origin, documents, frames
        self._archive = zipfile.ZipFile(io.BytesIO(data))
        self._tables: dict[int, pl.DataFrame] = {}
        self.keys = frozenset((*documents, *frames))

    def places(self) -> list[tuple[pl.DataFrame, dict[str, Sequence[Any]]]]:
        """Each table, with what its rows are: as in the index, by key."""
        found: dict[int, dict[str, Sequence[Any]]] = {}
        for key, place in self._frames.items():
            found.setdefault(place[1], {})[key] = place
        return [(self._table(number), places) for number, places in sorted(found.items())]

    @property
    def is_uniform(self) -> bool:
        """Whether each table has the columns of its frames, and no more; earlier roll-ups have tables with those of all."""
        return all(columns == table.columns for table, rows in self.places() for *_, columns in rows.values())

    def frame(self, key: str) -> StoredFrame | None:
        """The frame in this object; None if the roll-up does not have it."""
        if key not in self._frames:
            return None
        sha256, table, start, height, columns = self._frames[key]
        rows = self._table(table).slice(start, height)
        return StoredFrame(rows if rows.columns == columns else rows.select(columns), sha256)

    def _table(self, number: int) -> pl.DataFrame:
        if number not in self._tables:
            self._tables[number] = pl.read_parquet(io.BytesIO(self._archive.read(_table(number))))
        return self._tables[number]


def pack(
    documents: Mapping[str, bytes],
    frames: Mapping[str, StoredFrame],
    origin: str = "",
    taken_in: Sequence[Rollup] = (),
) -> bytes:
    """The bytes of a roll-up of these objects, and of those in the roll-ups ``taken_in``.

    ``origin`` tells a project from one that was begun anew in the same place.
    """
    blob = io.BytesIO()
    places = {}
    kept = {k: d for r in taken_in for k, d in r.documents.items() if not _RECORD.fullmatch(k)}
    documents = kept | dict(documents)
    whole: list[Rollup] = []  # whose tables are appended as they are, which is much faster
    for rollup in taken_in:
        if rollup.is_uniform and all(
            rollup.keys.isdisjoint(r.keys) for r in whole
        ):  # two runs can copy the same objects
            whole.append(rollup)
    done = frozenset[str]().union(*(r.keys for r in whole))
    apart = {k: f for r in taken_in if r not in whole for k in r.keys - done if (f := r.frame(k))}
    frames = {**apart, **frames}
    for key, data in sorted(documents.items()):
        places[key] = [hashlib.sha256(data).hexdigest(), blob.tell(), len(data)]
        blob.write(data)
    tables: list[_Table] = []
    positions: dict[str, Sequence[Any]] = {}
    for rows_of_many, rows in (p for r in whole for p in r.places()):
        number, first = _append(tables, rows_of_many)
        positions |= {
            k: [sha256, number, first + start, height, columns]
            for k, (sha256, _, start, height, columns) in rows.items()
        }
    for key, stored in sorted(frames.items()):
        number, start = _append(tables, stored.frame)
        positions[key] = [stored.sha256, number, start, stored.frame.height, stored.frame.columns]
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        index = json.dumps({"origin": origin, "documents": places, "frames": positions}).encode()
        _add(archive, _INDEX, index, zipfile.ZIP_DEFLATED)
        _add(archive, _DOCUMENTS, blob.getvalue(), zipfile.ZIP_DEFLATED)
        for number, table in enumerate(tables):
            _add(archive, _table(number), table.parquet(), zipfile.ZIP_STORED)
    return packed.getvalue()


def unpack(data: bytes, sha256: str) -> Rollup:
    """The roll-up in these bytes. Raises DamagedRollupError if they do not have this digest, or are no roll-up."""
    if hashlib.sha256(data).hexdigest() != sha256:
        raise DamagedRollupError
    try:
        archive = zipfile.ZipFile(io.BytesIO(data))
        index = json.loads(archive.read(_INDEX))
        blob = archive.read(_DOCUMENTS)
        documents = {key: blob[start : start + length] for key, (_, start, length) in index["documents"].items()}
        return Rollup(data, index["origin"], documents, index["frames"])
    except (zipfile.BadZipFile, ValueError, KeyError, TypeError) as error:
        raise DamagedRollupError from error


def _append(tables: list[_Table], frame: pl.DataFrame) -> tuple[int, int]:
    """Append a frame to the table with its columns, or if there are many tables, to one with other columns too, or to a new one.

    Returns the number of the table, and that of the frame's first row.
    """
    number = next((i for i, t in enumerate(tables) if t.schema == list(frame.schema.items())), len(tables))
    if number == len(tables) >= _MOST_TABLES:
        number = next((i for i, t in enumerate(tables) if t.takes(frame)), number)
    if number == len(tables):
        tables.append(_Table())
    return number, tables[number].add(frame)


class _Table:
    """Frames one after the other. They may have different columns, but no column has two types."""

    def __init__(self) -> None:
        self._frames: list[pl.DataFrame] = []
        self._schema: dict[str, pl.DataType] = {}
        self._height = 0

    @property
    def schema(self) -> list[tuple[str, pl.DataType]]:
        return list(self._schema.items())

    def takes(self, frame: pl.DataFrame) -> bool:
        known = self._schema
        return bool(known.keys() & frame.schema.keys()) and all(known.get(c, t) == t for c, t in frame.schema.items())

    def add(self, frame: pl.DataFrame) -> int:
        """Append the frame; returns the number of its first row."""
        start = self._height
        self._frames.append(frame)
        self._schema |= frame.schema
        self._height += frame.height
        return start

    def parquet(self) -> bytes:
        buffer = io.BytesIO()
        pl.concat(self._frames, how="diagonal").write_parquet(buffer)
        return buffer.getvalue()


def _table(number: int) -> str:
    return f"tables/{number}.parquet"


def _add(archive: zipfile.ZipFile, name: str, data: bytes, compression: int) -> None:
    info = zipfile.ZipInfo(name, _EPOCH)
    info.compress_type = compression
    archive.writestr(info, data)


def copy_faults(store: Store, name: str) -> list[str]:
    """A sentence for each object of which the roll-up ``name`` has another copy than the store has, or one that the store has lost."""
    data = store.read(name)
    try:
        rollup = unpack(data, PurePosixPath(name).stem)
    except DamagedRollupError:
        return [f"{name} is damaged; remove it"]
    faults = []
    for key in sorted(k for k in rollup.keys if "/footers/" not in k):  # notes, of which there is no original
        try:
            original = store.read(key)
        except NotThereError:
            faults.append(f"{key} is missing, of which {name} has a copy; restore it from a backup")
            continue
        if not _is_copy(rollup, key, original):
            faults.append(
                f"{name} has another copy of {key} than the store; restore that from a backup, or remove the roll-up"
            )
    return faults


def _is_copy(rollup: Rollup, key: str, original: bytes) -> bool:
    stored = rollup.frame(key)
    if stored is None:
        return rollup.documents[key] == original
    same = hashlib.sha256(original).hexdigest() == stored.sha256
    return same and pl.read_parquet(io.BytesIO(original)).equals(stored.frame)
