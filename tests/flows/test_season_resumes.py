"""A season that is killed with SIGKILL and started again ends as one that was never killed."""

from __future__ import annotations

import os
import shutil
import time
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import forked
import pytest
from prefect.settings import PREFECT_API_URL, temporary_settings

from demo.season import season
from tasks.base.project import Project
from tasks.store import DirectoryStore

# kill as soon as this appears in the store: in the middle of a batch, between decision and report, between report and
# reign, between reign and its projections
MOMENTS = [
    "parcels/predictions/2024-01-21/1",
    "parcels/decisions",
    "parcels/reports",
    "parcels/reigns/00000002.json",
]


def play(projects: Path, server: str, told: Connection) -> None:
    """What the process does that is killed."""
    os.environ["DETHRONE_PROJECTS"] = str(projects)
    with temporary_settings({PREFECT_API_URL: server, "flows.heartbeat_frequency": None}):
        told.send(season("parcels"))


def start(projects: Path) -> tuple[ForkServerProcess, Connection]:
    """A season on the server of these tests, in a process of its own, and where it tells its report in the end."""
    context = forked.context("demo.season")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=play, args=(projects, PREFECT_API_URL.value(), sender))
    process.start()
    sender.close()
    return process, receiver


def kill_when_there(projects: Path, path: Path) -> None:
    run, _ = start(projects)
    deadline = time.monotonic() + 120
    while not path.exists() and run.is_alive() and time.monotonic() < deadline:
        run.join(timeout=0.002)
    assert run.is_alive(), f"the season ended before {path} was there"
    run.kill()
    run.join()


def played_to_its_end(projects: Path) -> str:
    run, told = start(projects)
    report: str = told.recv()
    run.join()
    assert run.exitcode == 0
    return report


def content(store: DirectoryStore, project: Project) -> dict[str, bytes]:
    return {k: store.read(k) for k in store.keys(project.name) if "/predictions/" not in k and "/rollups/" not in k}


@pytest.mark.slow
@pytest.mark.usefixtures("prefect_server")
def test_killed_four_times_the_season_ends_with_the_same_bytes(parcels: Path, project: Project) -> None:
    store = DirectoryStore(Path(project.store))
    untouched = Path(project.store).with_name("untouched")
    shutil.copytree(project.store, untouched)

    for moment in MOMENTS:
        kill_when_there(parcels, Path(project.store) / moment)
    report = played_to_its_end(parcels)
    killed = content(store, project)

    shutil.rmtree(project.store)
    untouched.rename(project.store)
    assert played_to_its_end(parcels) == report
    assert content(store, project) == killed
    assert report.startswith("# parcels")
    assert "| 2 | version 2 | " in report
