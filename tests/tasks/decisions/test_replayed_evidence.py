"""Replayed batches in a decision: evidence where no label could be seen when the challenger was found, context elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from parcels import decisions_frame, put_labels
from replays import NeedsFile, against, replay_due, taken
from weeks import everything, found, look_on, play_rows, play_week, score_rows, week

from analysis.evidence import LABELS_SEEN
from analysis.policy import Policy
from tasks.base.project import Project
from tasks.decisions import all_records
from tasks.decisions.verification import verify_all
from tasks.labels.tallying import close_batches
from tasks.models.registry import Registry
from tasks.store import Store

Register = Callable[..., str]

WEEKS = 6
# by label, decision of version 1, of version 2, of version 3
COUNTS = {
    (1, 1, 1, 1): 60, (1, 0, 1, 1): 20, (1, 0, 0, 1): 10, (1, 1, 1, 0): 3, (1, 0, 0, 0): 7, (0, 0, 0, 0): 190, (0, 1, 1, 0): 6,
    (0, 0, 0, 1): 4,
}  # fmt: skip
FOUND = week(WEEKS - 1) + timedelta(
    days=3
)  # the labels of the last week come four days later, those before it were there


@pytest.fixture
def project(make_project: Callable[..., Project]) -> Project:
    return make_project(policy=Policy(n_resamples=1000))


@pytest.fixture
def played(store: Store, registry: Registry, project: Project, two: None) -> None:
    """Six weeks that two versions have scored, with what a third one decides in its column x3."""
    found(store, registry, project)
    for n in range(WEEKS):
        play_week(store, registry, project, n, COUNTS)


def rows(n: int = 1) -> int:
    return n * sum(COUNTS.values())


@pytest.mark.usefixtures("played")
class TestALateChallenger:
    def test_is_judged_on_batches_whose_labels_nobody_had_seen_and_shown_on_the_others(
        self, store: Store, registry: Registry, project: Project, register: Register
    ) -> None:
        register("x3")
        replay_due(store, registry, project, FOUND)
        late = against(taken(store, project, week(WEEKS + 1)), "3")
        assert [(b.batch, b.replayed) for b in late.batches] == [(str(week(WEEKS - 1)), True)]
        assert late.excluded == {LABELS_SEEN: rows(WEEKS - 1)}
        assert [b.batch for b in late.context] == [str(week(n)) for n in range(WEEKS - 1)]
        assert all(b.counts == late.batches[0].counts for b in late.context)
        assert verify_all(store, project.name) == []

    def test_that_is_found_on_the_day_of_a_first_label_can_have_seen_it(
        self, store: Store, registry: Registry, project: Project, register: Register
    ) -> None:
        register("x3")
        replay_due(store, registry, project, week(WEEKS))  # on this day come the labels of the last week
        late = against(taken(store, project, week(WEEKS + 1)), "3")
        assert (late.batches, len(late.context)) == ((), WEEKS)

    def test_is_judged_as_if_it_had_been_there_where_a_claim_says_that_it_saw_no_label(
        self, store: Store, registry: Registry, project: Project, register: Register, make_project: Callable[..., Project],
        tmp_path: Path,
    ) -> None:  # fmt: skip
        register("x3", tags={"labels_seen_through": str(week(-1))})
        replay_due(store, registry, project, FOUND)
        look = taken(store, project, week(WEEKS + 1))
        there = make_project(name="there", model=project.model, policy=project.policy, store=str(tmp_path / "store"))
        found(store, registry, there)
        for n in range(WEEKS):
            play_week(store, registry, there, n, COUNTS)
        expected = against(taken(store, there, week(WEEKS + 1)), "3")
        late = against(look, "3")
        assert [b.counts for b in late.batches] == [b.counts for b in expected.batches]
        assert [b.segments for b in late.batches] == [b.segments for b in expected.batches]
        assert [b.scores for b in late.batches] == [b.scores for b in expected.batches]
        assert (late.excluded, late.context) == (expected.excluded, ())
        (replayed, *_) = [b for b in look.record["basis"]["batches"] if "replayed" in b]
        author = registry.author(registry.version("3"))
        assert replayed["replayed"] == {
            "3": {
                "found": str(FOUND),
                "labels_seen_through": str(week(-1)),
                "author": author,
                "claimed": str(FOUND),
                "first_labels_after": None,
            }
        }
        assert verify_all(store, project.name) == []

    def test_changes_nothing_for_those_that_were_there(
        self, store: Store, registry: Registry, project: Project, register: Register
    ) -> None:
        before = against(taken(store, project, week(WEEKS + 1)), "2")
        kept = everything(store, project)
        register("x3")
        replay_due(store, registry, project, FOUND)
        after = taken(store, project, week(WEEKS + 1))
        assert against(after, "2").batches == before.batches
        written = {k: v for k, v in everything(store, project).items() if k in kept and "/reports/" not in k}
        assert written == kept
        first, second = (a["allowances"]["2"] for a in (r["basis"] for r in all_records(store, project.name)))
        assert first == second

    def test_has_the_next_wave_of_the_budget(
        self, store: Store, registry: Registry, project: Project, register: Register
    ) -> None:
        register("x3")
        replay_due(store, registry, project, FOUND)
        register("x1", threshold="0.6")
        replay_due(store, registry, project, FOUND + timedelta(days=1))
        allowances = taken(store, project, week(WEEKS + 1)).record["basis"]["allowances"]
        assert {v: a["wave"] for v, a in allowances.items()} == {"2": 1, "3": 2, "4": 3}

    def test_that_is_replayed_before_a_batch_closes_counts_the_same(
        self, store: Store, registry: Registry, project: Project, register: Register
    ) -> None:
        register("x3")
        replay_due(store, registry, project, FOUND)
        close_batches(store, project, week(WEEKS + 1))
        expected = {k: v for k, v in everything(store, project).items() if "/tallies/" in k}
        for key in expected:
            store.delete(key)
        for n in range(WEEKS):
            close_batches(store, project, week(n + 2))
        made = {k: v for k, v in everything(store, project).items() if "/tallies/" in k}
        assert {k: v for k, v in made.items() if not k.endswith(".json")} == {
            k: v for k, v in expected.items() if not k.endswith(".json")
        }

    def test_that_comes_second_is_paired_with_the_first_on_the_batches_of_both(
        self, store: Store, registry: Registry, project: Project, register: Register
    ) -> None:
        claim = {"labels_seen_through": str(week(-1))}
        register("x3", tags=claim)
        replay_due(store, registry, project, FOUND)
        first = taken(store, project, week(WEEKS + 1))
        register("x1", threshold="0.6", tags=claim)
        replay_due(store, registry, project, FOUND)
        second = taken(store, project, week(WEEKS + 1))
        assert against(second, "3").batches == against(first, "3").batches
        assert len(against(second, "4").batches) == WEEKS
        assert verify_all(store, project.name) == []

    def test_keeps_the_order_of_its_first_use(
        self, store: Store, registry: Registry, project: Project, register: Register
    ) -> None:
        """It was judged on the batch that it scored as it came; the older ones, replayed after that look, come later."""
        claim = {"labels_seen_through": str(week(-1))}
        register("x3", tags=claim)
        play_week(store, registry, project, WEEKS, COUNTS)
        first = taken(store, project, week(WEEKS + 2))
        assert [b.batch for b in against(first, "3").batches] == [str(week(WEEKS))]
        replay_due(store, registry, project, week(WEEKS))
        second = taken(store, project, week(WEEKS + 2))
        assert [b.batch for b in against(second, "3").batches] == [str(week(n)) for n in (WEEKS, *range(WEEKS))]

    def test_that_failed_lately_is_cured_by_its_replay(
        self, store: Store, registry: Registry, project: Project, register: Register, tmp_path: Path
    ) -> None:
        dictionary = tmp_path / "dictionary"
        dictionary.touch()
        register("x3", model=NeedsFile(dictionary), tags={"labels_seen_through": str(week(-1))})
        play_week(store, registry, project, WEEKS, COUNTS)
        dictionary.unlink()
        play_week(store, registry, project, WEEKS + 1, COUNTS)
        failing = taken(store, project, week(WEEKS + 3))
        assert failing.record["basis"]["failed_lately"] == {"3": [str(week(WEEKS + 1))]}
        assert [f["version"] for f in failing.record["failures"]] == ["3"]
        assert len(against(failing, "3").batches) == 1
        dictionary.touch()
        replay_due(store, registry, project, week(WEEKS + 2))
        cured = taken(store, project, week(WEEKS + 3))
        assert (cured.record["basis"]["failed_lately"], cured.record["failures"]) == ({}, [])
        assert len(against(cured, "3").batches) == WEEKS + 2
        assert verify_all(store, project.name) == []

    def test_of_which_a_replay_was_deleted_or_changed_is_found_by_verification(
        self, store: Store, registry: Registry, project: Project, register: Register
    ) -> None:
        register("x3")
        replay_due(store, registry, project, FOUND)
        look = taken(store, project, week(WEEKS + 1))
        files = next(b["files"] for b in look.record["basis"]["batches"] if "replayed" in b)
        for key in [k for k in files if "replay" in k]:
            data = store.read(key)
            store.write(key, data + b" ")
            assert verify_all(store, project.name) == [f"decision {look.id}: {key}, which it rests on, was changed"], (
                key
            )
            store.delete(key)
            assert verify_all(store, project.name) == [f"decision {look.id}: {key}, which it rests on, is missing"], key
            store.write(key, data)
        assert verify_all(store, project.name) == []


@pytest.mark.parametrize("how", ["others", "none"])
def test_a_batch_whose_labels_changed_after_it_closed_counts_no_replay(
    how: str,
    store: Store,
    registry: Registry,
    project: Project,
    register: Register,
    two: None,
    caplog: pytest.LogCaptureFixture,
) -> None:
    found(store, registry, project)
    frame = decisions_frame({(1, 0, 1): 30, (0, 0, 0): 30}, prefix="a")
    play_rows(store, registry, project, 0, frame)
    close_batches(store, project, week(2))
    store.delete(f"{project.name}/labels/{week(0)}.parquet")
    if how == "others":
        put_labels(store, project, frame["id"].to_list()[1:], frame["label"].to_list()[1:], week(1))
    register("x1", threshold="0.6", tags={"labels_seen_through": str(week(-1))})
    replay_due(store, registry, project, week(2))
    look = look_on(store, project, week(2))
    assert look is not None
    assert against(look, "2").counts.n == 60
    assert (against(look, "3").counts.n, against(look, "3").context) == (0, ())
    assert "its labels are not those with which it closed" in caplog.text


def test_silence_at_an_age_at_which_others_had_labels_is_no_proof_that_none_was_seen(
    store: Store, registry: Registry, project: Project, register: Register, two: None
) -> None:
    """The batch of week 1 has its first label after ten days, that of week 0 had it after one: on day 15 both can have been looked at."""
    found(store, registry, project)
    for n, first in ((0, 1), (1, 10)):
        frame = decisions_frame({(1, 0, 1, 1): 30, (0, 0, 0, 0): 30}, prefix=f"{n}-")
        put_labels(
            store, project, frame["id"].to_list(), frame["label"].to_list(), week(n) + timedelta(days=first), str(n)
        )
        score_rows(store, registry, project, frame.drop("label"), week(n))
    register("x3")
    replay_due(store, registry, project, week(2) + timedelta(days=1))
    late = against(taken(store, project, week(3)), "3")
    assert (late.batches, len(late.context)) == ((), 2)


def test_a_version_with_another_threshold_is_another_contender_and_the_first_stays_in_the_budget(
    store: Store, registry: Registry, project: Project, played: None
) -> None:
    registry.set_tags("2", {"threshold": "0.6"})  # decides as before, as its scores are .27 and .73
    replay_due(store, registry, project, FOUND)
    look = taken(store, project, week(WEEKS + 1))
    (changed,) = look.evidence
    assert (changed.challenger.threshold, len(changed.batches), len(changed.context)) == (0.6, 1, WEEKS - 1)
    (departed,) = look.record["basis"]["departed"]
    assert departed["contender"]["threshold"] == 0.5
    assert departed["allowance"]["wave"] == 1
    assert look.record["basis"]["allowances"]["2"]["wave"] == 2
    assert verify_all(store, project.name) == []
