"""How many requests to S3 a week costs: as many as the week before, and no more than are needed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import boto3
import pytest
import yaml
from parcels import decisions_frame, put_batch, put_labels, register_version
from s3_servers import Server, moto, use  # noqa: F401

from flows.enthrone import enthrone
from flows.judge import judge
from flows.score import score
from tasks.base.project import Project
from tasks.store import open_store

pytestmark = pytest.mark.usefixtures("prefect_server")

FIRST = date(2024, 1, 7)
EQUAL = {(1, 0, 1): 9, (1, 1, 0): 9, (1, 1, 1): 20, (0, 0, 0): 20, (0, 1, 1): 9}
WEEKS = 6


@pytest.fixture
def project(
    make_project: Callable[..., Project],
    moto: Server,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Project:
    """Of four versions, in a store in S3."""
    use(monkeypatch, moto)
    made = make_project(maturity_days=7)
    for column in ("x1", "x2", "x1", "x2"):
        register_version(made, column)  # beside the default store, in a directory
    made = made.model_copy(update={"store": moto.fresh_uri()})
    content = {"store": made.store, "mlflow": made.mlflow, "model": made.model, "maturity_days": 7}
    (tmp_path / "parcels.yaml").write_text(yaml.safe_dump(content))
    monkeypatch.setenv("DETHRONE_PROJECTS", str(tmp_path))
    return made


def kind_of(request: Any) -> str:
    """The method, and the folder of the project that it is about."""
    url = urlsplit(request.url)
    query = parse_qs(url.query)
    folders = (query["prefix"][0] if "prefix" in query else unquote(url.path)).split("/parcels/")[-1]
    return f"{'LIST' if 'list-type' in query else request.method} {folders.split('/')[0]}"


def test_a_week_makes_at_most_60_requests_and_as_many_as_the_one_before(project: Project) -> None:
    """Ids of the weeks do not overlap; more is read where they do."""
    store, seen = open_store(project.store), []
    enthrone("parcels", "1", author="ada", as_of=FIRST)
    boto3.DEFAULT_SESSION.events.register("before-send.s3.*", lambda request, **_: seen.append(kind_of(request)))
    weeks = []
    for number in range(WEEKS):
        day = FIRST + timedelta(weeks=number)
        frame = decisions_frame(EQUAL, prefix=f"{day}-")
        put_batch(store, project, str(day), frame.drop("label"))
        put_labels(
            store, project, frame["id"].to_list(), frame["label"].to_list(), day + timedelta(days=7), name=str(day)
        )
        seen.clear()
        assert score("parcels", as_of=day) == f"Scored: {day}."
        judge("parcels", as_of=day + timedelta(days=6))
        weeks.append(Counter(seen))
    assert weeks[-1] == weeks[-2]
    assert weeks[-1].total() <= 60
