"""The log of decisions: one small create-only entry per decision, so that an edited, missing or reordered one is found."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from analysis.tables.record import canonical_json
from tasks.base.errors import DamagedError, DethroneError
from tasks.store import AlreadyThereError, NotThereError, Store
from tasks.store.chain import entry_key, next_link, require_unbroken

__all__ = [
    "DecisionLogError", "Entry", "UnknownDecisionError", "append_entry", "decision_ids", "entries", "newest_first", "read_record",
    "record_key",
]  # fmt: skip


class DecisionLogError(DethroneError):
    """The log of decisions is damaged."""


class UnknownDecisionError(DethroneError):
    """No decision has this id."""


@dataclass(frozen=True, slots=True)
class Entry:
    """The ``number``-th decision: its id, the SHA-256 of its record, and the digest of the entry before."""

    number: int
    decision: str
    sha256: str
    predecessor: str | None


def record_key(project_name: str, decision_id: str) -> str:
    """The key of the record of a decision."""
    return f"{project_name}/decisions/{decision_id}.json"


def read_record(store: Store, project_name: str, decision_id: str) -> dict[str, Any]:
    """The record of a decision. Raises UnknownDecisionError, DamagedError."""
    key = record_key(project_name, decision_id)
    try:
        record: dict[str, Any] = json.loads(store.read(key))
    except ValueError as error:
        msg = f"{store.uri}: {key} cannot be read as the record of a decision; restore it from a backup"
        raise DamagedError(msg) from error
    except NotThereError:
        msg = f"project {project_name} has no decision {decision_id}; name one of those below {store.uri}/{project_name}/decisions/"
        raise UnknownDecisionError(msg) from None
    return record


def decision_ids(store: Store, project_name: str) -> list[str]:
    """The ids of all recorded decisions, in the order of their days."""
    prefix = f"{project_name}/decisions/"
    names = (k.removeprefix(prefix) for k in store.keys(prefix))
    return [n.removesuffix(".json") for n in names if "/" not in n]


def append_entry(store: Store, project_name: str, decision_id: str, data: bytes, *, new: bool) -> Entry:
    """Append the entry of a decision, whose record is ``data``; returns the entry that exists if there is one.

    There is none of a ``new`` decision, whose record was written just now. If another run takes the number, the next number is
    tried. Raises DecisionLogError.
    """
    while True:
        keys = _keys(store, project_name)
        last = _read(store, keys[-1]) if keys else None
        existing = (
            None if new else next((e for e in newest_first(store, project_name) if e.decision == decision_id), None)
        )
        if existing:
            return existing
        number, predecessor = next_link(last)
        entry = Entry(number, decision_id, hashlib.sha256(data).hexdigest(), predecessor)
        try:
            store.create(entry_key(_folder(project_name), number), canonical_json(entry))
        except AlreadyThereError:
            continue
        return entry


def entries(store: Store, project_name: str) -> list[Entry]:
    """All entries, oldest first. Raises DecisionLogError if one is missing or does not follow the one before."""
    keys = _keys(store, project_name)
    log = [_read(store, key) for key in keys]
    require_unbroken(store, _folder(project_name), keys, log, DecisionLogError)
    return log


def newest_first(store: Store, project_name: str) -> Iterator[Entry]:
    """The entries, newest first, each read only when it is needed. Raises DecisionLogError."""
    return (_read(store, key) for key in reversed(_keys(store, project_name)))


def _folder(project_name: str) -> str:
    return f"{project_name}/decisions/log"


def _keys(store: Store, project_name: str) -> list[str]:
    return store.keys(_folder(project_name))


def _read(store: Store, key: str) -> Entry:
    try:
        return Entry(**json.loads(store.read(key)))
    except (ValueError, TypeError) as error:
        msg = f"{store.uri}/{key} cannot be read as an entry of the log of decisions; restore it from a backup"
        raise DecisionLogError(msg) from error
