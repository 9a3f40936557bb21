"""How many rows a proof takes: Connor's size at one look and the e-process's own, at a project's disagreement."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from analysis.any_look.eprocess import prior_for
from analysis.any_look.planning import connor, e_process_pairs
from analysis.policy import Policy
from analysis.seasons.simulate import Scenario
from tasks.base.project import Project
from tasks.plan import Plan, Question, make_plan
from tasks.plan.plan_report import write_plan
from tasks.plan.plan_sizes import Need, sizes
from tasks.plan.plan_volumes import Volumes
from tasks.store import Store

POLICY = Policy(guardrails={}, n_resamples=1000)
SAID = Volumes(rows=1000, prevalence=0.2, recall=0.6, fpr=0.02, disagreement=0.1)
QUICK = Question(batches=6, runs=10, gains=(0.1,), challengers=1, seed=1, said=SAID)


@pytest.fixture
def quick(make_project: Callable[..., Project]) -> Project:
    return make_project(policy=POLICY)


def plan_of(store: Store, project: Project, **changes: Any) -> Plan:
    return make_plan(store, project, replace(QUICK, **changes), date(2024, 6, 1), lambda _: None)


def scenario() -> Scenario:
    """A thousand rows, one in five positive, on a tenth of which the models differ; 0.04 better in recall."""
    return Scenario(200, 800, 0.6, 0.02, 0.1, 0.01).improved("recall", 0.04)


def takes(found: Need | None, disagreements: int, rows: float) -> bool:
    """These disagreements, and these rows rounded up, or one more where rounding errors are."""
    return found is not None and found.disagreements == disagreements and 0 <= found.rows - math.ceil(rows) <= 1


def test_recall_counts_positives_and_its_rows_hold_them() -> None:
    """A gain of 0.04 at a disagreement of 0.1: 70 % won. Connor's pairs and E's 37 and 67 are positives, one row in five."""
    found = sizes(scenario(), POLICY, 0.05)
    assert found is not None
    pairs = connor(0.1, 0.04, alpha=0.05, power=0.8)
    assert found.win_share == pytest.approx(0.7)
    assert takes(found.one_look, math.ceil(0.1 * pairs), pairs / 0.2)
    needed = e_process_pairs(found.win_share, alpha=0.05, horizon=1000)
    assert (needed.half, needed.likely) == (37, 67)
    assert takes(found.even, 37, 37 / 0.1 / 0.2)
    assert takes(found.likely, 67, 67 / 0.1 / 0.2)


@pytest.mark.parametrize(
    ("primary", "disagreement", "pairs_in_a_row"), [("specificity", 0.05, 0.8), ("accuracy", 0.06, 1.0)]
)
def test_other_metrics_count_their_own_rows(primary: str, disagreement: float, pairs_in_a_row: float) -> None:
    """In specificity the models differ on 0.05 of the negatives; in accuracy on 0.2 * 0.1 + 0.8 * 0.05 of all rows."""
    equal = Scenario(200, 800, 0.6, 0.2, 0.1, 0.05)
    found = sizes(equal.improved(primary, 0.02), Policy(primary=primary, guardrails={}), 0.05)
    assert found is not None
    share = (disagreement + 0.02) / (2 * disagreement)
    assert found.win_share == pytest.approx(share)
    needed = e_process_pairs(found.win_share, alpha=0.05, horizon=1000)
    assert needed.half is not None
    assert takes(found.even, needed.half, needed.half / disagreement / pairs_in_a_row)
    pairs = connor(disagreement, 0.02, alpha=0.05, power=0.8)
    assert takes(found.one_look, math.ceil(pairs * disagreement), pairs / pairs_in_a_row)


def test_the_projects_own_alpha_and_prior_are_those_of_its_e_process() -> None:
    found = sizes(scenario(), Policy(guardrails={}, prior=prior_for(0.7)), 0.01)
    assert found is not None
    assert found.even is not None
    tuned = prior_for(0.7)
    assert found.even.disagreements == e_process_pairs(0.7, alpha=0.01, prior=tuned, horizon=1000).half


@pytest.mark.parametrize(
    "policy",
    [
        {"primary": "f1"},
        {"min_gain": 0.01},
        {"unit": "batch"},
        {"horizon": {"disagreements": 500}},
    ],
)
def test_where_wins_and_losses_of_rows_do_not_decide_there_are_none(policy: dict[str, Any]) -> None:
    assert sizes(scenario(), Policy(guardrails={}, **policy), 0.05) is None


def test_no_gain_has_no_size_and_one_as_large_as_the_disagreement_has() -> None:
    assert sizes(Scenario(200, 800, 0.6, 0.02, 0.1, 0.01), POLICY, 0.05) is None
    everywhere = sizes(Scenario(7, 93, 0.0, 0.02, 1.0, 0.01, gain_recall=1.0), POLICY, 0.05)
    assert everywhere is not None
    assert everywhere.win_share == 1
    assert takes(everywhere.even, 9, 9 / 0.07)
    assert everywhere.likely == everywhere.even


def test_a_gain_too_small_to_follow_is_said_to_take_more_than_was_followed(store: Store, quick: Project) -> None:
    written = write_plan(store, quick, plan_of(store, quick, gains=(0.0002,), runs=1, batches=1))
    assert written.count("more than 100,000 disagreements |") == 2


def test_without_a_size_the_report_has_no_table_of_them(store: Store, quick: Project) -> None:
    assert "## How many rows a decision needs" in write_plan(store, quick, plan_of(store, quick))
    assert "How many rows" not in write_plan(store, quick, plan_of(store, quick, gains=(0.0,)))
