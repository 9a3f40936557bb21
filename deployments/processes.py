"""Processes that outlive the command that started them: each is known by a file with its id and the moment it was started."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

__all__ = ["Service", "Started"]

_PATIENCE = 30  # seconds to end in peace
_PAUSE = 0.2


@dataclass(frozen=True, slots=True)
class Started:
    """A process: ``since`` tells it from another one that has got its id since. ``said`` is what whoever started it wants to know again."""

    pid: int
    since: str
    said: str

    def runs(self) -> bool:
        row = _processes().get(self.pid)
        return row is not None and row.since == self.since


class Service:
    """A command that runs in the background; ``folder`` holds its file and its log."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.log = folder / f"{name}.log"
        self._file = folder / f"{name}.json"

    def running(self) -> Started | None:
        """The process, if it still runs. Whatever else has its id by now is none of ours."""
        known = self._known()
        return known if known and known.runs() else None

    def start(self, command: Sequence[str], *, cwd: Path, environment: Mapping[str, str], said: str) -> Started:
        """Start the command, in a session of its own, so that no terminal ends it, once what is left of the last one has ended."""
        self.stop()
        self._file.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            process = subprocess.Popen(  # noqa: S603  our own commands
                command,
                cwd=cwd,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        row = _processes().get(process.pid)
        started = Started(process.pid, row.since if row else "", said)
        temporary = self._file.with_suffix(".tmp")
        temporary.write_text(json.dumps(asdict(started)), encoding="utf-8")
        temporary.replace(self._file)
        return started

    def stop(self) -> bool:
        """End the process and all that it has started, also where it was killed and they were not; whether anything ran."""
        known = self._known()
        ours = [] if known is None else [known, *_below(known.pid)] if known.runs() else _orphans(known.pid)
        _end(ours)
        self._file.unlink(missing_ok=True)
        return bool(ours)

    def _known(self) -> Started | None:
        """The process that was started last."""
        try:
            return Started(**json.loads(self._file.read_text(encoding="utf-8")))
        except (FileNotFoundError, ValueError, TypeError):
            return None

    def last_words(self) -> str:
        """The end of its log, on one line."""
        with contextlib.suppress(FileNotFoundError):
            return " ".join(self.log.read_text(encoding="utf-8", errors="replace").split())[-500:]
        return ""


class _Row(NamedTuple):
    """A process in the system's table: the ids of its parent and of its group, and when it was started."""

    parent: int
    group: int
    since: str


def _end(processes: Sequence[Started]) -> None:
    """Ask the first to end, then whatever is left of all; what does not end in time is killed."""
    for some, number in ((processes[:1], signal.SIGTERM), (processes, signal.SIGTERM), (processes, signal.SIGKILL)):
        left = [p for p in some if p.runs()]
        for process in left:
            _send(number, process)
        _wait(left)


def _send(number: signal.Signals, process: Started) -> None:
    if process.runs():
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, number)


def _wait(processes: Sequence[Started]) -> None:
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline and any(p.runs() for p in processes):
        time.sleep(_PAUSE)


def _below(pid: int) -> list[Started]:
    """The processes that this one has started, and those that they have."""
    table, found = _processes(), [pid]
    for parent in found:  # grows
        found += [child for child, row in table.items() if row.parent == parent]
    return [Started(p, table[p].since, "") for p in found[1:]]


def _orphans(pid: int) -> list[Started]:
    """The processes of the group that this one led. As long as there is one, no other process gets the id."""
    table = _processes()
    return [] if pid in table else [Started(p, row.since, "") for p, row in table.items() if row.group == pid]


def _processes() -> dict[int, _Row]:
    """All processes that run on this machine, by their ids."""
    proc = Path("/proc/self/stat")
    return _of_proc(proc.parents[1]) if proc.exists() else _of_ps()


def _of_proc(proc: Path) -> dict[int, _Row]:
    boot = (proc / "sys/kernel/random/boot_id").read_text().strip()
    found = {}
    for entry in proc.iterdir():
        if not entry.name.isdigit():
            continue
        with contextlib.suppress(OSError):  # it has ended meanwhile
            state, parent, group, *rest = (entry / "stat").read_text().rpartition(")")[2].split()
            if state not in "ZX":  # it runs, and does not only wait to be read
                found[int(entry.name)] = _Row(int(parent), int(group), f"{boot} {rest[16]}")  # proc(5): the 22nd field
    return found


def _of_ps() -> dict[int, _Row]:
    command = ["/bin/ps", "-A", "-o", "pid=,ppid=,pgid=,stat=,lstart="]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout  # noqa: S603
    rows = (line.split(maxsplit=4) for line in said.splitlines())
    found = (
        (pid, _Row(int(parent), int(group), since)) for pid, parent, group, state, since in rows if state[0] != "Z"
    )
    return {int(pid): row for pid, row in found}
