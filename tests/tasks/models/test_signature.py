"""A batch's columns in the types of a signature: converted where nothing is lost, refused by name where something would be."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import polars as pl
import pyarrow as pa
import pytest

from tasks.models.errors import RegistryError, ScoringError
from tasks.models.signature import ABSENT, Column, Signature, convert, gaps, read_signature

NAN = float("nan")
INF = float("inf")
DAY = datetime(2024, 2, 18)  # noqa: DTZ001
NUMBERS = (
    pl.Int8, pl.Int16, pl.Int32, pl.Int64, pl.Int128, pl.UInt8, pl.UInt16, pl.UInt32, pl.UInt64, pl.Float32, pl.Float64,
    pl.Decimal(10, 2), pl.Boolean,
)  # fmt: skip
WANTED = {
    "boolean": pl.Boolean, "integer": pl.Int32, "long": pl.Int64, "float": pl.Float32, "double": pl.Float64, "string": pl.String,
    "binary": pl.Binary, "datetime": pl.Datetime("ns"),
}  # fmt: skip


def to(wanted: str, values: list[Any], dtype: Any = None) -> pl.Series:
    return convert(pl.Series("x", values, dtype=dtype), Column("x", wanted), "7")


def refused(wanted: str, values: list[Any], dtype: Any = None) -> str:
    with pytest.raises(ScoringError) as error:
        to(wanted, values, dtype)
    return str(error.value)


class TestConverted:
    @pytest.mark.parametrize("wanted", ["boolean", "integer", "long", "float", "double"])
    @pytest.mark.parametrize("dtype", NUMBERS, ids=str)
    def test_0_and_1_are_the_same_in_every_type_of_numbers(self, wanted: str, dtype: Any) -> None:
        given = to(wanted, [1, 0, None] if dtype != pl.Boolean else [True, False, None], dtype)
        assert given.dtype == WANTED[wanted]
        assert given.to_list() == [1, 0, None]

    @pytest.mark.parametrize("wanted", WANTED)
    def test_a_column_without_a_value_is_one_of_nulls(self, wanted: str) -> None:
        given = to(wanted, [None, None], pl.Null)
        assert (given.dtype, given.to_list()) == (WANTED[wanted], [None, None])

    @pytest.mark.parametrize(
        ("wanted", "values", "dtype", "expected"),
        [
            ("double", [2**53, -(2**53), 2**62], pl.Int64, [2.0**53, -(2.0**53), 2.0**62]),
            ("double", [2**63], pl.UInt64, [2.0**63]),
            ("double", [2**100], pl.Int128, [2.0**100]),
            ("double", [Decimal("0.29"), Decimal("-1.15")], pl.Decimal(20, 2), [0.29, -1.15]),
            ("double", [Decimal("123456.78"), Decimal("-0.1"), None], pl.Decimal(38, 18), [123456.78, -0.1, None]),
            ("double", [Decimal("123456.78"), Decimal(1200)], pl.Decimal(38, 30), [123456.78, 1200.0]),
            ("double", [0.5, NAN, INF, None], pl.Float32, [0.5, NAN, INF, None]),
            ("float", [0.1, NAN, -INF, None], pl.Float64, [0.10000000149011612, NAN, -INF, None]),
            ("float", [2**24], pl.Int64, [2.0**24]),
            ("long", [2.0, NAN, None, -0.0], pl.Float64, [2, None, None, 0]),
            ("long", [Decimal("12.00")], pl.Decimal(20, 2), [12]),
            ("integer", [2**31 - 1, -(2**31)], pl.Int64, [2**31 - 1, -(2**31)]),
            ("boolean", [1.0, NAN], pl.Float64, [True, None]),
            ("string", ["a", None, "b"], pl.Categorical, ["a", None, "b"]),
            ("string", ["a", None], pl.Enum(["b", "a"]), ["a", None]),
            ("datetime", [date(2024, 2, 18), None], pl.Date, [DAY, None]),
            ("datetime", [DAY], pl.Datetime("ms"), [DAY]),
            ("datetime", [DAY], pl.Datetime("us"), [DAY]),
            ("binary", [b"x", None], pl.Binary, [b"x", None]),
            ("array", [[1.0], None], pl.List(pl.Float64), [[1.0], None]),
            ("object", [{"a": 1}], pl.Struct({"a": pl.Int64}), [{"a": 1}]),
        ],
    )  # fmt: skip
    def test_what_the_type_holds_is_kept(self, wanted: str, values: list[Any], dtype: Any, expected: list[Any]) -> None:
        assert repr(to(wanted, values, dtype).to_list()) == repr(expected)  # NaN is NaN

    def test_times_keep_their_zone(self) -> None:
        given = to("datetime", [DAY.replace(tzinfo=UTC)], pl.Datetime("us", "Europe/Berlin"))
        assert given.dtype == pl.Datetime("ns", "Europe/Berlin")
        assert given.dt.convert_time_zone("UTC").to_list() == [DAY.replace(tzinfo=UTC)]


class TestRefused:
    @pytest.mark.parametrize(
        ("wanted", "values", "dtype", "sentence"),
        [
            ("double", [1, 2**53 + 1], pl.Int64, f"Int64; its value {2**53 + 1} is no double exactly; a model that needs all"),
            ("double", [2**64 - 1], pl.UInt64, f"UInt64; its value {2**64 - 1} is no double exactly"),
            ("double", [-(2**63) + 1], pl.Int64, f"Int64; its value {-(2**63) + 1} is no double exactly"),
            ("double", [Decimal("12345678901234567.89")], pl.Decimal(30, 2), "its value 12345678901234567.89 has more digits"),
            ("double", [Decimal("0.5"), Decimal("1.1234567890123456")], pl.Decimal(38, 18), "value 1.123456789012345600 has more digits"),
            ("float", [2**24 + 1], pl.Int32, f"Int32; its value {2**24 + 1} is no float exactly"),
            ("float", [0.5, 1e39], pl.Float64, "Float64; its value 1e+39 is too large for single precision; log the model with this"),
            ("long", [2.0, 2.5], pl.Float64, "Float64; its value 2.5 is not whole; round it, or log the model with this column as double"),
            ("long", [Decimal("2.50")], pl.Decimal(9, 2), "its value 2.50 is not whole"),
            ("long", [INF], pl.Float64, "its value inf is beyond the range of long"),
            ("long", [2.0**63], pl.Float64, "is beyond the range of long"),
            ("long", [2**63], pl.UInt64, f"its value {2**63} is beyond the range of long; correct it, or log the model with a wider type"),
            ("integer", [2**31], pl.Int64, f"Int64; its value {2**31} is beyond the range of integer"),
            ("boolean", [0, 2], pl.Int64, "Int64; its value 2 is neither 0 nor 1; correct it"),
            ("boolean", [0.5], pl.Float64, "its value 0.5 is neither 0 nor 1"),
            ("datetime", [date(1600, 1, 1)], pl.Date, "its value 1600-01-01 is not between the years 1678 and 2262"),
            ("datetime", [datetime(9999, 1, 1)], pl.Datetime("us"), "its value 9999-01-01 00:00:00 is not between the years"),  # noqa: DTZ001
        ],
    )  # fmt: skip
    def test_the_first_value_that_would_change_is_named(
        self, wanted: str, values: list[Any], dtype: Any, sentence: str
    ) -> None:
        said = refused(wanted, values, dtype)
        assert said.startswith(f"version 7 reads the column 'x' as {wanted}, and the batch has it as ")
        assert sentence in said

    @pytest.mark.parametrize(
        ("wanted", "dtype", "advice"),
        [
            ("double", pl.String, "write it as numbers"),
            ("long", pl.Date, "write it as numbers"),
            ("boolean", pl.Categorical, "write it as numbers"),
            ("string", pl.Int64, "write it as text"),
            ("string", pl.Boolean, "write it as text"),
            ("datetime", pl.String, "write it as dates or times"),
            ("datetime", pl.Int64, "write it as dates or times"),
            ("binary", pl.String, "write it as bytes"),
            ("array", pl.Float64, "write it as lists"),
            ("object", pl.String, "write it as structs"),
        ],
    )
    def test_a_type_that_does_not_fit_is_known_before_a_row_is_read(self, wanted: str, dtype: Any, advice: str) -> None:
        sentence = f"version 7 reads the column 'x' as {wanted}, and the batch has it as {pl.Series(dtype=dtype).dtype}; {advice}"
        with pytest.raises(ScoringError) as error:
            Signature("7", (Column("x", wanted),)).check({"x": pl.Series(dtype=dtype).dtype})
        assert str(error.value) == sentence
        assert refused(wanted, [None], dtype) == sentence


class TestTables:
    SIGNATURE = Signature("7", (Column("b", "long"), Column("a", "double"), Column("o", "long", required=False)))

    def test_they_have_the_signatures_columns_in_its_order(self) -> None:
        rows = pl.DataFrame({"a": [1, 2], "o": [3, 4], "other": ["x", "y"], "b": [5, 6]})
        table = self.SIGNATURE.table(rows, ())
        assert table.to_pydict() == {"b": [5, 6], "a": [1.0, 2.0], "o": [3, 4]}
        assert [f.nullable for f in table.schema] == [False, True, False]

    def test_a_column_with_a_gap_anywhere_in_the_batch_is_nullable_in_every_chunk(self) -> None:
        rows = pl.DataFrame({"a": [1.0], "b": [5]})
        assert self.SIGNATURE.table(rows, {"b"}).schema.field("b").nullable

    def test_an_optional_column_that_the_batch_does_not_have_is_null_and_marked(self) -> None:
        table = self.SIGNATURE.table(pl.DataFrame({"a": [1.0], "b": [5]}), ())
        assert table.schema.field("o").metadata == {ABSENT: b"1"}
        assert table.column("o").to_pylist() == [None]
        assert table.schema.field("o").type == pa.int64()

    def test_required_columns_that_are_missing_and_optional_ones_that_are_there(self) -> None:
        assert self.SIGNATURE.missing(["a"]) == ("b",)
        assert self.SIGNATURE.present(["a", "b"]) == ("b", "a")
        assert self.SIGNATURE.present(["a", "b", "o", "more"]) == ("b", "a", "o")
        assert self.SIGNATURE.integral(["a", "b"]) == ("b",)

    def test_a_gap_is_a_null_or_not_a_number(self) -> None:
        rows = pl.DataFrame({"i": [1, None], "f": [NAN, 1.0]})
        found = rows.select(gaps(c, t) for c, t in rows.schema.items())
        assert found.to_dict(as_series=False) == {"i": [False, True], "f": [True, False]}


class TestReading:
    def read(self, *columns: dict[str, Any]) -> Signature:
        return read_signature("7", {"signature": {"inputs": json.dumps(columns)}})

    def test_names_types_and_what_is_optional(self) -> None:
        given = self.read({"name": "a", "type": "double"}, {"name": "o", "type": "string", "required": False})
        assert given.columns == (Column("a", "double"), Column("o", "string", required=False))

    @pytest.mark.parametrize("description", [{}, {"signature": None}, {"signature": {"inputs": None}}])
    def test_without_a_signature(self, description: dict[str, Any]) -> None:
        with pytest.raises(
            RegistryError, match="version 7 has no signature; log it with one that names the columns it reads"
        ):
            read_signature("7", description)

    @pytest.mark.parametrize(
        "column",
        [{"type": "double"}, {"type": "tensor", "tensor-spec": {"dtype": "float64", "shape": [-1, 2]}, "name": "x"}],
    )
    def test_without_names_or_with_tensors(self, column: dict[str, Any]) -> None:
        with pytest.raises(
            RegistryError, match="version 7: its signature names no columns; log it with a data frame as input"
        ):
            self.read(column)

    def test_a_type_that_no_column_has(self) -> None:
        with pytest.raises(
            RegistryError, match="version 7 reads the column 'm' as map, which no column of a batch holds; log"
        ):
            self.read({"name": "m", "type": "map", "values": {"type": "double"}})
