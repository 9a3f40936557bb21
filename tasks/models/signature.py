"""The columns that a model reads, by its MLflow signature, and the conversion of a batch's columns to their types.

A column is converted where nothing is lost and refused by name where something would be. The type of the result depends on the
signature alone, never on the rows of a chunk, so that a row gets the same score in whatever chunk it stands.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl
import pyarrow as pa

from tasks.models.conversion import TYPES, UnfitError, converted, expected, suits
from tasks.models.errors import RegistryError, ScoringError

__all__ = ["ABSENT", "Column", "Signature", "arrow_column", "convert", "gaps", "read_signature"]

ABSENT = b"absent"  # marks an Arrow field whose column the batch does not have
_INTEGRAL = ("boolean", "integer", "long")


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a signature; ``type`` is MLflow's name of its type."""

    name: str
    type: str
    required: bool = True


@dataclass(frozen=True, slots=True)
class Signature:
    """The columns that a version reads, in the order of its signature."""

    version: str
    columns: tuple[Column, ...]

    def missing(self, names: Collection[str]) -> tuple[str, ...]:
        """The required columns that a batch with these columns does not have."""
        return tuple(c.name for c in self.columns if c.required and c.name not in names)

    def present(self, names: Collection[str]) -> tuple[str, ...]:
        """The columns to read from a batch with these columns: an optional one only if the batch has it."""
        return tuple(c.name for c in self.columns if c.required or c.name in names)

    def integral(self, names: Collection[str]) -> tuple[str, ...]:
        """The integer and boolean columns of such a batch, whose type in pandas depends on whether the batch has a gap in them."""
        return tuple(c.name for c in self.columns if c.type in _INTEGRAL and c.name in names)

    def check(self, schema: Mapping[str, pl.DataType]) -> None:
        """Check the types of a batch's columns before a row is read. Raises ScoringError."""
        for column in self.columns:
            if column.name in schema and not suits(schema[column.name], column.type):
                raise _unfit(self.version, column, schema[column.name], expected(column.type))

    def table(self, rows: pl.DataFrame, nullable: Collection[str]) -> pa.Table:
        """The rows as the model's worker takes them. Raises ScoringError.

        ``nullable`` are the integer and boolean columns with a gap anywhere in the batch. An optional column that the rows do not
        have is null in every row.
        """
        fields, arrays = [], []
        for column in self.columns:
            field, array = arrow_column(rows, column, self.version, gap=column.name in nullable)
            fields.append(field)
            arrays.append(array)
        return pa.Table.from_arrays(arrays, schema=pa.schema(fields))


def arrow_column(rows: pl.DataFrame, column: Column, version: str, *, gap: bool) -> tuple[pa.Field, pa.Array]:
    """A column of the rows as a model's worker takes it. Raises ScoringError.

    ``gap`` is whether an integer or boolean column has a gap anywhere in the batch. An optional column that the rows do not have is null
    in every row.
    """
    there = column.required or column.name in rows.columns
    series = rows[column.name] if there else pl.Series(column.name, [None] * rows.height, dtype=pl.Null)
    array = _arrow(convert(series, column, version))
    nullable = column.type not in _INTEGRAL or gap or not there
    return pa.field(column.name, array.type, nullable, None if there else {ABSENT: b"1"}), array


def convert(series: pl.Series, column: Column, version: str) -> pl.Series:
    """A column of a batch in the type that the signature asks for, null for null and, except in floats, for NaN.

    Raises ScoringError for a type that does not fit, and for the first value that the wanted type cannot hold.
    """
    if not suits(series.dtype, column.type):
        raise _unfit(version, column, series.dtype, expected(column.type))
    try:
        return converted(series, column.type)
    except UnfitError as error:
        raise _unfit(version, column, series.dtype, str(error)) from None


def gaps(column: str, dtype: pl.DataType) -> pl.Expr:
    """Whether a row has no value in this column: null or, in floats, NaN."""
    found = pl.col(column).is_null()
    return found | pl.col(column).is_nan() if dtype.is_float() else found


def read_signature(version: str, description: Mapping[str, Any]) -> Signature:
    """The signature in the content of a version's ``MLmodel`` file. Raises RegistryError if it does not name typed columns."""
    if not description.get("signature") or not description["signature"].get("inputs"):
        msg = f"version {version} has no signature; log it with one that names the columns it reads"
        raise RegistryError(msg)
    inputs = json.loads(description["signature"]["inputs"])
    if not all("name" in c and c.get("type") != "tensor" for c in inputs):
        msg = f"version {version}: its signature names no columns; log it with a data frame as input"
        raise RegistryError(msg)
    columns = tuple(Column(str(c["name"]), str(c["type"]), bool(c.get("required", True))) for c in inputs)
    for column in columns:
        if column.type not in TYPES:
            msg = (
                f"version {version} reads the column '{column.name}' as {column.type}, which no column of a batch holds; "
                "log the model with columns of numbers, text, times, lists or objects"
            )
            raise RegistryError(msg)
    return Signature(version, columns)


def _unfit(version: str, column: Column, dtype: pl.DataType, advice: str) -> ScoringError:
    return ScoringError(
        f"version {version} reads the column '{column.name}' as {column.type}, and the batch has it as {dtype}; {advice}"
    )


def _arrow(series: pl.Series) -> pa.Array:
    """The column as one Arrow array, in types that pandas knows how to read."""
    array = series.to_frame().to_arrow(compat_level=pl.CompatLevel.oldest()).column(0)
    return array.combine_chunks() if array.num_chunks != 1 else array.chunk(0)
