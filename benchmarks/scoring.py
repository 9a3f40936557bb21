"""What scoring costs from store to store, beside its models' own predict calls and beside MLflow's pyfunc: CPU and wall seconds, memory.

    python -m benchmarks.scoring [ROWS [ROUNDS]]      2,000,000 rows in 3 rounds unless you say

The three are interleaved, each in a process of its own, with one OpenMP thread per model:

* bare: read the rows once with polars, call each model on all of them in turn, write one file with every score;
* dethrone: ``score_with``, which digests the rows, keeps predictions in parts and commits a manifest;
* pyfunc: each version through ``mlflow.pyfunc``, chunk by chunk.

Starting is counted apart from scoring: it is done once a run, whatever the number of its batches.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"  # threads that wait spin, which would count as work

import numpy as np
import polars as pl

from benchmarks.measuring import DAY, make_rows, measured, project_in, register

CHUNK = 131_072
SUITES = {"LR, HGB and LightGBM, 20 columns": (20, ("lr", "hgb", "lightgbm")), "three LRs, 8 columns": (8, ("lr",) * 3)}


def _prepare(folder: Path, n: int, columns: int, kinds: tuple[str, ...]) -> None:
    """A store with one batch, its models in MLflow, and the first reign."""
    from tasks.decisions.promotion import enthrone
    from tasks.models.registry import Registry
    from tasks.store import open_store

    rows = make_rows(n, columns)
    register(folder, rows, kinds)
    path = folder / "store/scoring/batches" / str(DAY)
    path.mkdir(parents=True)
    rows.write_parquet(path / "rows.parquet", row_group_size=rows.height)  # one row group, whatever its size
    project = project_in(folder)
    store, registry = open_store(project.store), Registry(project)
    enthrone(store, registry, "scoring", version="1", since=DAY, author="benchmark", reason="it is the first")


def _models(folder: Path, flavour: str) -> dict[str, Any]:
    """Every version as MLflow loads it with this flavour."""
    import mlflow

    mlflow.set_tracking_uri(f"sqlite:///{folder}/mlflow.db")
    numbers = sorted(int(v.version) for v in mlflow.MlflowClient().search_model_versions("name = 'scoring'"))
    return {str(v): getattr(mlflow, flavour).load_model(f"models:/scoring/{v}") for v in numbers}


def bare(folder: Path) -> dict[str, float]:
    """The models' own predict calls, one read and one write."""
    result: dict[str, float] = {}
    with measured(result, "start"):
        models = _models(folder, "sklearn")
    with measured(result, "score"):
        rows = pl.read_parquet(folder / "store/scoring/batches" / str(DAY) / "rows.parquet")
        frame = rows.drop("id").to_pandas()
        scores = {v: model.predict_proba(frame)[:, 1] for v, model in models.items()}
        flags = {f"{v} flagged": (s >= 0.5).astype(np.int8) for v, s in scores.items()}
        rows.select("id").with_columns(**{k: pl.Series(v) for k, v in {**scores, **flags}.items()}).write_parquet(
            folder / "bare.parquet"
        )
    return result


def pyfunc(folder: Path) -> dict[str, float]:
    """Each version through MLflow's pyfunc, chunk by chunk."""
    result: dict[str, float] = {}
    with measured(result, "start"):
        models = _models(folder, "pyfunc")
    with measured(result, "score"):
        for version, model in models.items():
            rows = pl.read_parquet(folder / "store/scoring/batches" / str(DAY) / "rows.parquet")
            for start in range(0, rows.height, CHUNK):
                chunk = rows.slice(start, CHUNK)
                said = model.predict(chunk.drop("id").to_pandas())
                chunk.select("id", score=pl.Series(said)).write_parquet(folder / f"pyfunc-{version}-{start}.parquet")
    return result


def dethrone(folder: Path) -> dict[str, float]:
    """The batch as the flow ``score`` scores it."""
    import shutil

    from tasks.batches.scoring import score_with
    from tasks.models.registry import Registry
    from tasks.models.versions import Versions
    from tasks.reigns import head
    from tasks.store import open_store

    project = project_in(folder)
    store, registry = open_store(project.store), Registry(project)
    shutil.rmtree(folder / "store/scoring/predictions", ignore_errors=True)
    result: dict[str, float] = {}
    with Versions(store, registry, project) as versions:
        with measured(result, "start"):
            for version in registry.versions():
                versions.load(version, champion=version.version == "1")
        with measured(result, "score"):
            score_with(versions, head(store, "scoring"), str(DAY), DAY)
        result["peak MB"] = _peak()
    return result


def _peak() -> float:
    """The most memory that this process has had, in MB; its models come on top and have chunks of one size."""
    (line,) = (x for x in Path("/proc/self/status").read_text().splitlines() if x.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


WAYS: dict[str, Callable[[Path], dict[str, float]]] = {"bare": bare, "dethrone": dethrone, "pyfunc": pyfunc}


def _one(way: str, folder: Path) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.scoring", "--way", way, str(folder)]
    answer = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)  # noqa: S603
    return {k: float(v) for k, v in json.loads(answer.stdout.splitlines()[-1]).items()}


def main(n: int, rounds: int) -> None:
    for suite, (columns, kinds) in SUITES.items():
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            _prepare(folder, n, columns, kinds)
            found: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
            for _ in range(rounds):
                for way in WAYS:
                    found[way].append(_one(way, folder))
        print(f"\n{suite}, {n:,} rows: median of {rounds}, seconds")
        middle = {
            way: {k: statistics.median(r[k] for r in results) for k in results[0]} for way, results in found.items()
        }
        for way, values in middle.items():
            print(f"  {way:9}" + "".join(f"  {k} {v:8.2f}" for k, v in values.items()))
        ours, base, peer = middle["dethrone"], middle["bare"], middle["pyfunc"]
        print(
            f"  CPU: {ours['score cpu'] / base['score cpu']:.2f} x bare, {ours['score cpu'] / peer['score cpu']:.2f} x pyfunc"
        )
        faster = peer["score wall"] / ours["score wall"]
        print(f"  wall: {ours['score wall'] / base['score wall']:.2f} x bare; {faster:.2f} x faster than pyfunc")


if __name__ == "__main__":
    if "--way" in sys.argv:
        print(json.dumps(WAYS[sys.argv[2]](Path(sys.argv[3]))))
    else:
        main(*(int(a) for a in (sys.argv[1:] + ["2000000", "3"][len(sys.argv) - 1 :])[:2]))
