"""The log of decisions: one small create-only entry for each, so that an edited, missing or reordered decision shows."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass

from analysis.tables.record import canonical_json
from tasks.base.errors import DethroneError
from tasks.base.project import Project
from tasks.store import AlreadyThereError, Store
from tasks.store.chain import entry_key, next_link, require_unbroken

__all__ = ["DecisionLogError", "Entry", "decision_ids", "decision_key", "enter", "entries", "newest_first"]


class DecisionLogError(DethroneError):
    """The log of decisions is not a log any more."""


@dataclass(frozen=True, slots=True)
class Entry:
    """The ``number``-th decision that was taken: its id, the SHA-256 of its record, and the digest of the entry before."""

    number: int
    decision: str
    sha256: str
    predecessor: str | None


def decision_key(project: Project, decision_id: str) -> str:
    """Where the record of a decision lies."""
    return f"{project.name}/decisions/{decision_id}.json"


def decision_ids(store: Store, project: Project) -> list[str]:
    """The ids of all decisions in the store, in the order of their days."""
    prefix = f"{project.name}/decisions/"
    names = (k.removeprefix(prefix) for k in store.keys(prefix))
    return [n.removesuffix(".json") for n in names if "/" not in n]


def enter(store: Store, project: Project, decision_id: str, data: bytes, *, new: bool) -> Entry:
    """Enter a decision, whose record is ``data``, at the end of the log; one that is entered already stays where it is.

    A ``new`` one, whose record was written just now, cannot be. Of two that are entered at once, one gets the next
    number. Raises DecisionLogError.
    """
    while True:
        keys = _keys(store, project)
        last = _read(store, keys[-1]) if keys else None
        done = None if new else next((e for e in newest_first(store, project) if e.decision == decision_id), None)
        if done:
            return done
        number, predecessor = next_link(last)
        following = Entry(number, decision_id, hashlib.sha256(data).hexdigest(), predecessor)
        try:
            store.create(entry_key(_folder(project), number), canonical_json(following))
        except AlreadyThereError:
            continue
        return following


def entries(store: Store, project: Project) -> list[Entry]:
    """The whole log. Raises DecisionLogError if an entry is missing or does not follow the one before."""
    keys = _keys(store, project)
    found = [_read(store, key) for key in keys]
    require_unbroken(store, _folder(project), keys, found, DecisionLogError)
    return found


def newest_first(store: Store, project: Project) -> Iterator[Entry]:
    """The entries from the last one back, each read when it is asked for. Raises DecisionLogError."""
    return (_read(store, key) for key in reversed(_keys(store, project)))


def _folder(project: Project) -> str:
    return f"{project.name}/decisions/log"


def _keys(store: Store, project: Project) -> list[str]:
    return store.keys(_folder(project))


def _read(store: Store, key: str) -> Entry:
    try:
        return Entry(**json.loads(store.read(key)))
    except (ValueError, TypeError) as error:
        msg = f"{store.uri}/{key} is not an entry of the log of decisions; restore it from a backup"
        raise DecisionLogError(msg) from error
