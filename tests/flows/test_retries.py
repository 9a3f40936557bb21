"""A step is repeated on what may pass, where a worker runs it, and never on what a person has to correct."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
import yaml
from fault_proxy import Fault, FaultProxy, Pass, Reply, Request
from mlflow_server import mlflow_server
from parcels import register_version
from prefect import Task
from s3_servers import Server, use

from flows.enthrone import enthrone
from flows.judge import judge
from flows.score import score
from tasks import replay_steps, score_steps, steps
from tasks.base.project import Project
from tasks.models.errors import RegistryError
from tasks.patience import may_be_repeated
from tasks.reigns import LogError, reigns
from tasks.store import DirectoryStore, Store, UnknownOutcomeError, open_store

pytestmark = pytest.mark.usefixtures("prefect_server")

LATER = date(2024, 3, 1)
STEPS = [
    step for module in (steps, score_steps, replay_steps) for step in vars(module).values() if isinstance(step, Task)
]


@pytest.fixture
def by_a_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if a worker ran the flows, and without waiting between two tries."""
    monkeypatch.setenv("PREFECT__RUNTIME__DEPLOYMENT__ID", str(uuid.uuid4()))
    for step in STEPS:
        monkeypatch.setattr(step, "retry_delay_seconds", 0)
        monkeypatch.setattr(step, "retry_jitter_factor", None)


class OnceEach:
    """Refuses the first write of every kind of commit, which never gets to the server."""

    def __init__(self) -> None:
        self.asked = 0
        self.refused: Counter[str] = Counter()

    def __call__(self, request: Request) -> Fault:
        self.asked += 1
        kind = request.path.partition("/parcels/")[2].partition("/")[0]
        if kind == "reigns":
            kind = request.path.rpartition("/")[2]
        if not request.create_only or not kind or self.refused[kind]:
            return Pass()
        self.refused[kind] += 1
        return Reply(503, "SlowDown")


@pytest.fixture
def weather() -> OnceEach:
    return OnceEach()


@pytest.fixture
def far_away(
    parcels: Path,
    project: Project,
    store: Store,
    moto: Server,
    weather: OnceEach,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Store]:
    """The project of ``parcels`` in a bucket, which is asked by way of a proxy."""
    use(monkeypatch, moto)
    uri = moto.fresh_uri()
    there = open_store(uri)
    for key in store.keys(project.name):
        there.write(key, store.read(key))
    content = yaml.safe_load((parcels / "parcels.yaml").read_text())
    with FaultProxy(moto.endpoint, weather) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.endpoint)
        (parcels / "parcels.yaml").write_text(yaml.safe_dump({**content, "store": uri}))
        monkeypatch.setenv("DETHRONE_PROJECTS", str(parcels))
        yield there


def play() -> str:
    enthrone("parcels", "1", author="ada", as_of=date(2024, 1, 1))
    score("parcels", as_of=LATER)
    return judge("parcels", as_of=LATER)


def committed(store: Store) -> dict[str, bytes]:
    folders = ("reigns", "decisions", "tallies", "predictions", "versions", "contenders", "mlflow")
    return {key: store.read(key) for folder in folders for key in store.keys(f"parcels/{folder}")}


def test_every_step_but_a_rollback_is_patient() -> None:
    impatient = [step.name for step in STEPS if not step.retries]
    assert impatient == ["commit rollback"]
    assert all(step.retry_condition_fn is may_be_repeated for step in STEPS if step.retries)


@pytest.mark.slow
@pytest.mark.usefixtures("by_a_worker")
def test_a_server_that_refuses_each_kind_of_commit_once_changes_no_byte_of_what_is_committed(
    far_away: Store,
    weather: OnceEach,
    project: Project,
    store: Store,
    parcels: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said = play()
    assert "Version 2 takes over from version 1 in parcels" in said
    kinds = {"predictions", "tallies", "decisions", "versions", "00000001.json", "00000002.json"}
    assert kinds <= weather.refused.keys()
    assert [r.version for r in reigns(far_away, project.name)] == ["1", "2"]

    calm = tmp_path / "calm"
    calm.mkdir()
    content = yaml.safe_load((parcels / "parcels.yaml").read_text())
    (calm / "parcels.yaml").write_text(yaml.safe_dump({**content, "store": project.store}))
    monkeypatch.setenv("DETHRONE_PROJECTS", str(calm))
    assert play() == said
    assert committed(far_away) == committed(DirectoryStore(Path(project.store)))


def test_at_a_terminal_somebody_is_told_at_once(far_away: Store) -> None:
    with pytest.raises(UnknownOutcomeError, match="run again, which first reads what is there"):
        enthrone("parcels", "1", author="ada", as_of=date(2024, 1, 1))


@pytest.mark.usefixtures("far_away")
def test_a_mistake_is_not_tried_again(weather: OnceEach, request: pytest.FixtureRequest) -> None:
    """The server is asked as often by a worker as at a terminal."""
    asked = []
    for _ in range(2):
        before = weather.asked
        with pytest.raises(LogError, match="has no champion yet"):
            score("parcels")
        asked.append(weather.asked - before)
        request.getfixturevalue("by_a_worker")
    assert asked[0] == asked[1] > 0


class Overloaded:
    """An MLflow that answers 503 to so many requests."""

    def __init__(self) -> None:
        self.left = 0

    def __call__(self, _: Request) -> Fault:
        self.left -= 1
        return Reply(503, "SlowDown") if self.left >= 0 else Pass()


@pytest.mark.slow
@pytest.mark.usefixtures("by_a_worker")
def test_an_mlflow_that_is_overloaded_for_a_while_is_asked_again(
    tmp_path: Path, store: Store, project: Project, parcels: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For longer than its own client has patience, which asks three times."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR", "0")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_BACKOFF_JITTER", "0")
    monkeypatch.setenv("DETHRONE_PROJECTS", str(parcels))
    (tmp_path / "mlflow").mkdir()
    content = yaml.safe_load((parcels / "parcels.yaml").read_text())
    with mlflow_server(tmp_path / "mlflow") as uri:
        for column in ("x1", "x2"):
            register_version(project.model_copy(update={"mlflow": uri}), column)
        overloaded = Overloaded()
        with FaultProxy(uri, overloaded) as proxy:
            (parcels / "parcels.yaml").write_text(yaml.safe_dump({**content, "mlflow": proxy.endpoint}))
            overloaded.left = 7
            assert enthrone("parcels", "1", author="ada", as_of=date(2024, 1, 1)).endswith("leads since 2024-01-01.")
            overloaded.left = 100
            with pytest.raises(RegistryError, match="does not answer as it should"):
                score("parcels", as_of=LATER)
            assert store.keys("parcels/predictions") == []
            overloaded.left = 7
            assert score("parcels", as_of=LATER).startswith("Scored: 2024-01-07, ")
