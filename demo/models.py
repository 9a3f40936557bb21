"""The four models of the demo, trained on January and February 2013 and registered in MLflow."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import polars as pl
from sklearn.base import ClassifierMixin
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import precision_score, recall_score, roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

from demo.flights import CATEGORIES, NUMBERS, TRAINED_THROUGH
from tasks.base.project import Project

__all__ = ["register"]

FLAGGED = 0.15  # the share of flights that v1 to v3 flag on the training weeks: about the share that is late
LOUD_FLAGGED = 0.60


def register(project: Project, rows: pl.DataFrame) -> None:
    """Train and register versions 1 to 4; versions that are registered already stay as they are."""
    import mlflow

    logging.getLogger("mlflow").setLevel(
        logging.ERROR
    )  # it warns of pickles, which here are our own, and of its first migrations
    mlflow.set_tracking_uri(project.mlflow)
    client = mlflow.MlflowClient(project.mlflow)
    present = {int(v.version) for v in client.search_model_versions(f"name = '{project.model}'")}
    wanted = {
        1: "the champion: logistic regression",
        2: "the twin: v1 on a bootstrap resample",
        3: "gradient boosting",
        4: "the loud one",
    }
    if present >= set(wanted):
        return
    training = rows.filter(pl.col("day") <= TRAINED_THROUGH)
    x, y = training.select(NUMBERS + CATEGORIES).to_pandas(), training["late"].to_numpy()
    resample = np.random.default_rng(2013).integers(0, len(y), len(y))
    linear = _linear().fit(x, y)
    models = {
        1: (linear, FLAGGED),
        2: (_linear().fit(x.iloc[resample], y[resample]), FLAGGED),
        3: (_boosting().fit(x, y), FLAGGED),
        4: (linear, LOUD_FLAGGED),
    }
    experiment = client.get_experiment_by_name(project.name)
    experiment_id = (
        experiment.experiment_id
        if experiment
        else client.create_experiment(project.name, artifact_location=_artifacts(project))
    )
    signature = mlflow.models.infer_signature(x, np.array([0.5]))
    for number, (model, flagged) in models.items():
        if number in present:
            continue
        scores = model.predict_proba(x)[:, 1]
        threshold = float(np.quantile(scores, 1 - flagged))
        with mlflow.start_run(experiment_id=experiment_id, run_name=f"v{number}", description=wanted[number]):
            mlflow.log_params(_parameters(model, flagged))
            mlflow.log_metrics(_metrics(y, scores, threshold))
            info = mlflow.sklearn.log_model(
                model,
                name="model",
                signature=signature,
                serialization_format="cloudpickle",  # byte for byte the same for the same model, unlike skops
                pip_requirements=["scikit-learn", "pandas", "numpy"],
            )
            tags = {"threshold": repr(threshold), "trained_through": TRAINED_THROUGH.isoformat()}
            mlflow.register_model(info.model_uri, project.model, tags=tags)


def _linear() -> Any:
    numbers = make_pipeline(SimpleImputer(), StandardScaler())
    return make_pipeline(
        make_column_transformer(
            (numbers, NUMBERS), (OneHotEncoder(handle_unknown="ignore", min_frequency=20), CATEGORIES)
        ),
        LogisticRegression(max_iter=1000),
    )


def _boosting() -> Any:
    codes = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    return make_pipeline(
        make_column_transformer(("passthrough", NUMBERS), (codes, CATEGORIES)),
        HistGradientBoostingClassifier(
            learning_rate=0.05,
            max_iter=100,
            max_leaf_nodes=15,
            min_samples_leaf=100,
            l2_regularization=1.0,
            random_state=0,
        ),
    )


def _parameters(model: ClassifierMixin, flagged: float) -> dict[str, Any]:
    last = model.steps[-1][1]
    return {"estimator": type(last).__name__, "flagged_share": flagged, **last.get_params()}


def _metrics(y: np.ndarray, scores: np.ndarray, threshold: float) -> dict[str, float]:
    flags = scores >= threshold
    return {
        "training_auc": float(roc_auc_score(y, scores)),
        "training_recall": float(recall_score(y, flags)),
        "training_precision": float(precision_score(y, flags)),
        "training_flagged": float(flags.mean()),
    }


def _artifacts(project: Project) -> str | None:
    """Beside a SQLite database its artifacts; a server knows its own place."""
    if project.mlflow.startswith("sqlite:///"):
        return "file://" + project.mlflow.removeprefix("sqlite:///").rpartition("/")[0] + "/artifacts"
    return None
