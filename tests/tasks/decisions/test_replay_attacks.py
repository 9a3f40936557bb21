"""Attacks on the evidence of replays: choices that are made late, labels that tell more than the batch at hand, and files that are gone."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest
from parcels import decisions_frame, put_batch, put_labels
from replays import NeedsFile, against, replay_due, taken
from weeks import found, look_on, play_week, score_rows, week

from analysis.evidence import gather
from analysis.policy import Policy
from tasks.base.project import Project
from tasks.batches.predictions import DamagedError, manifests
from tasks.decisions.basis import counted
from tasks.decisions.promotion import ChangedEvidenceError, promote
from tasks.decisions.verification import verify_all
from tasks.labels.tallying import close_batches
from tasks.models.registry import Registry
from tasks.reigns import reigns
from tasks.store import Store

Register = Callable[..., str]

WEEKS = 6
COUNTS = {(1, 1, 1, 1): 60, (1, 0, 1, 1): 20, (1, 0, 0, 1): 10, (1, 1, 1, 0): 3, (0, 0, 0, 0): 200}
DAY = timedelta(days=1)
FOUND = week(WEEKS - 1) + 3 * DAY
BEFORE_ALL = {"labels_seen_through": str(week(-1))}


@pytest.fixture
def project(make_project: Callable[..., Project]) -> Project:
    return make_project(policy=Policy(n_resamples=1000))


@pytest.fixture
def played(store: Store, registry: Registry, project: Project, two: None) -> None:
    """Six weeks that two versions have scored, with what a third one decides in its column x3."""
    found(store, registry, project)
    for n in range(WEEKS):
        play_week(store, registry, project, n, COUNTS)


def test_a_challenger_that_was_away_in_this_reign_is_chosen_anew_when_it_comes_back(
    store: Store, registry: Registry, project: Project, register: Register, two: None
) -> None:
    found(store, registry, project)
    register("x3")
    play_week(store, registry, project, 0, COUNTS)  # reign 1: all three score
    registry.set_tags("3", {"retired": "true"})
    found(store, registry, project, version="2", since=week(1))  # another reign
    for n in range(1, WEEKS):
        play_week(store, registry, project, n, COUNTS)
    registry.set_tags("3", {"retired": "false"})  # chosen now, by the labels of this reign
    replay_due(store, registry, project, week(WEEKS + 1))
    look = taken(store, project, week(WEEKS + 1))
    late = against(look, "3")
    assert late.batches == ()


@pytest.mark.usefixtures("played")
def test_a_version_that_failed_in_every_replay_was_not_found_by_that(
    store: Store, registry: Registry, project: Project, register: Register, tmp_path: Path
) -> None:
    """No decision has it in its budget: of twenty such versions, the one that is cured when the labels are known is the best of twenty."""
    cure = tmp_path / "cure"
    register("x3", model=NeedsFile(cure))
    replay_due(store, registry, project, FOUND)
    cure.touch()
    replay_due(store, registry, project, week(WEEKS + 3))
    late = against(taken(store, project, week(WEEKS + 3)), "3")
    assert late.batches == ()


@pytest.mark.usefixtures("played")
def test_a_claim_that_comes_later_takes_no_batch_away(
    store: Store, registry: Registry, project: Project, register: Register
) -> None:
    register("x3")
    replay_due(store, registry, project, FOUND)
    before = against(taken(store, project, week(WEEKS + 1)), "3")
    assert len(before.batches) == 1
    registry.set_tags("3", {"labels_seen_through": str(week(WEEKS + 1))})
    replay_due(store, registry, project, week(WEEKS + 1))
    assert len(against(taken(store, project, week(WEEKS + 1)), "3").batches) == 1


@pytest.mark.usefixtures("played")
def test_a_look_back_knows_no_later_claim(
    store: Store, registry: Registry, project: Project, register: Register
) -> None:
    register("x3")
    replay_due(store, registry, project, FOUND)
    before = taken(store, project, week(WEEKS + 1))
    registry.set_tags("3", BEFORE_ALL)
    replay_due(store, registry, project, week(WEEKS + 2))
    assert taken(store, project, week(WEEKS + 1)).id == before.id


@pytest.mark.usefixtures("played")
def test_a_batch_that_is_context_for_one_is_no_evidence_between_two(
    store: Store, registry: Registry, project: Project, register: Register
) -> None:
    register("x3")
    replay_due(store, registry, project, FOUND)
    taken(store, project, week(WEEKS + 1))
    register("x1", threshold="0.6", tags=BEFORE_ALL)
    replay_due(store, registry, project, FOUND)
    closed = close_batches(store, project, week(WEEKS + 1))
    tallies = [c.tally for c in counted(store, project.name, closed.batches, week(WEEKS + 1))]
    look = taken(store, project, week(WEEKS + 1))
    pair = gather(against(look, "3").challenger, against(look, "4").challenger, tallies, policy=project.policy)
    assert [b.batch for b in pair.batches] == [str(week(WEEKS - 1))]


def test_a_column_that_was_filled_in_afterwards_is_not_replayed(
    store: Store, registry: Registry, project: Project, register: Register
) -> None:
    register("x1")
    found(store, registry, project)
    frame = decisions_frame({(1, 0, 0): 30, (0, 0, 0): 30}, prefix="a")
    put_labels(store, project, frame["id"].to_list(), frame["label"].to_list(), week(1))
    score_rows(store, registry, project, frame.drop("label", "x2"), week(0))
    register("x2", tags=BEFORE_ALL)
    put_batch(store, project, str(week(0)), frame.with_columns(x2=pl.col("label") * 2.0 - 1).drop("label"))
    assert manifests(store, project.name)[0].replays == ()


def two_weeks_first(store: Store, registry: Registry, project: Project) -> None:
    found(store, registry, project)
    for n, first in ((0, 1), (1, 10)):
        frame = decisions_frame({(1, 0, 1, 1): 30, (0, 0, 0, 0): 30}, prefix=f"{n}-")
        put_labels(
            store, project, frame["id"].to_list(), frame["label"].to_list(), week(n) + timedelta(days=first), str(n)
        )
        score_rows(store, registry, project, frame.drop("label"), week(n))


def test_first_labels_are_those_of_all_batches_also_of_those_it_learned_from(
    store: Store, registry: Registry, project: Project, register: Register, two: None
) -> None:
    two_weeks_first(store, registry, project)
    register("x3", trained_through=str(week(0)))
    replay_due(store, registry, project, week(2) + DAY)
    late = against(taken(store, project, week(3)), "3")
    assert (late.batches, len(late.context)) == ((), 1)


def test_first_labels_do_not_depend_on_what_others_were_replayed_on(
    store: Store, registry: Registry, project: Project, register: Register, two: None
) -> None:
    two_weeks_first(store, registry, project)
    register("x3", trained_through=str(week(0)))
    replay_due(store, registry, project, week(2) + DAY)
    before = against(taken(store, project, week(3)), "3")
    register("x3", threshold="0.6")
    replay_due(store, registry, project, week(2) + DAY)
    after = against(taken(store, project, week(3)), "3")
    assert [b.batch for b in after.batches] == [b.batch for b in before.batches]


def test_first_labels_of_open_batches_are_known_at_the_first_look(
    store: Store, registry: Registry, project: Project, register: Register, two: None
) -> None:
    found(store, registry, project)
    for n, first in ((0, 13), (1, 1)):
        frame = decisions_frame({(1, 0, 1, 1): 30, (0, 0, 0, 0): 30}, prefix=f"{n}-")
        put_labels(
            store, project, frame["id"].to_list(), frame["label"].to_list(), week(n) + timedelta(days=first), str(n)
        )
        score_rows(store, registry, project, frame.drop("label"), week(n))
    register("x3")
    replay_due(store, registry, project, week(1) + 3 * DAY)
    first = against(taken(store, project, week(2)), "3")
    second = against(taken(store, project, week(3)), "3")
    assert {b.batch for b in first.batches} <= {b.batch for b in second.batches}


@pytest.mark.parametrize("how", ["late", "corrected"])
def test_labels_that_come_after_closing_cost_no_replay(
    how: str, store: Store, registry: Registry, project: Project, register: Register, two: None
) -> None:
    found(store, registry, project)
    frame = decisions_frame({(1, 0, 1, 1): 30, (0, 0, 0, 0): 30}, prefix="a")
    ids, labels = frame["id"].to_list(), frame["label"].to_list()
    put_labels(store, project, ids[1:], labels[1:], week(1), "on-time")
    score_rows(store, registry, project, frame.drop("label"), week(0))
    taken(store, project, week(2))
    n = 0 if how == "late" else 1
    put_labels(store, project, ids[n : n + 1], [0], week(2) + 3 * DAY, "late")
    register("x3", tags=BEFORE_ALL)
    replay_due(store, registry, project, week(2))
    late = against(taken(store, project, week(3)), "3")
    assert late.counts.n == 59


def test_a_threshold_set_back_and_forth_loses_no_batch(
    store: Store, registry: Registry, project: Project, register: Register, two: None
) -> None:
    found(store, registry, project)
    for n in range(2):
        play_week(store, registry, project, n, COUNTS)
    first = against(taken(store, project, week(3)), "2")
    assert len(first.batches) == 2
    registry.set_tags("2", {"threshold": "0.6"})
    replay_due(store, registry, project, week(3))
    play_week(store, registry, project, 2, COUNTS)  # with .6
    registry.set_tags("2", {"threshold": "0.7"})
    replay_due(store, registry, project, week(3) + DAY)
    registry.set_tags("2", {"threshold": "0.5"})
    replay_due(store, registry, project, week(3) + DAY)
    play_week(store, registry, project, 3, COUNTS)
    look = taken(store, project, week(5))
    again = against(look, "2")
    assert again.challenger.threshold == 0.5
    assert len(again.batches) == 4
    assert verify_all(store, project.name) == []


@pytest.mark.usefixtures("played")
@pytest.mark.parametrize("gone", [".replay-", "parts", "rows"])
def test_files_that_are_gone_hold_up_nobody_else(
    gone: str, store: Store, registry: Registry, project: Project, register: Register
) -> None:
    if gone == "rows":
        taken(store, project, week(WEEKS + 1))
        for key in store.keys(f"{project.name}/predictions"):
            if key.endswith(".parquet"):
                store.delete(key)
    register("x3", tags=BEFORE_ALL)
    replay_due(store, registry, project, FOUND)
    if gone == "parts":
        key = next(k for k in store.keys(f"{project.name}/predictions") if "/3/part" in k)
        store.delete(key)
    look = taken(store, project, week(WEEKS + 1))
    if gone == ".replay-":
        for key in store.keys(f"{project.name}/tallies"):
            if ".replay-" in key and key.endswith(".parquet"):
                store.delete(key)
        look = taken(store, project, week(WEEKS + 1))
    assert len(against(look, "2").batches) == WEEKS


def test_a_claim_of_a_broken_model_holds_up_nobody_else(
    store: Store, registry: Registry, project: Project, register: Register, two: None
) -> None:
    found(store, registry, project)
    play_week(store, registry, project, 0, COUNTS)
    register("x3", tags=BEFORE_ALL)
    models = (Path(project.store).parent / "artifacts").rglob("MLmodel")
    max(models, key=lambda f: f.stat().st_mtime_ns).write_text("{")
    replay_due(store, registry, project, week(1))
    assert len(manifests(store, project.name)) == 1


def test_a_threshold_that_was_set_back_after_the_look_is_not_promoted_with_another_ones_proof(
    store: Store, registry: Registry, project: Project, played: None
) -> None:
    look = taken(store, project, week(WEEKS + 1))
    assert look.promote == "2"
    registry.set_tags("2", {"threshold": "0.9"})
    sentence = f"decision {look.id} judged version 2 with other tags, its threshold 0.5; set threshold"
    with pytest.raises(ChangedEvidenceError, match=sentence):
        promote(store, registry, project.name, look.id)
    assert len(reigns(store, project.name)) == 1
    registry.set_tags("2", {"threshold": "0.5"})
    assert promote(store, registry, project.name, look.id).version == "2"


def test_a_damaged_claim_is_named(
    store: Store, registry: Registry, project: Project, played: None, register: Register
) -> None:
    register("x3", tags=BEFORE_ALL)
    replay_due(store, registry, project, FOUND)
    (key,) = (k for k in store.keys(f"{project.name}/contenders") if "claim" in k)
    store.write(key, b"{}")
    with pytest.raises(
        DamagedError, match=f"{key} cannot be read as what was found or claimed of a contender; restore it"
    ):
        look_on(store, project, week(WEEKS + 1))
