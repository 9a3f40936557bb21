"""Models of several libraries, registered as their teams log them, give through the flow ``score`` the scores of their library."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import lightgbm as lgb
import mlflow
import numpy as np
import pandas as pd
import polars as pl
import pytest
import xgboost as xgb
from catboost import CatBoostClassifier
from mlflow.models import infer_signature
from parcels import decisions_frame, put_batch
from sklearn.linear_model import LogisticRegression
from spoilt import BETTER, LATER, NEXT, World, make_template

from flows.score import score
from tasks.base.project import Project
from tasks.batches.predictions import read_manifest, read_parts

pytestmark = [pytest.mark.usefixtures("prefect_server"), pytest.mark.slow]

ROWS = decisions_frame(BETTER, prefix=f"{NEXT}-").drop("label")
RNG = np.random.default_rng(20240218)
N = ROWS.height
# what was delivered: integers with a gap where the signature says double, decimals, text
DELIVERED = ROWS.with_columns(
    a=pl.Series(RNG.normal(size=N).round(3)).cast(pl.Decimal(10, 3)),
    n=pl.Series(RNG.integers(0, 9, N)).replace(3, None),
    c=pl.Series(RNG.choice(["x", "y", "z"], N)).cast(pl.Categorical),
)
# what the models learned from
TRAINED = pd.DataFrame({
    "a": DELIVERED["a"].cast(pl.Float64).to_numpy(),
    "n": DELIVERED["n"].cast(pl.Float64).to_numpy(),
    "c": DELIVERED["c"].cast(pl.String).to_list(),
})  # fmt: skip
TARGET = (TRAINED["a"] + (TRAINED["c"] == "x") + RNG.normal(size=N) > 0).astype(int)
CATEGORIES = TRAINED.astype({"c": "category"})


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory, mlflow_uri: str) -> Project:
    """One of its own, as its versions would challenge in every world of the others."""
    return make_template(tmp_path_factory.mktemp("template"), mlflow_uri)


def of_lightgbm() -> tuple[Any, np.ndarray[Any, Any]]:
    model = lgb.train({"objective": "binary", "verbose": -1, "num_threads": 1}, lgb.Dataset(CATEGORIES, TARGET), 20)
    return model, np.asarray(model.predict(CATEGORIES))


def of_xgboost() -> tuple[Any, np.ndarray[Any, Any]]:
    data = xgb.DMatrix(CATEGORIES, TARGET, enable_categorical=True)
    model = xgb.train({"objective": "binary:logistic", "nthread": 1}, data, 20)
    return model, model.predict(data)


def of_catboost() -> tuple[Any, np.ndarray[Any, Any]]:
    model = CatBoostClassifier(20, verbose=0, cat_features=["c"], allow_writing_files=False, thread_count=1)
    model.fit(TRAINED.astype({"c": object}), TARGET)
    return model, model.predict_proba(TRAINED.astype({"c": object}))[:, 1]


def of_sklearn() -> tuple[Any, np.ndarray[Any, Any]]:
    model = LogisticRegression().fit(TRAINED[["a"]], np.where(TARGET == 1, "late", "on time"))
    return model, model.predict_proba(TRAINED[["a"]])[:, 0]


@pytest.mark.parametrize(
    ("flavour", "fitted", "tags"),
    [
        ("lightgbm", of_lightgbm, {}),
        ("xgboost", of_xgboost, {}),
        ("catboost", of_catboost, {}),
        ("sklearn", of_sklearn, {"positive_class": "late"}),
    ],
    ids=["LightGBM", "XGBoost", "CatBoost", "scikit-learn"],
)
def test_it_scores_as_its_library_does(
    world: World,
    tmp_path: Path,
    flavour: str,
    fitted: Callable[[], tuple[Any, np.ndarray[Any, Any]]],
    tags: dict[str, str],
) -> None:
    model, expected = fitted()
    mlflow.set_tracking_uri(world.project.mlflow)
    experiment = mlflow.create_experiment(f"{world.project.model}-{flavour}", (tmp_path / "artifacts").as_uri())
    reads = TRAINED[["a"]] if flavour == "sklearn" else TRAINED
    log: Any = getattr(mlflow, flavour).log_model
    log = partial(log, serialization_format="cloudpickle") if flavour == "sklearn" else log
    with mlflow.start_run(experiment_id=experiment):
        signature = infer_signature(reads, expected)
        logged = log(model, name="model", signature=signature, pip_requirements=[flavour])
    version = mlflow.register_model(logged.model_uri, world.project.model, tags={"threshold": "0.5", **tags}).version
    put_batch(world.store, world.project, NEXT, DELIVERED)
    assert score("parcels", as_of=LATER).startswith(
        f"Scored: {NEXT}. Came: version "
    )  # the batches before lack its columns
    manifest = read_manifest(world.store, "parcels", NEXT)
    assert manifest is not None
    (of_it,) = (s for s in manifest.scored if s.version == str(version))
    assert of_it.failure is None
    scores = read_parts(world.store, of_it.parts)["score"].to_numpy()
    np.testing.assert_allclose(scores, expected, rtol=1e-6)
    assert len(set(scores.tolist())) > 10
