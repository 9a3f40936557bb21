"""Arrow tables as pandas frames, with the types that training had."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from .errors import ModelError

__all__ = ["ABSENT", "for_pyfunc", "frame_of"]

ABSENT = b"absent"  # marks the field of an optional column that the batch does not have
_NULLABLE = (pa.int32(), pa.int64(), pa.bool_())


def frame_of(table: pa.Table) -> pd.DataFrame:
    """The table as a frame that a model may write into.

    A nullable field of integers or booleans gets a nullable type of pandas even where this chunk has no null, so that the type is
    the same in every chunk of a batch.
    """
    plain = [f.name for f in table.schema if not _takes_gaps(f)]
    # one thread and whole blocks: split blocks save 3 ms on 131,072 rows of 20 doubles, cost scikit-learn as much, and are read-only
    frame: pd.DataFrame = table.select(plain).to_pandas(use_threads=False)
    for place, field in enumerate(table.schema):
        if _takes_gaps(field):
            frame.insert(place, field.name, _nullable(table.column(place), field))
    if not plain:
        frame.index = pd.RangeIndex(table.num_rows)
    return frame


def for_pyfunc(frame: pd.DataFrame, schema: pa.Schema) -> pd.DataFrame:
    """The frame in the types that MLflow lets through to a pyfunc model. Raises ModelError.

    Zoned times become UTC without a zone, booleans with gaps become objects. An absent optional column of integers is left out, as
    MLflow does: it takes no null there.
    """
    changed = {}
    for field in schema:
        if pa.types.is_timestamp(field.type) and field.type.tz:
            changed[field.name] = frame[field.name].dt.tz_convert("UTC").dt.tz_localize(None)
        elif _takes_gaps(field) and pa.types.is_boolean(field.type):
            changed[field.name] = frame[field.name].astype(object).where(frame[field.name].notna(), None)
        elif _takes_gaps(field) and not _absent(field):
            msg = (
                f"reads the column '{field.name}' as whole numbers, and the batch has gaps in it, which MLflow lets no pyfunc model see; "
                "fill them, or log the model with this column as double"
            )
            raise ModelError(msg)
    left_out = [f.name for f in schema if _absent(f) and pa.types.is_integer(f.type)]
    return frame.assign(**changed).drop(columns=left_out) if changed or left_out else frame


def _absent(field: pa.Field) -> bool:
    return bool(field.metadata and ABSENT in field.metadata)


def _takes_gaps(field: pa.Field) -> bool:
    return field.nullable and field.type in _NULLABLE


def _nullable(column: pa.ChunkedArray, field: pa.Field) -> Any:
    boolean = pa.types.is_boolean(field.type)
    gaps = np.array(column.is_null(), dtype=bool)
    values = np.array(column.fill_null(False if boolean else 0), dtype=field.type.to_pandas_dtype())
    return (pd.arrays.BooleanArray if boolean else pd.arrays.IntegerArray)(values, gaps)
