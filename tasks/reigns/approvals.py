"""Denials: promotions that a person did not approve. They are stored once, beside the decisions."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Sequence
from dataclasses import dataclass

from analysis.tables.record import canonical_json
from tasks.base.errors import DamagedError
from tasks.base.markdown import escape
from tasks.store import AlreadyThereError, NotThereError, Store

__all__ = ["Denial", "denials", "denials_list", "deny", "read_denial"]


@dataclass(frozen=True, slots=True)
class Denial:
    """Who denied the promotion that a decision calls for, and why."""

    decision: str
    author: str
    reason: str

    def __str__(self) -> str:
        return f"decision {self.decision} was denied by {self.author}: {' '.join(self.reason.split())}"


def deny(store: Store, project_name: str, decision_id: str, author: str, reason: str) -> Denial:
    """Store a denial with one create-only write; returns the first denial of this decision, which stays in force."""
    with contextlib.suppress(AlreadyThereError):  # denied before, by another person or by this run before it was killed
        store.create(_key(project_name, decision_id), canonical_json(Denial(decision_id, author, reason)))
    denial = read_denial(store, project_name, decision_id)
    assert denial is not None
    return denial


def read_denial(store: Store, project_name: str, decision_id: str) -> Denial | None:
    """The denial of this decision's promotion; None if there is none. Raises DamagedError."""
    key = _key(project_name, decision_id)
    try:
        return Denial(**json.loads(store.read(key)))
    except NotThereError:
        return None
    except (ValueError, TypeError) as error:
        msg = f"{store.uri}: {key} cannot be read as a denial; restore it from a backup"
        raise DamagedError(msg) from error


def denials(store: Store, project_name: str) -> list[Denial]:
    """All denials, in the order of the decisions' days. Raises DamagedError."""
    prefix = f"{project_name}/approvals/"
    ids = [k.removeprefix(prefix).removesuffix(".json") for k in store.keys(prefix)]
    return [d for i in sorted(ids) if (d := read_denial(store, project_name, i))]


def denials_list(denials: Sequence[Denial]) -> str:
    """The denials as a list in markdown; empty text if there are none."""
    return "\n".join(f"- {escape(f'{str(d)[:1].upper()}{str(d)[1:]}')}" for d in denials)


def _key(project_name: str, decision_id: str) -> str:
    return f"{project_name}/approvals/{decision_id}.json"
