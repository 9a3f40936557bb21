"""Verification: every judgement computed again from its stored inputs, and both logs checked from end to end."""

from __future__ import annotations

import copy
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
from analysis.tables.record import canonical_json, digest
from tasks.base.errors import DethroneError
from tasks.batches.predictions import DamagedError, contender_of, parse_manifest, parse_replay
from tasks.decisions.basis import are_evidence, feed_of, kind_of_file, recorded_policy, retired_setting
from tasks.decisions.batch_runs import entries_of
from tasks.decisions.decision import judge_all
from tasks.decisions.decision_log import (
    DecisionLogError,
    Entry,
    UnknownDecisionError,
    decision_ids,
    entries,
    read_record,
    record_key,
)
from tasks.decisions.recorded import open_rows, recorded_judgement
from tasks.reigns import LogError, reigns
from tasks.store import NotThereError, Store
from tasks.store.kept import rollup_folder
from tasks.store.rollups import copy_faults

__all__ = [
    "RETIRED_NUMBERS",
    "VerificationError",
    "input_faults",
    "taken_by_other_rules",
    "verify_all",
    "verify_decision",
]


RETIRED_NUMBERS: Mapping[str, tuple[str, ...]] = {"marginals": ("bowker", "bhapkar")}
"""Numbers of an assessment that are not computed any more: records of the same rules may have them, and nothing rested on them.

Nor does any rest on the tables of segments in single batches, which records of the first schema have: their sums are checked.
"""


class VerificationError(DethroneError):
    """A decision, its inputs or a log have changed, or a judgement cannot be reproduced."""


def verify_decision(store: Store, project_name: str, decision_id: str) -> list[str]:
    """The faults of one decision, a sentence each; an empty list if there are none.

    Its record must have the digest in the log, every file that it rests on must have its digest, and policy, tallies and seed
    must give the same judgement to the last bit, but for ``RETIRED_NUMBERS``, unless other rules took it (``taken_by_other_rules``).
    Raises UnknownDecisionError, DecisionLogError.
    """
    return _verify(store, project_name, decision_id, {e.decision: e for e in entries(store, project_name)})


def _verify(store: Store, project_name: str, decision_id: str, logged: Mapping[str, Entry] | None) -> list[str]:
    """The faults of one decision; ``logged`` is None if the log itself is damaged."""
    record = read_record(store, project_name, decision_id)
    record_faults = [] if logged is None else _record_faults(store, project_name, decision_id, logged)
    faults = [*record_faults, *input_faults(store, record)]
    if faults:
        return faults  # a judgement of other inputs is another one
    if record["evidence_digest"] != digest(record["basis"]):
        return [f"decision {decision_id}: its record contradicts itself"]
    if _rules(record) != RULES or retired_setting(record["basis"]):
        return []
    again, recorded = _replay(store, record), _without_retired(record["judgement"])
    if canonical_json(again) != canonical_json(recorded):
        parts = [k for k in again if canonical_json(again[k]) != canonical_json(recorded.get(k))]
        return [
            f"decision {decision_id}: its policy, tallies and seed give another judgement now (in: {', '.join(parts)})"
        ]
    if record["promote"] != again["promote"]:
        return [f"decision {decision_id}: its record contradicts itself"]
    return []


def _without_retired(judgement: Mapping[str, Any]) -> dict[str, Any]:
    kept = copy.deepcopy(dict(judgement))
    for assessment in kept.get("assessments", ()):
        for group, names in RETIRED_NUMBERS.items():
            for name in names:
                assessment.get("measured", {}).get(group, {}).pop(name, None)
        batches = assessment.get("evidence", {}).get("batches", ())
        for batch in batches if isinstance(batches, list) else ():
            batch.pop("segments", None)
    return kept


def taken_by_other_rules(store: Store, project_name: str, decision_id: str | None = None) -> list[str]:
    """A sentence for each decision, or for one, that was taken by other rules than this code's: it cannot be computed again here."""
    chosen = [decision_id] if decision_id else decision_ids(store, project_name)
    others = []
    for i in chosen:
        record = read_record(store, project_name, i)
        number, retired = _rules(record), retired_setting(record["basis"])
        if number != RULES:
            others.append(f"decision {i} was taken by other rules ({number}, now {RULES})")
        elif retired:
            others.append(f"decision {i} was taken with the setting '{retired}', which is no more")
    return others


def _rules(record: Mapping[str, Any]) -> int:
    number: int = record["basis"].get("rules", FIRST_RULES)
    return number


