"""Processes that race each other for one object or one reign. Apart from the tests, so that a racer starts in no time."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from datetime import date
from typing import Any

import forked
from replays import replay_due

from tasks.base.project import Project
from tasks.batches.scoring import score_batch
from tasks.models.registry import Registry
from tasks.models.version import ModelVersion
from tasks.reigns import Reign, SupersededError, commit, head, reign_after, reigns
from tasks.reigns.projections import repair_projections
from tasks.store import AlreadyThereError, Store, StoreError, open_store

__all__ = [
    "PaperRegistry",
    "ReadOnce",
    "payload",
    "promotion_of",
    "race",
    "race_for_keys",
    "race_for_reigns",
    "race_to_promote",
    "race_to_replay",
]

PATIENCE = 60


def race(racer: Callable[..., None], racers: int, *args: Any) -> list[Any]:
    """Run ``racer(number, barrier, report, *args)`` in as many processes at once; what each had to report."""
    context = forked.context()
    barrier, report = context.Barrier(racers), context.SimpleQueue()
    settings = {k: v for k, v in os.environ.items() if k.startswith("AWS_")}  # of now, not of the first race
    processes = [
        context.Process(target=_race, args=(racer, settings, n, barrier, report, *args)) for n in range(1, racers + 1)
    ]
    for process in processes:
        process.start()
    reports = [report.get() for _ in processes]
    for process in processes:
        process.join()
    return reports


def _race(racer: Callable[..., None], settings: dict[str, str], *args: Any) -> None:
    os.environ.update(settings)
    racer(*args)


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


def write_as_nobody(_: int, barrier: threading.Barrier, report: Any, place: str) -> None:
    """Try to write into a store below ``place`` without root's rights; report what was said."""
    if os.geteuid() == 0:
        os.setuid(65534)
    try:
        open_store(f"{place}/store").create("a/b", b"data")
    except StoreError as error:
        report.put(str(error))
    else:
        report.put("written")


class ReadOnce:
    """A store that reads an entry of the log once: an entry never changes, and a race is about writing."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._entries: dict[str, bytes] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def read(self, key: str) -> bytes:
        if "/reigns/" not in key:
            return self._store.read(key)
        if key not in self._entries:
            self._entries[key] = self._store.read(key)
        return self._entries[key]


class PaperRegistry:
    """A registry in which every version exists, and which forgets what it is told."""

    model = "late"

    def version(self, number: str) -> ModelVersion:
        return ModelVersion(number, f"run-{number}", {})

    def aliases(self) -> dict[str, str]:
        return {}

    def set_alias(self, alias: str, version: str | None) -> None: ...

    def set_tags(self, version: str, tags: dict[str, str]) -> None: ...


def promotion_of(version: str, decision: str, log: list[Reign]) -> Reign:
    """The reign that this decision would add to the log."""
    return reign_after(
        log[-1] if log else None, version=version, run_id=f"run-{version}", since=date(2024, 1, 7), kind="promotion",
        decision=decision, author="dethrone", reason="proven better",
    )  # fmt: skip


def race_for_reigns(number: int, barrier: threading.Barrier, report: Any, project: Project, rounds: int) -> None:
    """Try to become champion in every round, from the same head as all others; report how each round ended."""
    store, ends = open_store(project.store), []
    for _ in range(rounds):
        reign = promotion_of(str(number), f"decision-{number}", reigns(store, project.name))
        barrier.wait(PATIENCE)
        try:
            commit(store, project.name, reign)
            ends.append("won")
        except SupersededError:
            ends.append("superseded")
        barrier.wait(PATIENCE)
    report.put((str(number), ends))


def race_to_promote(number: int, barrier: threading.Barrier, report: Any, project: Project, rounds: int) -> None:
    """In every round promote one's own version over the champion of its beginning, and project the log; report the decisions.

    As ``promote`` does: read the log, see that the champion still leads, commit, and then write the live pointer.
    """
    store, won, lost = ReadOnce(open_store(project.store)), [], []
    for round_number in range(rounds):
        decision = f"decision-{number}-{round_number}"
        barrier.wait(PATIENCE)
        try:
            log = reigns(store, project.name)
            if len(log) > round_number:
                lost.append(decision)
                continue
            commit(store, project.name, promotion_of(str(number), decision, log))
        except SupersededError:
            lost.append(decision)
        else:
            won.append(decision)
            repair_projections(store, PaperRegistry(), project.name)
    report.put((won, lost))


def race_to_replay(number: int, barrier: threading.Barrier, report: Any, project: Project, days: list[date]) -> None:
    """The first scores the batch of the last of these days, the others replay what there is, all at once."""
    store, registry = open_store(project.store), Registry(project)
    batch, today = days[-1], days[-1]
    barrier.wait(PATIENCE)
    if number == 1:
        score_batch(store, registry, project, head(store, project.name), str(batch), today)
    else:
        replay_due(store, registry, project, today)
    report.put(number)
