"""The promotion log: one create-only entry for each reign, oldest first, never rewritten."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal

from analysis.tables.record import canonical_json
from tasks.base.errors import DethroneError
from tasks.base.project import Project
from tasks.store import AlreadyThereError, Store
from tasks.store.chain import entry_key, next_link, require_unbroken

__all__ = ["LogError", "Reign", "SupersededError", "commit", "following", "head", "judged_on", "reigns"]

Kind = Literal["enthronement", "promotion", "rollback"]


class LogError(DethroneError):
    """The promotion log does not allow what is asked, or is not a log any more."""


class SupersededError(LogError):
    """Somebody else's reign was committed first; nothing was changed. Decide anew."""


@dataclass(frozen=True, slots=True)
class Reign:
    """One entry of the log: which version leads, since when, and by which evidence.

    ``predecessor`` is the digest of the entry before, so that a removed or edited entry shows.
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


def reigns(store: Store, project: Project) -> list[Reign]:
    """The whole log. Raises LogError if an entry is missing or does not follow the one before."""
    folder = _folder(project)
    keys = store.keys(folder)
    entries = [_read(store, key) for key in keys]
    require_unbroken(store, folder, keys, entries, LogError)
    return entries


def head(store: Store, project: Project) -> Reign:
    """The newest reign: who leads now. Raises LogError if there is none yet."""
    return _not_empty(store, project)[-1]


def _not_empty(store: Store, project: Project) -> list[Reign]:
    entries = reigns(store, project)
    if not entries:
        command = f"python -m flows.enthrone {project.name} VERSION --author YOU"
        msg = (
            f"project {project.name} has no champion yet; name the first with: {command}; "
            f"or, if it has one, correct 'store' in the project file, which is {store.uri}"
        )
        raise LogError(msg)
    return entries


def judged_on(store: Store, project: Project, day: date) -> Reign:
    """The reign whose champion is on trial on this day: a promotion takes effect after its own day.

    So a judgement can be repeated at any time, also on the day of the promotion that it led to. Raises LogError.
    """
    entries = _not_empty(store, project)
    return next(r for r in reversed(entries) if r.since < day or r.number == 1)


def following(
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
    """The reign that would follow ``before``. Raises LogError if it would begin before it."""
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


def commit(store: Store, project: Project, reign: Reign) -> Reign:
    """Write the next entry of the log: the one act that makes a champion.

    Committing the same reign again is a no-op. Raises SupersededError if another entry has its number.
    """
    key = entry_key(_folder(project), reign.number)
    try:
        store.create(key, canonical_json(reign))
    except AlreadyThereError:
        there = _read(store, key)
        if there != reign:
            msg = (
                f"reign {reign.number} of project {project.name} already belongs to version {there.version} "
                f"({there.kind} by {there.author}); version {reign.version} was not made champion"
            )
            raise SupersededError(msg) from None
    return reign


def _folder(project: Project) -> str:
    return f"{project.name}/reigns"


def _read(store: Store, key: str) -> Reign:
    try:
        value: dict[str, Any] = json.loads(store.read(key))
        return Reign(**{**value, "since": date.fromisoformat(value["since"])})
    except (ValueError, TypeError, KeyError) as error:
        msg = f"{store.uri}/{key} is not an entry of the promotion log; restore it from a backup"
        raise LogError(msg) from error
