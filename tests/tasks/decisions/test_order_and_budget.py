"""Evidence keeps the order of its first use, and alpha covers all who have challenged in a reign."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import numpy as np
import pytest
from parcels import decisions_frame, put_batch, put_labels
from weeks import BETTER, EQUAL, found, look_on, play_week, week

from analysis.policy import Policy
from analysis.policy.rules import RULES
from tasks.base.project import Project
from tasks.batches.scoring import score_batch
from tasks.decisions import Decision, all_records, save_decision
from tasks.decisions.verification import verify_all
from tasks.models.registry import Registry
from tasks.reigns import head
from tasks.store import Store

Register = Callable[..., str]


@pytest.fixture
def project(make_project: Callable[..., Project]) -> Project:
    return make_project(policy=Policy(n_resamples=1000, min_gain=0.5))  # so that the reign goes on


def look(store: Store, project: Project, number: int) -> Decision:
    taken = look_on(store, project, week(number))
    assert taken is not None
    save_decision(store, project.name, taken)
    return taken


class TestOrder:
    @pytest.fixture(autouse=True)
    def champion(self, store: Store, registry: Registry, project: Project, register: Register) -> None:
        for column in ("x1", "x2"):
            register(column)
        found(store, registry, project)

    def test_a_batch_that_is_scored_late_comes_after_those_that_were_looked_at(
        self, store: Store, registry: Registry, project: Project
    ) -> None:
        for number in (0, 2, 3):
            play_week(store, registry, project, number, BETTER)
        before = look(store, project, 5)
        play_week(store, registry, project, 1, EQUAL)
        after = look(store, project, 6)
        order = [b["batch"] for b in after.record["basis"]["batches"]]
        assert order == [str(week(n)) for n in (0, 2, 3, 1)]
        assert [b.date for b in after.evidence[0].batches] == [week(n) for n in (0, 2, 3, 1)]
        assert [b["batch"] for b in before.record["basis"]["batches"]] == order[:3]
        assert verify_all(store, project.name) == []

    def test_without_a_decision_the_order_is_that_of_the_dates(
        self, store: Store, registry: Registry, project: Project
    ) -> None:
        for number in (2, 0, 1):
            play_week(store, registry, project, number, BETTER)
        taken = look(store, project, 4)
        assert [b["batch"] for b in taken.record["basis"]["batches"]] == [str(week(n)) for n in (0, 1, 2)]


class TestReign:
    def test_a_threshold_that_is_tuned_again_is_a_new_wave_with_less_of_alpha(
        self, store: Store, registry: Registry, project: Project, register: Register
    ) -> None:
        for column in ("x1", "x2"):
            register(column)
        found(store, registry, project)
        for number in range(2):
            play_week(store, registry, project, number, BETTER)
        first = look(store, project, 3)
        registry.set_tags("2", {"threshold": "0.6"})
        for number in (2, 3):
            play_week(store, registry, project, number, BETTER)
        second = look(store, project, 5)
        alphas = [t.record["basis"]["allowances"]["2"]["alpha"] for t in (first, second)]
        assert alphas == pytest.approx([0.05 * 6 / np.pi**2, 0.05 * 6 / np.pi**2 / 4], rel=1e-11)
        (left,) = second.record["basis"]["departed"]
        assert (left["contender"]["threshold"], left["allowance"]["wave"]) == (0.5, 1)
        assert second.record["alpha_spent"] == pytest.approx(sum(alphas))
        assert verify_all(store, project.name) == []

    def test_one_of_several_that_came_at_once_stays_in_their_closure_when_it_leaves(
        self,
        store: Store,
        registry: Registry,
        make_project: Callable[..., Project],
        project: Project,
        register: Register,
    ) -> None:
        project = make_project(model=project.model, policy=Policy(n_resamples=1000))
        for column, threshold in (("x1", "0.5"), ("x2", "0.5"), ("x1", "0.4")):
            register(column, threshold=threshold)
        found(store, registry, project)
        for number in range(3):
            play_week(store, registry, project, number, BETTER)
        both = look(store, project, 4)
        registry.set_tags("3", {"retired": "true"})
        play_week(store, registry, project, 3, BETTER)
        alone = look(store, project, 5)
        assert [d["contender"]["version"] for d in alone.record["basis"]["departed"]] == ["3"]
        (one,) = alone.judgement.assessments
        assert len(both.judgement.assessments) == 2
        assert one.log_e_adjusted < one.measured.log_e, "averaged with the e-value that version 3 left with"
        assert verify_all(store, project.name) == []

    def test_a_batch_that_is_scored_late_changes_nobodys_wave(
        self, store: Store, registry: Registry, project: Project, register: Register
    ) -> None:
        for column in ("x1", "x2"):
            register(column)
        found(store, registry, project)
        play_week(store, registry, project, 0, BETTER)
        register("x2", threshold="0.4")
        play_week(store, registry, project, 2, BETTER)
        before = look(store, project, 4).record["basis"]["allowances"]
        assert {v: a["wave"] for v, a in before.items()} == {"2": 1, "3": 2}
        register("x2", threshold="0.3")
        for number in (1, 3):
            play_week(store, registry, project, number, BETTER)
        after = look(store, project, 5).record["basis"]["allowances"]
        assert {v: a["wave"] for v, a in after.items()} == {"2": 1, "3": 2, "4": 3}
        assert {v: after[v] for v in before} == before

    def test_a_look_back_that_is_recorded_does_not_reorder_what_was_used(
        self, store: Store, registry: Registry, project: Project, register: Register
    ) -> None:
        for column in ("x1", "x2"):
            register(column)
        found(store, registry, project)
        for number in (0, 2, 1):
            play_week(store, registry, project, number, BETTER)
            look(store, project, 4)
        look(store, project, 2)
        taken = look(store, project, 5)
        assert [b["batch"] for b in taken.record["basis"]["batches"]] == [str(week(n)) for n in (0, 2, 1)]


def test_a_decision_names_its_rules_and_what_computed_it(
    store: Store, registry: Registry, project: Project, two: None
) -> None:
    found(store, registry, project)
    play_week(store, registry, project, 0, BETTER)
    taken = look(store, project, 2)
    assert taken.record["basis"]["rules"] == RULES
    assert set(taken.record["software"]) == {"dethrone", "numpy", "scipy", "polars"}
    (kept,) = all_records(store, project.name)
    assert kept["software"] == taken.record["software"]


def test_late_labels_are_looked_at_once_and_for_good(
    store: Store, registry: Registry, project: Project, two: None
) -> None:
    """Of a batch that closes after two weeks those that came up to two weeks later; what comes after that changes nothing."""
    found(store, registry, project)
    frame = decisions_frame({(1, 0, 1): 10, (1, 1, 0): 10, (0, 0, 0): 20}, prefix="r")
    put_batch(store, project, str(week(0)), frame.drop("label"))
    ids, labels = frame["id"].to_list(), frame["label"].to_list()
    put_labels(store, project, ids[:8] + ids[10:12], labels[:8] + labels[10:12], week(1), name="in time")
    put_labels(store, project, ids[8:10] + ids[12:16], labels[8:10] + labels[12:16], week(3), name="late")
    put_labels(store, project, ids[16:20], labels[16:20], week(5), name="never")
    score_batch(store, registry, project, head(store, project.name), str(week(0)), week(0))

    early = look(store, project, 3)
    assert early.evidence[0].batches[0].settled is None
    audited = look(store, project, 4)
    settled = audited.evidence[0].batches[0].settled
    assert settled is not None
    assert (settled.labelled, settled.unlabelled) == ((0, 0, 0, 0, 0, 10, 6, 0), (20, 0, 4, 0))
    kept = store.read("parcels/tallies/2024-01-07.settled.parquet")
    again = look(store, project, 9)
    assert again.id == audited.id
    assert store.read("parcels/tallies/2024-01-07.settled.parquet") == kept
    assert verify_all(store, project.name) == []
    before = look_on(store, project, week(3) + timedelta(days=6))
    assert before is not None
    assert before.id == early.id, "a look back does not see what came after its day"
