"""One type a column for all files, of Parquet, text and both; ids that join; and sentences where files disagree."""

from __future__ import annotations

import uuid
from datetime import date, datetime
from decimal import Decimal
from io import BytesIO
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from parcels import put_frame

from tasks.store import Store, open_store
from tasks.tables.files import TableError
from tasks.tables.opening import open_table
from tasks.tables.table import Table
from tasks.tables.types import common_type

FOLDER = "p/batches/b"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(str(tmp_path / "store"))


def opened(store: Store) -> Table:
    return open_table(store, FOLDER, parent="p/batches", ids=["id"])


def of_texts(store: Store, *files: str, kind: str = "csv") -> Table:
    for number, text in enumerate(files):
        store.write(f"{FOLDER}/{number}.{kind}", text.encode())
    return opened(store)


def of_frames(store: Store, *frames: pl.DataFrame) -> Table:
    for number, frame in enumerate(frames):
        put_frame(store, f"{FOLDER}/{number}.parquet", frame)
    return opened(store)


def put_arrow(store: Store, name: str, **columns: Any) -> None:
    buffer = BytesIO()
    pq.write_table(pa.table(columns), buffer)
    store.write(f"{FOLDER}/{name}.parquet", buffer.getvalue())


def values(table: Table, column: str) -> list[Any]:
    return pl.concat(list(table.chunks([column])))[column].to_list()


class TestCommonType:
    @pytest.mark.parametrize(
        ("a", "b", "common"),
        [
            (pl.Int32(), pl.Int64(), pl.Int64()),
            (pl.UInt8(), pl.Int8(), pl.Int64()),
            (pl.Int64(), pl.Float64(), pl.Float64()),
            (pl.Int32(), pl.Float32(), pl.Float64()),
            (pl.Float32(), pl.Float64(), pl.Float64()),
            (pl.Decimal(10, 2), pl.Decimal(6, 4), pl.Decimal(12, 4)),
            (pl.Decimal(10, 2), pl.Int64(), pl.Decimal(38, 2)),
            (pl.Decimal(10, 2), pl.Float64(), pl.Float64()),
            (pl.String(), pl.Categorical(), pl.String()),
            (pl.Enum(["a"]), pl.Enum(["b"]), pl.String()),
            (pl.Date(), pl.Datetime("ms"), pl.Datetime("ms")),
            (pl.Datetime("ns"), pl.Datetime("us"), pl.Datetime("us")),
            (pl.Datetime("us", "UTC"), pl.Datetime("us", "Europe/Rome"), pl.Datetime("us", "UTC")),
            (pl.Duration("ns"), pl.Duration("ms"), pl.Duration("us")),
            (pl.List(pl.Int32), pl.List(pl.Int64), pl.List(pl.Int64)),
            (pl.Struct({"a": pl.Int32}), pl.Struct({"a": pl.Int64}), pl.Struct({"a": pl.Int64})),
            (pl.Null(), pl.Boolean(), pl.Boolean()),
            (pl.String(), pl.Int64(), None),
            (pl.Boolean(), pl.Int64(), None),
            (pl.Date(), pl.String(), None),
            (pl.Datetime("us"), pl.Datetime("us", "UTC"), None),
            (pl.Date(), pl.Datetime("us", "UTC"), None),
            (pl.Struct({"a": pl.Int32}), pl.Struct({"a": pl.String}), None),
        ],
    )  # fmt: skip
    def test_it_holds_the_values_of_both_or_there_is_none(
        self, a: pl.DataType, b: pl.DataType, common: pl.DataType | None
    ) -> None:
        assert common_type(a, b) == common_type(b, a) == common


