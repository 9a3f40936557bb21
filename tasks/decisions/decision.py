"""A decision: one look at the evidence of a reign, recorded with everything that went into it and came out of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from analysis.evidence import BatchTally, Contender, Evidence, Feed, Gatherer
from analysis.policy import Policy
from analysis.policy.budget import Allowance
from analysis.tables.record import canonical_json, digest, plain
from analysis.verdict.judge import Judgement, judge
from tasks.base.project import Project
from tasks.base.software import software
from tasks.batches.failures import failures, notes
from tasks.decisions.basis import (
    by_date,
    counted,
    departed_contenders,
    feed_basis,
    feed_of,
    in_order_of_use,
    known_allowances,
    label_values,
    latest_contenders,
    make_basis,
)
from tasks.decisions.batch_runs import entries_of, in_runs, keep_runs, number_of_batches
from tasks.decisions.decision_log import append_entry, decision_ids, newest_first, read_record, record_key
from tasks.decisions.recorded import SCHEMA, recorded_judgement
from tasks.decisions.registrations import allowances, alpha_spent, registrations
from tasks.decisions.replayed import replayed_of
from tasks.labels.tally_files import Closed
from tasks.reigns import Reign, reigns
from tasks.store import AlreadyThereError, Store

__all__ = ["Decision", "all_records", "decide", "judge_all", "record_before", "save_decision"]


@dataclass(frozen=True, slots=True)
class Decision:
    """The result of one look: the evidence in full, the judgement of it, and the record that is stored of both.

    ``batches`` are the entries of all batches in the basis, also of those in ``runs``, which are stored with the record.
    """

    id: str
    reign: Reign
    evidence: tuple[Evidence, ...]
    judgement: Judgement
    record: dict[str, Any]
    batches: Sequence[Mapping[str, Any]]
    runs: Mapping[str, bytes]

    @property
    def promote(self) -> str | None:
        """The version to promote, from the record: a decision that existed before is carried out as it was recorded."""
        promoted: str | None = self.record["promote"]
        return promoted


def decide(store: Store, project: Project, reign: Reign, closed: Closed, as_of: date) -> Decision | None:
    """Judge the evidence of ``reign``; None if no batch of it is closed, or no version challenges in it.

    The same evidence under the same policy gives the existing decision with its id, not a new one. Writes nothing.
    """
    latest = _latest_basis(store, project.name, reign)
    own_batches = [b for b in closed.batches if b.manifest.reign == reign.number]
    with_labels = [b for b in own_batches if b.silent is None]
    used = entries_of(store, project.name, latest["batches"]) if latest else []
    tallies = in_order_of_use(used, counted(store, project.name, with_labels, as_of))
    waiting = [m for m in closed.waiting if m.reign == reign.number]
    if not own_batches:
        return None
    scored = [m for m in by_date(closed) if m.reign == reign.number]
    contenders = latest_contenders(scored)
    champion = contenders.pop(reign.version)
    if not contenders:
        return None
    known = known_allowances(latest, reign)
    by_digest = allowances(registrations(by_date(closed), known), project.policy, reign, reigns(store, project.name))
    by_version = {v: by_digest[c.digest] for v, c in contenders.items()}
    departed = [(c, by_digest[c.digest]) for c in departed_contenders(scored, contenders, champion)]
    basis = make_basis(project, reign, champion, list(contenders.values()), tallies, by_version, departed)
    basis |= feed_basis(
        own_batches,
        scored,
        contenders,
        closed.settled,
        absent=project.absent,
        min_batches=project.policy.min_batches,
    )
    batches = basis["batches"]
    basis["batches"], runs = in_runs(batches)
    evidence_digest = digest(basis)
    seed = int(evidence_digest[:12], 16)
    open_rows = sum(m.rows for m in waiting)
    evidence, judgement = judge_all(
        champion,
        list(contenders.values()),
        [c.tally for c in tallies],
        open_rows,
        project.policy,
        seed=seed,
        allowances=by_version,
        departed=departed,
        feed=feed_of(basis),
    )
    existing = _existing_decision(store, project.name, evidence_digest)
    if existing:
        record = read_record(store, project.name, existing)
        return Decision(existing, reign, evidence, judgement, record, batches, runs)
    decision_id = f"{as_of.isoformat()}-{evidence_digest[:12]}"
    content = {
        "schema": SCHEMA,
        "software": software(),
        "id": decision_id,
        "project": project.name,
        "as_of": as_of,
        "evidence_digest": evidence_digest,
        "basis": basis,
        "seed": seed,
        "waiting": {"batches": len(waiting), "rows": open_rows},
        "failures": failures([m.with_replays() for m in scored]),
        "notes": notes([m.with_replays() for m in scored]),
        "replayed": replayed_of(evidence),
        "alpha_spent": alpha_spent(by_digest, project.policy),
        "policy_changed": _policy_changed(store, project, reign),
        "judgement": recorded_judgement(judgement),
        "promote": judgement.promote,
    }
    return Decision(decision_id, reign, evidence, judgement, plain(content), batches, runs)


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
    """The evidence on every challenger, and the judgement of it; ``decide`` and the verification both call this."""
    by_version = {c.version: c for c in challengers}
    closed = Gatherer(tallies)
    evidence = tuple(closed.gather(champion, c, open_rows, policy=policy, feed=feed) for c in challengers)
    judgement = judge(
        evidence,
        policy,
        seed=seed,
        allowances=allowances,
        head_to_head=lambda a, b: closed.gather(by_version[a], by_version[b], policy=policy),
        departed=[(closed.gather(champion, c, policy=policy), allowance) for c, allowance in departed],
    )
    return evidence, judgement


def save_decision(store: Store, project_name: str, decision: Decision) -> bool:
    """Store the record of the decision and append it to the log of decisions; False if the record existed before."""
    data, new = canonical_json(decision.record), True
    keep_runs(store, project_name, decision.runs)
    try:
        store.create(record_key(project_name, decision.id), data)
    except AlreadyThereError:
        data, new = store.read(record_key(project_name, decision.id)), False
    append_entry(store, project_name, decision.id, data, new=new)
    return new


def all_records(store: Store, project_name: str) -> list[dict[str, Any]]:
    """The records of all decisions, in the order of their days and reigns. Raises DamagedError."""
    records = [read_record(store, project_name, i) for i in decision_ids(store, project_name)]
    return sorted(records, key=lambda d: (d["as_of"], d["basis"]["reign"]))


def record_before(
    store: Store, project_name: str, reign: Reign, decision_id: str | None = None
) -> dict[str, Any] | None:
    """The record of the newest decision, but for that of this id; None if it is of another reign than this one, or there is none."""
    recorded = {*decision_ids(store, project_name)} - {decision_id}
    newest = next((e for e in newest_first(store, project_name) if e.decision in recorded), None)
    record = read_record(store, project_name, newest.decision) if newest else None
    return record if record and record["basis"]["reign"] == reign.number else None


def _latest_basis(store: Store, project_name: str, reign: Reign) -> dict[str, Any] | None:
    """The basis with the most batches among the decisions of the reign's latest day; None if the reign has no decision."""
    latest: dict[str, Any] | None = None
    day, most = "", 0
    for decision_id in reversed(decision_ids(store, project_name)):  # their ids begin with the day
        if latest and decision_id[: len(day)] != day:
            break
        basis = read_record(store, project_name, decision_id)["basis"]
        if basis["reign"] == reign.number and (latest is None or number_of_batches(basis["batches"]) > most):
            latest, day, most = basis, decision_id[:10], number_of_batches(basis["batches"])
    return latest


