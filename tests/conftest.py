"""A project with a real directory store and a real MLflow, and models whose every decision a test can dictate."""

from __future__ import annotations

import fcntl
import os
import shutil
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

os.environ.update(
    DO_NOT_TRACK="1",
    MLFLOW_DISABLE_TELEMETRY="true",
    PREFECT_LOGGING_LEVEL="WARNING",
)

import pytest
from parcels import decisions_frame, put_batch, put_frame, put_labels, register_version, sigmoid_model  # noqa: F401

from analysis.policy import Policy
from tasks.base.project import Project
from tasks.models.registry import Registry
from tasks.store import DirectoryStore, Store


@pytest.fixture(scope="session")
def empty_mlflow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of an MLflow in SQLite that holds nothing, to be copied: its tables take seconds to make, so one process makes them."""
    base = tmp_path_factory.getbasetemp()
    folder = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    template = folder / "empty-mlflow.db"
    with (folder / "empty-mlflow.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not template.exists():
            import mlflow

            unfinished = base / "unfinished-mlflow.db"
            mlflow.MlflowClient(f"sqlite:///{unfinished}").search_experiments()
            unfinished.rename(template)
    return template


@pytest.fixture(scope="session")
def mlflow_uri(tmp_path_factory: pytest.TempPathFactory, empty_mlflow: Path) -> str:
    """One SQLite MLflow for the session. Tests tell their models apart by name; what it commits need not survive the machine."""
    from sqlalchemy import Engine, event

    @event.listens_for(Engine, "connect")
    def do_not_sync(connection: Any, _: Any) -> None:
        connection.execute("PRAGMA synchronous = OFF")

    return f"sqlite:///{shutil.copy(empty_mlflow, tmp_path_factory.mktemp('mlflow') / 'mlflow.db')}"


@pytest.fixture
def make_project(tmp_path: Path, mlflow_uri: str) -> Callable[..., Project]:
    """Make a project with its own store and its own registered model; keywords replace its defaults."""

    def make(**changes: Any) -> Project:
        defaults: dict[str, Any] = {
            "name": "parcels",
            "store": str(tmp_path / "store"),
            "mlflow": mlflow_uri,
            "model": f"late-{uuid.uuid4().hex[:8]}",
            "segments": ("region",),
            "maturity_days": 14,
            "policy": Policy(error_budget="family"),
        }
        return Project(**{**defaults, **changes})

    return make


@pytest.fixture
def project(make_project: Callable[..., Project]) -> Project:
    return make_project()


@pytest.fixture
def store(project: Project) -> Store:
    return DirectoryStore(Path(project.store))


@pytest.fixture
def registry(project: Project) -> Registry:
    return Registry(project)


@pytest.fixture
def register(project: Project) -> Callable[..., str]:
    """Register a version that scores a row with sigmoid(row[column]); see ``register_version``."""
    return lambda column, **options: register_version(project, column, **options)


@pytest.fixture(scope="session")
def prefect_server() -> Iterator[None]:
    """A temporary Prefect server for the session: it takes seconds to start.

    Without what no test of a flow asks of it: services that write to its database beside the flow that runs, until one of them
    finds it locked, and the heartbeat, for which every flow ends by waiting up to a second.
    """
    from prefect.settings import temporary_settings
    from prefect.testing.utilities import prefect_test_harness

    services = ("task_run_recorder", "event_persister", "event_logger", "triggers", "scheduler", "late_runs", "foreman")
    off = {f"server.services.{service}.enabled": False for service in services}
    with (
        temporary_settings({"flows.heartbeat_frequency": None, **off}),
        prefect_test_harness(server_startup_timeout=120),
    ):
        yield
