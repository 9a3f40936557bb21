"""Predictions of LightGBM's, XGBoost's and CatBoost's own boosters, which have no ``predict_proba``."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, cast

import numpy as np
import pandas as pd

from .categories import library_of
from .errors import ModelError

__all__ = ["booster_predict"]

Predict = Callable[[pd.DataFrame], Any]

# objectives by what a booster's own predict gives: the probability of the class 1, one probability per class, or a class
_PROBABILITY = {
    "binary",
    "cross_entropy",
    "cross_entropy_lambda",
    "binary:logistic",
    "reg:logistic",
    "Logloss",
    "CrossEntropy",
}
_BY_CLASS = {"multiclass", "multiclassova", "multi:softprob", "MultiClass", "MultiClassOneVsAll"}
_CLASS = {"binary:hinge", "multi:softmax"}
_MARGIN = {"binary:logitraw", "custom", "lambdarank", "rank_xendcg", "none"}


def booster_predict(model: Any, task: str) -> Predict | None:
    """What predicts with a booster: a score or number per row, or a matrix with one column per class 0, 1, ... of a binary task.

    None if the model is not one of them. Raises ModelError if the booster was trained for something else than the task.
    """
    library = library_of(model)
    if library == "lightgbm" and hasattr(model, "dump_model"):
        objective = (str(model.dump_model(num_iteration=1).get("objective", "")).split() or ["custom"])[0]
        predict = model.predict
    elif library == "xgboost" and hasattr(model, "save_config"):
        objective = json.loads(model.save_config())["learner"]["objective"]["name"]
        predict = _xgboost(model)
    elif library == "catboost" and not hasattr(model, "predict_proba") and not _is_regressor(model):
        objective = str(model.get_all_params().get("loss_function"))
        predict = _catboost(model, objective, task)
    else:
        return None
    return _fitting(predict, objective, task)


def _fitting(predict: Predict, objective: str, task: str) -> Predict:
    if task == "binary":
        if (
            objective in _CLASS
            or objective in _MARGIN
            or objective.startswith(("rank:", "YetiRank", "PairLogit", "QueryRMSE", "QuerySoftMax"))
        ):
            what = "classes" if objective in _CLASS else "margins or ranks"
            msg = f"is a booster with the objective '{objective}', whose predictions are {what}; train it for probabilities"
            raise ModelError(msg)
        if objective in _BY_CLASS:
            return lambda frame: _of_two(np.asarray(predict(frame)))
        return predict
    if task == "multiclass":
        if objective in _PROBABILITY:
            msg = f"is a booster with the objective '{objective}', which gives probabilities of one class; train it for several classes"
            raise ModelError(msg)
        if objective in _BY_CLASS and not objective.startswith("MultiClass"):
            return lambda frame: np.asarray(predict(frame)).argmax(axis=1)
    return predict


def _of_two(probabilities: np.ndarray[Any, Any]) -> pd.DataFrame:
    """Named by the classes, so that the class 1 of two is known; of more classes the tag has to name one."""
    return pd.DataFrame(probabilities, columns=[str(i) for i in range(probabilities.shape[1])])


def _xgboost(booster: Any) -> Predict:
    def predict(frame: pd.DataFrame) -> Any:
        from xgboost import DMatrix

        return booster.predict(
            DMatrix(frame, enable_categorical=True), validate_features=booster.feature_names is not None
        )

    return predict


def _catboost(model: Any, objective: str, task: str) -> Predict:
    """CatBoost's plain class gives margins unless it is asked for something else."""
    if objective in _PROBABILITY and task == "binary":
        return lambda frame: pd.DataFrame(model.predict(frame, prediction_type="Probability"), columns=_names(model))
    if objective in _BY_CLASS:
        kind = "Probability" if task == "binary" else "Class"
        if task == "binary":
            return lambda frame: pd.DataFrame(model.predict(frame, prediction_type=kind), columns=_names(model))
        return lambda frame: model.predict(frame, prediction_type=kind)
    return cast(Predict, model.predict)


def _names(model: Any) -> list[str]:
    return [str(c).removesuffix(".0") for c in model.classes_]


def _is_regressor(model: Any) -> bool:
    return type(model).__name__ == "CatBoostRegressor"
