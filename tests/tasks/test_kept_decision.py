"""A decision that an earlier version of Dethrone has written: it is found again, and verified to the last bit.

``tests/kept`` is a store as it was left on 2026-11-25. It is not to be written anew: where this test fails, no decision
that anybody has on record can be checked any more.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from weeks import week

from analysis.policy import Policy
from tasks.decisions import look
from tasks.project import Project
from tasks.reigns import judged_on
from tasks.store import DirectoryStore
from tasks.tallying import close_batches
from tasks.verification import verify_all

KEPT = Path(__file__).resolve().parents[1] / "kept"
POLICY = Policy(n_resamples=1000, guardrails={"precision": 0.1, "brier": 0.1})
DECISION = "2024-02-11-b129812c9f62"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    shutil.copytree(KEPT, tmp_path / "store")
    return Project(
        name="parcels", store=str(tmp_path / "store"), mlflow=f"sqlite:///{tmp_path}/none.db", model="late",
        segments=("region",), maturity_days=14, policy=POLICY,
    )  # fmt: skip


def test_it_is_computed_again_to_the_last_bit(project: Project) -> None:
    assert verify_all(DirectoryStore(Path(project.store)), project) == []


def test_the_same_evidence_under_the_same_policy_is_the_same_decision(project: Project) -> None:
    store = DirectoryStore(Path(project.store))
    day = week(5)
    taken = look(store, project, judged_on(store, project, day), close_batches(store, project, day), day)
    assert taken is not None
    assert (taken.id, taken.promote) == (DECISION, "2")
