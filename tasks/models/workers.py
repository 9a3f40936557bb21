"""The workers of a cluster, as whoever gives them work sees them, and what travels to them and back: plain values, never a model."""

from __future__ import annotations

import traceback
from dataclasses import dataclass
from typing import Protocol, TypeVar

from tasks.base.errors import DethroneError
from tasks.base.project import Project
from tasks.models.version import ModelVersion
from tasks.models.version_process import NoAnswerError, failure_text

__all__ = ["Answer", "ClusterError", "Failure", "Job", "Order", "Workers", "WorkersError"]

T_co = TypeVar("T_co", covariant=True)
T = TypeVar("T")


class WorkersError(DethroneError):
    """A worker could not do its work, and no version is to blame."""


class ClusterError(WorkersError):
    """There is no cluster to give work to."""


class Job(Protocol[T_co]):
    """Work for one worker. Its fields travel there, and its result back; it may be done twice, if a worker is lost in the middle."""

    def __call__(self) -> T_co: ...


class Answer(Protocol[T_co]):
    """The result of a job that may not be done yet."""

    def result(self) -> T_co:
        """Wait for it. Raises WorkersError, whatever the job or the cluster failed with."""

    def cancel(self) -> None:
        """Nobody waits for it any more: it need not be begun."""


class Workers(Protocol):
    """The workers of a cluster during one run; workers keep what they have loaded for the run that ``run`` names."""

    @property
    def run(self) -> str: ...

    def submit(self, what: str, job: Job[T]) -> Answer[T]:
        """Let a worker do the job; ``what`` names it on Prefect's pages. Raises ClusterError if there is no cluster."""


@dataclass(frozen=True, slots=True)
class Order:
    """What a worker needs to load a version as it is here; ``model`` is the digest of its files."""

    run: str
    project: Project
    version: ModelVersion
    model: str
    champion: bool


class _Trace(Exception):  # noqa: N818  not raised: it only shows where on the worker
    def __str__(self) -> str:
        return f"on a worker\n{self.args[0]}"


class _FailedThereError(DethroneError):
    traced = True


@dataclass(frozen=True, slots=True)
class Failure:
    """What a version failed with on a worker; ``silent`` if it gave no answer in time."""

    text: str
    trace: str
    silent: bool

    @classmethod
    def of(cls, error: BaseException) -> Failure:
        """The error as values."""
        trace = "".join(traceback.format_exception(error))
        return cls(failure_text(error), trace, isinstance(error, NoAnswerError))

    def error(self) -> DethroneError:
        """The error, for those who catch one."""
        error = NoAnswerError(self.text) if self.silent else _FailedThereError(self.text)
        error.__cause__ = _Trace(self.trace)
        return error
