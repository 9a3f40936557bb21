"""The versions of a project whose models run on the workers of a cluster."""

from __future__ import annotations

from tasks.base.project import Project
from tasks.models.kept_versions import LoadJob
from tasks.models.registry import Artifacts, Registry
from tasks.models.versions import LoadedVersion, Versions
from tasks.models.workers import Order, Workers
from tasks.store import Store

__all__ = ["VersionsOnWorkers"]


class VersionsOnWorkers(Versions):
    """Versions of which this machine has the files, for their digests and signatures, and no process."""

    def __init__(self, store: Store, registry: Registry, project: Project, workers: Workers) -> None:
        super().__init__(store, registry, project)
        self.workers = workers
        self._champions: set[str] = set()

    def order(self, artifacts: Artifacts) -> Order:
        """What a worker needs to load this version, which was loaded before."""
        version = artifacts.version
        return Order(self.workers.run, self.project, version, artifacts.digest, version.version in self._champions)

    def _start(self, artifacts: Artifacts, *, champion: bool) -> LoadedVersion:
        """Load the version on one worker, to know that it loads: the columns that it reads are among those that a manifest names."""
        number = artifacts.version.version
        if champion:
            self._champions.add(number)
        failure = self.workers.submit(f"load version {number}", LoadJob(self.order(artifacts))).result()
        if failure:
            error = failure.error()
            self.failed(number, error)
            raise error
        return LoadedVersion(artifacts, None)