def verify_all(store: Store, project_name: str) -> list[str]:
    """The faults of both logs, all decisions and all roll-ups, a sentence each; an empty list if there are none."""
    faults: list[str] = []
    logged: dict[str, Entry] | None = None
    try:
        logged = {e.decision: e for e in entries(store, project_name)}
    except DecisionLogError as error:
        faults.append(str(error))
    recorded = decision_ids(store, project_name)
    faults += [f"decision {i} is in the log, and its record is missing" for i in logged or () if i not in recorded]
    for decision_id in recorded:
        try:
            faults += _verify(store, project_name, decision_id, logged)
        except DamagedError as error:
            faults.append(str(error))
        except (ValueError, KeyError, TypeError) as error:
            faults.append(f"decision {decision_id}: its record cannot be read: {type(error).__name__}: {error}")
    rollups = [f for name in store.keys(rollup_folder(project_name)) for f in copy_faults(store, name)]
    return [*faults, *_reign_faults(store, project_name), *rollups]


def _record_faults(store: Store, project_name: str, decision_id: str, logged: Mapping[str, Entry]) -> Iterator[str]:
    data = store.read(record_key(project_name, decision_id))
    entry = logged.get(decision_id)
    if entry is None:
        yield f"decision {decision_id} is not in the log of decisions"
    elif entry.sha256 != hashlib.sha256(data).hexdigest():
        yield f"decision {decision_id}: its record was changed after it was entered in the log"


def input_faults(store: Store, record: dict[str, Any]) -> list[str]:
    """A sentence for each file that a decision rests on and that is missing or was changed."""
    try:
        batches = entries_of(store, record["project"], record["basis"]["batches"])
    except DamagedError as error:
        return [f"decision {record['id']}: {error}"]
    faults = []
    for batch in batches:
        for key, sha256 in batch["files"].items():
            try:
                current = hashlib.sha256(store.read(key)).hexdigest()
            except NotThereError:
                faults.append(f"decision {record['id']}: {key}, which it rests on, is missing")
            else:
                if current != sha256:
                    faults.append(f"decision {record['id']}: {key}, which it rests on, was changed")
    return faults


def _replay(store: Store, record: dict[str, Any]) -> dict[str, Any]:
    """The judgement computed again from the basis in the record, as plain values in the form of the record."""
    basis = record["basis"]
    _, judgement = judge_all(
        contender_of(basis["champion"]),
        [contender_of(c) for c in basis["challengers"]],
        [_tally(store, b) for b in entries_of(store, record["project"], basis["batches"])],
        open_rows(record),
        recorded_policy(basis),
        seed=record["seed"],
        allowances={v: Allowance(**a) for v, a in basis["allowances"].items()},
        departed=[(contender_of(d["contender"]), Allowance(**d["allowance"])) for d in basis["departed"]],
        feed=feed_of(basis),
    )
    return recorded_judgement(judgement, record["schema"])


def _tally(store: Store, batch: Mapping[str, Any]) -> BatchTally:
    """The tally of a batch in the basis, or its tally with replays, from its files."""
    files: dict[str, list[bytes]] = {}
    for key in batch["files"]:
        files.setdefault(kind_of_file(key), []).append(store.read(key))
    manifest = parse_manifest(files["manifest"][0]).with_replays([parse_replay(r) for r in files.get("replay", ())])
    frames = {
        kind: pl.read_parquet(BytesIO(files[kind][0])) for kind in ("tally", "scores", "settled") if kind in files
    }
    day, scored = date.fromisoformat(batch["date"]), manifest.contenders()
    counts = are_evidence(day, batch.get("labels_from"), batch.get("replayed", {}))
    return BatchTally(batch["batch"], day, frames["tally"], scored, frames["scores"], frames.get("settled"), counts)


def _reign_faults(store: Store, project_name: str) -> Iterator[str]:
    """Faults of the promotion log: a broken chain, or a promotion that differs from its decision."""
    try:
        log = reigns(store, project_name)
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
            record = read_record(store, project_name, reign.decision)
        except UnknownDecisionError:
            yield f"reign {reign.number} rests on decision {reign.decision}, which is missing"
            continue
        basis = record["basis"]
        if record["promote"] != reign.version:
            yield f"reign {reign.number} made version {reign.version} champion; its decision {reign.decision} promotes {record['promote']}"
        if (basis["reign"], basis["champion"]["version"]) != (before.number, before.version):
            yield f"reign {reign.number} follows reign {before.number}; its decision {reign.decision} judged reign {basis['reign']}"
