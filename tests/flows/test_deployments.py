"""The deployments of prefect.yaml, on a real Prefect server with a real worker."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import yaml
from prefect_server import ROOT, PrefectServer

from tasks.base.project import Project
from tasks.reigns import reigns
from tasks.store import Store


def test_every_flow_has_a_deployment_and_every_deployment_is_one_of_a_flow_file_with_the_flows_name() -> None:
    content = yaml.safe_load((ROOT / "prefect.yaml").read_text())
    flows = {f"flows/{p.name}" for p in (ROOT / "flows").glob("*.py")} - {"flows/__init__.py"}
    assert {d["entrypoint"].partition(":")[0] for d in content["deployments"]} == flows
    for deployment in content["deployments"]:
        path, _, name = deployment["entrypoint"].partition(":")
        assert Path(path).stem == name
        assert (ROOT / path).is_file()
        assert deployment["parameters"]["project"] == deployment["name"]
        assert (ROOT / "deployments" / f"{deployment['name']}.yaml").is_file()


def test_the_deployments_score_judge_and_promote_on_a_server_with_a_worker(
    prefect: PrefectServer, store: Store, project: Project
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
    log = reigns(store, project.name)
    assert [(r.version, r.kind) for r in log] == [("1", "enthronement"), ("2", "promotion")]
    assert store.read("parcels/mlflow/parcels/live_model_run").decode() == log[-1].run_id


RESUME = """
import sys
from prefect.flow_runs import resume_flow_run
resume_flow_run(sys.argv[1], run_input={"approve": sys.argv[2] == "yes", "author": "rita", "reason": "read the report"})
"""


def test_a_promotion_that_needs_approval_waits_for_it_and_is_signed(
    prefect: PrefectServer, parcels: Path, store: Store, project: Project
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
    assert len(reigns(store, project.name)) == 1
    (waiting,) = [run for run in prefect.runs() if run["state_type"] == "PAUSED"]
    assert waiting["name"].startswith("promote ")

    subprocess.run([sys.executable, "-c", RESUME, waiting["id"], "yes"], env=prefect.environment, cwd=ROOT, check=True)
    prefect(*worker)
    assert set(prefect.states().values()) == {"COMPLETED"}
    _, promoted = reigns(store, project.name)
    assert (promoted.version, promoted.author) == ("2", "rita")
    assert promoted.reason == "proven better than version 1; approved: read the report"
