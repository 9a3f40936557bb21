"""Which of a model's outputs is the prediction: one per row, or a sentence on why none can be told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from .errors import ModelError

__all__ = ["column_number", "of_class", "positive_number", "prediction"]

_PREDICTION = {"binary": "one score", "multiclass": "one class", "regression": "one number"}
_CLEAR = ({"0", "1"}, {"False", "True"})
_POSITIVE = ("1", "True")


@dataclass(frozen=True)
class _Columns:
    """The columns of an output; ``names`` is None if they have none."""

    names: list[str] | None
    arrays: list[Any]


def prediction(output: Any, rows: int, task: str, tags: Mapping[str, str]) -> np.ndarray[Any, Any]:
    """The prediction in the output of a model of unknown make, shape (rows,): scores and numbers as float64, or labels of classes.

    The tag ``score_column`` names the output's column, ``positive_class`` the class whose probability is the score. Raises ModelError
    where neither says which of several columns it is, and if a tag names what is not there.
    """
    columns = _columns(output, rows, task)
    number, positive = _chosen(columns, rows, task, tags), tags.get("positive_class")
    values = _plain(columns.arrays[number])
    named = columns.names is not None and positive == columns.names[number]
    if task == "binary" and positive is not None and not named:
        return of_class(values, positive)
    if task == "binary" and positive is None:
        _refuse_classes(values)
    return values if task == "multiclass" else _floats(values)


def positive_number(classes: Sequence[Any], tags: Mapping[str, str]) -> int:
    """The number of the class whose probability is the score, among a classifier's classes. Raises ModelError."""
    names = [_name(c) for c in classes]
    listed = ", ".join(names)
    positive, column = tags.get("positive_class"), tags.get("score_column")
    if positive is not None and positive not in names:
        msg = f"has the classes {listed}, and its tag 'positive_class' is '{positive}'; set it to one of them"
        raise ModelError(msg)
    by_column = None if column is None else column_number(names, len(names), column)
    by_class = names.index(positive) if positive is not None else None
    if by_column is not None and by_class is not None and by_column != by_class:
        msg = f"has the tags 'score_column' {column} and 'positive_class' {positive}, which are different classes; remove one of them"
        raise ModelError(msg)
    chosen = by_class if by_class is not None else by_column
    if chosen is not None:
        return chosen
    if set(names) not in _CLEAR or len(names) != 2:
        advice = "set the tag 'positive_class' to the one whose probability is the score, or " if len(names) > 1 else ""
        msg = f"has the classes {listed}; {advice}register a binary model with the classes 0 and 1"
        raise ModelError(msg)
    return next(i for i, n in enumerate(names) if n in _POSITIVE)


def of_class(values: np.ndarray[Any, Any], positive: str) -> np.ndarray[Any, Any]:
    """Predicted classes as scores: 1 for the positive class, 0 for every other. Raises ModelError for what are no classes."""
    if values.dtype.kind == "f" and (values != np.floor(values)).any():
        if positive in _POSITIVE:
            return values
        msg = f"gave numbers such as {float(values[0])}, and its tag 'positive_class' is '{positive}'; remove the tag if they are scores"
        raise ModelError(msg)
    missing = np.flatnonzero(pd.isna(values))
    if len(missing):
        msg = f"gave {values[missing[0]]!r} (row {missing[0]} of a chunk), which is no class; every row needs one"
        raise ModelError(msg)
    return np.array([_name(v) == positive for v in values.tolist()], dtype=np.float64)


def _refuse_classes(values: np.ndarray[Any, Any]) -> None:
    """Raise ModelError for whole numbers that are not all 0 and 1, such as the classes 1 and 2."""
    if values.dtype.kind not in "iuf" or not np.isfinite(values).all() or (values != np.floor(values)).any():
        return
    others = np.flatnonzero((values != 0) & (values != 1))
    if len(others):
        msg = (
            f"gave the number {_name(values[others[0]])} (row {others[0]} of a chunk), which is no score, and may be a class; "
            "set the tag 'positive_class' to the class that counts as 1, or give scores from 0 to 1"
        )
        raise ModelError(msg)


def column_number(names: list[str] | None, width: int, tag: str) -> int:
    """The number of the column that the tag ``score_column`` names or numbers. Raises ModelError if it is not there."""
    if names is not None and names.count(tag) == 1:
        return names.index(tag)
    if tag.isdecimal() and int(tag) < width:
        return int(tag)
    there = f"the columns {_listed(names)}" if names is not None else f"columns without names, 0 to {width - 1}"
    if width == 1 and names is None:
        there = "one column without a name, 0"
    msg = f"gave {there}, and its tag 'score_column' is '{tag}'; set it to one of them, or remove it"
    raise ModelError(msg)


def _chosen(columns: _Columns, rows: int, task: str, tags: Mapping[str, str]) -> int:
    names, width = columns.names, len(columns.arrays)
    if (tag := tags.get("score_column")) is not None:
        return column_number(names, width, tag)
    if width == 1:
        return 0
    positive = tags.get("positive_class")
    if task == "binary" and names is not None:
        if positive is not None and names.count(positive) == 1:
            return names.index(positive)
        if positive is None and width == 2 and set(names) in _CLEAR:
            return next(i for i, n in enumerate(names) if n in _POSITIVE)
    if names is None and (width != 2 or task != "binary"):
        msg = (
            f"gave an output of shape ({rows}, {width}) for {rows} rows; {_PREDICTION[task]} per row is needed: "
            f"set the tag 'score_column' to the number of its column, 0 to {width - 1}"
        )
        raise ModelError(msg)
    if names is None:
        first = [v[0] if len(v) else "none" for v in columns.arrays]
        msg = (
            f"gave two columns without names, and either may be the score: column 0 ({first[0]} in the first row) or column 1 "
            f"({first[1]}); set the tag 'score_column' to 0 or to 1"
        )
        raise ModelError(msg)
    wrong = f", and its tag 'positive_class' is '{positive}'" if positive is not None and task == "binary" else ""
    either = "either" if width == 2 else "each"
    msg = (
        f"gave the columns {_listed(names)}{wrong}, and {either} may be {_PREDICTION[task].replace('one', 'the')}; "
        "set the tag 'score_column' to the name of the right one"
    )
    raise ModelError(msg)


