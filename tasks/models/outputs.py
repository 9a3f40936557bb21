"""What of a model's output is a prediction: one score, one class or one number a row, by the task."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import polars as pl
from numpy.typing import NDArray

from analysis.evidence.row_labels import LARGEST_NUMBER
from analysis.one_look.measures import Task
from analysis.tables.class_names import class_names, is_class_type
from tasks.base.errors import DethroneError

__all__ = ["ScoringError", "predictions_of"]

_NEEDED: dict[Task, str] = {"binary": "one score", "multiclass": "one class", "regression": "one number"}


class ScoringError(DethroneError):
    """A model gave something that is not one prediction for each row."""


def predictions_of(task: Task, version: str, output: Any, rows: int) -> NDArray[Any]:
    """The predictions in a model's output for so many rows. Raises ScoringError.

    Binary: scores in [0, 1], also as the second of two columns. Multiclass: the names of classes, as text. Regression:
    finite numbers of at most ``LARGEST_NUMBER`` either way.
    """
    given = np.asarray(output)
    widths = (1, 2) if task == "binary" else (1,)
    if given.ndim == 2 and given.shape[1] in widths:
        given = given[:, -1]  # one column, or the probabilities of the classes 0 and 1
    if given.shape != (rows,):
        msg = (
            f"version {version} gave an output of shape {given.shape} for {rows} rows; {_NEEDED[task]} a row is needed"
        )
        raise ScoringError(msg)
    if task == "multiclass":
        return _classes(version, given)
    return _scores(version, given) if task == "binary" else _numbers(version, given)


def _scores(version: str, given: NDArray[Any]) -> NDArray[np.float64]:
    try:
        scores = given.astype(np.float64)
    except (TypeError, ValueError):
        msg = f"version {version} gave {given.dtype} values such as {given[0]!r}; scores must be numbers from 0 to 1"
        raise ScoringError(msg) from None
    bad = np.flatnonzero(~((scores >= 0) & (scores <= 1)))
    if len(bad):
        msg = f"version {version} gave the score {scores[bad[0]]} (row {bad[0]} of a chunk); scores must be numbers from 0 to 1"
        raise ScoringError(msg)
    return scores


def _numbers(version: str, given: NDArray[Any]) -> NDArray[np.float64]:
    numbers = _as_floats(given)
    if numbers is None:
        msg = f"version {version} gave {given.dtype} values such as {given[0]!r}; predictions must be finite numbers"
        raise ScoringError(msg)
    bad = np.flatnonzero(~(np.abs(numbers) <= LARGEST_NUMBER))
    if len(bad):
        msg = (
            f"version {version} gave the number {numbers[bad[0]]} (row {bad[0]} of a chunk); "
            f"predictions must be finite, and at most {LARGEST_NUMBER:g} either way"
        )
        raise ScoringError(msg)
    return numbers


def _as_floats(given: NDArray[Any]) -> NDArray[np.float64] | None:
    """None for text, dates and whatever else would only look like numbers."""
    kind = given.dtype.kind
    if kind not in "biufO" or (kind == "O" and any(isinstance(v, str) for v in given)):
        return None
    try:
        return given.astype(np.float64)
    except (TypeError, ValueError):
        return None


def _classes(version: str, given: NDArray[Any]) -> NDArray[np.object_]:
    values = _as_series(given)
    if values is None or not is_class_type(values.dtype):
        msg = f"version {version} gave {given.dtype} values such as {given[0]!r}; classes are text or whole numbers, all of one kind"
        raise ScoringError(msg)
    named = values.to_frame("class").select(class_names(pl.col("class"), values.dtype)).to_series()
    missing = named.is_null().arg_true()
    if len(missing):
        msg = f"version {version} gave {given[missing[0]]!r} (row {missing[0]} of a chunk), which is no class; every row needs one"
        raise ScoringError(msg)
    return np.array(named.to_list(), dtype=object)


def _as_series(given: NDArray[Any]) -> pl.Series | None:
    """None for values of several kinds."""
    if given.dtype.kind != "O":
        return pl.Series(given)
    try:
        return pl.Series([None if none else v for v, none in zip(given, pd.isna(given), strict=True)])
    except (TypeError, ValueError, OverflowError):
        return None
