"""The versions of a project, each loaded in a process of its own, once for all batches of a run."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from types import TracebackType
from typing import Self

from tasks.base.project import Project
from tasks.models.environments import lacking, own_python
from tasks.models.fork_servers import fork_server
from tasks.models.integrity import require_same
from tasks.models.registry import Artifacts, Registry
from tasks.models.version import ModelVersion
from tasks.models.version_process import NoAnswerError, VersionProcess
from tasks.store import Store

__all__ = ["LoadedVersion", "Versions", "require_loads"]

_CHAMPION, _CHALLENGER = (
    500,
    1000,
)  # who ends first when the machine's memory is used up: challengers, and nothing else before the champion
_CGROUP = Path("/sys/fs/cgroup/memory.max")

log = logging.getLogger("dethrone")


@dataclass(frozen=True, slots=True)
class LoadedVersion:
    """A version that is loaded and waits for rows, in its process; without one, on the workers of a cluster."""

    artifacts: Artifacts
    process: VersionProcess | None

    def end(self) -> None:
        """End its process."""
        if self.process:
            self.process.end()


class Versions:
    """The processes of a project's versions. As a context manager it ends them all."""

    def __init__(self, store: Store, registry: Registry, project: Project) -> None:
        self.store, self.registry, self.project = store, registry, project
        self._artifacts: dict[str, Artifacts] = {}
        self._loaded: dict[str, LoadedVersion] = {}
        self._silent: dict[str, NoAnswerError] = {}
        self.progress: Callable[[int, Sequence[str]], None] | None = (
            None  # is told how many rows have gone to which versions
        )
        self.kept: set[str] = set()  # the versions whose digests this run has stored, once for all its batches
        self.found: dict[
            tuple[int, str], date
        ] = {}  # by reign and digest, when contenders were found, as the store has it

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with ExitStack() as all_of_them:
            for version in self._loaded.values():
                all_of_them.callback(version.end)

    def artifacts(self, version: ModelVersion) -> Artifacts:
        """The files of the version, downloaded once. Raises RegistryError, ChangedModelError."""
        number = version.version
        artifacts = self._artifacts.get(number)
        if artifacts is None:
            artifacts = self.registry.download(version)
            require_same(self.store, self.project.name, artifacts)
            self._artifacts[number] = artifacts
        return replace(artifacts, version=version)

    def load(self, version: ModelVersion, *, champion: bool = False) -> LoadedVersion:
        """The version, loaded now if it is not yet. Raises whatever keeps it from loading, and what ``VersionProcess`` raises."""
        number = version.version
        if number in self._silent:  # or each batch of a run would wait for it
            raise self._silent[number]
        loaded = self._loaded.get(number)
        if loaded is None or loaded.artifacts.version != version:
            if loaded:  # a tag that was set meanwhile can choose another output
                self._loaded.pop(number).end()
            self._loaded[number] = loaded = self._start(self.artifacts(version), champion=champion)
        return loaded

    def failed(self, version: str, error: BaseException) -> None:
        """End the process of a version that failed; the next batch starts it anew unless it gave no answer."""
        if version in self._loaded:
            self._loaded.pop(version).end()
        if isinstance(error, NoAnswerError):
            self._silent[version] = error

    def _start(self, artifacts: Artifacts, *, champion: bool) -> LoadedVersion:
        project, version = self.project, artifacts.version
        number = version.version
        if (version.environment or project.environment) == "model":
            server = fork_server(own_python(number, artifacts.folder, project.model_seconds))
        else:
            server = fork_server()
            if missing := lacking(artifacts.folder):
                log.warning(
                    "version %s was logged with %s; if it fails or scores otherwise, set its tag 'environment' to 'model'",
                    number,
                    ", ".join(missing),
                )
        gigabytes = project.model_memory_gb
        process = VersionProcess(
            server,
            number,
            seconds=project.model_seconds,
            memory=_half_of_the_memory() if gigabytes is None else int(gigabytes * 1e9),
            expendable=_CHAMPION if champion else _CHALLENGER,
        )
        try:
            process.load(str(artifacts.folder), project.task, version.choices)
        except BaseException as error:
            process.end()
            self.failed(number, error)
            raise
        return LoadedVersion(artifacts, process)


def require_loads(store: Store, registry: Registry, version: str) -> None:
    """Load a version and end it again. Raises what keeps it from loading, ChangedModelError if it changed after it first scored."""
    with Versions(store, registry, registry.project) as versions:
        versions.load(registry.version(version), champion=True)


def _half_of_the_memory() -> int:
    """Half of the memory of this machine, or of the container that this process is in, in bytes."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limit = _CGROUP.read_text(encoding="ascii").strip() if _CGROUP.is_file() else ""
    return min(total, int(limit)) // 2 if limit.isdecimal() else total // 2
