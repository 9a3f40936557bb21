"""A schedule that fires: the server's scheduler starts score, its end starts judge, a worker runs both, and a challenger is promoted.

Dethrone is for scheduled deployments, and a server whose scheduler fails looks healthy from outside.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
import yaml
from postgres import postgres
from prefect_server import ROOT, PrefectServer
from scheduling import QUICK, complaints

from tasks.base.project import Project
from tasks.decisions.promotion import enthrone
from tasks.models.registry import Registry
from tasks.reigns import reigns
from tasks.store import Store

pytestmark = pytest.mark.slow

EVERY_SECONDS = 60  # longer than a run takes on a busy machine, or overdue ones would keep judge waiting


@pytest.fixture(params=["sqlite", "postgresql"])
def prefect(request: pytest.FixtureRequest, tmp_path: Path, parcels: Path) -> Iterator[PrefectServer]:
    home = tmp_path / "prefect"
    home.mkdir()
    with contextlib.ExitStack() as running:
        database = (
            f"postgresql+asyncpg://{running.enter_context(postgres())}" if request.param == "postgresql" else None
        )
        server = PrefectServer(home, {"DETHRONE_PROJECTS": str(parcels), **QUICK}, database)
        running.callback(server.stop)
        yield server


def scheduled(path: Path, project: str) -> Path:
    """The deployments of prefect.yaml that run by themselves, for another project, with a quick schedule."""
    content = yaml.safe_load((ROOT / "prefect.yaml").read_text().replace("flights", project))
    chosen = [d for d in content["deployments"] if d.get("schedules") or d.get("triggers")]
    for deployment in chosen:
        if deployment.get("schedules"):
            deployment["schedules"] = [{"interval": EVERY_SECONDS, "active": True}]
    path.write_text(yaml.safe_dump({**content, "deployments": chosen}))
    return path


def completed(prefect: PrefectServer) -> set[tuple[str, str]]:
    """The names of the deployments' runs that are over, and by what each was started."""
    assert complaints(prefect.log() + prefect.log("worker.log")) == []
    runs = (run for run in prefect.runs() if run["deployment_id"] and run["state_type"] == "COMPLETED")
    return {(run["name"], run["created_by"]["type"] if run["created_by"] else "") for run in runs}


def told(prefect: PrefectServer) -> str:
    return f"the runs: {prefect.states()} {prefect.log('worker.log')}"


def test_the_scheduler_starts_score_whose_end_starts_judge_which_promotes(
    prefect: PrefectServer, store: Store, registry: Registry, project: Project, tmp_path: Path
) -> None:
    prefect("work-pool", "create", "dethrone", "--type", "process")
    enthrone(store, registry, project.name, version="1", since=date(2024, 1, 7), author="ada", reason="first champion")
    prefect("deploy", "--all", "--prefect-file", str(scheduled(tmp_path / "prefect.yaml", "parcels")))
    # a busy machine gets no busier by runs that wait for the one before
    with prefect.worker("dethrone", "--limit", "1"):
        prefect.wait_for(lambda: ("score parcels", "SCHEDULE") in completed(prefect), 240, lambda: told(prefect))
        # Prefect holds back the events of a run for a quarter of an hour if its scheduler has made it less than 5 minutes before its
        # start, as none of this schedule's are made earlier: another one starts judge
        prefect("deployment", "run", "score/parcels")
        prefect.wait_for(lambda: ("judge parcels", "AUTOMATION") in completed(prefect), 240, lambda: told(prefect))

    assert [(r.version, r.kind) for r in reigns(store, project.name)] == [("1", "enthronement"), ("2", "promotion")]
    assert complaints(prefect.log() + prefect.log("worker.log")) == []
