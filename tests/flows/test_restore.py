"""A backup is a copy of the store and one of MLflow: with everything else lost, the project goes on where it stood."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from datetime import date
from pathlib import Path

import pytest

from flows.enthrone import enthrone
from flows.judge import judge
from flows.reconcile import reconcile
from flows.rollback import rollback
from flows.score import score
from flows.verify import verify
from tasks.base.project import Project
from tasks.models.registry import Registry
from tasks.reading import history
from tasks.store import Store

pytestmark = pytest.mark.usefixtures("prefect_server")

LATER = date(2024, 3, 1)


@pytest.fixture
def mlflow_uri(tmp_path: Path, empty_mlflow: Path) -> str:
    """One of its own, which is lost."""
    return f"sqlite:///{shutil.copy(empty_mlflow, tmp_path / 'mlflow.db')}"


def test_the_copy_of_a_store_and_an_older_one_of_mlflow_are_the_project(
    project: Project, store: Store, parcels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DETHRONE_PROJECTS", str(parcels))
    enthrone("parcels", "1", author="ada", as_of=date(2024, 1, 1))
    score("parcels", as_of=LATER)
    database, backup = tmp_path / "mlflow.db", tmp_path / "backup"
    backup.mkdir()
    shutil.copy(database, backup)  # before the promotion: its aliases are those of the first champion
    judge("parcels", as_of=LATER)
    told = history("parcels")
    shutil.copytree(project.store, backup / "store", ignore=shutil.ignore_patterns("rollups"))

    shutil.rmtree(project.store)
    shutil.copytree(backup / "store", project.store)
    with closing(sqlite3.connect(backup / "mlflow.db")) as kept, closing(sqlite3.connect(database)) as lost:
        kept.backup(lost)  # into the file that this process has open

    assert history("parcels") == told
    assert verify("parcels").endswith("both logs are whole, and every decision is the same to the last bit.")
    assert Registry(project).aliases() == {"champion": "1"}
    assert "Put right:" in reconcile("parcels")
    assert Registry(project).aliases() == {"champion": "2", "previous": "1"}
    assert score("parcels", as_of=LATER) == "Scored: nothing new."
    rollback("parcels", author="ada", reason="to see that it goes on", as_of=date(2024, 3, 2))
    assert verify("parcels").endswith("both logs are whole, and every decision is the same to the last bit.")
