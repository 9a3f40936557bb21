"""What a record holds of a judgement does not grow with batches and segments, and records of the first form are still checked in full."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from large_projects import Large
from weeks import EQUAL, judged

from analysis.policy import Policy
from analysis.tables.record import canonical_json, digest, plain
from tasks.base.project import Project
from tasks.decisions import Decision
from tasks.decisions.decision_log import append_entry
from tasks.decisions.recorded import open_rows
from tasks.decisions.verification import verify_decision
from tasks.models.registry import Registry
from tasks.store import DirectoryStore, Store


def taken(large: Large, folder: Path, **policy: Any) -> Decision:
    store, project = DirectoryStore(folder), large.project(str(folder), **policy)
    return large.decision(store, project, large.closed())


def size(value: Any) -> int:
    return len(canonical_json(value))


def test_with_a_thousand_segments_the_record_keeps_twenty_and_the_digest_of_all(tmp_path: Path) -> None:
    look = taken(Large(segments=1000, rows=3000), tmp_path, segment_guardrails={"accuracy": 0.1})
    assessment = look.record["judgement"]["assessments"][0]
    full = plain(look.judgement)["assessments"][0]
    assert len(full["measured"]["segments"]) > 900
    for path in ("measured.segments", "measured.segment_guardrails", "checks", "reasons"):
        kept, whole = assessment, full
        for part in path.split("."):
            kept, whole = kept[part], whole[part]
        assert kept == whole[:20], path
        assert assessment["cut"][path] == {"entries": len(whole), "sha256": digest(whole)}
    assert size({k: v for k, v in look.record.items() if k != "basis"}) < 60_000


def test_a_record_of_many_batches_is_as_large_as_one_of_few_but_for_its_basis(tmp_path: Path) -> None:
    few, many = (
        taken(Large(batches=n, versions=4, waiting=n), tmp_path / str(n)).record | {"basis": None} for n in (30, 120)
    )
    assert abs(size(many) - size(few)) < 1000
    assert size(many) < 60_000
    assert many["waiting"] == {"batches": 120, "rows": 120 * 400}
    assert many["judgement"]["assessments"][0]["evidence"]["batches"] == {"count": 120, "replayed": 0}


def first_form(look: Decision) -> dict[str, Any]:
    """The record as it was written before it was bounded."""
    record = json.loads(canonical_json(look.record))
    judgement = plain(look.judgement)
    for assessment, evidence in zip(judgement["assessments"], look.evidence, strict=True):
        for batch, paired in zip(assessment["evidence"]["batches"], evidence.batches, strict=True):
            batch["segments"] = plain(dict(paired.segments))
    return {**record, "schema": 1, "waiting": [], "judgement": judgement}


@pytest.fixture
def project(make_project: Callable[..., Project]) -> Project:
    return make_project(policy=Policy(n_resamples=1000))


@pytest.mark.usefixtures("two")
def test_a_record_of_the_first_form_is_computed_again_and_a_change_in_it_is_found(
    store: Store, registry: Registry, project: Project
) -> None:
    look = judged(store, registry, project, EQUAL)
    old = first_form(look)
    changed = json.loads(canonical_json(old))
    changed["judgement"]["assessments"][0]["evidence"]["batches"][2]["counts"]["labelled"][0] += 1
    for name, record in (("old", old), ("changed", changed)):
        data = canonical_json(record | {"id": name})
        store.create(f"{project.name}/decisions/{name}.json", data)
        append_entry(store, project.name, name, data, new=True)
    assert verify_decision(store, project.name, look.id) == []
    assert verify_decision(store, project.name, "old") == []
    (fault,) = verify_decision(store, project.name, "changed")
    assert fault.endswith("give another judgement now (in: assessments)")


@pytest.mark.usefixtures("two")
def test_a_digest_that_is_not_that_of_what_was_cut_is_found(
    store: Store, registry: Registry, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.decisions.recorded._MOST", 1)
    look = judged(store, registry, project, EQUAL)
    assert look.record["judgement"]["assessments"][0]["cut"].keys() == {"checks", "reasons"}
    forged = json.loads(canonical_json(look.record | {"id": "forged"}))
    forged["judgement"]["assessments"][0]["cut"]["checks"]["sha256"] = "0" * 64
    store.create(f"{project.name}/decisions/forged.json", canonical_json(forged))
    append_entry(store, project.name, "forged", canonical_json(forged), new=True)
    assert verify_decision(store, project.name, look.id) == []
    assert len(verify_decision(store, project.name, "forged")) == 1


def test_rows_that_wait_are_read_from_either_form() -> None:
    waiting = [{"batch": "a", "date": "2024-01-07", "rows": 3}, {"batch": "b", "date": "2024-01-14", "rows": 4}]
    assert open_rows({"schema": 1, "waiting": waiting}) == open_rows(
        {"schema": 2, "waiting": {"batches": 2, "rows": 7}}
    )
