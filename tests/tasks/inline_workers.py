"""A worker in this process: jobs and their results travel as bytes, as between machines, and are done when somebody waits for them."""

from __future__ import annotations

import pickle
import uuid
from dataclasses import dataclass
from typing import Any

from tasks.base.project import Project
from tasks.models.registry import Registry
from tasks.models.versions_on_workers import VersionsOnWorkers
from tasks.models.workers import Job
from tasks.store import Store

__all__ = ["InlineWorkers", "versions_on"]


@dataclass
class _Answer:
    workers: InlineWorkers
    what: str
    job: bytes

    def result(self) -> Any:
        self.workers.done.append(self.what)
        return pickle.loads(pickle.dumps(pickle.loads(self.job)()))  # noqa: S301

    def cancel(self) -> None:
        self.workers.cancelled.append(self.what)


class InlineWorkers:
    """Notes what was done, what was not, and how many bytes travelled."""

    def __init__(self) -> None:
        self.run = uuid.uuid4().hex
        self.done: list[str] = []
        self.cancelled: list[str] = []
        self.most_bytes = 0

    def submit(self, what: str, job: Job[Any]) -> _Answer:
        travels = pickle.dumps(job)
        self.most_bytes = max(self.most_bytes, len(travels))
        return _Answer(self, what, travels)


def versions_on(workers: InlineWorkers, store: Store, registry: Registry, project: Project) -> VersionsOnWorkers:
    return VersionsOnWorkers(store, registry, project, workers)
