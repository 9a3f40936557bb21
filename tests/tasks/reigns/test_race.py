"""Sixteen processes that promote at once, on every kind of store: one log, and a pointer that tells its head."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from racers import race, race_to_promote

from tasks.base.project import Project
from tasks.reigns import reigns
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
