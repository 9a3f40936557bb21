"""Arrow tables become frames with the types that training had, the same in every chunk."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from tasks.models.signature import ABSENT as PARENTS_ABSENT
from tasks.models.worker.errors import ModelError
from tasks.models.worker.frames import ABSENT, for_pyfunc, frame_of

INTEGRAL = [
    (pa.int32(), [1, 2, None], "int32", "Int32"),
    (pa.int64(), [2**62 + 1, 2, None], "int64", "Int64"),
    (pa.bool_(), [True, False, None], "bool", "boolean"),
]


def table(values: list[Any], kind: pa.DataType, *, nullable: bool = True, absent: bool = False) -> pa.Table:
    field = pa.field("x", kind, nullable, {ABSENT: b"1"} if absent else None)
    return pa.Table.from_arrays([pa.array(values, kind)], schema=pa.schema([field]))


def test_both_sides_mark_a_column_that_is_not_there_alike() -> None:
    assert ABSENT == PARENTS_ABSENT


@pytest.mark.parametrize(("kind", "values", "plain", "nullable"), INTEGRAL)
def test_integers_and_booleans_are_nullable_in_every_chunk_or_in_none(
    kind: pa.DataType, values: list[Any], plain: str, nullable: str
) -> None:
    assert frame_of(table(values[:2], kind, nullable=False))["x"].dtype == plain
    for chunk in (values, values[:2], values[2:], []):
        given = frame_of(table(chunk, kind))["x"]
        assert given.dtype == nullable
        assert [None if v is pd.NA else v for v in given.tolist()] == chunk


def test_the_others_have_one_type_with_gaps_and_without() -> None:
    for values in ([1.0, None], [1.0, 2.0]):
        assert frame_of(table(values, pa.float64()))["x"].dtype == np.float64
        assert frame_of(table(values, pa.float32()))["x"].dtype == np.float32
        assert frame_of(table([1, None], pa.timestamp("ns")))["x"].dtype == "datetime64[ns]"
    assert frame_of(table(["a", None], pa.large_string()))["x"].dtype == pd.Series(["a", None]).dtype


def test_columns_keep_their_order_and_a_model_may_write_into_its_frame() -> None:
    fields = [
        pa.field("n", pa.int64()),
        pa.field("d", pa.float64()),
        pa.field("i", pa.int64(), nullable=False),
        pa.field("m", pa.bool_()),
    ]
    arrays = [pa.array([1, None]), pa.array([0.5, 1.5]), pa.array([3, 4]), pa.array([True, None])]
    frame = frame_of(pa.Table.from_arrays(arrays, schema=pa.schema(fields)))
    assert [(n, str(t)) for n, t in frame.dtypes.items()] == [
        ("n", "Int64"),
        ("d", "float64"),
        ("i", "int64"),
        ("m", "boolean"),
    ]
    frame.iloc[0, 1] = frame.iloc[1, 1]
    frame.loc[frame["i"] > 3, "i"] = 7
    frame["n"] = frame["n"].fillna(0)
    assert frame["d"].tolist() == [1.5, 1.5]
    assert frame["i"].tolist() == [3, 7]
    assert isinstance(frame.index, pd.RangeIndex)


class TestForPyfunc:
    def given(self, t: pa.Table) -> pd.DataFrame:
        return for_pyfunc(frame_of(t), t.schema)

    def test_zoned_times_are_the_same_instant_in_utc_without_a_zone(self) -> None:
        kind = pa.timestamp("ns", "Europe/Berlin")
        t = table([pd.Timestamp("2024-02-18 12:00", tz="Europe/Berlin"), None], kind)
        assert frame_of(t)["x"].dtype == "datetime64[ns, Europe/Berlin]"
        assert self.given(t)["x"].tolist() == [pd.Timestamp("2024-02-18 11:00"), pd.NaT]

    def test_booleans_with_gaps_are_objects(self) -> None:
        assert self.given(table([True, None], pa.bool_()))["x"].tolist() == [True, None]

    def test_gaps_in_whole_numbers_are_refused(self) -> None:
        said = "reads the column 'x' as whole numbers, and the batch has gaps in it, which MLflow lets no pyfunc model see; fill them, or"
        with pytest.raises(ModelError, match=said):
            self.given(table([1, 2], pa.int64()))

    def test_a_column_of_whole_numbers_that_is_not_there_is_left_out_as_mlflow_does(self) -> None:
        assert self.given(table([None, None], pa.int64(), absent=True)).shape == (2, 0)
        assert self.given(table([None], pa.float64(), absent=True))["x"].isna().all()
