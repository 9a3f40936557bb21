"""Changing the champion: by a decision, by rollback, or for the first time. Each is one more reign in the log."""

from __future__ import annotations

from datetime import date
from typing import Any

from tasks.base.errors import DethroneError
from tasks.base.project import Project
from tasks.decisions.looks import read_decision
from tasks.decisions.verification import input_faults
from tasks.models.integrity import load_checked
from tasks.models.registry import Registry
from tasks.reigns import LogError, Reign, SupersededError, commit, head, reign_after, reigns
from tasks.reigns.approvals import read_denial
from tasks.store import Store

__all__ = [
    "ChangedEvidenceError", "NotApprovedError", "NotPromotedError", "enthrone", "promote", "roll_back",
    "waits_for_approval",
]  # fmt: skip


class NotPromotedError(DethroneError):
    """The decision promotes nobody."""


class NotApprovedError(DethroneError):
    """The decision waits for somebody's approval."""


class ChangedEvidenceError(DethroneError):
    """What the decision rests on is not what it was."""


def waits_for_approval(store: Store, project: Project, decision_id: str) -> bool:
    """Whether a person has to approve the promotion that this decision calls for, and nobody has yet. Raises UnknownDecisionError."""
    decision = read_decision(store, project, decision_id)
    done = any(r.decision == decision_id for r in reigns(store, project.name))
    open_ = not done and read_denial(store, project.name, decision_id) is None
    return open_ and decision["promote"] is not None and _needs_approval(decision)


def _needs_approval(decision: dict[str, Any]) -> bool:
    return bool(decision["basis"]["policy"]["approval"] == "required")


def enthrone(
    store: Store, registry: Registry, project: Project, *, version: str, since: date, author: str, reason: str
) -> Reign:
    """Name the first champion, after a trial: it has to load, and to have its threshold. Naming the same one again is a no-op.

    As long as nobody has been promoted, another one may be named, as one more reign: a slip must not last. Raises
    LogError after that, RegistryError for a version that cannot serve.
    """
    found = registry.version(version)
    version = found.version
    entries = reigns(store, project.name)
    settled = any(r.kind != "enthronement" for r in entries)
    named = entries[:1] if settled else entries[-1:]
    if named and named[0].version == version:
        return named[0]
    if settled:
        msg = f"project {project.name} has champions already; version {version} has to earn a promotion, or be rolled back to"
        raise LogError(msg)
    load_checked(store, registry, project.name, version)
    _ = found.threshold, found.trained_through
    return commit(
        store,
        project.name,
        reign_after(
            entries[-1] if entries else None,
            version=version,
            run_id=found.run_id,
            since=since,
            kind="enthronement",
            decision=None,
            author=author,
            reason=reason,
        ),
    )


def promote(
    store: Store, registry: Registry, project: Project, decision_id: str, *, author: str | None = None, reason: str = ""
) -> Reign:
    """Commit the reign that a decision calls for; doing so again is a no-op.

    Where the policy that was judged by requires approval, ``author`` is who approves, for ``reason``. Nothing may have
    changed since the decision: neither the champion, nor what it rests on, nor the challenger's artifacts. Raises
    NotPromotedError if the decision calls for nobody, NotApprovedError, SupersededError if the champion it was judged
    against no longer leads, ChangedEvidenceError, ChangedModelError.
    """
    decision = read_decision(store, project, decision_id)
    version = decision["promote"]
    if version is None:
        msg = f"decision {decision_id} promotes nobody; read why in {project.name}/reports/{decision_id}/report.md"
        raise NotPromotedError(msg)
    newest = head(store, project.name)
    done = next((r for r in reigns(store, project.name) if r.decision == decision_id), None)
    if done:
        return done
    denial = read_denial(store, project.name, decision_id)
    if denial:
        msg = f"{denial}; what is denied stays so, and a later decision asks again"
        raise NotApprovedError(msg)
    if _needs_approval(decision) and not (author and reason):
        msg = (
            f"decision {decision_id} promotes version {version} once somebody approves it: "
            f"python -m flows.promote {project.name} {decision_id} --author YOU --reason WHY"
        )
        raise NotApprovedError(msg)
    _require_same_champion(decision, newest)
    changed = input_faults(store, decision)
    if changed:
        raise ChangedEvidenceError("; ".join([*changed, "restore it, or judge again"]))
    load_checked(store, registry, project.name, version)
    reign = reign_after(
        newest,
        version=version,
        run_id=registry.version(version).run_id,
        since=max(
            date.fromisoformat(decision["as_of"]), newest.since
        ),  # the first champion may be younger than its batches
        kind="promotion",
        decision=decision_id,
        author=author or "dethrone",
        reason=f"proven better than version {newest.version}{f'; approved: {reason}' if reason else ''}",
    )
    return commit(store, project.name, reign)


def roll_back(
    store: Store, registry: Registry, project: Project, *, since: date, author: str, reason: str, to: int | None = None
) -> Reign:
    """Make the champion of an earlier reign champion again: of the one before, or of reign number ``to``. Raises LogError."""
    entries = reigns(store, project.name)
    if not entries or (to is None and len(entries) < 2):
        msg = f"project {project.name} has no earlier champion to roll back to"
        raise LogError(msg)
    target = entries[-2] if to is None else next((r for r in entries if r.number == to), None)
    if target is None:
        msg = f"project {project.name} has no reign {to}; the log ends with reign {entries[-1].number}"
        raise LogError(msg)
    if target.version == entries[-1].version:
        msg = f"version {target.version} leads already; name another reign to roll back to"
        raise LogError(msg)
    run_id = registry.version(target.version).run_id
    return commit(
        store,
        project.name,
        reign_after(
            entries[-1],
            version=target.version,
            run_id=run_id,
            since=since,
            kind="rollback",
            decision=None,
            author=author,
            reason=reason,
        ),
    )


def _require_same_champion(decision: dict[str, Any], newest: Reign) -> None:
    basis = decision["basis"]
    if (newest.number, newest.version) != (basis["reign"], basis["champion"]["version"]):
        msg = (
            f"decision {decision['id']} was judged against version {basis['champion']['version']} in reign {basis['reign']}, but reign "
            f"{newest.number} of version {newest.version} is in force; judge again"
        )
        raise SupersededError(msg)
