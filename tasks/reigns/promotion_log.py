"""The promotion log: one create-only entry per reign, oldest first, never rewritten."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal

from analysis.tables.record import canonical_json
from tasks.base.errors import DethroneError
from tasks.store import AlreadyThereError, Store
from tasks.store.chain import entry_key, next_link, require_unbroken

__all__ = ["LogError", "Reign", "SupersededError", "commit", "head", "judged_on", "reign_after", "reigns"]

Kind = Literal["enthronement", "promotion", "rollback"]


class LogError(DethroneError):
    """The promotion log is empty or damaged, or does not allow the entry."""


class SupersededError(LogError):
    """Another reign was committed first, and nothing was changed. Judge again."""


@dataclass(frozen=True, slots=True)
class Reign:
    """One entry of the log: the version that leads, the day since when, and the decision that the promotion rests on.

    ``predecessor`` is the digest of the entry before, so that a missing or edited entry is found.
    """

    number: int
    version: str
    run_id: str
    since: date
    kind: Kind
    decision: str | None
    author: str
    reason: str
    predecessor: str | None


def reigns(store: Store, project_name: str) -> list[Reign]:
    """All entries of the log, oldest first. Raises LogError if one is missing or does not follow the one before."""
    folder = _folder(project_name)
    keys = store.keys(folder)
    entries = [_read(store, key) for key in keys]
    require_unbroken(store, folder, keys, entries, LogError)
    return entries


def head(store: Store, project_name: str) -> Reign:
    """The newest reign, whose version leads now. Raises LogError if there is none yet."""
    return _not_empty(store, project_name)[-1]


def _not_empty(store: Store, project_name: str) -> list[Reign]:
    entries = reigns(store, project_name)
    if not entries:
        command = f"python -m flows.enthrone {project_name} VERSION --author YOU"
        msg = (
            f"project {project_name} has no champion yet; name the first with: {command}; "
            f"or, if it has one, correct 'store' in the project file, which is {store.uri}"
        )
        raise LogError(msg)
    return entries


def judged_on(store: Store, project_name: str, day: date) -> Reign:
    """The reign that is judged as of this day: the newest that began before it, or else the first. Raises LogError.

    A promotion takes effect after its own day, so the judgement that led to it can be repeated on the same day.
    """
    entries = _not_empty(store, project_name)
    return next(r for r in reversed(entries) if r.since < day or r.number == 1)


def reign_after(
    before: Reign | None,
    *,
    version: str,
    run_id: str,
    since: date,
    kind: Kind,
    decision: str | None,
    author: str,
    reason: str,
) -> Reign:
    """The entry that follows ``before`` in the log; None: the first. Raises LogError if it would begin earlier than ``before``."""
    if before and since < before.since:
        msg = f"a reign since {since} cannot follow reign {before.number}, which began on {before.since}; correct the date"
        raise LogError(msg)
    number, predecessor = next_link(before)
    return Reign(
        number=number,
        version=version,
        run_id=run_id,
        since=since,
        kind=kind,
        decision=decision,
        author=author,
        reason=reason,
        predecessor=predecessor,
    )


def commit(store: Store, project_name: str, reign: Reign) -> Reign:
    """Write the next entry of the log; only this makes a version the champion. Returns the reign.

    To commit the same reign again changes nothing. Raises SupersededError if another entry has its number.
    """
    key = entry_key(_folder(project_name), reign.number)
    try:
        store.create(key, canonical_json(reign))
    except AlreadyThereError:
        committed = _read(store, key)
        if committed != reign:
            msg = (
                f"reign {reign.number} of project {project_name} already belongs to version {committed.version} "
                f"({committed.kind} by {committed.author}); version {reign.version} was not made champion; judge again"
            )
            raise SupersededError(msg) from None
    return reign


def _folder(project_name: str) -> str:
    return f"{project_name}/reigns"


def _read(store: Store, key: str) -> Reign:
    try:
        value: dict[str, Any] = json.loads(store.read(key))
        return Reign(**{**value, "since": date.fromisoformat(value["since"])})
    except (ValueError, TypeError, KeyError) as error:
        msg = f"{store.uri}/{key} cannot be read as an entry of the promotion log; restore it from a backup"
        raise LogError(msg) from error
