"""The flow that simulates a policy, run by Prefect on a temporary server and from the command line."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from prefect.settings import PREFECT_API_URL

from flows.plan import plan
from tasks.plan.plan_volumes import PlanError
from tasks.store import Store

pytestmark = pytest.mark.usefixtures("prefect_server")


@pytest.fixture(autouse=True)
def projects(parcels: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DETHRONE_PROJECTS", str(parcels))


def test_a_plan_is_a_sentence_a_report_and_a_markdown_artifact(store: Store) -> None:
    from prefect.artifacts import Artifact

    said = plan("parcels", batches=4, runs=5, gains=[0.2], rows=1000, prevalence=0.2, recall=0.5, fpr=0.02)
    assert said.startswith("With this policy and these volumes an equal challenger is promoted within 4 batches in ")
    written = store.read("parcels/reports/plan/plan.md").decode()
    assert written.split("\n\n")[1] == said
    artifact = Artifact.get("parcels-plan")
    assert artifact is not None
    assert artifact.description == said
    assert isinstance(artifact.data, str)
    assert artifact.data.startswith("# parcels: what to expect of its policy")
    assert "](data:image/svg+xml;base64," in artifact.data


def test_without_batches_or_numbers_there_is_nothing_to_plan(store: Store) -> None:
    with pytest.raises(PlanError, match="say what its batches will be like: --rows, --prevalence, --recall, --fpr"):
        plan("parcels")
    assert store.keys("parcels/reports") == []


def test_the_command_line_takes_every_number(command: Callable[..., subprocess.Popen[str]], store: Store) -> None:
    numbers = {"batches": 3, "runs": 2, "challengers": 2, "seed": 7}
    volumes = {"rows": 500, "prevalence": 0.2, "recall": 0.5, "fpr": 0.02, "disagreement": 0.2}
    options = [word for name, value in {**numbers, **volumes}.items() for word in (f"--{name}", str(value))]
    run = command("flows.plan", "parcels", *options, "--gains", "0.1,0.05", server=PREFECT_API_URL.value())
    out, err = run.communicate(timeout=300)
    assert run.returncode == 0, err
    assert out.startswith(
        "With this policy and these volumes one of 2 equal challengers is promoted within 3 batches in"
    )
    question = json.loads(store.read("parcels/reports/plan/plan.json"))["question"]
    assert question == {**numbers, "gains": [0.1, 0.05], "said": volumes}
