"""What a second worker gives: wall and CPU seconds of one batch, scored by one version on this machine and on a cluster of 1 and of 2.

    python -m benchmarks.runners [ROWS [ROUNDS]]      524,288 rows in 2 rounds unless you say

The cluster is a local one whose workers are processes with one thread each, so 2 of them need 2 cores that nothing else uses; how many
cores others used meanwhile is told too. The model is a boosting of many trees on one thread: it is what costs. What is measured is one call
of ``score_with``, with its manifest, once every worker has loaded the version: that happens once a run, whatever the number of its batches.
"""

from __future__ import annotations

import json
import logging
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np

from benchmarks.measuring import make_rows, measured, register_model

COLUMNS, TREES = 10, 1500
CHUNK = 131_072
WARM, DAY = date(2024, 1, 7), date(2024, 1, 14)
WAYS = ("processes 1", "dask 1", "dask 2", "ray 1", "ray 2")


def _prepare(folder: Path, n: int) -> None:
    """A store with a batch to start with and the one that is measured, a model in MLflow, and the first reign."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    from tasks.decisions.promotion import enthrone
    from tasks.models.registry import Registry
    from tasks.store import open_store

    train = make_rows(20_000, COLUMNS).drop("id").to_pandas()
    rng = np.random.default_rng(1)
    y = train.to_numpy() @ rng.normal(size=COLUMNS) + rng.normal(size=len(train)) > 0
    model = HistGradientBoostingClassifier(max_iter=TREES, early_stopping=False).fit(train, y)
    register_model(folder, "runners", model, train)
    for day, rows in ((WARM, 4 * CHUNK), (DAY, n)):  # so that no worker misses the first one
        path = folder / "store/runners/batches" / str(day)
        path.mkdir(parents=True)
        make_rows(rows, COLUMNS).write_parquet(path / "rows.parquet", row_group_size=CHUNK)
    project = _project(folder, "processes")
    store, registry = open_store(project.store), Registry(project)
    enthrone(store, registry, "runners", version="1", since=WARM, author="benchmark", reason="it is the first")


def _project(folder: Path, runner: str, cluster: str | None = None) -> Any:
    from tasks.base.project import Project

    return Project(
        name="runners",
        store=str(folder / "store"),
        mlflow=f"sqlite:///{folder}/mlflow.db",
        model="runners",
        maturity_days=7,
        runner=runner,
        cluster=cluster,
    )


@contextmanager
def _cluster(runner: str, workers: int) -> Iterator[str | None]:
    """A local cluster of so many workers; its address if the runner needs one to find it."""
    if runner == "dask":
        from distributed import LocalCluster

        logging.getLogger("distributed").setLevel(logging.WARNING)
        with LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=None) as cluster:
            yield cluster.scheduler_address
    elif runner == "ray":
        import ray

        ray.init("local", num_cpus=workers, include_dashboard=False, log_to_driver=False)
        yield None
        ray.shutdown()
    else:
        yield None


def _busy() -> float:
    """CPU seconds of all processes of this machine, so far."""
    fields = Path("/proc/stat").read_text(encoding="ascii").splitlines()[0].split()[1:]
    idle, waiting = int(fields[3]), int(fields[4])
    return (sum(map(int, fields[:8])) - idle - waiting) / os.sysconf("SC_CLK_TCK")


def _one(way: str, folder: Path) -> dict[str, float]:
    """Score both batches in one run, and measure the second."""
    import shutil

    from prefect import flow

    from tasks.batches.scoring import score_with
    from tasks.models.registry import Registry
    from tasks.reigns import head
    from tasks.runner import versions_of
    from tasks.store import open_store

    runner, number = way.split()
    result: dict[str, float] = {}
    shutil.rmtree(folder / "store/runners/predictions", ignore_errors=True)

    @flow
    def scored(cluster: str | None) -> None:
        project = _project(folder, runner, cluster)
        store, registry = open_store(project.store), Registry(project)
        with versions_of(store, registry, project) as versions:
            score_with(versions, head(store, "runners"), str(WARM), WARM)
            busy = _busy()
            with measured(result, "score"):
                score_with(versions, head(store, "runners"), str(DAY), DAY)
            result["others"] = (_busy() - busy - result["score cpu"]) / result["score wall"]

    with _cluster(runner, int(number)) as cluster:
        scored(cluster)
    return result


def main(n: int, rounds: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _prepare(folder, n)
        environment = {**os.environ, "PREFECT_HOME": f"{name}/prefect", "PREFECT_LOGGING_LEVEL": "ERROR"}
        found: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
        for _ in range(rounds):
            for way, results in found.items():
                command = [sys.executable, "-m", "benchmarks.runners", "--way", way, name]
                said = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment)  # noqa: S603
                results.append(json.loads(said.stdout.splitlines()[-1]))
    print(f"{n:,} rows, {TREES} trees: median of {rounds}, seconds")
    wall = {way: statistics.median(r["score wall"] for r in results) for way, results in found.items()}
    for way, results in found.items():
        cpu, others = (statistics.median(r[k] for r in results) for k in ("score cpu", "others"))
        print(f"  {way:12}  wall {wall[way]:7.2f}  CPU {cpu:7.2f}  cores that others used {others:5.2f}")
    for runner in ("dask", "ray"):
        print(f"  {runner}: 2 workers are {wall[f'{runner} 1'] / wall[f'{runner} 2']:.2f} x as fast as 1")


if __name__ == "__main__":
    if "--way" in sys.argv:
        print(json.dumps(_one(sys.argv[2], Path(sys.argv[3]))))
    else:
        main(*(int(a) for a in (sys.argv[1:] + ["524288", "2"][len(sys.argv) - 1 :])[:2]))
