"""A policy that is changed within a reign: the next decision says in what."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from weeks import BETTER, found, judged, look_on, play_week, week

from analysis.policy import Policy
from tasks.base.project import Project
from tasks.decisions import save_decision
from tasks.decisions.promotion import promote
from tasks.models.registry import Registry
from tasks.store import Store

pytestmark = pytest.mark.usefixtures("two")

POLICY: dict[str, Any] = {"n_resamples": 1000, "min_gain": 0.9}  # more than anybody gains, so that the reign goes on


@pytest.fixture
def project(make_project: Callable[..., Project]) -> Project:
    return make_project(policy=Policy(**POLICY))


def changed(project: Project, **policy: Any) -> Project:
    return project.model_copy(update={"policy": Policy(**POLICY | policy)})


CHANGES: list[tuple[dict[str, Any], list[str]]] = [
    ({}, []),
    ({"alpha": 0.01}, ["alpha: 0.05 -> 0.01"]),
    ({"min_gain": 0.02, "prior": 10}, ["min_gain: 0.9 -> 0.02", "prior: 3.0 -> 10.0"]),
    (
        {"guardrails": {"accuracy": 0.01, "specificity": 0.02}},
        [
            "guardrails.accuracy: 0.005 -> 0.01",
            "guardrails.precision: 0.03 -> none",
            "guardrails.specificity: none -> 0.02",
        ],
    ),
    ({"horizon": {"disagreements": 100}, "min_gain": 0}, [
        "horizon.disagreements: none -> 100", "horizon.spending: none -> obrien-fleming", "min_gain: 0.9 -> 0.0",
    ]),
    ({"error_budget": "family"}, ["error_budget: reign -> family"]),
]  # fmt: skip


def test_each_setting_that_differs_is_named_with_both_values(
    store: Store, registry: Registry, project: Project
) -> None:
    first = judged(store, registry, project, BETTER)
    assert first.record["policy_changed"] == []
    play_week(store, registry, project, 4, BETTER)
    for change, said in CHANGES:
        taken = look_on(store, changed(project, **change), week(6))
        assert taken is not None
        assert taken.record["policy_changed"] == said


def test_a_batch_that_closes_on_another_day_is_a_change_too(store: Store, registry: Registry, project: Project) -> None:
    judged(store, registry, project, BETTER)
    sooner = project.model_copy(update={"maturity_days": 7})
    taken = look_on(store, sooner, week(5))
    assert taken is not None
    assert taken.record["policy_changed"] == [f"maturity_days: {project.maturity_days} -> 7"]


def test_the_change_is_told_once_and_the_next_decision_is_compared_with_it(
    store: Store, registry: Registry, project: Project
) -> None:
    judged(store, registry, project, BETTER)
    stricter = changed(project, alpha=0.01)
    taken = look_on(store, stricter, week(5))
    assert taken is not None
    assert taken.record["policy_changed"] == ["alpha: 0.05 -> 0.01"]
    save_decision(store, stricter.name, taken)
    play_week(store, registry, project, 4, BETTER)
    after = look_on(store, stricter, week(6))
    assert after is not None
    assert after.record["policy_changed"] == []


def test_a_new_reign_begins_with_the_policy_of_its_day(store: Store, registry: Registry, project: Project) -> None:
    willing = changed(project, min_gain=0)
    found(store, registry, willing)
    taken = judged(store, registry, willing, BETTER)
    assert taken.promote == "2"
    promote(store, registry, willing.name, taken.id)
    for number in range(6, 10):
        play_week(store, registry, willing, number, BETTER)
    after = look_on(store, project, week(11))
    assert after is not None
    assert after.reign.number == 2
    assert after.record["policy_changed"] == []
