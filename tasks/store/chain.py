"""Logs of numbered, create-only entries, each of which carries the digest of the one before it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from analysis.tables.record import digest
from tasks.base.errors import DethroneError
from tasks.store.port import Store

__all__ = ["Linked", "entry_key", "link", "require_whole"]


class Linked(Protocol):
    """An entry of a log, counted from 1."""

    @property
    def number(self) -> int:
        """Its place."""

    @property
    def predecessor(self) -> str | None:
        """The digest of the entry before it; None for the first."""


def entry_key(folder: str, number: int) -> str:
    """Where an entry lies."""
    return f"{folder}/{number:08}.json"


def link(before: Linked | None) -> tuple[int, str | None]:
    """The number and the predecessor of the entry that follows ``before``."""
    return (before.number + 1, digest(before)) if before else (1, None)


def require_whole(
    store: Store, folder: str, keys: Sequence[str], entries: Sequence[Linked], error: type[DethroneError]
) -> None:
    """Raise ``error`` if an entry is missing, lies in another's place, or does not follow the one before."""
    before: Linked | None = None
    for number, (key, entry) in enumerate(zip(keys, entries, strict=True), start=1):
        if key != entry_key(folder, number) or (entry.number, entry.predecessor) != link(before):
            msg = f"{store.uri}/{folder}: entry {number} is missing or was changed; restore the log from a backup"
            raise error(msg)
        before = entry
