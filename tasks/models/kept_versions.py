"""What a worker keeps from one job to the next: the versions of a run, each downloaded and loaded once."""

from __future__ import annotations

import contextlib
import threading
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

from tasks.base.project import Project
from tasks.models.registry import Registry
from tasks.models.versions import LoadedVersion, Versions
from tasks.models.workers import Failure, Order, WorkersError
from tasks.store import open_store

__all__ = ["LoadJob", "kept_version"]

_IDLE = (
    600.0  # seconds after which a run that asks for nothing any more leaves nothing behind on a worker that lives on
)


@dataclass
class _Kept:
    """The versions of one run, how many jobs use them now, and how many ever did."""

    versions: Versions
    users: int = 0
    uses: int = 0
    unused: threading.Timer | None = None
    in_use: defaultdict[str, threading.Lock] = field(default_factory=lambda: defaultdict(threading.Lock))


_kept: dict[str, _Kept] = {}
_lock = threading.Lock()
_loading = threading.Lock()  # MLflow has one tracking URI per process


@contextlib.contextmanager
def kept_version(order: Order) -> Iterator[tuple[Versions, LoadedVersion | Failure]]:
    """The versions of the run on this worker, and the one that is ordered, loaded, or why it cannot be; no other job has it meanwhile.

    Raises WorkersError if the worker gets other files of the version than whoever ordered it, and what ``Registry.download`` raises.
    """
    number = order.version.version
    with _borrowed(order) as kept, kept.in_use[number]:
        with _loading:
            artifacts = kept.versions.artifacts(order.version)
            if artifacts.digest != order.model:
                msg = (
                    f"a worker gets other files of version {number} from {kept.versions.registry.shown} (SHA-256 {artifacts.digest[:12]}, "
                    f"and here {order.model[:12]}); let both reach the same MLflow"
                )
                raise WorkersError(msg)
            loaded = _loaded(kept.versions, order)
        yield kept.versions, loaded


@dataclass(frozen=True, slots=True)
class LoadJob:
    """Load a version on a worker; returns why it does not load, or None."""

    order: Order

    def __call__(self) -> Failure | None:
        with kept_version(self.order) as (_, loaded):
            return loaded if isinstance(loaded, Failure) else None


def _loaded(versions: Versions, order: Order) -> LoadedVersion | Failure:
    try:
        return versions.load(order.version, champion=order.champion)
    except Exception as error:  # noqa: BLE001  files of any kind can be registered
        return Failure.of(error)


@contextlib.contextmanager
def _borrowed(order: Order) -> Iterator[_Kept]:
    with _lock:
        kept = _kept.get(order.run)
        if kept is None:
            kept = _kept[order.run] = _Kept(_versions(order.project))
        kept.users += 1
        kept.uses += 1
        if kept.unused:
            kept.unused.cancel()
    try:
        yield kept
    finally:
        with _lock:
            kept.users -= 1
            if kept.users == 0:
                kept.unused = threading.Timer(_IDLE, _end_unused, (order.run, kept.uses))
                kept.unused.daemon = True
                kept.unused.start()


def _versions(project: Project) -> Versions:
    with _loading:
        return Versions(open_store(project.store), Registry(project), project)


def _end_unused(run: str, uses: int) -> None:
    """End the versions of a run that nobody has used since this use; when the worker ends, its models end by themselves."""
    with _lock:
        kept = _kept.get(run)
        if kept is None or kept.users or kept.uses != uses:
            return
        del _kept[run]
    with kept.versions:
        pass
