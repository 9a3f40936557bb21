"""Changing the champion: the first one, a promotion, or a rollback. Each adds one reign to the log."""

from __future__ import annotations

from datetime import date
from typing import Any

from tasks.base.errors import DethroneError
from tasks.batches.contenders import contender_of_model
from tasks.decisions.decision_log import read_record
from tasks.decisions.verification import input_faults
from tasks.models.integrity import kept_digest
from tasks.models.registry import Registry
from tasks.models.version import ModelVersion
from tasks.models.versions import require_loads
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
    """The promotion is not approved yet, or was denied."""


class ChangedEvidenceError(DethroneError):
    """A file that the decision rests on is missing or was changed."""


def waits_for_approval(store: Store, project_name: str, decision_id: str) -> bool:
    """Whether the decision promotes a version, needs approval for it, and is neither approved nor denied yet.

    Raises UnknownDecisionError.
    """
    record = read_record(store, project_name, decision_id)
    promoted = any(r.decision == decision_id for r in reigns(store, project_name))
    undecided = not promoted and read_denial(store, project_name, decision_id) is None
    return undecided and record["promote"] is not None and _needs_approval(record)


def _needs_approval(record: dict[str, Any]) -> bool:
    return bool(record["basis"]["policy"]["approval"] == "required")


def enthrone(
    store: Store, registry: Registry, project_name: str, *, version: str, since: date, author: str, reason: str
) -> Reign:
    """Commit the first reign, if its version loads and its tags are valid; to name the same version again changes nothing.

    Before the first promotion another version can be named, to correct a mistake; this adds one more reign. Raises LogError
    after that, RegistryError or ChangedModelError for a version that cannot score.
    """
    model_version = registry.version(version)
    version = model_version.version
    entries = reigns(store, project_name)
    has_promotions = any(r.kind != "enthronement" for r in entries)
    named = entries[:1] if has_promotions else entries[-1:]
    if named and named[0].version == version:
        return named[0]
    if has_promotions:
        msg = (
            f"project {project_name} has had promotions already, so version {version} cannot be named champion; "
            "judge it, or roll back to it"
        )
        raise LogError(msg)
    require_loads(store, registry, version)
    _ = model_version.threshold, model_version.trained_through  # raise RegistryError for a tag that is not valid
    return commit(
        store,
        project_name,
        reign_after(
            entries[-1] if entries else None,
            version=version,
            run_id=model_version.run_id,
            since=since,
            kind="enthronement",
            decision=None,
            author=author,
            reason=reason,
        ),
    )


def promote(
    store: Store,
    registry: Registry,
    project_name: str,
    decision_id: str,
    *,
    author: str | None = None,
    reason: str = "",
) -> Reign:
    """Commit the reign that a decision calls for; to do it again changes nothing.

    If the decision's policy requires approval, ``author`` is the person who approves, and ``reason`` says why. Raises
    NotPromotedError if the decision promotes no version, NotApprovedError, SupersededError if another reign is in force than
    the one that was judged, ChangedEvidenceError if a file that it rests on or a tag that decides has changed, ChangedModelError if the
    version's files have.
    """
    record = read_record(store, project_name, decision_id)
    version = record["promote"]
    if version is None:
        msg = f"decision {decision_id} promotes nobody; read why in {project_name}/reports/{decision_id}/report.md"
        raise NotPromotedError(msg)
    newest = head(store, project_name)
    done = next((r for r in reigns(store, project_name) if r.decision == decision_id), None)
    if done:
        return done
    denial = read_denial(store, project_name, decision_id)
    if denial:
        msg = f"{denial}; a denial is final, so approve a later decision instead"
        raise NotApprovedError(msg)
    if _needs_approval(record) and not (author and reason):
        msg = (
            f"decision {decision_id} promotes version {version} once somebody approves it: "
            f"python -m flows.promote {project_name} {decision_id} --author YOU --reason WHY"
        )
        raise NotApprovedError(msg)
    _require_same_champion(record, newest)
    changed = input_faults(store, record)
    if changed:
        raise ChangedEvidenceError("; ".join([*changed, "restore it, or judge again"]))
    _require_same_contender(store, project_name, record, registry.version(version))
    require_loads(store, registry, version)
    day = date.fromisoformat(record["as_of"])
    reign = reign_after(
        newest,
        version=version,
        run_id=registry.version(version).run_id,
        since=max(day, newest.since),  # the first champion may have been named after the day of its batches
        kind="promotion",
        decision=decision_id,
        author=author or "dethrone",
        reason=f"proven better than version {newest.version}{f'; approved: {reason}' if reason else ''}",
    )
    return commit(store, project_name, reign)


def _require_same_contender(store: Store, project_name: str, record: dict[str, Any], version: ModelVersion) -> None:
    """Raise ChangedEvidenceError if tags of the version make another contender of it than the one that was judged."""
    judged = next(c for c in record["basis"]["challengers"] if c["version"] == version.version)
    model = kept_digest(store, project_name, version.version)
    if model is None or contender_of_model(version, model).digest == judged["digest"]:
        return
    was = "" if judged["threshold"] is None else f", its threshold {judged['threshold']:g}"
    msg = (
        f"decision {record['id']} judged version {version.version} with other tags{was}; set threshold, score_column and positive_class "
        "back, or let the version be judged as it is now"
    )
    raise ChangedEvidenceError(msg)


def roll_back(
    store: Store, registry: Registry, project_name: str, *, since: date, author: str, reason: str, to: int | None = None
) -> Reign:
    """Commit a reign of an earlier champion: of the reign before, or of reign number ``to``. Raises LogError, RegistryError."""
    entries = reigns(store, project_name)
    if not entries or (to is None and len(entries) < 2):
        msg = f"project {project_name} has no earlier champion to roll back to; the log needs two reigns"
        raise LogError(msg)
    target = entries[-2] if to is None else next((r for r in entries if r.number == to), None)
    if target is None:
        msg = f"project {project_name} has no reign {to}; the log ends with reign {entries[-1].number}"
        raise LogError(msg)
    if target.version == entries[-1].version:
        msg = f"version {target.version} leads already; name another reign to roll back to"
        raise LogError(msg)
    run_id = registry.version(target.version).run_id
    return commit(
        store,
        project_name,
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


def _require_same_champion(record: dict[str, Any], newest: Reign) -> None:
    basis = record["basis"]
    if (newest.number, newest.version) != (basis["reign"], basis["champion"]["version"]):
        msg = (
            f"decision {record['id']} was judged against version {basis['champion']['version']} in reign {basis['reign']}, but reign "
            f"{newest.number} of version {newest.version} is in force; judge again"
        )
        raise SupersededError(msg)