class TestParquet:
    def test_files_that_differ_in_order_widths_and_unread_columns_are_one_table(self, store: Store) -> None:
        one = pl.DataFrame(
            {"id": pl.Series([1], dtype=pl.Int32), "x": pl.Series([0.5], dtype=pl.Float32), "note": ["a"]}
        )
        two = pl.DataFrame({"note": [7], "x": [2], "id": [2**40], "more": [True]})
        table = of_frames(store, one, two)
        assert values(table, "id") == [1, 2**40]
        assert [c.schema for c in table.chunks(["x"])] == [{"x": pl.Float64}]
        assert table.columns == ("id", "x", "note", "more")
        assert table.schema == {"id": pl.Int64, "x": pl.Float64, "more": pl.Boolean}

    def test_times_beyond_the_years_of_nanoseconds_stay(self, store: Store) -> None:
        far = datetime(9999, 12, 31)  # noqa: DTZ001
        table = of_frames(
            store,
            pl.DataFrame({"t": [far]}),
            pl.DataFrame({"t": pl.Series([date(2024, 1, 7)]).cast(pl.Datetime("ns"))}),
        )
        assert values(table, "t") == [far, datetime(2024, 1, 7)]  # noqa: DTZ001

    def test_text_and_numbers_in_a_column_that_is_read_are_refused(self, store: Store) -> None:
        table = of_frames(
            store, pl.DataFrame({"x": [None]}), pl.DataFrame({"x": [1]}), pl.DataFrame({"x": ["one"], "y": [2]})
        )
        sentence = (
            r"the column 'x' is Int64 in p/batches/b/1.parquet and String in p/batches/b/2.parquet; "
            "write one of the files again, so that both have one type"
        )
        with pytest.raises(TableError, match=sentence):
            values(table, "x")
        with pytest.raises(
            TableError, match=r"b/0.parquet has no column 'y', which other files have; it has x; add it"
        ):
            values(table, "y")

    def test_a_file_without_rows_has_no_say(self, store: Store) -> None:
        table = of_frames(
            store, pl.DataFrame({"x": pl.Series([], dtype=pl.String)}), pl.DataFrame({"x": [1], "y": [2]})
        )
        assert (values(table, "x"), values(table, "y")) == ([1], [2])

    def test_a_number_that_does_not_fit_is_refused(self, store: Store) -> None:
        big = pl.DataFrame({"x": pl.Series([2**64 - 1], dtype=pl.UInt64)})
        with pytest.raises(TableError, match=r"b/0.parquet: a value of the column 'x' does not fit into Int64"):
            values(of_frames(store, big, pl.DataFrame({"x": [-1]})), "x")

    @pytest.mark.parametrize(
        ("fits", "too_long", "dtype"),
        [
            (2**53, 2**53 + 1, pl.Int64),
            (-(2**63), 2**63 - 1, pl.Int64),
            (2**63, 2**64 - 1, pl.UInt64),
            (2**100, 2**100 + 1, pl.Int128),
            (Decimal("12.25"), Decimal("12345678901234567.89"), pl.Decimal(20, 2)),
        ],
    )  # fmt: skip
    def test_digits_that_the_doubles_of_another_file_do_not_hold_are_refused(
        self, store: Store, fits: Any, too_long: Any, dtype: Any
    ) -> None:
        def beside_doubles(value: Any) -> list[Any]:
            exact = pl.DataFrame({"x": pl.Series([value, None], dtype=dtype)})
            return values(of_frames(store, exact, pl.DataFrame({"x": [0.5]})), "x")

        assert beside_doubles(fits) == [float(fits), None, 0.5]
        with pytest.raises(TableError, match=r"b/0.parquet: a value of the column 'x' does not fit into Float64"):
            beside_doubles(too_long)

    def test_integers_of_128_bits_and_decimals_are_read(self, store: Store) -> None:
        frame = pl.DataFrame({"w": pl.Series([2**70], dtype=pl.Int128), "d": [Decimal("1.50")]})
        table = of_frames(store, frame)
        assert (values(table, "w"), values(table, "d")) == ([2**70], [Decimal("1.50")])
        assert table.nullable(["w"]) == frozenset()

    def test_which_columns_have_nulls_is_told_by_the_footers_or_else_by_the_rows(self, store: Store) -> None:
        first = pl.DataFrame({"a": [1, 2], "b": [1.0, None], "c": [[1], [2]], "d": [[1], None]})
        table = of_frames(store, first, first.with_columns(b=1.0))
        assert table.nullable(["a", "b", "c", "d"]) == {"b", "d"}
        assert table.nullable(["a", "c"]) == frozenset()


