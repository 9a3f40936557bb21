"""Columns that a boosting library was trained on as categories, and that a signature calls text or integers."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pandas as pd

from .errors import ModelError

__all__ = ["library_of", "restoring_categories"]

Restore = Callable[[pd.DataFrame], pd.DataFrame]


def library_of(model: Any) -> str:
    """The top package that the class of a model, or a class that it inherits from, was made in, if it is a booster's."""
    packages = [c.__module__.partition(".")[0] for c in type(model).__mro__]
    return next((p for p in packages if p in ("lightgbm", "xgboost", "catboost")), "")


def restoring_categories(model: Any, names: Sequence[str]) -> Restore:
    """What turns the columns of a frame into what the model's library was trained on. Raises ModelError, as what it returns does.

    The model is a booster, a wrapper of one, or an estimator of scikit-learn around one: a pipeline that ends in it, a search, a
    calibration, a vote.
    """
    inner = next(_boosters(model), model)
    library = library_of(inner)
    if library == "catboost":
        return _for_catboost(inner, names)
    categories = {"lightgbm": _lightgbm, "xgboost": _xgboost}[library](inner, names) if library else {}
    if not categories:
        return lambda frame: frame

    def restore(frame: pd.DataFrame) -> pd.DataFrame:
        return frame.assign(**{n: pd.Categorical(frame[n], categories=c) for n, c in categories.items()})

    return restore


def _boosters(model: Any) -> Iterator[Any]:
    if library_of(model):
        yield model
        return
    steps, estimators = getattr(model, "steps", None), getattr(model, "estimators_", None)
    inside = [steps[-1][1]] if isinstance(steps, list) and steps else []
    inside += [c.estimator for c in getattr(model, "calibrated_classifiers_", [])]
    inside += [getattr(model, "best_estimator_", None), *(estimators if isinstance(estimators, list) else [])]
    for estimator in inside:
        if estimator is not None:
            yield from _boosters(estimator)


def _lightgbm(model: Any, names: Sequence[str]) -> dict[str, Any]:
    booster = getattr(model, "booster_", model)
    kept = getattr(booster, "pandas_categorical", None)
    if not kept:
        return {}
    features = [str(n) for n in booster.feature_name()]
    found = re.search(r"^\[categorical_feature: ([\d,]+)\]$", booster.model_to_string(num_iteration=1), re.MULTILINE)
    numbers = [int(n) for n in found[1].split(",")] if found else []
    places = [names[i] for i in sorted(numbers)] if len(features) == len(names) and len(numbers) == len(kept) else []
    if len(places) != len(kept):
        msg = (
            f"was trained by LightGBM on {len(kept)} pandas categories, and its file does not tell in which columns; train it with "
            "categorical_feature='auto' and log it with the columns of its training frame"
        )
        raise ModelError(msg)
    return dict(zip(places, kept, strict=True))


def _xgboost(model: Any, names: Sequence[str]) -> dict[str, Any]:
    booster = model.get_booster() if hasattr(model, "get_booster") else model
    types = booster.feature_types
    if not types:
        return {}
    columns = [n for n, t in zip(booster.feature_names or names, types, strict=True) if t == "c" and n in names]
    kept: dict[str, Any] = {}
    if hasattr(booster, "get_categories"):
        arrays = booster.get_categories(export_to_arrow=True).to_arrow() or []
        kept = {n: c.to_pandas() for n, c in arrays if c is not None}
    missing = [n for n in columns if n not in kept]
    if missing:
        msg = (
            f"was trained by XGBoost on categories in the column '{missing[0]}', and its file does not have their names; "
            "train it with XGBoost 3.1 or later, which keeps them"
        )
        raise ModelError(msg)
    return {n: kept[n] for n in columns}


def _for_catboost(model: Any, names: Sequence[str]) -> Restore:
    columns = [names[i] for i in model.get_cat_feature_indices() if i < len(names)]

    def restore(frame: pd.DataFrame) -> pd.DataFrame:
        for name in columns:
            gaps = int(frame[name].isna().sum())
            if gaps:
                msg = (
                    f"reads the column '{name}' as categories, and it is null in {gaps} rows, which CatBoost does not take; "
                    "fill it with the text that stood for a gap in training"
                )
                raise ModelError(msg)
        return frame.astype(dict.fromkeys(columns, object)) if columns else frame

    return restore
