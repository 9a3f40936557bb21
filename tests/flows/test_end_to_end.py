"""A clone as docs/operations.md runs it, of real parts: PostgreSQL, Prefect, MLflow, S3, a worker, a schedule, and a webhook.

How long each part took is printed, a line each: ``-rP`` shows it.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from threading import Event
from typing import Any

import boto3
import mlflow
import pytest
from fault_proxy import Fault, FaultProxy, Never, Pass, Request
from postgres import postgres
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterKey
from prefect.client.schemas.objects import FlowRun
from s3_servers import Server, use
from scheduling import QUICK, complaints
from terminal import Terminal
from webhook import Receiver, make_automations

from deployments.processes import _below
from tasks.base.project import Project
from tasks.batches.scoring import score_batch
from tasks.decisions import all_records
from tasks.decisions.promotion import enthrone
from tasks.models.registry import Registry
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
        found = [run for run in self.runs() if run.name == name and run.created_by and run.created_by.type == by]
        return [run.state.type.value for run in found if run.state and run.state.is_final()]

    def start(self, flow: str, endpoint: str) -> FlowRun:
        """Start a run of a deployment that finds S3 at this address."""
        deployment = self.client.read_deployment_by_name(f"{flow}/flights")
        own = {"env": {**deployment.job_variables["env"], "AWS_ENDPOINT_URL": endpoint}}
        return self.client.create_flow_run_from_deployment(deployment.id, job_variables=own)

    def state(self, run: FlowRun) -> str:
        state = self.client.read_flow_run(run.id).state
        return f"{state.name}: {state.message}" if state else ""

    def turns_taken(self, flow: str) -> int:
        limit = self.client.read_deployment_by_name(f"{flow}/flights").global_concurrency_limit
        assert limit
        return limit.active_slots

    def kill_worker(self) -> None:
        """The worker dies with all that it has started, as a machine does: nobody is left to tell Prefect."""
        worker = self.terminal.pids()["worker"]
        for pid in [worker, *(process.pid for process in _below(worker))]:
            os.kill(pid, signal.SIGKILL)

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


class Middle:
    """Holds back the write that commits a batch, and the one that commits a decision, until whoever waits for them gives up."""

    HELD = (f"/flights/predictions/{BATCHES[-1]}/manifest.json", "/flights/decisions/")

    def __init__(self) -> None:
        self.reached: set[str] = set()

    def __call__(self, request: Request) -> Fault:
        for held in self.HELD:
            if request.method == "PUT" and held in request.path:
                self.reached.add(held)
                return Never()
        return Pass()


def test_a_worker_that_is_killed_amid_score_and_judge_frees_their_turns_and_the_next_runs_do_what_it_left(
    clone: Clone, receiver: Receiver, project: Project, store: Store, seaweedfs: Server, parcels: Path, tmp_path: Path
) -> None:
    assert (parcels / "flights.yaml").is_file()
    make_automations(receiver, clone.terminal.environment, tmp_path)
    registry, first = Registry(project), date(2024, 1, 7)
    reign = enthrone(store, registry, "flights", version="1", since=first, author="ada", reason="the first")
    for batch in BATCHES[:-1]:
        score_batch(store, registry, project, reign, batch, date.fromisoformat(batch))

    middle = Middle()
    with FaultProxy(seaweedfs.endpoint, middle) as proxy:
        with timed("score and judge, until each is about to commit"):
            killed = [clone.start(flow, proxy.endpoint) for flow in ("score", "judge")]
            clone.wait_for(lambda: len(middle.reached) == 2, "both to be in the middle")
        clone.kill_worker()
        assert manifests(store) == BATCHES[:-1]
        assert any(f"/predictions/{BATCHES[-1]}/" in key for key in store.keys("flights/predictions"))
        assert store.keys("flights/tallies")
        assert all_records(store, "flights") == []
        assert [clone.turns_taken(flow) for flow in ("score", "judge")] == [1, 1]

        with timed("make up: another worker"):
            clone.terminal("deployments.up")
        with timed("until the runs that died are known to have, and a score and its judge have taken their turns"):
            again = clone.start("score", seaweedfs.endpoint)
            clone.wait_for(lambda: clone.state(again).startswith("Completed"), "the next score", 240)
            clone.wait_for(lambda: clone.ended("judge flights", "AUTOMATION"), "the next judge", 240)

    for run in killed:
        assert clone.state(run).startswith("Crashed: It has given no sign of life for 70 seconds")
    assert clone.ended("judge flights", "AUTOMATION") == ["COMPLETED"]
    assert [clone.turns_taken(flow) for flow in ("score", "judge")] == [0, 0]
    assert manifests(store) == BATCHES
    require_promotion_everywhere(clone, project, store)
    clone.wait_for(lambda: len(receiver.texts) >= 3, f"three messages {receiver.texts}")
    assert sorted(text.partition(": ")[0] for text in receiver.texts) == [
        "*flights*", "*judge flights* failed", "*score flights* failed",
    ]  # fmt: skip
