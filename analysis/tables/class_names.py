"""What stands for a class, wherever it is from: text as it is, a whole number without a fraction."""

from __future__ import annotations

import polars as pl

__all__ = ["class_names", "is_class_type"]

_TEXT = (pl.String, pl.Categorical, pl.Enum)
_WHOLE = 2.0**53  # up to here every whole number is a float of its own


def is_class_type(dtype: pl.DataType) -> bool:
    """Whether values of this type can name classes: text, numbers and booleans can, dates and lists cannot."""
    return dtype in _TEXT or dtype.is_numeric() or dtype in (pl.Boolean, pl.Null)


def class_names(column: pl.Expr, dtype: pl.DataType) -> pl.Expr:
    """The classes that a column of this type names, as text; null where it names none (null, empty text, not a finite number).

    A float that is whole loses its ".0": a column of whole numbers becomes one of floats as soon as a value is missing.
    """
    if dtype in _TEXT:
        text = column.cast(pl.String)
        return pl.when(text != "").then(text)
    if not (dtype.is_float() or dtype.is_decimal()):
        return column.cast(pl.String)
    number = column.cast(pl.Float64)
    whole = (number == number.floor()) & (number.abs() <= _WHOLE)
    named = pl.when(whole).then(number.cast(pl.Int64, strict=False).cast(pl.String)).otherwise(number.cast(pl.String))
    return pl.when(number.is_finite()).then(named)
