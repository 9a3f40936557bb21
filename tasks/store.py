"""The store: where rows, predictions, tallies, decisions, reports and the promotion log live.

A store holds bytes under keys (``project/reigns/00000001.json``). Everything that Dethrone commits rests on one
promise, ``create``: of any number of writers of a key exactly one succeeds, and what it wrote is never half there.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Protocol

import polars as pl

from tasks.errors import DethroneError

__all__ = ["AlreadyThereError", "DirectoryStore", "NotThereError", "Store", "StoreError", "open_store"]


class StoreError(DethroneError):
    """The store cannot do what was asked."""


class NotThereError(StoreError):
    """No object has this key."""


class AlreadyThereError(StoreError):
    """``create`` found the key taken: somebody else's write, or an earlier one of ours, came first."""


class Store(Protocol):
    """What Dethrone asks of a store. Keys are relative, with forward slashes; ``keys`` sees only whole objects."""

    @property
    def uri(self) -> str:
        """Where the store is, for messages and reports."""

    def read(self, key: str) -> bytes:
        """The object's bytes. Raises NotThereError."""

    def write(self, key: str, data: bytes) -> None:
        """Replace the object, all of it or nothing."""

    def create(self, key: str, data: bytes) -> None:
        """Write the object if nothing has this key. Raises AlreadyThereError, having changed nothing."""

    def delete(self, key: str) -> None:
        """Remove the object if it is there."""

    def keys(self, prefix: str) -> list[str]:
        """The keys below ``prefix`` (a folder), sorted."""

    def scan_parquet(self, keys: Sequence[str]) -> pl.LazyFrame:
        """The rows of several Parquet objects, lazily, in the order of ``keys``."""


def open_store(uri: str) -> Store:
    """The store at ``uri``: a directory, made if it is not there."""
    if "://" in uri:
        scheme = uri.split("://", 1)[0]
        msg = f"store: no store is known for '{scheme}://'; name a directory"
        raise StoreError(msg)
    return DirectoryStore(Path(uri))


class DirectoryStore:
    """A store in a directory of a local file system that has hard links."""

    def __init__(self, root: Path) -> None:
        self._root = root.absolute()

    @property
    def uri(self) -> str:
        return str(self._root)

    def read(self, key: str) -> bytes:
        try:
            return self._path(key).read_bytes()
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
            msg = f"{self.uri}: there is no {key}"
            raise NotThereError(msg) from None

    def write(self, key: str, data: bytes) -> None:
        with self._staged(key, data) as (staged, path):
            staged.replace(path)
            _sync(path.parent)

    def create(self, key: str, data: bytes) -> None:
        with self._staged(key, data) as (staged, path):
            try:
                os.link(staged, path)  # the kernel lets one of any number of linkers win
            except FileExistsError:
                msg = f"{self.uri}: {key} is already there"
                raise AlreadyThereError(msg) from None
            _sync(path.parent)

    def delete(self, key: str) -> None:
        self._path(key).unlink(missing_ok=True)

    def keys(self, prefix: str) -> list[str]:
        folder = self._path(prefix.removesuffix("/"))
        found = (p.relative_to(self._root) for p in folder.rglob("*") if p.is_file())
        return sorted(p.as_posix() for p in found if not any(part.startswith(".") for part in p.parts))

    def scan_parquet(self, keys: Sequence[str]) -> pl.LazyFrame:
        return pl.scan_parquet([self._path(k) for k in keys], glob=False)

    def _path(self, key: str) -> Path:
        parts = PurePosixPath(key).parts
        if not parts or "/".join(parts) != key or "\0" in key or any(p.startswith(".") for p in parts):
            msg = f"{key!r} is not a key: keys are relative, and no part of one is empty or begins with a dot"
            raise StoreError(msg)
        return self._root.joinpath(*parts)

    @contextlib.contextmanager
    def _staged(self, key: str, data: bytes) -> Iterator[tuple[Path, Path]]:
        """A durable hidden copy of ``data`` beside its place; readers never see it, and it goes whatever happens."""
        path = self._path(key)
        path.parent.mkdir(parents=True, exist_ok=True)
        staged = path.parent / f".{path.name}.{secrets.token_hex(6)}"
        try:
            with staged.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            yield staged, path
        finally:
            staged.unlink(missing_ok=True)


def _sync(folder: Path) -> None:
    """Make the directory entry itself survive a power failure."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
