"""Where the models of a project run: in processes of this machine, or on a cluster's workers, to which Prefect's task runners give work."""

from __future__ import annotations

import contextlib
import contextvars
import importlib
import logging
import os
import socket
import uuid
from collections.abc import Iterator
from typing import Any, Generic, TypeVar
from urllib.parse import urlsplit

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.context import FlowRunContext
from prefect.futures import PrefectFuture
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.task_runners import TaskRunner

from tasks.base.errors import DethroneError, first_line
from tasks.base.project import Project
from tasks.models.registry import Registry
from tasks.models.versions import Versions
from tasks.models.versions_on_workers import VersionsOnWorkers
from tasks.models.workers import ClusterError, Job, WorkersError
from tasks.store import Store

__all__ = ["versions_of", "work"]

T = TypeVar("T")

_SECONDS = 10  # for a cluster to take a connection
_TRIES = 3
_HERE = ("localhost", "127.0.0.1", "::1")


@contextlib.contextmanager
def versions_of(store: Store, registry: Registry, project: Project) -> Iterator[Versions]:
    """The versions of a project, to be opened inside of a flow; they run where ``runner`` in the project file has it.

    A cluster is asked for when the first version is loaded. Raises ClusterError if something is missing that it needs.
    """
    if project.runner == "processes":
        with Versions(store, registry, project) as versions:
            yield versions
        return
    with (
        contextlib.closing(_ClusterWorkers(project)) as workers,
        VersionsOnWorkers(store, registry, project, workers) as versions,
    ):
        yield versions


class _Sealed(Generic[T]):
    """A job that Prefect does not search for futures."""

    def __init__(self, job: Job[T]) -> None:
        self.job = job


@task(name="work", task_run_name="{what}", cache_policy=NO_CACHE)
def work(what: str, sealed: _Sealed[T]) -> T:  # noqa: ARG001  names the task run
    """Do a job, on a worker."""
    return sealed.job()


class _ClusterAnswer(Generic[T]):
    def __init__(self, what: str, future: PrefectFuture[T]) -> None:
        self._what, self._future = what, future

    def result(self) -> T:
        try:
            return self._future.result()
        except Exception as error:
            known = isinstance(error, DethroneError)
            msg = (
                f"a worker could not {self._what}: {error if known else f'{type(error).__name__}: {first_line(error)}'}"
            )
            wrapped = WorkersError(msg)
            wrapped.traced = not known
            raise wrapped from error

    def cancel(self) -> None:
        wrapped: Any = self._future.wrapped_future  # type: ignore[attr-defined]  # of Dask or Ray
        if hasattr(wrapped, "cancel"):
            wrapped.cancel()
        else:
            import ray

            ray.cancel(wrapped)


class _ClusterWorkers:
    """The workers of the project's cluster, or of a temporary one on this machine, which ends with ``close``.

    What is submitted becomes task runs of the flow run in which this object was made, whatever step submits it.
    """

    def __init__(self, project: Project) -> None:
        self.run = uuid.uuid4().hex
        self._project = project
        self._runner = _RUNNERS[project.runner](project)
        flow_run = FlowRunContext.get()
        assert flow_run is not None
        assert flow_run.client is not None
        api = str(flow_run.client.api_url)  # also of a temporary server, of which the settings say nothing
        _require_reachable_prefect(project, api)
        with temporary_settings({PREFECT_API_URL: api}):
            self._context = contextvars.copy_context()
        self._opened = contextlib.ExitStack()
        self._started = False

    def submit(self, what: str, job: Job[T]) -> _ClusterAnswer[T]:
        """Let a worker do the job. Raises ClusterError."""
        if not self._started:
            self._context.run(self._start)
        try:
            future = self._context.run(self._runner.submit, work, {"what": what, "sealed": _Sealed(job)})
        except Exception as error:
            raise self._unusable(error) from error
        return _ClusterAnswer(what, future)

    def close(self) -> None:
        """Leave the cluster."""
        self._context.run(self._opened.close)

    def _start(self) -> None:
        address = self._project.cluster
        if address:
            url = urlsplit(address)
            try:
                socket.create_connection((url.hostname, url.port), _SECONDS).close()
            except OSError as error:
                msg = f"the cluster {address} does not answer ({first_line(error)}); start it, or correct 'cluster' in the project file"
                raise ClusterError(msg) from error
        for tries_left in reversed(range(_TRIES)):
            try:
                self._opened.enter_context(self._runner)
                getattr(self._runner, "client", None)  # Dask connects only now
                break
            except Exception as error:
                # a busy Ray takes the connection and gives up the process that it starts for it after 30 seconds
                if not (isinstance(error, ConnectionAbortedError) and tries_left):
                    raise self._unusable(error) from error
                self._runner = _RUNNERS[self._project.runner](self._project)
        self._started = True

    def _unusable(self, error: Exception) -> ClusterError:
        runner, address = self._project.runner, self._project.cluster
        where = f"the cluster {address}" if address else "a temporary cluster on this machine"
        why = first_line(error)
        if isinstance(error, ConnectionAbortedError):  # then the first line is a heading over the server's traceback
            why = str(error).strip().splitlines()[-1]
        unusable = ClusterError(f"runner: {runner}: {where} cannot be used ({type(error).__name__}: {why})")
        unusable.traced = True
        return unusable


def _require_reachable_prefect(project: Project, api: str) -> None:
    """Raise ClusterError if workers on other machines would look for Prefect's server on themselves."""
    if project.cluster and urlsplit(project.cluster).hostname not in _HERE and urlsplit(api).hostname in _HERE:
        msg = (
            f"the workers of {project.cluster} report to Prefect's server, and {api} is one of this machine alone; start one that they "
            "reach too, and set PREFECT_API_URL to its address"
        )
        raise ClusterError(msg)


def _dask(project: Project) -> TaskRunner[Any]:
    prefect_dask = _imported("prefect_dask", project)
    import dask

    if project.cluster:
        runner = prefect_dask.DaskTaskRunner(address=project.cluster)
    else:
        logging.getLogger("distributed").setLevel(logging.WARNING)
        one_model_each = {"n_workers": dask.system.CPU_COUNT, "threads_per_worker": 1, "dashboard_address": None}
        runner = prefect_dask.DaskTaskRunner(cluster_kwargs=one_model_each)
    return runner  # type: ignore[no-any-return]


def _ray(project: Project) -> TaskRunner[Any]:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is sent to Ray's makers
    prefect_ray = _imported("prefect_ray", project)
    _imported("ray", project)
    if project.cluster:
        runner = prefect_ray.RayTaskRunner(address=project.cluster)
    else:
        quiet = {"include_dashboard": False, "log_to_driver": False}
        runner = prefect_ray.RayTaskRunner(address="local", init_kwargs=quiet)  # not one that happens to run here
    return runner  # type: ignore[no-any-return]


_RUNNERS = {"dask": _dask, "ray": _ray}


def _imported(name: str, project: Project) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        library = f"prefect-{project.runner}"
        msg = f"runner: {project.runner} needs the library {library}; add '{library}' to requirements-models.txt and run 'make env'"
        raise ClusterError(msg) from error
