"""The conversion of a polars column to a type of MLflow: where nothing is lost, or not at all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import polars as pl

from tasks.tables.types import lost_in_doubles

__all__ = ["TYPES", "UnfitError", "converted", "expected", "suits"]

_LARGEST_EXACT = {"double": 2**53, "float": 2**24}  # all integers up to here are floats of this type
_TEXT = (pl.String, pl.Categorical, pl.Enum)
_NESTED = {"array": (pl.List, pl.Array), "object": (pl.Struct,)}


class UnfitError(ValueError):
    """A value that the wanted type does not hold; the message says which, and what to do."""


def suits(dtype: pl.DataType, wanted: str) -> bool:
    """Whether values of this type may be converted to ``wanted``, a type of MLflow."""
    if dtype == pl.Null:
        return True
    if wanted in _NESTED:
        return isinstance(dtype, _NESTED[wanted])
    if wanted == "string":
        return isinstance(dtype, _TEXT)
    if wanted == "datetime":
        return isinstance(dtype, (pl.Date, pl.Datetime))
    if wanted == "binary":
        return dtype == pl.Binary
    return dtype.is_numeric() or dtype == pl.Boolean


def expected(wanted: str) -> str:
    """What to do with a column that does not suit."""
    form = {
        "string": "text", "datetime": "dates or times", "binary": "bytes", "array": "lists", "object": "structs",
    }.get(wanted, "numbers")  # fmt: skip
    return f"write it as {form}"


def converted(series: pl.Series, wanted: str) -> pl.Series:
    """A column whose type suits, as ``wanted``. Raises UnfitError for the first value that it cannot hold."""
    if wanted in _NESTED:
        return series
    return TYPES[wanted](series)


def _double(series: pl.Series) -> pl.Series:
    return _floats(series, pl.Float64, "double")


def _single(series: pl.Series) -> pl.Series:
    """Fractions are rounded to the nearest single, as they were when the model was trained on singles."""
    floats = _floats(series, pl.Float32, "float")
    if series.dtype == pl.Float64 or series.dtype.is_decimal():
        overflow = floats.is_infinite() & series.cast(pl.Float64).is_finite()
        _refuse(series, overflow, "is too large for single precision; log the model with this column as double")
    return floats


def _floats(series: pl.Series, dtype: type[pl.DataType], name: str) -> pl.Series:
    if series.dtype.is_integer() and _largest(series) > _LARGEST_EXACT[name]:
        back = series.cast(dtype).cast(pl.Int128, strict=False)
        same = (back == series.cast(pl.Int128, strict=False)).fill_null(value=False)
        _refuse(
            series,
            series.is_not_null() & ~same,
            f"is no {name} exactly; a model that needs all its digits reads it as text",
        )
    floats = series.cast(dtype)
    if series.dtype.is_decimal() and name == "double":
        _refuse(series, lost_in_doubles(series), "has more digits than a double holds; round it")
    return floats


def _largest(series: pl.Series) -> int:
    """The largest integer of the column without its sign; 0 if it has none."""
    low, high = cast(Any, (series.min() or 0, series.max() or 0))
    return max(int(high), -int(low))


def _integers(dtype: type[pl.DataType], name: str) -> Callable[[pl.Series], pl.Series]:
    def convert(series: pl.Series) -> pl.Series:
        series = _without_nan(series)
        if series.dtype.is_float() or series.dtype.is_decimal():
            _refuse(
                series, series != series.floor(), "is not whole; round it, or log the model with this column as double"
            )
        integers = series.cast(dtype, strict=False)
        lost = integers.is_null() & series.is_not_null()
        _refuse(series, lost, f"is beyond the range of {name}; correct it, or log the model with a wider type")
        return integers

    return convert


def _booleans(series: pl.Series) -> pl.Series:
    series = _without_nan(series)
    if series.dtype == pl.Boolean:
        return series
    if series.dtype != pl.Null:
        _refuse(
            series,
            (series != 0) & (series != 1),
            "is neither 0 nor 1; correct it, or log the model with this column as numbers",
        )
    return series.cast(pl.Boolean) if not series.dtype.is_decimal() else series.cast(pl.Float64).cast(pl.Boolean)


def _times(series: pl.Series) -> pl.Series:
    """Times keep their zone. MLflow has no dates: they are times at midnight."""
    zone = series.dtype.time_zone if isinstance(series.dtype, pl.Datetime) else None
    times = series.cast(pl.Datetime("ns", time_zone=zone), strict=False)
    lost = times.is_null() & series.is_not_null()
    _refuse(
        series,
        lost,
        "is not between the years 1678 and 2262, beyond which nanoseconds do not reach; correct it, or make it null",
    )
    return times


def _without_nan(series: pl.Series) -> pl.Series:
    return series.fill_nan(None) if series.dtype.is_float() else series


def _refuse(series: pl.Series, bad: pl.Series, reason: str) -> None:
    first = bad.fill_null(value=False).arg_max() if bad.any() else None
    if first is not None:
        msg = f"its value {series[first]} {reason}"
        raise UnfitError(msg)


TYPES: dict[str, Callable[[pl.Series], pl.Series]] = {
    "boolean": _booleans,
    "integer": _integers(pl.Int32, "integer"),
    "long": _integers(pl.Int64, "long"),
    "float": _single,
    "double": _double,
    "string": lambda series: series.cast(pl.String),
    "binary": lambda series: series.cast(pl.Binary),
    "datetime": _times,
    "array": lambda series: series,
    "object": lambda series: series,
}
"""Every type of MLflow that a batch's column can be converted to."""
