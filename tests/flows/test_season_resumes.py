"""A season that is killed with SIGKILL and started again ends as one that was never killed."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from tasks.base.project import Project
from tasks.store import DirectoryStore

Command = Callable[..., "subprocess.Popen[str]"]

# kill as soon as this appears in the store: in the middle of a batch, between decision and report, between report and
# reign, between reign and its projections
MOMENTS = [
    "parcels/predictions/2024-01-21/1",
    "parcels/decisions",
    "parcels/reports",
    "parcels/reigns/00000002.json",
]


def _kill_when_there(run: subprocess.Popen[str], path: Path) -> None:
    deadline = time.monotonic() + 120
    while not path.exists() and run.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(subprocess.TimeoutExpired):
            run.wait(timeout=0.002)
    assert run.poll() is None, f"the season ended before {path} was there"
    os.killpg(run.pid, signal.SIGKILL)
    run.communicate()


def _content(store: DirectoryStore, project: Project) -> dict[str, bytes]:
    return {k: store.read(k) for k in store.keys(project.name) if "/predictions/" not in k}


def test_killed_four_times_the_season_ends_with_the_same_bytes(command: Command, project: Project) -> None:
    store = DirectoryStore(Path(project.store))
    untouched = Path(project.store).with_name("untouched")
    shutil.copytree(project.store, untouched)

    for moment in MOMENTS:
        _kill_when_there(command("demo.season", "parcels"), Path(project.store) / moment)
    run = command("demo.season", "parcels")
    out, err = run.communicate(timeout=240)
    assert run.returncode == 0, err
    killed = _content(store, project)

    shutil.rmtree(project.store)
    untouched.rename(project.store)
    run = command("demo.season", "parcels")
    again, err = run.communicate(timeout=240)
    assert run.returncode == 0, err
    assert _content(store, project) == killed
    assert out[out.index("# parcels") :] == again[again.index("# parcels") :]
    assert "| 2 | version 2 | " in again
