"""A project with a real directory store and a real MLflow, and models whose every decision a test can dictate."""

from __future__ import annotations

import os
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
def mlflow_uri(tmp_path_factory: pytest.TempPathFactory) -> str:
    """One SQLite MLflow for the session: its tables take seconds to make. Tests tell their models apart by name."""
    return f"sqlite:///{tmp_path_factory.mktemp('mlflow')}/mlflow.db"


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
    """A temporary Prefect server for the session: it takes seconds to start."""
    from prefect.testing.utilities import prefect_test_harness

    with prefect_test_harness(server_startup_timeout=120):
        yield
