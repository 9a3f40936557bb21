"""Processes that race each other for one object or one reign. Apart from the tests, so that a racer starts in no time."""

from __future__ import annotations

import multiprocessing
import threading
from collections.abc import Callable
from datetime import date
from typing import Any

from tasks.project import Project
from tasks.reigns import SupersededError, commit, following, reigns
from tasks.store import AlreadyThereError, open_store

__all__ = ["payload", "race", "race_for_keys", "race_for_reigns"]

PATIENCE = 60


def race(racer: Callable[..., None], racers: int, *args: Any) -> list[Any]:
    """Run ``racer(number, barrier, report, *args)`` in as many processes at once; what each had to report."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tasks.reigns"])  # a forked racer finds its imports done
    barrier, report = context.Barrier(racers), context.SimpleQueue()
    processes = [context.Process(target=racer, args=(n, barrier, report, *args)) for n in range(1, racers + 1)]
    for process in processes:
        process.start()
    reports = [report.get() for _ in processes]
    for process in processes:
        process.join()
    return reports


def payload(number: int) -> bytes:
    return bytes([number]) * 50_000


def race_for_keys(number: int, barrier: threading.Barrier, report: Any, uri: str, keys: list[str]) -> None:
    """Try to create every key at the same time as all others; report those that were won."""
    store, won = open_store(uri), []
    for key in keys:
        barrier.wait(PATIENCE)
        try:
            store.create(key, payload(number))
        except AlreadyThereError:
            continue
        won.append(key)
    report.put((number, won))


def race_for_reigns(number: int, barrier: threading.Barrier, report: Any, project: Project, rounds: int) -> None:
    """Try to become champion in every round, from the same head as all others; report how each round ended."""
    store, ends = open_store(project.store), []
    for _ in range(rounds):
        log = reigns(store, project)
        reign = following(
            log[-1] if log else None, version=str(number), run_id=f"run-{number}", since=date(2024, 1, 7),
            kind="promotion", decision=f"decision-{number}", author="dethrone", reason="proven better",
        )  # fmt: skip
        barrier.wait(PATIENCE)
        try:
            commit(store, project, reign)
            ends.append("won")
        except SupersededError:
            ends.append("superseded")
        barrier.wait(PATIENCE)
    report.put((str(number), ends))
