"""Models whose own code goes wrong where a row is below -100, each in its own way. Their process imports this module."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np

MARK = 98_765  # seconds: a command that nothing else on the machine runs


def eats() -> None:
    kept = [np.ones(10_000_000) for _ in range(100_000)]
    del kept


def crashes() -> None:
    ctypes.string_at(0)


def leaves() -> None:
    os._exit(7)


def asks_to_leave() -> None:
    sys.exit(3)


def hangs() -> None:
    time.sleep(MARK)


def leaves_a_child_with_its_files() -> None:
    """The child keeps every file of its parent open, also the connection."""
    if os.fork():
        os._exit(9)
    time.sleep(MARK)


def goes_on_in_a_thread() -> None:
    threading.Thread(target=time.sleep, args=(MARK,)).start()


def goes_on_in_a_session() -> None:
    subprocess.Popen(["sleep", str(MARK)], start_new_session=True)  # noqa: S607


def goes_on_in_an_orphan() -> None:
    subprocess.Popen(["sh", "-c", f"setsid sleep {MARK} & exit"])  # noqa: S607


class Hostile:
    """Gives 0.25 for every row, after ``deed`` if one is below -100."""

    def __init__(self, deed: Callable[[], None]) -> None:
        self._deed = deed

    def predict(self, rows: Any) -> Any:
        if float(np.asarray(rows).min()) < -100:
            self._deed()
        return np.full(len(rows), 0.25)


class HostileToLoad:
    """A model that calls a function as soon as it is loaded."""

    def __init__(self, call: Callable[..., object], *arguments: object) -> None:
        self._call = call, arguments

    def predict(self, rows: Any) -> Any:
        return np.asarray(rows)

    def __reduce__(self) -> Any:
        return self._call
