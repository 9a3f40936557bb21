"""Parcels: batches, labels and models that a test dictates, down to every single decision."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from tasks.base.project import Project
from tasks.store import Store


class Echo:
    """A model that predicts what stands in its column: a class or a number that the test dictates."""

    def predict(self, rows: Any) -> Any:
        return rows.iloc[:, 0].to_numpy()


def sigmoid_model(column: str) -> Any:
    """A scikit-learn classifier whose score is sigmoid(column): above 0 it flags at the threshold 1/2."""
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression()
    model.classes_ = np.array([0, 1])
    model.coef_, model.intercept_ = np.array([[1.0]]), np.array([0.0])
    model.n_features_in_, model.feature_names_in_ = 1, np.array([column], dtype=object)
    return model


def register_version(
    project: Project,
    column: str,
    *,
    model: Any = None,
    example: Any = 0.5,
    tags: Mapping[str, str] | None = None,
    threshold: str | None = "0.5",
    trained_through: str | None = None,
    signed: bool = True,
    reads: Mapping[str, str] | None = None,
) -> str:
    """Register one more version of the project's model, read from ``column``; returns its number.

    ``model`` may be a scikit-learn estimator or an MLflow PythonModel instead of the default sigmoid; ``example`` is a value of
    the column. ``reads`` names all columns with MLflow's types instead, ``long?`` one that is optional.
    """
    import mlflow
    import pandas as pd

    mlflow.set_tracking_uri(project.mlflow)
    experiment = mlflow.get_experiment_by_name(project.model)
    folder = Path(project.store).parent / "artifacts"
    experiment_id = experiment.experiment_id if experiment else mlflow.create_experiment(project.model, folder.as_uri())
    signature = mlflow.models.infer_signature(pd.DataFrame({column: [example]}), np.array([0.5])) if signed else None
    if reads is not None:
        columns = [mlflow.types.ColSpec(t.rstrip("?"), name, not t.endswith("?")) for name, t in reads.items()]
        signature = mlflow.models.ModelSignature(mlflow.types.Schema(columns))
    model = sigmoid_model(column) if model is None else model
    given = {"threshold": threshold, "trained_through": trained_through, **(tags or {})}
    with mlflow.start_run(experiment_id=experiment_id):
        if isinstance(model, mlflow.pyfunc.PythonModel):
            info = mlflow.pyfunc.log_model(
                name="model", python_model=model, signature=signature, pip_requirements=["pandas"]
            )
        else:
            info = mlflow.sklearn.log_model(
                model,
                name="model",
                signature=signature,
                serialization_format="cloudpickle",
                pip_requirements=["scikit-learn"],
            )
        version = mlflow.register_model(
            info.model_uri, project.model, tags={k: v for k, v in given.items() if v is not None}
        )
    return str(version.version)


def put_frame(store: Store, key: str, frame: pl.DataFrame) -> None:
    buffer = BytesIO()
    frame.write_parquet(buffer)
    store.write(key, buffer.getvalue())


def put_batch(store: Store, project: Project, batch: str, frame: pl.DataFrame, name: str = "rows") -> None:
    """Lay one Parquet file of rows into the store."""
    put_frame(store, f"{project.name}/batches/{batch}/{name}.parquet", frame)


def put_labels(
    store: Store,
    project: Project,
    ids: Sequence[Any],
    labels: Sequence[Any],
    seen: date | datetime,
    name: str = "labels",
) -> None:
    """Lay one Parquet file of labels, all observed at the same time, into the store."""
    frame = pl.DataFrame({"id": ids, "label": labels}).with_columns(observed_at=pl.lit(seen))
    put_frame(store, f"{project.name}/labels/{name}.parquet", frame)


def decisions_frame(counts: Mapping[tuple[int, ...], int], prefix: str = "r", region: str = "north") -> pl.DataFrame:
    """Rows whose decisions are dictated: ``counts[label, d1, d2, ...]`` rows with decision d of version i read from ``xi``.

    Columns: id, region, label (for the test's own use; the caller drops it or not) and x1, x2, ... = +1 where
    flagged, -1 where not.
    """
    rows: list[dict[str, Any]] = []
    number = itertools.count()
    for (label, *decided), n in counts.items():
        columns = {f"x{i}": 1.0 if d else -1.0 for i, d in enumerate(decided, start=1)}
        rows += [{"id": f"{prefix}{next(number)}", "region": region, "label": label, **columns} for _ in range(n)]
    return pl.DataFrame(rows)
