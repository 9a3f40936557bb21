"""Checking what was decided: a verdict computed again from what it rested on, and the logs from end to end."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator, Mapping
from datetime import date
from io import BytesIO
from typing import Any

import polars as pl

from analysis.evidence import BatchTally
from analysis.policy.budget import Allowance
from analysis.policy.rules import FIRST_RULES, RULES
from analysis.tables.record import canonical_json, digest, plain
from tasks.base.errors import DethroneError
from tasks.base.project import Project
from tasks.batches.predictions import DamagedError, contender_of, parse_manifest
from tasks.decisions.basis import feed_of, recorded_policy, retired_setting
from tasks.decisions.decision_log import DecisionLogError, Entry, decision_ids, decision_key, entries
from tasks.decisions.looks import UnknownDecisionError, judge_all, read_decision
from tasks.reigns import LogError, reigns
from tasks.store import NotThereError, Store

__all__ = ["VerificationError", "input_faults", "taken_by_other_rules", "verify_all", "verify_decision"]


class VerificationError(DethroneError):
    """Something is not what it was when it was decided."""


def verify_decision(store: Store, project: Project, decision_id: str) -> list[str]:
    """What is wrong with one decision, a sentence each; an empty list if nothing is.

    Its record has to be the one that was entered in the log, every file it rests on has to have the digest that it had,
    and policy, tallies and seed have to give the same judgement to the last bit, unless other rules took it
    (``taken_by_other_rules``). Raises UnknownDecisionError, DecisionLogError.
    """
    return _verify(store, project, decision_id, {e.decision: e for e in entries(store, project)})


def _verify(store: Store, project: Project, decision_id: str, logged: Mapping[str, Entry] | None) -> list[str]:
    """``logged`` is None where the log itself is broken."""
    record = read_decision(store, project, decision_id)
    unlogged = [] if logged is None else _record_faults(store, project, decision_id, logged)
    faults = [*unlogged, *input_faults(store, record)]
    if faults:
        return faults  # a judgement of other inputs would differ for that reason alone
    if record["evidence_digest"] != digest(record["basis"]):
        return [f"decision {decision_id}: its record contradicts itself"]
    if _rules(record) != RULES or retired_setting(record["basis"]):
        return []
    again = _replay(store, record)
    if canonical_json(again) != canonical_json(record["judgement"]):
        parts = [k for k in again if canonical_json(again[k]) != canonical_json(record["judgement"].get(k))]
        return [
            f"decision {decision_id}: its policy, tallies and seed give another judgement now (in: {', '.join(parts)})"
        ]
    if record["promote"] != again["promote"]:
        return [f"decision {decision_id}: its record contradicts itself"]
    return []


def taken_by_other_rules(store: Store, project: Project, decision_id: str | None = None) -> list[str]:
    """Decisions, or one, that other rules than this code's have taken, a sentence each: their verdicts cannot be computed again here."""
    chosen = [decision_id] if decision_id else decision_ids(store, project)
    others = []
    for i in chosen:
        record = read_decision(store, project, i)
        number, retired = _rules(record), retired_setting(record["basis"])
        if number != RULES:
            others.append(f"decision {i} was taken by other rules ({number}, now {RULES})")
        elif retired:
            others.append(f"decision {i} was taken with the setting '{retired}', which is no more")
    return others


def _rules(record: Mapping[str, Any]) -> int:
    number: int = record["basis"].get("rules", FIRST_RULES)
    return number


def verify_all(store: Store, project: Project) -> list[str]:
    """What is wrong with the project's logs and decisions, a sentence each: edited, missing or reordered entries, and verdicts."""
    faults: list[str] = []
    logged: dict[str, Entry] | None = None
    try:
        logged = {e.decision: e for e in entries(store, project)}
    except DecisionLogError as error:
        faults.append(str(error))
    kept = decision_ids(store, project)
    faults += [f"decision {i} is in the log, and its record is missing" for i in logged or () if i not in kept]
    for decision_id in kept:
        try:
            faults += _verify(store, project, decision_id, logged)
        except DamagedError as error:
            faults.append(str(error))
        except (ValueError, KeyError, TypeError) as error:
            faults.append(f"decision {decision_id}: its record cannot be read: {type(error).__name__}: {error}")
    return [*faults, *_reign_faults(store, project)]


