"""The deployments of prefect.yaml, on a real Prefect server with a real worker."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from tasks.project import Project
from tasks.reigns import reigns
from tasks.store import Store

ROOT = Path(__file__).resolve().parents[2]


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


class Prefect:
    """A real Prefect server, and its command line."""

    def __init__(self, home: Path, projects: Path) -> None:
        port = _free_port()
        self.api = f"http://127.0.0.1:{port}/api"
        self.environment = {
            **os.environ,
            "PREFECT_HOME": str(home),
            "PREFECT_API_URL": self.api,
            "PREFECT_LOGGING_LEVEL": "INFO",
            "DETHRONE_PROJECTS": str(projects),
        }
        command = [str(Path(sys.executable).parent / "prefect"), "server", "start", "--host", "127.0.0.1", "--port"]
        self.log = (home / "server.log").open("w")
        self.server = subprocess.Popen(
            [*command, str(port)],
            env=self.environment,
            stdout=self.log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self._wait()

    def _wait(self) -> None:
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            assert self.server.poll() is None, "the server ended"
            try:
                with urllib.request.urlopen(f"{self.api}/health", timeout=5):  # noqa: S310
                    return
            except OSError:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self.server.wait(timeout=0.2)
        pytest.fail("the server did not answer within two minutes")

    def __call__(self, *arguments: str) -> str:
        command = [str(Path(sys.executable).parent / "prefect"), "--no-prompt", *arguments]
        run = subprocess.run(
            command, env=self.environment, cwd=ROOT, capture_output=True, text=True, timeout=180, check=False
        )
        assert run.returncode == 0, run.stdout + run.stderr
        return run.stdout

    def states(self) -> dict[str, str]:
        """The state of every flow run, by the flow run's name."""
        return {run["name"]: run["state_type"] for run in self.runs()}

    def runs(self) -> list[dict[str, str]]:
        """Every flow run."""
        request = urllib.request.Request(  # noqa: S310
            f"{self.api}/flow_runs/filter", b"{}", {"content-type": "application/json"}, method="POST"
        )
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
            found: list[dict[str, str]] = json.load(answer)
            return found

    def stop(self) -> None:
        os.killpg(self.server.pid, signal.SIGTERM)
        self.server.wait(timeout=60)
        self.log.close()


@pytest.fixture
def prefect(tmp_path: Path, parcels: Path) -> Iterator[Prefect]:
    home = tmp_path / "prefect"
    home.mkdir()
    running = Prefect(home, parcels)
    try:
        yield running
    finally:
        running.stop()


def test_every_deployment_is_one_of_a_flow_file_with_the_flows_name() -> None:
    content = yaml.safe_load((ROOT / "prefect.yaml").read_text())
    for deployment in content["deployments"]:
        path, _, name = deployment["entrypoint"].partition(":")
        assert Path(path).stem == name
        assert (ROOT / path).is_file()
        assert deployment["parameters"]["project"] == deployment["name"]
        assert (ROOT / "deployments" / f"{deployment['name']}.yaml").is_file()


def test_the_deployments_score_judge_and_promote_on_a_server_with_a_worker(
    prefect: Prefect, store: Store, project: Project
) -> None:
    prefect("work-pool", "create", "dethrone", "--type", "process")
    prefect("deploy", "--all")
    run: Callable[..., str] = lambda flow, *parameters: prefect(  # noqa: E731
        "deployment",
        "run",
        f"{flow}/flights",
        *(word for p in ("project=parcels", *parameters) for word in ("--param", p)),
    )
    worker = ("worker", "start", "--pool", "dethrone", "--run-once")

    run("enthrone", 'version="1"', "author=test", "as_of=2024-01-07")
    prefect(*worker)
    run("score", "as_of=2024-03-01")
    prefect(*worker)
    run("judge", "as_of=2024-03-01")
    prefect(*worker)

    assert set(prefect.states().values()) == {"COMPLETED"}
    log = reigns(store, project)
    assert [(r.version, r.kind) for r in log] == [("1", "enthronement"), ("2", "promotion")]
    assert store.read("parcels/mlflow/parcels/live_model_run").decode() == log[-1].run_id


RESUME = """
import sys
from prefect.flow_runs import resume_flow_run
resume_flow_run(sys.argv[1], run_input={"approve": sys.argv[2] == "yes", "author": "rita", "reason": "read the report"})
"""


def test_a_promotion_that_needs_approval_waits_for_it_and_is_signed(
    prefect: Prefect, parcels: Path, store: Store, project: Project
) -> None:
    """The judgement is over; a run of promote waits, suspended, and nothing is committed until somebody resumes it."""
    with (parcels / "parcels.yaml").open("a") as file:
        file.write("policy: {approval: required}\n")
    prefect("work-pool", "create", "dethrone", "--type", "process")
    for flow in ("judge", "promote"):
        prefect("deploy", f"flows/{flow}.py:{flow}", "--name", "parcels", "--pool", "dethrone")
    for flow, *arguments in (
        ("enthrone", "parcels", "1", "--author", "ada", "--as-of", "2024-01-07"),
        ("score", "parcels", "--as-of", "2024-03-01"),
    ):
        subprocess.run(
            [sys.executable, "-m", f"flows.{flow}", *arguments], env=prefect.environment, cwd=ROOT, check=True
        )
    worker = ("worker", "start", "--pool", "dethrone", "--run-once")

    prefect(
        "deployment", "run", "judge/parcels", "--param", "project=parcels", "--param", "as_of=2024-03-01"
    )  # fmt: skip
    prefect(*worker)
    prefect(*worker)
    assert len(reigns(store, project)) == 1
    (waiting,) = [run for run in prefect.runs() if run["state_type"] == "PAUSED"]
    assert waiting["name"].startswith("promote ")

    subprocess.run([sys.executable, "-c", RESUME, waiting["id"], "yes"], env=prefect.environment, cwd=ROOT, check=True)
    prefect(*worker)
    assert set(prefect.states().values()) == {"COMPLETED"}
    _, promoted = reigns(store, project)
    assert (promoted.version, promoted.author) == ("2", "rita")
    assert promoted.reason == "proven better than version 1; approved: read the report"
