"""Projects whose models name classes or predict numbers, under Prefect from their project file to a promotion."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import polars as pl
import pytest
import yaml
from parcels import Echo, put_batch, put_labels, register_version

from flows.enthrone import enthrone
from flows.judge import judge
from flows.score import score
from tasks.base.project import Project
from tasks.decisions import all_records
from tasks.reigns import reigns
from tasks.store import Store

pytestmark = pytest.mark.usefixtures("prefect_server")

FIRST, LATER = date(2024, 1, 7), date(2024, 3, 1)
WEEKS, ROWS = 4, 400


def classes(rng: np.random.Generator) -> dict[str, Any]:
    """The challenger names the right one of three in four cases out of five, the champion in three."""
    names = np.array(["bird", "cat", "dog"])
    y = rng.integers(0, 3, ROWS)
    named = {c: names[np.where(rng.random(ROWS) < p, y, (y + 1) % 3)] for c, p in (("x1", 0.6), ("x2", 0.8))}
    return {"label": names[y], **named}


def numbers(rng: np.random.Generator) -> dict[str, Any]:
    """The challenger's errors have half the spread of the champion's."""
    y = rng.normal(10, 5, ROWS)
    return {"label": y, "x1": y + rng.normal(0, 2, ROWS), "x2": y + rng.normal(0, 1, ROWS)}


@pytest.mark.parametrize(
    ("task", "rows", "example", "proven"),
    [
        ("multiclass", classes, "cat", "its accuracy is proven to be higher by at least"),
        ("regression", numbers, 0.5, "its squared_error is proven to be lower by at least"),
    ],
)
def test_from_the_project_file_to_a_promotion(
    project: Project,
    store: Store,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    task: str,
    rows: Any,
    example: Any,
    proven: str,
) -> None:
    for column in ("x1", "x2"):
        register_version(project, column, model=Echo(), threshold=None, example=example)
    rng = np.random.default_rng(3)
    for number in range(WEEKS):
        day = FIRST + timedelta(weeks=number)
        frame = pl.DataFrame({"id": [f"{day}-{i}" for i in range(ROWS)], "region": "north", **rows(rng)})
        put_batch(store, project, str(day), frame.drop("label"))
        put_labels(store, project, frame["id"].to_list(), frame["label"], day, name=str(day))
    content = {"store": project.store, "mlflow": project.mlflow, "model": project.model, "maturity_days": 14}
    (tmp_path / "parcels.yaml").write_text(yaml.safe_dump({**content, "task": task, "segments": ["region"]}))
    monkeypatch.setenv("DETHRONE_PROJECTS", str(tmp_path))

    enthrone("parcels", "1", author="test", as_of=date(2024, 1, 1))
    assert score("parcels", as_of=LATER).count(", ") == WEEKS - 1
    assert judge("parcels", as_of=LATER).startswith(f"Version 2 takes over from version 1 in parcels: {proven}")

    assert [(r.version, r.kind) for r in reigns(store, project.name)] == [("1", "enthronement"), ("2", "promotion")]
    (decision,) = all_records(store, project.name)
    assert decision["basis"]["policy"]["task"] == task
    assert decision["basis"]["champion"]["threshold"] is None
    files = {k.rpartition("/")[2] for k in store.keys(f"parcels/reports/{decision['id']}")}
    assert {"report.md", "report.json", "evidence.svg", "differences.svg", "trend.svg"} <= files
    client = mlflow.MlflowClient(project.mlflow)
    assert client.get_model_version_by_alias(project.model, "champion").version == 2
