"""What the benchmarks of scoring share: rows, models in MLflow, a project, and CPU seconds of a process with all that it started."""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

DAY = date(2024, 1, 7)


def make_rows(n: int, columns: int) -> pl.DataFrame:
    rng = np.random.default_rng(20240107)
    return pl.DataFrame({"id": np.arange(n), **{f"x{i}": rng.normal(size=n) for i in range(columns)}})


def _fitted(kind: str, frame: Any, y: Any) -> Any:
    from lightgbm import LGBMClassifier
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    models = {
        "lr": make_pipeline(StandardScaler(), LogisticRegression()),
        "hgb": HistGradientBoostingClassifier(),
        "lightgbm": LGBMClassifier(n_jobs=1, verbose=-1),
    }
    return models[kind].fit(frame, y)


def register(folder: Path, rows: pl.DataFrame, kinds: tuple[str, ...]) -> None:
    """Fit a model of each kind to the first of these rows and register it as the next version."""
    train = rows.head(50_000).drop("id").to_pandas()
    rng = np.random.default_rng(1)
    for kind in kinds:
        y = train.to_numpy() @ rng.normal(size=train.shape[1]) + rng.normal(size=len(train)) > 0
        register_model(folder, "scoring", _fitted(kind, train, y), train)


def register_model(folder: Path, name: str, model: Any, train: Any) -> None:
    """Register a scikit-learn model, fitted to the frame ``train``, as the next version of ``name`` in this folder's MLflow."""
    import mlflow
    from mlflow.models import infer_signature

    mlflow.set_tracking_uri(f"sqlite:///{folder}/mlflow.db")
    known = mlflow.get_experiment_by_name(name)
    experiment = known.experiment_id if known else mlflow.create_experiment(name, (folder / "artifacts").as_uri())
    with mlflow.start_run(experiment_id=experiment):
        info = mlflow.sklearn.log_model(
            model,
            name="model",
            signature=infer_signature(train.head(), np.array([0.5])),
            serialization_format="cloudpickle",
            pip_requirements=["scikit-learn", "lightgbm"],
        )
    mlflow.register_model(info.model_uri, name, tags={"threshold": "0.5"})


def project_in(folder: Path) -> Any:
    """The project whose store and models are in this folder."""
    from tasks.base.project import Project

    return Project(
        name="scoring",
        store=str(folder / "store"),
        mlflow=f"sqlite:///{folder}/mlflow.db",
        model="scoring",
        maturity_days=7,
    )


def cpu_seconds() -> float:
    """CPU seconds of this process and of those it started, also while they run."""
    own = resource.getrusage(resource.RUSAGE_SELF)
    ticks = 0
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        parents[int(stat.parent.name)] = (int(fields[1]), sum(map(int, fields[11:15])))
    below = {os.getpid()}
    while more := {pid for pid, (parent, _) in parents.items() if parent in below} - below:
        below |= more
    ticks = sum(parents[pid][1] for pid in below - {os.getpid()} if pid in parents)
    return own.ru_utime + own.ru_stime + ticks / os.sysconf("SC_CLK_TCK")


@contextmanager
def measured(result: dict[str, float], name: str) -> Iterator[None]:
    """Add the CPU and wall seconds of what is done inside to ``result``."""
    cpu, wall = cpu_seconds(), time.perf_counter()
    yield
    result[f"{name} cpu"], result[f"{name} wall"] = cpu_seconds() - cpu, time.perf_counter() - wall