def _record_faults(store: Store, project: Project, decision_id: str, logged: Mapping[str, Entry]) -> Iterator[str]:
    data = store.read(decision_key(project, decision_id))
    entry = logged.get(decision_id)
    if entry is None:
        yield f"decision {decision_id} is not in the log of decisions"
    elif entry.sha256 != hashlib.sha256(data).hexdigest():
        yield f"decision {decision_id}: its record was changed after it was entered in the log"


def input_faults(store: Store, record: dict[str, Any]) -> list[str]:
    """What of the files that a decision rests on is missing or changed, a sentence each."""
    faults = []
    for batch in record["basis"]["batches"]:
        for key, sha256 in batch["files"].items():
            try:
                found = hashlib.sha256(store.read(key)).hexdigest()
            except NotThereError:
                faults.append(f"decision {record['id']}: {key}, which it rests on, is missing")
            else:
                if found != sha256:
                    faults.append(f"decision {record['id']}: {key}, which it rests on, was changed")
    return faults


def _replay(store: Store, record: dict[str, Any]) -> dict[str, Any]:
    """The judgement computed again from the record's own basis, as plain values."""
    basis = record["basis"]
    _, judgement = judge_all(
        contender_of(basis["champion"]),
        [contender_of(c) for c in basis["challengers"]],
        [_tally(store, b) for b in basis["batches"]],
        sum(w["rows"] for w in record["waiting"]),
        recorded_policy(basis),
        seed=record["seed"],
        allowances={v: Allowance(**a) for v, a in basis["allowances"].items()},
        departed=[(contender_of(d["contender"]), Allowance(**d["allowance"])) for d in basis["departed"]],
        feed=feed_of(basis),
    )
    value: dict[str, Any] = plain(judgement)
    return value


def _tally(store: Store, batch: dict[str, Any]) -> BatchTally:
    """The tally of a batch of the basis, whose files are its manifest, its tally, its score sums, and maybe its late labels."""
    by_kind = {_kind(key): key for key in batch["files"]}
    manifest = parse_manifest(store.read(by_kind["manifest"]))
    scored = manifest.contenders()
    frames = {kind: pl.read_parquet(BytesIO(store.read(key))) for kind, key in by_kind.items() if kind != "manifest"}
    day = date.fromisoformat(batch["date"])
    return BatchTally(batch["batch"], day, frames["tally"], scored, frames["scores"], frames.get("settled"))


def _kind(key: str) -> str:
    if key.endswith(".json"):
        return "manifest"
    return next((kind for kind in ("scores", "settled") if key.endswith(f".{kind}.parquet")), "tally")


def _reign_faults(store: Store, project: Project) -> Iterator[str]:
    """Faults of the promotion log: its chain, and that every promotion is what its decision says."""
    try:
        log = reigns(store, project.name)
    except LogError as error:
        yield str(error)
        return
    for before, reign in itertools.pairwise(log):
        if reign.kind != "promotion":
            continue
        if reign.decision is None:
            yield f"reign {reign.number} is a promotion without a decision"
            continue
        try:
            record = read_decision(store, project, reign.decision)
        except UnknownDecisionError:
            yield f"reign {reign.number} rests on decision {reign.decision}, which is missing"
            continue
        basis = record["basis"]
        if record["promote"] != reign.version:
            yield f"reign {reign.number} made version {reign.version} champion; its decision {reign.decision} promotes {record['promote']}"
        if (basis["reign"], basis["champion"]["version"]) != (before.number, before.version):
            yield f"reign {reign.number} follows reign {before.number}; its decision {reign.decision} judged reign {basis['reign']}"
