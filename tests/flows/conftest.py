"""A project file beside weeks of batches in which version 2 is the better model."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path

import pytest
import yaml
from feeds import Feed, Scored
from parcels import decisions_frame, put_batch, put_labels, register_version
from prefect_server import PrefectServer
from s3_servers import moto, seaweedfs  # noqa: F401
from spoilt import NEVER, World, make_template, make_world
from webhook import Receiver

from tasks.base.project import Project
from tasks.store import Store

ROOT = Path(__file__).resolve().parents[2]
FIRST = date(2024, 1, 7)
BETTER = {(1, 0, 1): 30, (1, 1, 0): 5, (1, 1, 1): 20, (0, 0, 0): 400, (0, 1, 1): 20}


@pytest.fixture
def parcels(project: Project, store: Store, tmp_path: Path) -> Path:
    """The folder of project files with this one in it; six weekly batches with labels lie in the store."""
    for column in ("x1", "x2"):
        register_version(project, column)
    for week in range(6):
        day = FIRST + timedelta(days=7 * week)
        frame = decisions_frame(BETTER, prefix=f"{day}-")
        put_batch(store, project, str(day), frame.drop("label"))
        put_labels(store, project, frame["id"].to_list(), frame["label"].to_list(), day, name=str(day))
    folder = tmp_path / "projects"
    folder.mkdir()
    content = {"store": project.store, "mlflow": project.mlflow, "model": project.model, "maturity_days": 14}
    (folder / f"{project.name}.yaml").write_text(yaml.safe_dump({**content, "segments": ["region"]}))
    return folder


@pytest.fixture
def command(parcels: Path, tmp_path: Path) -> Callable[..., subprocess.Popen[str]]:
    """Start a flow as a user does, ``python -m <its module> ...``, on this Prefect server or on a temporary one of its own."""
    environment = {**os.environ, "DETHRONE_PROJECTS": str(parcels), "PREFECT_HOME": str(tmp_path / "prefect")}
    environment.pop("PREFECT_API_URL", None)

    def start(module: str, *arguments: str, server: str | None = None) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            cwd=ROOT,
            env={**environment, "PREFECT_API_URL": server} if server else environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    return start


@pytest.fixture
def prefect(tmp_path: Path, parcels: Path) -> Iterator[PrefectServer]:
    """A real server that knows the project of ``parcels``."""
    home = tmp_path / "prefect"
    home.mkdir()
    running = PrefectServer(home, {"DETHRONE_PROJECTS": str(parcels)})
    try:
        yield running
    finally:
        running.stop()


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory, mlflow_uri: str) -> Iterator[Project]:
    yield make_template(tmp_path_factory.mktemp("template"), mlflow_uri)
    NEVER.set()  # so that models which were made to hang end


@pytest.fixture
def world(template: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """A sound project, to be spoilt."""
    made = make_world(template, tmp_path)
    monkeypatch.setenv("DETHRONE_PROJECTS", str(made.folder))
    return made


@pytest.fixture(scope="session")
def scored_weeks(tmp_path_factory: pytest.TempPathFactory, mlflow_uri: str) -> Scored:
    return Scored(mlflow_uri, tmp_path_factory.mktemp)


@pytest.fixture
def feed(project: Project, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scored_weeks: Scored) -> Feed:
    monkeypatch.setenv("DETHRONE_PROJECTS", str(tmp_path))
    return Feed(project, store, tmp_path, scored_weeks)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    running = Receiver()
    yield running
    running.stop()
