"""Decisions: one look at the evidence of a reign, on every contender as it competes now."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from weeks import BEGIN, BETTER, EQUAL, WORSE, found, judged, look_on, play_week, week

from analysis.evidence import ANOTHER_CONTENDER, BEFORE_TRAINED_THROUGH
from analysis.policy import Policy
from analysis.tables.record import canonical_json
from analysis.verdict.judge import Verdict
from tasks.base.project import Project
from tasks.decisions import decide
from tasks.decisions.promotion import promote
from tasks.labels.tallying import close_batches
from tasks.models.registry import Registry
from tasks.reigns import reigns
from tasks.store import Store

POLICY = Policy(n_resamples=1000)


@pytest.fixture
def project(make_project: Callable[..., Project]) -> Project:
    return make_project(policy=POLICY)


@pytest.mark.usefixtures("two")
class TestNothingToJudge:
    def test_before_the_first_batch(self, store: Store, registry: Registry, project: Project) -> None:
        found(store, registry, project)
        assert look_on(store, project, BEGIN) is None

    def test_until_a_batch_is_closed(self, store: Store, registry: Registry, project: Project) -> None:
        found(store, registry, project)
        play_week(store, registry, project, 0, BETTER)
        assert look_on(store, project, week(2) - timedelta(days=1)) is None
        assert look_on(store, project, week(2)) is not None


def test_nothing_is_judged_while_nobody_challenges(
    store: Store, registry: Registry, project: Project, register: Callable[..., str]
) -> None:
    register("x1")
    found(store, registry, project)
    play_week(store, registry, project, 0, BETTER)
    assert look_on(store, project, week(2)) is None


def test_nothing_is_judged_while_every_challenger_fails(
    store: Store, registry: Registry, project: Project, register: Callable[..., str]
) -> None:
    register("x1")
    register("no such column")
    found(store, registry, project)
    play_week(store, registry, project, 0, BETTER)
    assert look_on(store, project, week(2)) is None


@pytest.mark.usefixtures("two")
class TestVerdict:
    def test_a_better_challenger_is_promoted_when_enough_batches_have_closed(
        self, store: Store, registry: Registry, project: Project
    ) -> None:
        assert judged(store, registry, project, BETTER, weeks=3).promote is None
        play_week(store, registry, project, 3, BETTER)
        taken = look_on(store, project, week(5))
        assert taken is not None
        assert taken.promote == "2"
        assert len(taken.evidence[0].batches) == 4
        assert taken.evidence[0].counts.n == 4 * sum(BETTER.values())

    @pytest.mark.parametrize(("counts", "verdict"), [(EQUAL, Verdict.WAIT), (WORSE, Verdict.RETIRE)])
    def test_another_one_is_not(
        self,
        store: Store,
        registry: Registry,
        project: Project,
        counts: dict[tuple[int, ...], int],
        verdict: Verdict,
    ) -> None:
        taken = judged(store, registry, project, counts)
        assert taken.promote is None
        assert [a.verdict for a in taken.judgement.assessments] == [verdict]


@pytest.mark.usefixtures("two")
class TestReigns:
    def test_a_promotion_restarts_the_evidence(self, store: Store, registry: Registry, project: Project) -> None:
        promote(store, registry, project.name, judged(store, registry, project, BETTER).id)
        assert look_on(store, project, week(20)) is None
        play_week(store, registry, project, 6, EQUAL)
        taken = look_on(store, project, week(8))
        assert taken is not None
        assert [b.date for b in taken.evidence[0].batches] == [week(6)]
        assert taken.record["basis"]["reign"] == 2

    def test_a_demoted_champion_is_a_challenger_and_may_win_again(
        self, store: Store, registry: Registry, project: Project
    ) -> None:
        promote(store, registry, project.name, judged(store, registry, project, BETTER).id)
        for number in range(6, 10):
            play_week(store, registry, project, number, WORSE)
        taken = look_on(store, project, week(11))
        assert taken is not None
        assert (taken.evidence[0].champion.version, taken.evidence[0].challenger.version) == ("2", "1")
        assert taken.promote == "1"

    def test_a_batch_that_waits_belongs_to_the_reign_that_scored_it(
        self, store: Store, registry: Registry, project: Project
    ) -> None:
        taken = judged(store, registry, project, BETTER)
        play_week(store, registry, project, 5, WORSE)
        promote(store, registry, project.name, taken.id)
        assert look_on(store, project, week(7)) is None

    def test_what_the_next_reign_scored_is_no_business_of_the_last(
        self, store: Store, registry: Registry, project: Project
    ) -> None:
        """The day of a promotion is judged again after its own batch was scored by the new champion."""
        taken = judged(store, registry, project, BETTER)
        promote(store, registry, project.name, taken.id)
        play_week(store, registry, project, 5, WORSE)
        store.delete(f"{project.name}/decisions/{taken.id}.json")
        again = decide(store, project, reigns(store, project.name)[0], close_batches(store, project, week(5)), week(5))
        assert again is not None
        assert canonical_json(again.record) == canonical_json(taken.record)


class TestContenders:
    def test_a_threshold_changed_within_a_reign_makes_another_contender(
        self, store: Store, registry: Registry, project: Project, register: Callable[..., str]
    ) -> None:
        """What it did with the old threshold counts for nothing."""
        register("x1")
        register("x2")
        found(store, registry, project)
        for number in range(3):
            play_week(store, registry, project, number, BETTER)
        registry.set_tags("2", {"threshold": "0.6"})
        play_week(store, registry, project, 3, BETTER)
        taken = look_on(store, project, week(5))
        assert taken is not None
        (evidence,) = taken.evidence
        assert evidence.challenger.threshold == 0.6
        assert [b.date for b in evidence.batches] == [week(3)]
        assert evidence.excluded == {ANOTHER_CONTENDER: 3 * sum(BETTER.values())}

    def test_nobody_is_examined_on_what_they_learned_from(
        self, store: Store, registry: Registry, project: Project, register: Callable[..., str]
    ) -> None:
        register("x1")
        register("x2", trained_through=str(week(1)))
        (evidence,) = judged(store, registry, project, BETTER, weeks=3).evidence
        assert [b.date for b in evidence.batches] == [week(2)]
        assert evidence.excluded == {BEFORE_TRAINED_THROUGH: 2 * sum(BETTER.values())}

    def test_one_that_failed_in_the_newest_batch_still_competes(
        self, store: Store, registry: Registry, project: Project, register: Callable[..., str]
    ) -> None:
        register("x1")
        register("x2")
        found(store, registry, project)
        for number in range(2):
            play_week(store, registry, project, number, BETTER)
        play_week(store, registry, project, 2, {(1, 1): 5, (0, 0): 5})
        taken = look_on(store, project, week(4))
        assert taken is not None
        assert [b.date for b in taken.evidence[0].batches] == [week(0), week(1)]
        (failure,) = taken.record["failures"]
        assert (failure["version"], failure["batch"]) == ("2", str(week(2)))
        assert (failure["failed"], failure["batches"]) == (1, 3)
        assert failure["failure"].startswith("failed to load: its signature names the column 'x2'")

    def test_one_that_was_retired_competes_no_more(
        self, store: Store, registry: Registry, project: Project, register: Callable[..., str]
    ) -> None:
        for column in ("x1", "x2", "x2"):
            register(column)
        found(store, registry, project)
        play_week(store, registry, project, 0, BETTER)
        registry.set_tags("2", {"retired": "true"})
        play_week(store, registry, project, 1, BETTER)
        taken = look_on(store, project, week(3))
        assert taken is not None
        assert [e.challenger.version for e in taken.evidence] == ["3"]
        assert len(taken.evidence[0].batches) == 2

    def test_challengers_come_by_number_beyond_the_ninth(
        self, store: Store, registry: Registry, project: Project, register: Callable[..., str]
    ) -> None:
        for number in range(11):
            register("x1" if number == 0 else "x2")
        taken = judged(store, registry, project, EQUAL, weeks=1)
        assert [e.challenger.version for e in taken.evidence] == [str(n) for n in range(2, 12)]
