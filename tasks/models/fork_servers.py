"""The fork servers that this process has started, one for each Python: they start the processes in which models run."""

from __future__ import annotations

import atexit
import os
import socket
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tasks.base.errors import DethroneError
from tasks.models.worker.wire import receive, send

__all__ = ["ForkServer", "ModelProcess", "NoEnvironmentError", "fork_server"]

_WORKER = Path(__file__).parent / "worker"


class NoEnvironmentError(DethroneError):
    """No process for models can be started in an environment."""


@dataclass(frozen=True, slots=True)
class ModelProcess:
    """A process in which a model can be loaded; it ends when ``connection`` is closed."""

    pid: int
    connection: socket.socket


class ForkServer:
    """A process of this Python that starts processes for models. Raises NoEnvironmentError if it does not start."""

    def __init__(self, python: str) -> None:
        self._python = python
        own, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603  a Python of this machine and a file of this project
                [python, str(_WORKER), str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
                start_new_session=True,  # Ctrl-C ends the run, which ends the models
            )
        self._control, self._lock = own, threading.Lock()
        answer = self._ask({"path": sys.path if python == sys.executable else None})
        if answer["lacking"]:
            self.close()
            lacks = " and ".join(answer["lacking"])
            msg = (
                f"the environment of {python} lacks {lacks}; add it to the requirements that the version is logged with"
            )
            raise NoEnvironmentError(msg)

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def fork(self, *, memory: int | None, expendable: int) -> ModelProcess:
        """Start a process that may have so many bytes for data; the most ``expendable`` (0 to 1000) ends first when memory runs out."""
        own, theirs = socket.socketpair()
        with theirs:
            answer = self._ask({"fork": {"memory": memory, "expendable": expendable}}, (theirs.fileno(),))
        return ModelProcess(int(answer["pid"]), own)

    def end(self, process: ModelProcess, grace: float) -> int:
        """End a process and all that it started, after so many seconds if it has not ended by itself; returns its wait status."""
        status = int(self._ask({"end": {"pid": process.pid, "grace": grace}})["status"])
        process.connection.close()
        return status

    def close(self) -> None:
        """End the server and every process that it started."""
        self._control.close()
        self._process.wait()

    def _ask(self, request: dict[str, Any], files: tuple[int, ...] = ()) -> dict[str, Any]:
        with self._lock:
            try:
                send(self._control, request, files)
                got = receive(self._control)
            except OSError:
                got = None
        if got is None:
            self.close()
            msg = f"the process that starts models with {self._python} has ended; run again"
            raise NoEnvironmentError(msg)
        return got[0]


_servers: dict[tuple[int, str], ForkServer] = {}
_lock = threading.Lock()


def fork_server(python: str = sys.executable) -> ForkServer:
    """The fork server of this Python, which lives as long as this process. Raises NoEnvironmentError."""
    key = (os.getpid(), python)  # a fork of this process has its own: two cannot share a socket
    with _lock:
        if key not in _servers or not _servers[key].alive:
            _servers[key] = ForkServer(python)
            atexit.register(_servers[key].close)
        return _servers[key]