def _columns(output: Any, rows: int, task: str) -> _Columns:
    """An output of any form as columns. Raises ModelError if it does not have one entry per row."""
    if isinstance(output, pd.DataFrame):
        frame = _in_order(output, rows, task)
        if isinstance(frame.columns, pd.MultiIndex):
            msg = "gave a data frame with several levels of names; give its columns one name each"
            raise ModelError(msg)
        return _together([_spread(_name(n), frame.iloc[:, i]) for i, n in enumerate(frame.columns)], rows, task)
    if isinstance(output, pd.Series):
        series = _in_order(output, rows, task)
        name = None if series.name is None else [_name(series.name)]
        return _spread(None, series) if name is None else _Columns(name, _spread(name[0], series).arrays)
    if isinstance(output, Mapping):
        return _together([_named(str(n), _columns(part, rows, task)) for n, part in output.items()], rows, task)
    if isinstance(output, (list, tuple)) and output and all(isinstance(row, Mapping) for row in output):
        return _records(output, rows, task)
    return _array(output, rows, task)


def _records(output: Sequence[Mapping[Any, Any]], rows: int, task: str) -> _Columns:
    first = list(output[0])
    other = next((i for i, row in enumerate(output) if set(row) != set(first)), None)
    if other is not None:
        msg = (
            f"gave a dict per row, and that of row {other} has other keys than the first; give every row the same keys"
        )
        raise ModelError(msg)
    if len(output) != rows:
        raise _misshapen((len(output),), rows, task)
    return _Columns([_name(k) for k in first], [pd.Series([row[k] for row in output]) for k in first])


def _array(output: Any, rows: int, task: str) -> _Columns:
    try:
        array = np.asarray(output)
    except (TypeError, ValueError):
        msg = f"gave lists of different lengths as its output; {_PREDICTION[task]} per row is needed"
        raise ModelError(msg) from None
    if array.shape[:1] != (rows,) or array.ndim > 2 or array.shape[1:] == (0,):
        raise _misshapen(array.shape, rows, task)
    if array.ndim == 1:
        return _Columns(None, [array])
    return _Columns(None, [array[:, i] for i in range(array.shape[1])])


def _together(parts: list[_Columns], rows: int, task: str) -> _Columns:
    if not parts:
        raise _misshapen((rows, 0), rows, task)
    return _Columns([n for p in parts for n in p.names or []], [v for p in parts for v in p.arrays])


def _named(name: str, part: _Columns) -> _Columns:
    """The columns of an entry of a dict: ``name``, or ``name[0]``, ``name[yes]`` and so on if it has several."""
    if len(part.arrays) == 1:
        return _Columns([name], part.arrays)
    inner = part.names if part.names is not None else [str(i) for i in range(len(part.arrays))]
    return _Columns([f"{name}[{i}]" for i in inner], part.arrays)


def _spread(name: str | None, series: pd.Series[Any]) -> _Columns:
    """A column whose cells are dicts or lists of one length, as columns of its own."""
    cells = series.tolist() if series.dtype == object else []
    if name is None or not cells:
        return _Columns(None if name is None else [name], [series])
    if all(isinstance(c, Mapping) for c in cells):
        return _named(name, _records(cells, len(cells), "binary"))
    if all(isinstance(c, (list, tuple, np.ndarray)) and len(c) == len(cells[0]) > 0 for c in cells):
        return _named(name, _array(cells, len(cells), "binary"))
    return _Columns([name], [series])


def _in_order(output: Any, rows: int, task: str) -> Any:
    """The rows in the order of the input, whose index is 0, 1, 2, ... Raises ModelError for an index that tells of no order."""
    index = output.index
    if len(index) != rows:
        raise _misshapen(output.shape, rows, task)
    if isinstance(index, pd.RangeIndex) and index.step == 1:
        return output
    if index.dtype.kind in "iu" and np.array_equal(np.sort(index.to_numpy()), np.arange(rows)):
        return output.sort_index()
    msg = (
        f"gave an output with the index {index[0]!r}, ..., which is not that of its input; "
        "give its rows the index of the input, or none"
    )
    raise ModelError(msg)


def _plain(values: Any) -> np.ndarray[Any, Any]:
    return np.asarray(values.to_numpy() if isinstance(values, pd.Series) else values)


def _floats(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Numbers as float64; anything else as it is, and who takes the scores refuses it."""
    return values.astype(np.float64) if values.dtype.kind in "biuf" else values


def _name(value: Any) -> str:
    return str(value).removesuffix(".0")


def _listed(names: list[str]) -> str:
    return ", ".join(f"'{n}'" for n in names)


def _misshapen(shape: tuple[int, ...], rows: int, task: str) -> ModelError:
    return ModelError(f"gave an output of shape {shape} for {rows} rows; {_PREDICTION[task]} per row is needed")
