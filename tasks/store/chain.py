"""Logs of numbered, create-only entries. Each entry holds the digest of the one before it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from analysis.tables.record import digest
from tasks.base.errors import DethroneError
from tasks.store.port import Store

__all__ = ["Linked", "entry_key", "next_link", "require_unbroken"]


class Linked(Protocol):
    """An entry of such a log."""

    @property
    def number(self) -> int:
        """Its number, counted from 1."""

    @property
    def predecessor(self) -> str | None:
        """The digest of the entry before it; None for the first."""


def entry_key(folder: str, number: int) -> str:
    """The key of an entry."""
    return f"{folder}/{number:08}.json"


def next_link(before: Linked | None) -> tuple[int, str | None]:
    """The number and the predecessor of the entry after ``before``; None stands for an empty log."""
    return (before.number + 1, digest(before)) if before else (1, None)


def require_unbroken(
    store: Store, folder: str, keys: Sequence[str], entries: Sequence[Linked], error: type[DethroneError]
) -> None:
    """Raise ``error`` if an entry is missing, has another entry's number, or does not follow the one before it."""
    before: Linked | None = None
    for number, (key, entry) in enumerate(zip(keys, entries, strict=True), start=1):
        if key != entry_key(folder, number) or (entry.number, entry.predecessor) != next_link(before):
            msg = f"{store.uri}/{folder}: entry {number} is missing or was changed; restore the log from a backup"
            raise error(msg)
        before = entry
