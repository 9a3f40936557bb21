"""A decision that an earlier version of Dethrone has written, by the first rules: its record and its inputs are still checked.

``tests/kept`` is a store as it was left on 2026-11-25. It is not to be written anew: where this test fails, no decision
that anybody has on record can be checked any more.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from weeks import week

from analysis.policy import Policy
from analysis.policy.rules import RULES
from tasks.base.project import Project
from tasks.decisions import decide, save_decision
from tasks.decisions.verification import taken_by_other_rules, verify_all
from tasks.labels.tallying import close_batches
from tasks.reigns import judged_on
from tasks.store import DirectoryStore

KEPT = Path(__file__).resolve().parents[2] / "kept"
POLICY = Policy(n_resamples=1000, guardrails={"precision": 0.1, "brier": 0.1})
DECISION = "2024-02-11-b129812c9f62"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    shutil.copytree(KEPT, tmp_path / "store")
    return Project(
        name="parcels", store=str(tmp_path / "store"), mlflow=f"sqlite:///{tmp_path}/none.db", model="late",
        segments=("region",), maturity_days=14, policy=POLICY,
    )  # fmt: skip


def test_it_is_whole_and_said_to_be_of_other_rules(project: Project) -> None:
    store = DirectoryStore(Path(project.store))
    assert verify_all(store, project.name) == []
    assert taken_by_other_rules(store, project.name) == [
        f"decision {DECISION} was taken by other rules (1, now {RULES})"
    ]


def test_a_tally_that_it_rests_on_may_not_change(project: Project) -> None:
    store = DirectoryStore(Path(project.store))
    store.delete("parcels/tallies/2024-01-07.parquet")
    assert verify_all(store, project.name) == [
        f"decision {DECISION}: parcels/tallies/2024-01-07.parquet, which it rests on, is missing"
    ]


def test_the_same_evidence_under_other_rules_is_another_decision(project: Project) -> None:
    store = DirectoryStore(Path(project.store))
    day = week(5)
    taken = decide(store, project, judged_on(store, project.name, day), close_batches(store, project, day), day)
    assert taken is not None
    assert taken.id != DECISION
    save_decision(store, project.name, taken)
    assert verify_all(store, project.name) == []
