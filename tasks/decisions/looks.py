"""Decisions: one look at the evidence of the reign in force, recorded with everything that went into it and came out."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from analysis.evidence import BatchTally, Contender, Evidence, Feed, gather
from analysis.policy import Policy
from analysis.policy.budget import Allowance
from analysis.tables.record import canonical_json, digest, plain
from analysis.verdict.judge import Judgement, judge
from tasks.base.errors import DethroneError
from tasks.base.project import Project
from tasks.base.software import software
from tasks.batches.failures import failures, notes
from tasks.batches.predictions import DamagedError
from tasks.decisions.basis import (
    by_date,
    contenders_of,
    departed_of,
    feed_basis,
    feed_of,
    in_order_of_use,
    known_allowances,
    label_values,
    make_basis,
)
from tasks.decisions.decision_log import decision_ids, decision_key, enter, newest_first
from tasks.decisions.registrations import allowances, alpha_spent, registrations
from tasks.labels.tallying import Closed
from tasks.reigns import Reign, reigns
from tasks.store import AlreadyThereError, NotThereError, Store

__all__ = ["Look", "UnknownDecisionError", "decisions", "judge_all", "look", "read_decision", "record"]


class UnknownDecisionError(DethroneError):
    """No decision has this id."""


@dataclass(frozen=True, slots=True)
class Look:
    """One judgement: its evidence in full, and the record of it that is, or would be, kept."""

    id: str
    reign: Reign
    evidence: tuple[Evidence, ...]
    judgement: Judgement
    record: dict[str, Any]

    @property
    def promote(self) -> str | None:
        """Whom the record promotes: a decision that was found again is carried out as it was recorded."""
        promoted: str | None = self.record["promote"]
        return promoted


def look(store: Store, project: Project, reign: Reign, closed: Closed, as_of: date) -> Look | None:
    """Judge the evidence of ``reign``; None while no batch of it is closed, or nobody challenges.

    The same evidence under the same policy is not a new look: the decision that exists is found again, with its id.
    Nothing is written.
    """
    latest = _latest_basis(store, project, reign)
    own_batches = [b for b in closed.batches if b.manifest.reign == reign.number]
    batches = in_order_of_use(latest, [b for b in own_batches if b.silent is None])
    waiting = [m for m in closed.waiting if m.reign == reign.number]
    if not own_batches:
        return None
    scored = [m for m in by_date(closed) if m.reign == reign.number]
    contenders = contenders_of(scored)
    champion = contenders.pop(reign.version)
    if not contenders:
        return None
    known = known_allowances(latest, reign)
    given = allowances(registrations(by_date(closed), known), project.policy, reign, reigns(store, project.name))
    own = {v: given[c.digest] for v, c in contenders.items()}
    left = [(c, given[c.digest]) for c in departed_of(scored, contenders, champion)]
    basis = make_basis(project, reign, champion, list(contenders.values()), batches, own, left)
    basis |= feed_basis(project, own_batches, scored, contenders, closed.settled)
    evidence_digest = digest(basis)
    seed = int(evidence_digest[:12], 16)
    tallies = [b.tally for b in batches]
    open_rows = sum(m.rows for m in waiting)
    evidence, judgement = judge_all(
        champion,
        list(contenders.values()),
        tallies,
        open_rows,
        project.policy,
        seed=seed,
        allowances=own,
        departed=left,
        feed=feed_of(basis),
    )
    found = _find(store, project, evidence_digest)
    if found:
        return Look(found, reign, evidence, judgement, read_decision(store, project, found))
    decision_id = f"{as_of.isoformat()}-{evidence_digest[:12]}"
    content = {
        "schema": 1,
        "software": software(),
        "id": decision_id,
        "project": project.name,
        "as_of": as_of,
        "evidence_digest": evidence_digest,
        "basis": basis,
        "seed": seed,
        "waiting": [{"batch": m.batch, "date": m.date, "rows": m.rows} for m in waiting],
        "failures": failures(scored),
        "notes": notes(scored),
        "alpha_spent": alpha_spent(given, project.policy),
        "policy_changed": _policy_changed(store, project, reign),
        "judgement": judgement,
        "promote": judgement.promote,
    }
    return Look(decision_id, reign, evidence, judgement, plain(content))


def judge_all(
    champion: Contender,
    challengers: Sequence[Contender],
    tallies: Sequence[BatchTally],
    open_rows: int,
    policy: Policy,
    *,
    seed: int,
    allowances: Mapping[str, Allowance],
    departed: Sequence[tuple[Contender, Allowance]] = (),
    feed: Feed | None = None,
) -> tuple[tuple[Evidence, ...], Judgement]:
    """The evidence on every challenger, and the judgement of it: all that a look computes, and a replay computes again."""
    by_version = {c.version: c for c in challengers}
    evidence = tuple(gather(champion, c, tallies, open_rows, policy=policy, feed=feed) for c in challengers)
    judgement = judge(
        evidence,
        policy,
        seed=seed,
        allowances=allowances,
        head_to_head=lambda a, b: gather(by_version[a], by_version[b], tallies, policy=policy),
        departed=[(gather(champion, c, tallies, policy=policy), allowance) for c, allowance in departed],
    )
    return evidence, judgement


def record(store: Store, project: Project, taken: Look) -> bool:
    """Keep the decision, and enter it in the log of decisions; False if it was kept already."""
    data, new = canonical_json(taken.record), True
    try:
        store.create(decision_key(project, taken.id), data)
    except AlreadyThereError:
        data, new = store.read(decision_key(project, taken.id)), False
    enter(store, project, taken.id, data, new=new)
    return new


def read_decision(store: Store, project: Project, decision_id: str) -> dict[str, Any]:
    """The record of a decision. Raises UnknownDecisionError, DamagedError."""
    key = decision_key(project, decision_id)
    try:
        content: dict[str, Any] = json.loads(store.read(key))
    except ValueError as error:
        msg = f"{store.uri}: {key} is not the record of a decision any more; restore it from a backup"
        raise DamagedError(msg) from error
    except NotThereError:
        msg = f"project {project.name} has no decision {decision_id}; they lie below {store.uri}/{project.name}/decisions/"
        raise UnknownDecisionError(msg) from None
    return content


def decisions(store: Store, project: Project) -> list[dict[str, Any]]:
    """The records of all decisions, in the order of their days and reigns."""
    found = [read_decision(store, project, i) for i in decision_ids(store, project)]
    return sorted(found, key=lambda d: (d["as_of"], d["basis"]["reign"]))


def _latest_basis(store: Store, project: Project, reign: Reign) -> dict[str, Any] | None:
    """What the decision of the latest day of this reign rests on: the longest of them, as days come first in their ids."""
    latest: dict[str, Any] | None = None
    day = ""
    for decision_id in reversed(decision_ids(store, project)):
        if latest and decision_id[: len(day)] != day:
            break
        basis = read_decision(store, project, decision_id)["basis"]
        if basis["reign"] == reign.number and (latest is None or len(basis["batches"]) > len(latest["batches"])):
            latest, day = basis, decision_id[:10]
    return latest


def _policy_changed(store: Store, project: Project, reign: Reign) -> list[str]:
    """The settings of a decision that differ from those of the reign's newest one that is still there, as "key: old -> new"."""
    kept = set(decision_ids(store, project))
    entered = next((e for e in newest_first(store, project) if e.decision in kept), None)
    basis = read_decision(store, project, entered.decision)["basis"] if entered else None
    if basis is None or basis["reign"] != reign.number:  # the log grows by decisions of the newest reign alone
        return []
    own = {
        "absent": "missing",
        **{name: basis[name] for name in ("maturity_days", "labels", "absent") if name in basis},
    }  # the first decisions have but one of them
    old = _settings({**basis["policy"], **own})
    now = {"maturity_days": project.maturity_days, "labels": label_values(project), "absent": project.absent}
    new = _settings({**plain(project.policy.model_dump(mode="json")), **now})
    return [f"{k}: {old.get(k, 'none')} -> {new.get(k, 'none')}" for k in sorted(old | new) if old.get(k) != new.get(k)]


def _settings(policy: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Every setting that is set, by its dotted key."""
    found: dict[str, Any] = {}
    for key, value in policy.items():
        inner = _settings(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
        found.update({k: v for k, v in inner.items() if v not in (None, [])})
    return found


def _find(store: Store, project: Project, evidence_digest: str) -> str | None:
    """The decision that rests on this evidence, if it was taken before."""
    return next((i for i in decision_ids(store, project) if i.endswith(f"-{evidence_digest[:12]}")), None)
