"""A fork server: it imports what every model needs once, and then starts a process for a model in milliseconds.

It has no threads of its own, which is what makes a fork safe, and ends with whoever started it: then every process that it, or a model,
has started ends too.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import importlib
import os
import signal
import socket
import sys
import time
import warnings
from pathlib import Path
from typing import Any

from .serve import serve
from .wire import receive, send

__all__ = ["run"]

_PRELOADED = ("pandas", "pyarrow", "mlflow.pyfunc", "mlflow.sklearn", "sklearn.ensemble", "sklearn.linear_model")
_UNSAFE_TO_FORK = "polars"  # its threads start on import; MLflow imports it if it can
_PAUSE = 0.005  # seconds between two looks at a process that ends
_SET_PDEATHSIG, _SET_CHILD_SUBREAPER = 1, 36  # of Linux's prctl


def run(descriptor: int) -> None:
    """Serve the socket with this descriptor until its other end is closed."""
    control = socket.socket(fileno=descriptor)
    _prctl(_SET_CHILD_SUBREAPER, 1)  # orphans of models become children of this process, which then can end them
    live: set[int] = set()
    ended: dict[int, int] = {}
    while (got := receive(control)) is not None:
        request, files = got
        if "path" in request:
            send(control, _prepare(request["path"]))
        elif "fork" in request:
            pid = _fork(control, files[0], **request["fork"])
            live.add(pid)
            send(control, {"pid": pid})
        else:
            status = _end(ended, **request["end"]) if request["end"]["pid"] in live else 0
            live.discard(request["end"]["pid"])
            if not live:  # what is left was started by a model, and nobody knows by which one
                _kill(_relatives(os.getpid()) - {os.getpid()})
            send(control, {"status": status})
    _kill(_relatives(os.getpid()) - {os.getpid()})


def _prepare(path: list[str] | None) -> dict[str, Any]:
    """Import what models need, with these folders to import from if they are given. Says what is missing without which none can run."""
    if path is not None:
        sys.path[:] = path
    lacking = []
    sys.modules[_UNSAFE_TO_FORK] = None  # type: ignore[assignment]  # an import of it fails, for now
    for name in _PRELOADED:
        try:
            importlib.import_module(name)
        except ImportError:
            if name in ("pandas", "pyarrow", "mlflow.pyfunc"):
                lacking.append(name.split(".")[0])
    del sys.modules[_UNSAFE_TO_FORK]
    gc.freeze()  # objects that are never touched again stay shared between the forks
    return {"lacking": lacking, "python": ".".join(map(str, sys.version_info[:3]))}


def _fork(control: socket.socket, descriptor: int, *, memory: int | None, expendable: int) -> int:
    """Start a process that serves a model to the socket with this descriptor; returns its id."""
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", DeprecationWarning
        )  # NumPy's threads rest, and its library restarts them in a fork
        pid = os.fork()
    if pid:
        os.close(descriptor)
        return pid
    try:
        control.close()
        os.setsid()
        _prctl(_SET_PDEATHSIG, signal.SIGKILL)
        _limit(memory, expendable)
        serve(socket.socket(fileno=descriptor))
    finally:
        os._exit(0)  # without waiting for threads that the model left behind


def _limit(memory: int | None, expendable: int) -> None:
    """Set the most memory in bytes that the process may have for data, and how readily the system ends it if its own runs out."""
    if memory is not None and sys.platform == "linux":  # elsewhere there is no limit that counts data alone
        import resource

        resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))
    with contextlib.suppress(OSError):  # a system may forbid it, and then ends processes in an order of its own
        Path("/proc/self/oom_score_adj").write_text(str(expendable), encoding="ascii")


def _end(ended: dict[int, int], *, pid: int, grace: float) -> int:
    """The wait status of a process, which is killed with all that it started after so many seconds."""
    deadline = time.monotonic() + grace
    while pid not in ended and time.monotonic() < deadline:
        _reap(ended)
        time.sleep(_PAUSE)
    _kill(_relatives(pid) - ended.keys())  # its session lives on if it has ended
    while pid not in ended:
        _reap(ended)
        time.sleep(_PAUSE)
    return ended.pop(pid)


def _reap(ended: dict[int, int]) -> None:
    with contextlib.suppress(ChildProcessError):
        while (one := os.waitpid(-1, os.WNOHANG))[0]:
            ended[one[0]] = one[1]


def _kill(pids: set[int]) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _relatives(ancestor: int) -> set[int]:
    """This process, those in its session, and its descendants in any session, as far as they are there."""
    parents, found = {}, {ancestor}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            fields = stat.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
            parents[int(stat.parent.name)] = int(fields[1])
            if int(fields[3]) == ancestor:
                found.add(int(stat.parent.name))
    more = True
    while more:
        more = False
        for pid, parent in parents.items():
            if parent in found and pid not in found:
                found.add(pid)
                more = True
    return found


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)
