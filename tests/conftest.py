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
from prefect_server import QUIET

from analysis.policy import Policy
from tasks.base.project import Project
from tasks.models.registry import Registry
from tasks.store import DirectoryStore, Store


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests come first, so that no worker is left alone with one in the end."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


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

    Without services that no test of a flow asks for, and without heartbeats, for which every flow would end by waiting up to a second.
    """
    import prefect.settings
    from prefect.testing.utilities import prefect_test_harness

    settings: dict[Any, Any] = {getattr(prefect.settings, name): value for name, value in QUIET.items()}
    settings[prefect.settings.PREFECT_FLOWS_HEARTBEAT_FREQUENCY] = None
    with prefect.settings.temporary_settings(settings), prefect_test_harness(server_startup_timeout=120):
        yield
