"""prefect.yaml is what Prefect reads of it, and a second project is a copy of a block."""

from __future__ import annotations

import asyncio
import inspect
import re
import subprocess
import textwrap
from datetime import UTC, date, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import yaml
from prefect.cli.deploy._models import ConcurrencyLimitSpec, DeploymentConfig, PrefectYamlModel, WorkPoolConfig
from prefect.cli.deploy._schedules import _schedule_config_to_deployment_schedule
from prefect.cli.deploy._triggers import _initialize_deployment_triggers
from prefect.deployments.steps.core import _get_function_for_step
from prefect.server.schemas import schedules as server_schedules
from prefect_server import QUIET, ROOT, PrefectServer

from tasks.base.project import load_project

TEXT = (ROOT / "prefect.yaml").read_text(encoding="utf-8")
FILE: dict[str, Any] = yaml.safe_load(TEXT)
COPY = re.search(r"^#   (block=.*)$", TEXT, flags=re.MULTILINE)


def second_project(folder: Path, name: str) -> dict[str, Any]:
    """The file with a copy of the block, made by the command that stands in it."""
    (folder / "prefect.yaml").write_text(TEXT)
    assert COPY
    subprocess.run(["/bin/bash", "-c", COPY[1].replace("claims", name)], cwd=folder, check=True)
    content: dict[str, Any] = yaml.safe_load((folder / "prefect.yaml").read_text())
    return content


@pytest.mark.parametrize("name", ["claims", "Claims_2-fraud"])
def test_a_second_project_is_the_block_with_its_name_and_nothing_else(tmp_path: Path, name: str) -> None:
    content = second_project(tmp_path, name)
    first, second = content["deployments"][:10], content["deployments"][10:]
    assert first == FILE["deployments"]
    assert yaml.safe_dump(second, sort_keys=True) == yaml.safe_dump(first, sort_keys=True).replace("flights", name)


def test_prefect_knows_every_key() -> None:
    """It passes over those that it does not know."""
    PrefectYamlModel.model_validate(FILE)
    assert FILE.keys() - {"definitions"} <= {"name", "prefect-version", "deployments"}
    for deployment in FILE["deployments"]:
        assert deployment.keys() <= DeploymentConfig.model_fields.keys()
        assert deployment["work_pool"].keys() <= WorkPoolConfig.model_fields.keys()
        assert deployment.get("concurrency_limit", {}).keys() <= ConcurrencyLimitSpec.model_fields.keys()


def test_what_writes_takes_its_turn_and_nothing_that_was_asked_for_is_dropped() -> None:
    limits = {d["entrypoint"].partition(":")[2]: d.get("concurrency_limit") for d in FILE["deployments"]}
    assert {flow for flow, limit in limits.items() if limit is None} == {"history", "verify"}
    assert all(limit == {"limit": 1, "collision_strategy": "ENQUEUE"} for limit in limits.values() if limit)


def test_the_end_of_score_starts_judge_of_the_same_project() -> None:
    (judge,) = (d for d in FILE["deployments"] if d.get("triggers"))
    assert judge["entrypoint"] == "flows/judge.py:judge"
    (trigger,) = _initialize_deployment_triggers(judge["name"], judge["triggers"])
    (by,) = judge["triggers"]
    assert trigger.expect == {"prefect.flow-run.Completed"}  # type: ignore[union-attr]
    role, name = "prefect.resource.role", "prefect.resource.name"
    assert by["match_related"] == [{role: "flow", name: "score"}, {role: "deployment", name: "flights"}]


@pytest.mark.parametrize(("choice", "days"), [("weekly", 7), ("fortnightly", 14), ("daily", 1)])
@pytest.mark.parametrize("place", ["UTC", "Europe/Berlin", "America/New_York"])
def test_a_schedule_fires_at_five_where_the_project_is_in_summer_and_in_winter(
    choice: str, days: int, place: str
) -> None:
    configured = _schedule_config_to_deployment_schedule(FILE["definitions"][choice] | {"timezone": place})
    made = configured["schedule"]
    schedule = getattr(server_schedules, type(made).__name__).model_validate(made.model_dump(mode="json"))
    found: list[datetime] = asyncio.run(schedule.get_dates(n=400 // days, start=datetime(2026, 1, 1, tzinfo=UTC)))
    local = [moment.astimezone(ZoneInfo(place)) for moment in found]
    assert configured["active"] is True
    assert {(m.hour, m.minute) for m in local} == {(5, 0)}
    assert {b.toordinal() - a.toordinal() for a, b in pairwise(local)} == {days}
    assert days == 1 or {m.weekday() for m in local} == {0}
    if choice == "fortnightly":
        assert (local[0].toordinal() - date(2024, 1, 1).toordinal()) % 14 == 0


def test_a_schedule_has_the_time_zone_of_its_project() -> None:
    zones = {d["name"]: s["timezone"] for d in FILE["deployments"] for s in d.get("schedules", ())}
    assert zones == {name: load_project(name).timezone for name in zones}


def test_the_other_ways_to_find_the_clone_are_steps_of_prefect() -> None:
    ways = re.findall(r"^# pull:\n((?:#  .*\n)+)", TEXT, flags=re.MULTILINE)
    assert len(ways) == 2
    for way in ways:
        (step,) = yaml.safe_load(textwrap.dedent(way.replace("#", "")))
        ((path, arguments),) = step.items()
        inspect.signature(_get_function_for_step(path)).bind(**arguments)


@pytest.mark.slow
def test_deploying_again_replaces_schedules_and_triggers(tmp_path: Path) -> None:
    home = tmp_path / "prefect"
    home.mkdir()
    server = PrefectServer(home, dict(QUIET))
    try:
        server("work-pool", "create", "dethrone", "--type", "process")
        file = tmp_path / "prefect.yaml"
        for choice, active in (
            ("*weekly", 1),
            ("*fortnightly", 1),
            ("*weekly, *daily", 2),
            ("{<<: *weekly, active: false}", 0),
        ):
            file.write_text(TEXT.replace("schedules: [*weekly]", f"schedules: [{choice}]"))
            server("deploy", "--prefect-file", str(file), "--name", "score/flights", "--name", "judge/flights")
            shown = server("deployment", "schedule", "ls", "score/flights")
            assert len(re.findall(r"\bTrue\b", shown)) == active, shown
            assert server("automation", "ls").count("flights__automation_1") == 1
    finally:
        server.stop()