def _policy_changed(store: Store, project: Project, reign: Reign) -> list[str]:
    """The settings that differ from those of the reign's newest recorded decision, as "key: old -> new"."""
    record = record_before(store, project.name, reign)
    if record is None:
        return []
    basis = record["basis"]
    before = {
        "absent": "missing",
        **{name: basis[name] for name in ("maturity_days", "labels", "absent") if name in basis},
    }  # the first decisions have only one of these keys
    old = _settings({**basis["policy"], **before})
    now = {"maturity_days": project.maturity_days, "labels": label_values(project.labels), "absent": project.absent}
    new = _settings({**plain(project.policy.model_dump(mode="json")), **now})
    return [f"{k}: {old.get(k, 'none')} -> {new.get(k, 'none')}" for k in sorted(old | new) if old.get(k) != new.get(k)]


def _settings(policy: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Dotted key to value of every setting that is not empty."""
    settings: dict[str, Any] = {}
    for key, value in policy.items():
        inner = _settings(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
        settings.update({k: v for k, v in inner.items() if v not in (None, [])})
    return settings


def _existing_decision(store: Store, project_name: str, evidence_digest: str) -> str | None:
    """The id of the recorded decision on this evidence; None if there is none."""
    return next((i for i in decision_ids(store, project_name) if i.endswith(f"-{evidence_digest[:12]}")), None)
