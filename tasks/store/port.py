"""The interface of a store: bytes under keys, and a write that creates a key only if nothing has it.

A store holds bytes under keys (``project/reigns/00000001.json``). Every commit of Dethrone relies on ``create``: of all
writers of a key exactly one succeeds, and readers see its object completely or not at all.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Protocol

from tasks.base.errors import DethroneError

__all__ = [
    "AlreadyThereError", "NotThereError", "Store", "StoreError", "StoredObject", "UnknownOutcomeError", "UnsafeStoreError",
    "is_key", "key_parts",
]  # fmt: skip


class StoreError(DethroneError):
    """The store cannot do what was asked."""


class NotThereError(StoreError):
    """No object has this key."""


class AlreadyThereError(StoreError):
    """``create`` found that the key is taken, by another writer or by an earlier write of this one."""


class UnknownOutcomeError(StoreError):
    """The write may have been stored, or may still be. Run again: a new run first reads what is stored."""


class UnsafeStoreError(StoreError):
    """The store's ``create`` overwrites existing objects, so nothing may be committed to it."""


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An object of a listing: its size in bytes, and when it came or last changed.

    Where one file has several names, they share its ``identity``. ``key`` is no key if a part of it is hidden. ``etag`` is in most
    stores in S3 the MD5 of its bytes, in hex; a directory tells none.
    """

    key: str
    size: int
    changed: datetime
    identity: tuple[int, int] | None = None
    etag: str | None = None


class Store(Protocol):
    """Bytes under keys. Keys are relative paths with forward slashes; half-written objects are never visible.

    Every method raises StoreError if the store fails.
    """

    @property
    def uri(self) -> str:
        """The place of the store, for messages and reports."""

    def read(self, key: str) -> bytes:
        """The object's bytes. Raises NotThereError."""

    def write(self, key: str, data: bytes) -> None:
        """Create or replace the object, atomically."""

    def create(self, key: str, data: bytes) -> None:
        """Write the object if no object has this key, atomically.

        Returns only if this call wrote it. Raises AlreadyThereError if the key is taken, UnknownOutcomeError if the
        write may have been stored or may still be. After any other StoreError nothing was written.
        """

    def delete(self, key: str) -> None:
        """Remove the object; do nothing if no object has this key."""

    def keys(self, prefix: str) -> list[str]:
        """All keys below the folder ``prefix``, at any depth, sorted."""

    def folders(self, prefix: str) -> list[str]:
        """The names of the folders in the folder ``prefix`` that hold a key at any depth, sorted; maybe also of some that held one."""

    def objects(self, prefix: str) -> list[StoredObject]:
        """All objects below the folder ``prefix``, sorted by their keys; unlike in ``keys``, also hidden ones."""

    def read_start(self, key: str, size: int) -> bytes:
        """The first ``size`` bytes of the object, or all of it if it is shorter. Raises NotThereError."""

    def local(self, key: str) -> AbstractContextManager[Path]:
        """A local file with the object's bytes, to be read while the context lasts. Raises NotThereError."""


def key_parts(key: str) -> tuple[str, ...]:
    """The parts of a key. Raises StoreError if it is not valid: no key leads out of the store or to a hidden file."""
    parts = PurePosixPath(key).parts
    if not parts or "/".join(parts) != key or "\0" in key or any(p.startswith(".") for p in parts):
        msg = f"{key!r} is not a key: keys are relative, and no part of a key is empty or begins with a dot"
        raise StoreError(msg)
    return parts


def is_key(name: str) -> bool:
    """Whether an object of this name belongs to the store: hidden objects and folder markers of other tools do not."""
    try:
        key_parts(name)
    except StoreError:
        return False
    return True
