"""The names of classes, alike in labels and predictions: text is kept, and an integer is written without a fraction."""

from __future__ import annotations

import polars as pl

__all__ = ["class_names", "is_class_type"]

_TEXT = (pl.String, pl.Categorical, pl.Enum)
_LARGEST_EXACT = 2.0**53  # up to here floats represent every integer exactly


def is_class_type(dtype: pl.DataType) -> bool:
    """Whether values of this type can name classes. Text, numbers and booleans can, dates and lists cannot."""
    return dtype in _TEXT or dtype.is_numeric() or dtype in (pl.Boolean, pl.Null)


def class_names(column: pl.Expr, dtype: pl.DataType) -> pl.Expr:
    """The classes that a column of type ``dtype`` names, as text; null for null, empty text and numbers that are not finite.

    A float that is an integer loses its ".0", because a column of integers becomes one of floats if a value is missing.
    """
    if dtype in _TEXT:
        text = column.cast(pl.String)
        return pl.when(text != "").then(text)
    if not (dtype.is_float() or dtype.is_decimal()):
        return column.cast(pl.String)
    number = column.cast(pl.Float64)
    is_integer = (number == number.floor()) & (number.abs() <= _LARGEST_EXACT)
    integer = number.cast(pl.Int64, strict=False)
    name = pl.when(is_integer).then(integer.cast(pl.String)).otherwise(number.cast(pl.String))
    return pl.when(number.is_finite()).then(name)
