"""Promotions that somebody refused to approve: kept for good, beside the decisions that asked for them."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Sequence
from dataclasses import dataclass

from analysis.tables.record import canonical_json
from tasks.base.errors import DamagedError
from tasks.base.markdown import escape
from tasks.base.project import Project
from tasks.store import AlreadyThereError, NotThereError, Store

__all__ = ["Denial", "denials", "denied", "deny", "refusals"]


@dataclass(frozen=True, slots=True)
class Denial:
    """Who did not approve the promotion that a decision calls for, and why."""

    decision: str
    author: str
    reason: str

    def __str__(self) -> str:
        return f"decision {self.decision} was denied by {self.author}: {' '.join(self.reason.split())}"


def deny(store: Store, project: Project, decision_id: str, author: str, reason: str) -> Denial:
    """Keep a denial; the first one stands. It is one create-only write."""
    with contextlib.suppress(AlreadyThereError):  # said before, by somebody else or by this run before it was killed
        store.create(_key(project, decision_id), canonical_json(Denial(decision_id, author, reason)))
    found = denied(store, project, decision_id)
    assert found is not None
    return found


def denied(store: Store, project: Project, decision_id: str) -> Denial | None:
    """The denial of this decision's promotion, if there is one. Raises DamagedError."""
    key = _key(project, decision_id)
    try:
        return Denial(**json.loads(store.read(key)))
    except NotThereError:
        return None
    except (ValueError, TypeError) as error:
        msg = f"{store.uri}: {key} is not a denial any more; restore it from a backup"
        raise DamagedError(msg) from error


def denials(store: Store, project: Project) -> list[Denial]:
    """All of them, in the order of the decisions' days."""
    prefix = f"{project.name}/approvals/"
    ids = [k.removeprefix(prefix).removesuffix(".json") for k in store.keys(prefix)]
    return [d for i in sorted(ids) if (d := denied(store, project, i))]


def refusals(found: Sequence[Denial]) -> str:
    """The denials as a list in markdown; empty if there are none."""
    return "\n".join(f"- {escape(f'{str(d)[:1].upper()}{str(d)[1:]}')}" for d in found)


def _key(project: Project, decision_id: str) -> str:
    return f"{project.name}/approvals/{decision_id}.json"
