"""The process of one model version, as the process that scores sees it: what it is asked, and how it can fail."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.base.errors import DethroneError, first_line
from tasks.models.errors import ScoringError
from tasks.models.fork_servers import ForkServer, NoEnvironmentError
from tasks.models.worker.wire import read_table, receive, send

__all__ = ["DiedError", "ModelRaisedError", "NoAnswerError", "VersionProcess", "failure_text"]

_GRACE = 1.0  # seconds for a process to end whose connection is closed, so that its own status is seen
_GIGABYTE = 1_000_000_000


class NoAnswerError(DethroneError):
    """A model has not answered in time."""


class DiedError(DethroneError):
    """The process of a model ended, or its memory was not enough."""


class ModelRaisedError(DethroneError):
    """The model's own code raised an error; ``missing_module`` is the module that it could not import."""

    traced = True

    def __init__(self, kind: str, text: str, missing_module: str | None = None) -> None:
        line = next((one.strip().rstrip(".:") for one in text.splitlines() if one.strip()), "")
        super().__init__(f"{kind}: {line}" if line else f"{kind}: {kind}")
        self.missing_module = missing_module


def failure_text(error: BaseException) -> str:
    """What is put on record of an error with which a version failed."""
    text = str(error) if isinstance(error, DethroneError) else f"{type(error).__name__}: {first_line(error)}"
    if isinstance(error, ModelRaisedError) and error.missing_module:
        text += (
            f"; add the library of '{error.missing_module}' to requirements-models.txt and run 'make env', or let the version load "
            "in its own environment (tag 'environment': 'model')"
        )
    return text


class _Trace(Exception):  # noqa: N818  not raised: it only shows where in the other process
    def __str__(self) -> str:
        return f"in the process of the model\n{self.args[0]}"


class VersionProcess:
    """One version in a process of its own. Ends with ``end``, after any failure, and with the process that started it.

    ``memory`` is the most that it may have for data, in bytes; ``seconds`` limits each answer. Every method that waits raises
    NoAnswerError, DiedError, ModelRaisedError, or ScoringError for a model that cannot be used.
    """

    def __init__(self, server: ForkServer, version: str, *, seconds: float, memory: int, expendable: int) -> None:
        self._server, self._version, self._seconds, self._memory = server, version, seconds, memory
        self._process = server.fork(memory=memory, expendable=expendable)
        self._status: int | None = None
        self._lock = threading.Lock()
        # a process that the model started can keep the connection open, so it alone does not show that the model died
        self._pidfd = os.pidfd_open(self._process.pid) if hasattr(os, "pidfd_open") else None

    def load(self, folder: str, task: str, tags: Mapping[str, str]) -> None:
        """Load the model in this folder."""
        self._send({"load": {"folder": folder, "task": task, "tags": dict(tags)}})
        self._answer()

    def send(self, file: int, columns: Sequence[tuple[str, str]]) -> None:
        """Send an Arrow file with rows; of each column, its name in the file and the model's. Answers come in the order of the files."""
        self._send({"columns": columns}, (file,))

    def receive(self) -> NDArray[Any]:
        """The output for the oldest file that is not answered yet."""
        answer, (file,) = self._answer()
        try:
            values = read_table(file)["values"]
        finally:
            os.close(file)
        return np.asarray(values.to_numpy()).reshape(answer["shape"])

    def end(self) -> None:
        """End the process, and all that it started. Any thread may call it, also while another one waits for an answer."""
        with contextlib.suppress(NoEnvironmentError):  # then all processes of its server have ended
            self._stop(0)

    def _stop(self, grace: float) -> int:
        """End the process, once; its wait status."""
        with self._lock:
            if self._status is None:
                self._status = self._server.end(self._process, grace)
                if self._pidfd is not None:
                    os.close(self._pidfd)
            return self._status

    def _send(self, request: dict[str, Any], files: tuple[int, ...] = ()) -> None:
        try:
            send(self._process.connection, request, files)
        except OSError:
            raise self._death() from None

    def _answer(self) -> tuple[dict[str, Any], list[int]]:
        connection = self._process.connection
        if not self._is_readable(connection.fileno()):
            self._stop(0)
            msg = f"gave no answer within {self._seconds:g} seconds; make it faster, or raise 'model_seconds' in the project file"
            raise NoAnswerError(msg)
        try:
            got = receive(connection)
        except OSError:
            got = None
        if got is None:
            raise self._death()
        if "error" in got[0]:
            raise self._error(**got[0]["error"])
        return got

    def _is_readable(self, connection: int) -> bool:
        """Whether there is an answer, or the process has ended, before the time is over."""
        poll = select.poll()
        for descriptor in (connection, self._pidfd):
            if descriptor is not None:
                poll.register(descriptor, select.POLLIN)
        deadline = time.monotonic() + self._seconds
        while (left := deadline - time.monotonic()) > 0:
            ready = [descriptor for descriptor, _ in poll.poll(min(left, 3600) * 1000)]
            if ready and connection not in ready:
                with contextlib.suppress(OSError):
                    self._process.connection.settimeout(_GRACE)  # nobody is left to close it
            if ready:
                return True
        return False

    def _error(self, kind: str, text: str, module: str | None, trace: str) -> DethroneError:
        if kind == "ModelError":
            return ScoringError(f"version {self._version} {text}")
        if kind.endswith("MemoryError"):
            self.end()
            return DiedError(f"ran out of memory: {self._advice()}")
        error = ModelRaisedError(kind, text, module)
        error.__cause__ = _Trace(trace)
        return error

    def _death(self) -> DiedError:
        """Why the process is not there any more."""
        code = os.waitstatus_to_exitcode(self._stop(_GRACE))
        if code == -signal.SIGKILL:
            return DiedError(f"was killed by the system, as when the machine's memory is used up: {self._advice()}")
        if code < 0:
            return DiedError(
                f"crashed with signal {-code} ({signal.Signals(-code).name}), as native code does that fails; run it by itself to see where"
            )
        return DiedError(f"ended its own process with the status {code}; a model must not call exit")

    def _advice(self) -> str:
        return f"it may have {self._memory / _GIGABYTE:.3g} GB; make it smaller, or raise 'model_memory_gb' in the project file"
