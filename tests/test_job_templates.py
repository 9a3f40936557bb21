"""The examples of job templates: what Prefect takes for a work pool, with a size and threads."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.utilities.templating import apply_values, find_placeholders

FOLDER = Path(__file__).resolve().parents[1] / "deployments"
KINDS = {"kubernetes": ("16", "64Gi"), "ecs": (16384, 65536)}


def template(kind: str) -> Any:
    return json.loads((FOLDER / f"job-template-{kind}.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("kind", KINDS)
def test_each_names_its_variables_and_no_other(kind: str) -> None:
    content = template(kind)
    WorkPoolCreate(name="dethrone", type=kind, base_job_template=content)
    used = {p.name for p in find_placeholders(content["job_configuration"])}
    assert used == set(content["variables"]["properties"])


@pytest.mark.parametrize("kind", KINDS)
def test_each_has_a_size_and_says_how_many_threads_a_model_has(kind: str) -> None:
    content = template(kind)
    defaults = {n: v["default"] for n, v in content["variables"]["properties"].items() if "default" in v}
    job = apply_values(content["job_configuration"], defaults)
    assert job["env"] == {"OMP_NUM_THREADS": "4"}
    if kind == "kubernetes":
        (container,) = job["job_manifest"]["spec"]["template"]["spec"]["containers"]
        sizes = {"cpu": KINDS[kind][0], "memory": KINDS[kind][1]}
        assert container["resources"] == {"limits": sizes, "requests": sizes}
    else:
        task = job["task_definition"]
        assert (task["cpu"], task["memory"]) == KINDS[kind]
        assert job["task_run_request"]["overrides"]["cpu"] == KINDS[kind][0]
