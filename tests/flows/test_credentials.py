"""A password in the address of MLflow: nothing that is said, stored, recorded or told to Prefect or MLflow holds it."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from mlflow_server import mlflow_server
from postgres import free_port
from prefect.settings import PREFECT_API_DATABASE_CONNECTION_URL

from flows.enthrone import enthrone
from flows.judge import judge
from flows.score import score
from tasks import reading
from tasks.base.errors import DethroneError
from tasks.base.project import Project
from tasks.decisions import all_records
from tasks.models.registry import Registry
from tasks.reigns import reigns
from tasks.store import Store

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("prefect_server")]

PASSWORD = "s3cret-tulip"  # noqa: S105
SECRETS = (PASSWORD, "ada:")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("mlflow-behind-a-password")


@pytest.fixture(scope="module")
def mlflow_uri(served: Path) -> Iterator[str]:
    with mlflow_server(served) as uri:
        yield uri.replace("://", f"://ada:{PASSWORD}@")


def holding(folder: Path) -> list[str]:
    """The files below the folder in which a secret stands."""
    files = [p for p in folder.rglob("*") if p.is_file()]
    assert files
    return [f"{p}: {s}" for p in files for s in SECRETS if s.encode() in p.read_bytes()]


def test_it_is_in_nothing_that_is_written_or_said(
    parcels: Path,
    project: Project,
    store: Store,
    served: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("DETHRONE_PROJECTS", str(parcels))
    caplog.set_level(logging.INFO)
    capfd.readouterr()  # what MLflow said to whoever registered the models
    said = [
        enthrone("parcels", "1", author="test", as_of=date(2024, 1, 1)),
        score("parcels", as_of=date(2024, 2, 12)),
        judge("parcels", as_of=date(2024, 2, 26)),
        reading.history("parcels"),
        reading.verify("parcels"),
        repr(project),
    ]
    assert len(reigns(store, "parcels")) == 2
    (decision,) = all_records(store, "parcels")
    (link,) = [
        line for line in (Registry(project).client.get_model_version(project.model, "2").description or "").splitlines()
        if decision["id"] in line
    ]  # fmt: skip
    assert "[run](http://127.0.0.1:" in link

    (file,) = parcels.glob("*.yaml")
    there = file.read_text()
    for text in (
        there.replace(project.mlflow, project.mlflow.rpartition(":")[0] + f":{free_port()}"),  # where nothing answers
        there.replace(project.mlflow, f"http://ada:{PASSWORD}/tulip@127.0.0.1:5000"),  # no address
        there.replace(project.mlflow, f"[{project.mlflow}]"),
        there.replace(project.mlflow, f"{project.mlflow} : ]"),
        there.replace(project.store, f"s3://ada:{PASSWORD}/x@bucket/prefix"),
        there.replace(project.store, f"https://ada:{PASSWORD}@bucket/prefix"),
    ):
        assert text != there
        file.write_text(text)
        with pytest.raises(DethroneError) as caught:
            score("parcels", as_of=date(2024, 2, 12))
        said.append(str(caught.value))

    said += [caplog.text, *capfd.readouterr()]
    assert [line for text in said for line in text.splitlines() if any(s in line for s in SECRETS)] == []
    assert holding(Path(project.store)) == []
    assert holding(served) == []
    database = Path(PREFECT_API_DATABASE_CONNECTION_URL.value().partition("///")[2])
    assert b"enthrone" in database.read_bytes()
    assert holding(database.parent) == []
