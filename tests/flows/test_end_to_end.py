"""A clone as docs/operations.md runs it, of real parts: PostgreSQL, Prefect, MLflow, S3, a worker, a schedule, and a webhook.

How long each part took is printed, a line each: ``-rP`` shows it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event
from typing import Any

import boto3
import mlflow
import pytest
from postgres import postgres
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterKey
from prefect.client.schemas.objects import FlowRun
from s3_servers import Server, use
from scheduling import QUICK, complaints
from terminal import Terminal
from webhook import Receiver, make_automations

from tasks.base.project import Project
from tasks.decisions import all_records
from tasks.reigns import reigns
from tasks.store import Store, open_store

pytestmark = pytest.mark.slow

BATCHES = ["2024-01-07", "2024-01-14", "2024-01-21", "2024-01-28", "2024-02-04", "2024-02-11"]


class Clone:
    """What ``make up`` has started, as a person at a terminal and on Prefect's pages sees it."""

    def __init__(self, terminal: Terminal, artifacts: str) -> None:
        self.terminal, self.artifacts = terminal, artifacts
        self.mlflow = f"http://127.0.0.1:{terminal.environment['MLFLOW_PORT']}"
        self.client = SyncPrefectClient(terminal.environment["PREFECT_API_URL"])

    def prefect(self, *words: str) -> str:
        return self.terminal("prefect", *words)

    def runs(self) -> list[FlowRun]:
        """The runs that have started."""
        return [run for run in self.client.read_flow_runs() if run.start_time]

    def ended(self, name: str, by: str) -> list[str]:
        """How the runs of this name ended that were created by this, such as a schedule or an automation."""
        assert self.complaints() == []
        found = [run for run in self.runs() if run.name == name and run.created_by and run.created_by.type == by]
        return [run.state.type.value for run in found if run.state and run.state.is_final()]

    def complaints(self) -> list[str]:
        logs = (self.terminal.state / "run").glob("*.log")
        return [said for log in logs for said in complaints(log.read_text(errors="replace"))]

    def wait_for(self, holds: Callable[[], Any], what: str, seconds: float = 120) -> None:
        deadline = time.monotonic() + seconds
        while not holds():
            states = [(run.name, run.state) for run in self.runs()]
            assert time.monotonic() < deadline, f"waited {seconds:g} seconds for {what}: {states} {self.complaints()}"
            Event().wait(0.2)


@contextmanager
def timed(part: str) -> Iterator[None]:
    start = time.monotonic()
    yield
    print(f"{time.monotonic() - start:6.1f} s  {part}")


@pytest.fixture
def clone(seaweedfs: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Clone]:
    use(monkeypatch, seaweedfs)
    artifacts = seaweedfs.fresh_uri()
    with postgres() as database:
        terminal = Terminal(
            tmp_path / "state",
            **QUICK,
            DETHRONE_PROJECTS=str(tmp_path / "projects"),
            PREFECT_SERVER_DATABASE_CONNECTION_URL=f"postgresql+asyncpg://{database}",
            MLFLOW_ARTIFACTS_DESTINATION=artifacts,
        )
        try:
            with timed("make up: Prefect on PostgreSQL, MLflow with its artifacts on S3, a worker, the deployments"):
                assert "deployed 10 deployments of prefect.yaml" in terminal("deployments.up")
            yield Clone(terminal, artifacts)
        finally:
            terminal("deployments.down")


@pytest.fixture
def project(clone: Clone, seaweedfs: Server, make_project: Callable[..., Project]) -> Project:
    """One of the name that prefect.yaml deploys; its store is on S3, its model's artifacts where the MLflow server keeps them."""
    made = make_project(name="flights", store=seaweedfs.fresh_uri(), mlflow=clone.mlflow)
    mlflow.MlflowClient(clone.mlflow).create_experiment(made.model)
    return made


@pytest.fixture
def store(project: Project) -> Store:
    return open_store(project.store)


def below(uri: str) -> list[str]:
    """The keys of a bucket below this place."""
    bucket, _, prefix = uri.removeprefix("s3://").partition("/")
    return [found.key for found in boto3.resource("s3").Bucket(bucket).objects.filter(Prefix=f"{prefix}/")]


def manifests(store: Store) -> list[str]:
    return [k.split("/")[2] for k in store.keys("flights/predictions") if k.endswith("/manifest.json")]


def require_promotion_everywhere(clone: Clone, project: Project, store: Store) -> str:
    """Version 2 leads by one decision, which the store, Prefect and MLflow show; returns the decision's id."""
    assert [(r.version, r.kind) for r in reigns(store, "flights")] == [("1", "enthronement"), ("2", "promotion")]
    (decision,) = (record["id"] for record in all_records(store, "flights"))
    report = store.read(f"flights/reports/{decision}/report.md").decode()
    (artifact,) = clone.client.read_artifacts(
        artifact_filter=ArtifactFilter(key=ArtifactFilterKey(any_=["flights-verdict"]))
    )
    assert report.splitlines()[0] in str(artifact.data)
    assert f"{project.store}/flights/reports/{decision}/report.md" in str(artifact.data)

    models = mlflow.MlflowClient(clone.mlflow)
    assert models.get_model_version_by_alias(project.model, "champion").version == "2"
    assert models.get_model_version_by_alias(project.model, "previous").version == "1"
    promoted = models.get_model_version(project.model, "2")
    assert (promoted.tags["dethrone.verdict"], promoted.tags["dethrone.verdict_by"]) == ("PROMOTE", decision)
    experiment = models.get_experiment_by_name("dethrone/flights")
    assert experiment
    (run,) = models.search_runs([experiment.experiment_id])
    assert run.info.run_name == decision
    assert [key.endswith("report.md") for key in below(clone.artifacts) if decision in key].count(True) == 1
    return str(decision)


def test_a_schedule_scores_an_automation_judges_and_the_promotion_is_seen_wherever_people_look(
    clone: Clone, receiver: Receiver, project: Project, store: Store, parcels: Path, tmp_path: Path
) -> None:
    assert (parcels / "flights.yaml").is_file()
    make_automations(receiver, clone.terminal.environment, tmp_path)
    with timed("enthrone, by hand"):
        named = ("-p", 'version="1"', "-p", "author=ada", "-p", "as_of=2024-01-07")
        clone.prefect("deployment", "run", "enthrone/flights", *named, "--watch")

    with timed("score, by the schedule"):
        soon = (datetime.now(UTC) + timedelta(seconds=12)).isoformat()
        schedule = ("--interval", "60", "--anchor-date", soon, "--replace", "--accept-yes")
        clone.prefect("deployment", "schedule", "create", "score/flights", *schedule)
        clone.wait_for(lambda: clone.ended("score flights", "SCHEDULE"), "the schedule")
        clone.prefect("deployment", "schedule", "clear", "score/flights", "--accept-yes")
    assert manifests(store) == BATCHES

    with timed("judge, once a second score has completed"):
        # Prefect holds back the events of a run that its scheduler made less than 5 minutes before its start
        clone.prefect("deployment", "run", "score/flights")
        clone.wait_for(lambda: clone.ended("judge flights", "AUTOMATION"), "the automation")
    with timed("its message"):
        clone.wait_for(lambda: any(" takes over " in text for text in receiver.texts), f"a message {receiver.texts}")

    decision = require_promotion_everywhere(clone, project, store)
    (message,) = receiver.texts
    assert message.startswith("*flights*: Version 2 takes over from version 1 in flights since ")
    assert f"Report: {project.store}/flights/reports/{decision}/report.md" in message
    assert clone.complaints() == []
