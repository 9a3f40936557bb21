"""The workers of a cluster: through the flows, on a real Dask and a real Ray of two worker processes."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from machines import Counted, Guarded, KillsItsWorker, Machines, Raises
from parcels import sigmoid_model

from tasks.base.project import Project

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("prefect_server")]

Settings = Mapping[str, Any]


@pytest.fixture(scope="module", params=["dask", "ray"])
def cluster(request: pytest.FixtureRequest) -> Iterator[Settings]:
    """The settings of a project that uses a cluster of two worker processes."""
    if request.param == "dask":
        from distributed import LocalCluster

        with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as dask:
            yield {"runner": "dask", "cluster": dask.scheduler_address}
        return
    import ray

    path = {"PYTHONPATH": os.pathsep.join(sys.path)}  # the models here are pickles that import a module of the tests
    # a runner without an address takes the instance that is there
    ray.init("local", num_cpus=2, include_dashboard=False, log_to_driver=False, runtime_env={"env_vars": path})
    yield {"runner": "ray"}
    ray.shutdown()


@pytest.fixture
def machines(project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machines:
    monkeypatch.setenv("DETHRONE_PROJECTS", str(tmp_path))
    return Machines(project, tmp_path)


def test_a_batch_is_scored_to_the_same_bytes_under_the_same_keys(
    machines: Machines, cluster: Settings, tmp_path: Path
) -> None:
    loads = tmp_path / "loads"
    loads.mkdir()
    machines.register("x1")
    machines.register("x2", Counted(loads))
    machines.register("x3", Guarded(), example=1)
    for noted in loads.iterdir():  # MLflow may look at a model that it logs
        noted.unlink()
    there = machines.scored("there", **cluster)
    workers = [noted.name.partition("-")[0] for noted in loads.iterdir()]
    assert 1 <= len(workers) == len(set(workers)) <= 2, "each worker loads a version once"
    assert there == machines.scored("here")
    assert there[0] == "Scored: 2024-01-07. Version 3 gave every row the same number, 0.75 (batch 2024-01-07)."
    (manifest,) = (json.loads(data) for key, data in there[1].items() if key.endswith("manifest.json"))
    assert [[p["rows"] for p in s["parts"]] for s in manifest["scored"]] == [[131_072, 131_072, 8]] * 3


def test_a_replay_is_the_same_too(machines: Machines, cluster: Settings) -> None:
    machines.register("x1")
    machines.register("x2")
    machines.register("x3", Guarded(), example=1)
    there = machines.replayed("there", **cluster)
    assert there == machines.replayed("here")
    assert sum("/replays/" in key for key in there[1]) == 2


def test_a_worker_that_is_killed_in_the_middle_is_survived(
    machines: Machines, cluster: Settings, tmp_path: Path
) -> None:
    machines.register("x1")
    machines.register("x2", KillsItsWorker(tmp_path / "killed"))
    there = machines.scored("there", **cluster)
    assert (tmp_path / "killed").exists()
    assert there == machines.scored("here")
    assert there[0] == "Scored: 2024-01-07."


def test_a_challenger_that_raises_or_does_not_load_fails_alone_and_with_the_same_words(
    machines: Machines, cluster: Settings
) -> None:
    machines.register("x1")
    machines.register("x2", Raises())
    machines.register("x2", sigmoid_model("x1"))
    machines.register("x9")
    said, there = machines.scored("there", **cluster)
    _, here = machines.scored("here")
    assert [k for k in here if there.get(k) != here[k]] == []
    (manifest,) = (json.loads(data) for key, data in there.items() if key.endswith("manifest.json"))
    failures = [s["failure"] for s in manifest["scored"]]
    assert failures[0] is None
    assert failures[1] == "failed to score: ValueError: no such parcel"
    assert "Version 2 failed" in said
