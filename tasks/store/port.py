"""What a store is: bytes under keys, and a write that one of any number of writers wins.

A store holds bytes under keys (``project/reigns/00000001.json``). Everything that Dethrone commits rests on one
promise, ``create``: of any number of writers of a key exactly one succeeds, and what it wrote is never half there.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Protocol

import polars as pl

from tasks.base.errors import DethroneError

__all__ = [
    "AlreadyThereError", "NotThereError", "Store", "StoreError", "UnknownOutcomeError", "UnsafeStoreError", "key_parts",
]  # fmt: skip


class StoreError(DethroneError):
    """The store cannot do what was asked."""


class NotThereError(StoreError):
    """No object has this key."""


class AlreadyThereError(StoreError):
    """``create`` found the key taken: somebody else's write, or an earlier one of ours, came first."""


class UnknownOutcomeError(StoreError):
    """The write may have landed or may still land: run again, whoever does so reads first what is there."""


class UnsafeStoreError(StoreError):
    """The store does not keep the promise of ``create``, so nothing may be committed to it."""


class Store(Protocol):
    """What Dethrone asks of a store. Keys are relative, with forward slashes; ``keys`` sees only whole objects.

    Every method raises StoreError if the store does not answer as it should.
    """

    @property
    def uri(self) -> str:
        """Where the store is, for messages and reports."""

    def read(self, key: str) -> bytes:
        """The object's bytes. Raises NotThereError."""

    def write(self, key: str, data: bytes) -> None:
        """Replace the object, all of it or nothing."""

    def create(self, key: str, data: bytes) -> None:
        """Write the object if nothing has this key.

        Returns if this very call wrote it. Raises AlreadyThereError if the key is taken, UnknownOutcomeError if the
        write may have landed or may still land; after any other StoreError nothing was written.
        """

    def delete(self, key: str) -> None:
        """Remove the object if it is there."""

    def keys(self, prefix: str) -> list[str]:
        """The keys below ``prefix`` (a folder), sorted."""

    def scan_parquet(self, keys: Sequence[str]) -> pl.LazyFrame:
        """The rows of several Parquet objects, lazily, in the order of ``keys``."""


def key_parts(key: str) -> tuple[str, ...]:
    """The parts of a key. Raises StoreError for what is no key: none leads out of the store or to a hidden place."""
    parts = PurePosixPath(key).parts
    if not parts or "/".join(parts) != key or "\0" in key or any(p.startswith(".") for p in parts):
        msg = f"{key!r} is not a key: keys are relative, and no part of one is empty or begins with a dot"
        raise StoreError(msg)
    return parts
