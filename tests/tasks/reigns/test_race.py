"""Processes that promote, score and replay at once, on every kind of store: one log, one pointer, and the bytes of a run alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from parcels import put_batch, register_version
from racers import race, race_to_promote, race_to_replay
from replays import replay_due
from weeks import everything, found, some_parcels, week

from tasks.base.project import Project
from tasks.batches.scoring import score_batch
from tasks.models.registry import Registry
from tasks.reigns import head, reigns
from tasks.store import open_store

PROCESSES, ROUNDS = 16, 25


@pytest.fixture
def project(make_project: Callable[..., Project], store_uri: str) -> Project:
    return make_project(store=store_uri)


@pytest.mark.slow
def test_every_promotion_is_in_the_log_once_or_was_told_that_it_lost(project: Project) -> None:
    reports = race(race_to_promote, PROCESSES, project, ROUNDS)
    store = open_store(project.store)
    log = reigns(store, project.name)  # raises unless it is gapless and every entry follows the one before
    won = [decision for wins, _ in reports for decision in wins]
    lost = [decision for _, losses in reports for decision in losses]
    assert len(log) == ROUNDS
    assert sorted(r.decision for r in log) == sorted(won)
    assert len(set(won + lost)) == PROCESSES * ROUNDS
    assert store.read(f"{project.name}/mlflow/{project.name}/live_model_run").decode() == log[-1].run_id


@pytest.mark.slow
def test_replays_beside_a_score_end_in_the_bytes_of_one_after_the_other(
    project: Project, make_project: Callable[..., Project], tmp_path: Path
) -> None:
    alone, registry = make_project(store=str(tmp_path / "alone"), model=project.model), Registry(project)
    register_version(alone, "x1")
    days = [week(n) for n in range(4)]
    for one in (project, alone):
        store = open_store(one.store)
        found(store, registry, one)
        for day in days:
            put_batch(store, one, str(day), some_parcels(id=[f"{day}-{i}" for i in range(10)]))
        for day in days[:-1]:
            score_batch(store, registry, one, head(store, one.name), str(day), day)
    register_version(alone, "x2", tags={"labels_seen_through": str(week(-1))})
    assert sorted(race(race_to_replay, 3, project, days)) == [1, 2, 3]
    replay_due(open_store(project.store), registry, project, days[-1])  # what the next run of score would do
    store = open_store(alone.store)
    score_batch(store, registry, alone, head(store, alone.name), str(days[-1]), days[-1])
    replay_due(store, registry, alone, days[-1])
    assert everything(open_store(project.store), project) == everything(store, alone)
