"""A model in the process that runs it: from a folder to one prediction per row of an Arrow table."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from .boosters import booster_predict
from .categories import restoring_categories
from .errors import ModelError
from .frames import for_pyfunc, frame_of
from .outputs import of_class, positive_number, prediction

__all__ = ["Model", "load_model"]

_OWN = ("sklearn", "lightgbm", "xgboost", "catboost")  # pyfunc returns their classes, not the probabilities

Output = Callable[[pd.DataFrame], Any]


@dataclass(frozen=True)
class Model:
    """A loaded model; ``predict`` gives one prediction per row."""

    task: str
    tags: Mapping[str, str]
    _output: Callable[[pa.Table], Any]

    def predict(self, table: pa.Table) -> np.ndarray[Any, Any]:
        """One prediction per row, shape (rows,): scores and numbers as float64, or labels of classes.

        ``table`` has the columns of the signature, in its order and types. Raises ModelError if the input cannot be given to the
        model or its output is not one prediction per row, and whatever the model's own code raises.
        """
        return prediction(self._output(table), table.num_rows, self.task, self.tags)


def load_model(folder: str, task: str, tags: Mapping[str, str]) -> Model:
    """Load the model in a folder with an ``MLmodel`` file, for a task: binary, multiclass or regression.

    A binary model of scikit-learn, LightGBM, XGBoost or CatBoost gives the probability of a class. Every other model gives what its
    ``predict`` does, and the tags ``score_column`` and ``positive_class`` say which part of it is the prediction. Raises ModelError.
    """
    from mlflow.models import Model as Description

    description = Description.load(folder)
    flavour = next((f for f in _OWN if f in description.flavors), None)
    if flavour is None:
        return Model(task, tags, _of_pyfunc(folder, description))
    model = importlib.import_module(f"mlflow.{flavour}").load_model(folder)
    names = [str(n) for n in description.get_input_schema().input_names()]
    restore = restoring_categories(model, names)
    output, tags = _of_own(model, task, tags)
    return Model(task, tags, lambda table: output(restore(frame_of(table))))


def _of_own(model: Any, task: str, tags: Mapping[str, str]) -> tuple[Output, Mapping[str, str]]:
    """What predicts with a model of one of the libraries, and the tags that are left to choose from its output."""
    if task != "binary":
        return booster_predict(model, task) or model.predict, _without_class(tags)
    if hasattr(model, "predict_proba"):
        classes = getattr(model, "classes_", None)
        if classes is None:
            return model.predict_proba, tags
        number = positive_number(list(classes), tags)
        return lambda frame: np.asarray(model.predict_proba(frame))[:, number], {}
    own = booster_predict(model, task)
    if own is not None:
        return own, tags
    classes = getattr(model, "classes_", None)
    if classes is None:
        return model.predict, tags
    positive = [str(c).removesuffix(".0") for c in classes][positive_number(list(classes), tags)]
    return lambda frame: of_class(np.asarray(model.predict(frame)).reshape(len(frame)), positive), {}


def _without_class(tags: Mapping[str, str]) -> dict[str, str]:
    return {k: v for k, v in tags.items() if k != "positive_class"}


def _of_pyfunc(folder: str, description: Any) -> Callable[[pa.Table], Any]:
    import mlflow
    from mlflow.exceptions import MlflowException

    model = mlflow.pyfunc.load_model(folder)

    def output(table: pa.Table) -> Any:
        frame = for_pyfunc(frame_of(table), table.schema)
        try:
            return model.predict(frame)
        except MlflowException as error:
            _blame_a_column(frame, description.get_input_schema(), error)
            raise

    return output


def _blame_a_column(frame: pd.DataFrame, schema: Any, error: Exception) -> None:
    """Raise ModelError if MLflow refuses a column of the input; else the error is the model's own."""
    from mlflow.exceptions import MlflowException
    from mlflow.models import validate_schema
    from mlflow.types import Schema

    for column in schema.inputs:
        if column.name not in frame:
            continue
        try:
            validate_schema(frame[[column.name]], Schema([column]))
        except MlflowException as refusal:
            reason = next(
                (line.strip().rstrip(".:") for line in str(refusal).splitlines() if line.strip()), "no reason given"
            )
            msg = (
                f"reads the column '{column.name}' as {column.type}, and MLflow does not take the batch's values for it "
                f"({reason}); write them as in training"
            )
            raise ModelError(msg) from error
