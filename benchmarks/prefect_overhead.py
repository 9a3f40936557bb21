"""What Prefect costs: the same season by plain functions and by flows, in one process.

Run ``make demo`` first, then ``python benchmarks/prefect_overhead.py [WEEKS]``.
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
import shutil
import sys
import tempfile
import time
from datetime import date
from pathlib import Path

import yaml

from demo.season_report import calendar, write_season_report
from tasks.base.project import Project, load_project
from tasks.batches import scoring
from tasks.command import unwatched
from tasks.decisions import decide, promotion, save_decision
from tasks.labels.tallying import close_batches
from tasks.models.registry import Registry
from tasks.reigns import head, judged_on, projections, reigns
from tasks.reports import publish
from tasks.store import Store, open_store

ROOT = Path(__file__).resolve().parent.parent


def main(weeks: int) -> None:
    import mlflow.sklearn  # noqa: F401  so that neither way pays for the import

    demo = load_project("flights")
    with tempfile.TemporaryDirectory(prefix="dethrone-") as folder:
        times = {}
        for way in ("plain", "flows"):
            name = _copy(demo, Path(folder), way, weeks)
            os.environ["DETHRONE_PROJECTS"] = folder
            times[way] = _plain(load_project(name)) if way == "plain" else _flows(name)
    loop = times["flows"] - times["plain"]
    print(f"plain functions {times['plain']:.1f} s, flows {times['flows']:.1f} s, {weeks} weeks")
    print(
        f"Prefect: {loop:.1f} s, {loop / times['flows']:.0%} of the whole; ratio {times['flows'] / times['plain']:.2f}"
    )


def _copy(demo: Project, folder: Path, name: str, weeks: int) -> str:
    """The demo's rows, labels and models as a project of its own."""
    source = Path(demo.store) / demo.name
    batches = sorted((source / "batches").iterdir())[:weeks]
    target = folder / "store" / name
    for batch in batches:
        shutil.copytree(batch, target / "batches" / batch.name)
    shutil.copytree(source / "labels", target / "labels")
    database = folder / f"{name}.db"
    shutil.copy(demo.mlflow.removeprefix("sqlite:///"), database)
    content = yaml.safe_load((ROOT / "deployments" / "flights.yaml").read_text())
    content |= {"store": str(folder / "store"), "mlflow": f"sqlite:///{database}"}
    (folder / f"{name}.yaml").write_text(yaml.safe_dump(content))
    return name


def _plain(project: Project) -> float:
    store, registry = open_store(project.store), Registry(project)
    start = time.perf_counter()
    days = calendar(store, project)
    promotion.enthrone(
        store, registry, project.name, version="1", since=days[0], author="season", reason="first champion"
    )
    for day in days:
        _week(store, registry, project, day)
    write_season_report(store, project)
    return time.perf_counter() - start


def _week(store: Store, registry: Registry, project: Project, day: date) -> None:
    projections.repair_projections(store, registry, project.name)
    if store.keys(f"{project.name}/batches/{day}"):
        scoring.score_batch(store, registry, project, head(store, project.name), str(day), day)
    closed = close_batches(store, project, day)
    decision = decide(store, project, judged_on(store, project.name, day), closed, day)
    if decision:
        save_decision(store, project.name, decision)
        publish.publish(store, registry, project, decision, closed, reigns(store, project.name))
        if decision.promote:
            promotion.promote(store, registry, project.name, decision.id)
    projections.repair_projections(store, registry, project.name)


def _flows(name: str) -> float:
    """The flows on a temporary server that runs already: its start is not what is measured."""
    from prefect import flow

    from demo.season import season

    flow(lambda: None, name="warm-up")()
    logging.disable(logging.CRITICAL)
    start = time.perf_counter()
    with unwatched(), contextlib.redirect_stdout(io.StringIO()):
        season(name)
    return time.perf_counter() - start


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 43)