class TestIds:
    def test_uuids_are_text_however_they_are_stored(self, store: Store) -> None:
        ids = [uuid.UUID(int=n) for n in (1, 2**127)]
        raw = [i.bytes for i in ids]
        put_arrow(store, "1", id=pa.array(raw, pa.uuid()), other=pa.array(raw, pa.uuid()))
        put_arrow(store, "2", id=pa.array(raw, pa.binary(16)), other=pa.array(raw, pa.binary(16)))
        put_arrow(store, "3", id=pa.array([raw[0], None], pa.binary()), other=pa.array(map(str, ids)))
        put_arrow(store, "4", id=pa.array(map(str, ids)), other=pa.array(map(str, ids)))
        table = opened(store)
        text = [str(i) for i in ids]
        assert values(table, "id") == [*text, *text, text[0], None, *text]
        assert table.nullable(["id"]) == {"id"}
        with pytest.raises(TableError, match=r"the column 'other' is String in .*1.parquet and Binary in .*2.parquet"):
            values(table, "other")

    def test_other_bytes_are_no_ids(self, store: Store) -> None:
        put_arrow(store, "1", id=pa.array([b"0123456789ab"]))
        with pytest.raises(
            TableError, match=r"1.parquet: the column 'id' holds 12 bytes; ids are integers, text or UUIDs of 16"
        ):
            values(opened(store), "id")

    @pytest.mark.parametrize(
        ("files", "expected"),
        [
            (("id\n007\n12\n",), ["007", "12"]),
            (("id\n7\n", "id\n012\n"), ["7", "012"]),
            (("id\n1e5\n2e7\n",), ["1e5", "2e7"]),
            (("id\n2024-01-07\n",), ["2024-01-07"]),
            (("id\ntrue\n",), ["true"]),
            (("id\n7\n12\n",), [7, 12]),
            (("id\n7.0\n12.0\n",), [7.0, 12.0]),
        ],
    )
    def test_in_csv_they_are_text_unless_all_are_whole_numbers(
        self, store: Store, files: tuple[str, ...], expected: list[Any]
    ) -> None:
        """7.0 is what a null beside it makes of 7; who scores or labels it is told."""
        assert values(of_texts(store, *files), "id") == expected


class TestText:
    def test_the_type_of_a_csv_column_is_that_of_all_values_in_all_files(self, store: Store) -> None:
        many = "".join(f"{n},1,true,2024-01-07,2024-01-07 12:00,2024-01-07T12:00:00Z,x\n" for n in range(3000))
        table = of_texts(
            store, f"i,f,b,d,t,z,s\n{many}", "i,f,b,d,t,z,s\n-1,2.5,False,,2024-01-08,2024-01-07T12:00+02:00,7\n"
        )
        assert table.schema == {
            "i": pl.Int64, "f": pl.Float64, "b": pl.Boolean, "d": pl.Date, "t": pl.Datetime("us"), "z": pl.Datetime("us", "UTC"),
            "s": pl.String,
        }  # fmt: skip
        last = pl.concat(list(table.chunks(table.columns))).tail(1).with_columns(pl.col("z").dt.replace_time_zone(None))
        assert last.row(0) == (-1, 2.5, False, None, datetime(2024, 1, 8), datetime(2024, 1, 7, 10), "7")  # noqa: DTZ001
        assert table.nullable(table.columns) == {"d"}

    def test_an_empty_field_is_null_and_an_empty_text_in_quotes_is_not(self, store: Store) -> None:
        table = of_texts(store, 'x,s,n\n1,"",\n,a,""\n2,"two\nlines",3\n')
        assert values(table, "x") == [1, None, 2]
        assert values(table, "s") == ["", "a", "two\nlines"]
        assert values(table, "n") == [None, None, 3]
        assert table.nullable(["x", "s", "n"]) == {"x", "n"}

    def test_a_postcode_with_a_leading_zero_is_no_number(self, store: Store) -> None:
        assert values(of_texts(store, "x\n01067\n10115\n"), "x") == ["01067", "10115"]

    def test_text_takes_the_type_of_the_parquet_files_beside_it(self, store: Store) -> None:
        typed = pl.DataFrame(
            {"s": ["a"], "f": pl.Series([1.5], dtype=pl.Float32), "d": [date(2024, 1, 7)], "b": [True]}
        )
        put_frame(store, f"{FOLDER}/typed.parquet", typed)
        table = of_texts(store, "s,f,d,b\n7,2,2024-01-08,false\n")
        assert [values(table, c) for c in "sfdb"] == [
            ["7", "a"], [2.0, 1.5], [date(2024, 1, 8), date(2024, 1, 7)], [False, True],
        ]  # fmt: skip

    def test_words_beside_numbers_are_refused(self, store: Store) -> None:
        put_frame(store, f"{FOLDER}/typed.parquet", pl.DataFrame({"x": [1]}))
        table = of_texts(store, "x\none\n")
        with pytest.raises(TableError, match=r"the column 'x' is Int64 in .*typed.parquet and String in .*0.csv"):
            values(table, "x")

    def test_json_lines_keep_their_own_types_and_lines_may_lack_columns(self, store: Store) -> None:
        lines = '{"id": "007", "x": 1, "d": "2024-01-07"}\n\n{"id": "8", "l": [1, 2]}\n{"x": 2.5, "id": null}'
        table = of_texts(store, lines, kind="jsonl")
        assert table.schema == {"id": pl.String, "x": pl.Float64, "d": pl.Date, "l": pl.List(pl.Int64)}
        assert [values(table, c) for c in ("id", "x", "l")] == [
            ["007", "8", None],
            [1, None, 2.5],
            [None, [1, 2], None],
        ]
        assert table.nullable(table.columns) == {"id", "x", "d", "l"}
