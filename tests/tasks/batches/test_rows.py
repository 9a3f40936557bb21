"""Reading a batch: the asked columns, in order, in chunks; and a digest that knows the rows and not their files."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import polars as pl
import pytest
from parcels import put_batch, put_frame

from tasks.base.project import Project
from tasks.batches.listing import batches_in
from tasks.batches.rows import CHUNK_ROWS, BatchError, RowDigest, batch_date, open_batch
from tasks.store import Store

ROWS = pl.DataFrame(
    {
        "id": [f"p{i}" for i in range(50)],
        "x": [float(i) if i % 5 else None for i in range(50)],
        "place": [f"{'ü' * (i % 4)}{i}" if i % 7 else None for i in range(50)],
        "day": [date(2024, 1, 1 + i % 31) for i in range(50)],
    }
)


def read(store: Store, project: Project, columns: Sequence[str], batch: str = "b") -> list[pl.DataFrame]:
    return list(open_batch(store, project, batch).chunks(columns))


def digest_of(store: Store, project: Project, batch: str = "b") -> str:
    rows = open_batch(store, project, batch)
    total = RowDigest(rows.columns)
    for chunk in rows.chunks(rows.columns):
        total.update(chunk)
    assert total.rows == 50
    return total.hexdigest()


def digest(**columns: Any) -> str:
    frame = pl.DataFrame(columns)
    total = RowDigest(frame.columns)
    total.update(frame)
    return total.hexdigest()


class TestReading:
    def test_only_the_asked_columns_are_read_and_they_come_in_the_asked_order(
        self, store: Store, project: Project, columns_read: list[list[str]]
    ) -> None:
        put_batch(store, project, "b", ROWS)
        chunks = read(store, project, ["x", "id"])
        assert pl.concat(chunks).equals(ROWS.select("x", "id"))
        assert columns_read == [["id", "x"]]

    def test_the_rows_come_in_chunks_in_their_order(self, store: Store, project: Project) -> None:
        rows = pl.DataFrame({"id": pl.int_range(2 * CHUNK_ROWS + 2, eager=True)})
        put_batch(store, project, "b", rows)
        chunks = read(store, project, rows.columns)
        assert [c.height for c in chunks] == [CHUNK_ROWS, CHUNK_ROWS, 2]
        assert pl.concat(chunks).equals(rows)

    def test_all_files_of_a_batch_are_one_table_in_the_order_of_their_names(
        self, store: Store, project: Project
    ) -> None:
        put_batch(store, project, "b", ROWS.slice(30), name="year=2024/2")
        put_batch(store, project, "b", ROWS.head(30), name="year=2023/1")
        store.write(f"{project.name}/batches/b/_SUCCESS", b"")
        assert pl.concat(read(store, project, ["id"]))["id"].to_list() == ROWS["id"].to_list()

    def test_another_batch_whose_name_begins_the_same_is_another_batch(self, store: Store, project: Project) -> None:
        put_batch(store, project, "b", ROWS.head(3))
        put_batch(store, project, "b2", ROWS.tail(3))
        assert pl.concat(read(store, project, ["id"]))["id"].to_list() == ["p0", "p1", "p2"]

    def test_a_batch_without_rows_has_no_chunk_with_rows(self, store: Store, project: Project) -> None:
        put_batch(store, project, "b", ROWS.clear())
        assert sum(c.height for c in read(store, project, ["id"])) == 0

    def test_the_batches_are_the_folders_with_parquet_files(self, store: Store, project: Project) -> None:
        assert batches_in(store, project.name) == []
        for batch in ("2024-01-14", "2024-01-07"):
            put_batch(store, project, batch, ROWS)
            put_batch(store, project, batch, ROWS, name="more")
        store.write(f"{project.name}/batches/notes/readme.txt", b"")
        assert batches_in(store, project.name) == ["2024-01-07", "2024-01-14"]


class TestFaults:
    def test_a_batch_that_is_not_there(self, store: Store, project: Project) -> None:
        with pytest.raises(
            BatchError,
            match=r"batch b: .* holds no file of rows below parcels/batches/b/; put its rows there",
        ):
            open_batch(store, project, "b")

    def test_a_folder_with_other_files_only(self, store: Store, project: Project) -> None:
        store.write(f"{project.name}/batches/b/rows.xlsx", b"PK")
        with pytest.raises(BatchError, match=r"\(passed over: parcels/batches/b/rows.xlsx: its type is not known"):
            open_batch(store, project, "b")

    def test_missing_columns_are_named_with_those_that_are_there(self, store: Store, project: Project) -> None:
        put_batch(store, project, "b", ROWS)
        sentence = r"batch b: its rows have no column 'y', 'z'; they have id, x, place, day"
        with pytest.raises(BatchError, match=sentence):
            read(store, project, ["y", "id", "z"])

    @pytest.mark.parametrize("data", [b"id,x\n1,2\n", b"PAR1 and so on PAR1"])
    def test_a_file_that_is_no_parquet_is_named(self, store: Store, project: Project, data: bytes) -> None:
        store.write(f"{project.name}/batches/b/rows.parquet", data)
        with pytest.raises(BatchError, match=r"batch b: parcels/batches/b/rows.parquet cannot be read as Parquet"):
            open_batch(store, project, "b")

    def test_a_file_that_was_cut_short_is_named(self, store: Store, project: Project) -> None:
        put_batch(store, project, "b", ROWS)
        key = f"{project.name}/batches/b/rows.parquet"
        store.write(key, store.read(key)[:-20])
        with pytest.raises(BatchError, match="batch b: "):
            read(store, project, ["id"])

    def test_a_file_without_bytes_is_named(self, store: Store, project: Project) -> None:
        store.write(f"{project.name}/batches/b/rows.parquet", b"")
        sentence = r"batch b: parcels/batches/b/rows.parquet is empty, or a link that leads nowhere; write it again, or remove it"
        with pytest.raises(BatchError, match=sentence):
            open_batch(store, project, "b")


class TestDates:
    def test_a_batch_called_by_a_date_has_that_date(self) -> None:
        assert batch_date("2024-01-07") == date(2024, 1, 7)

    def test_a_date_is_given_with_an_id_that_is_none(self) -> None:
        assert batch_date("week-5", date(2024, 2, 1)) == date(2024, 2, 1)
        assert batch_date("2024-01-07", date(2024, 1, 7)) == date(2024, 1, 7)
        with pytest.raises(BatchError) as caught:
            batch_date("2024-01-07", date(2024, 2, 1))
        assert str(caught.value) == (
            "batch 2024-01-07: its id has the date 2024-01-07, and --batch-dated is 2024-02-01; leave out --batch-dated"
        )

    @pytest.mark.parametrize("week", ["2024-W02", "2024W02", "2024-W02-7"])
    def test_a_week_is_dated_by_its_last_day(self, week: str) -> None:
        assert batch_date(week) == date(2024, 1, 14)

    @pytest.mark.parametrize("batch", ["week-5", "", "2024-13-01"])
    def test_another_one_needs_a_date(self, batch: str) -> None:
        with pytest.raises(BatchError, match=rf"batch {batch}: its id is not a date such as .*; give its date with"):
            batch_date(batch)


class TestDigest:
    def test_the_same_rows_in_other_files_have_the_same_digest(self, store: Store, project: Project) -> None:
        put_batch(store, project, "b", ROWS)
        bounds = [0, 3, 4, 21, 37, 50]
        for number, (begin, end) in enumerate(itertools.pairwise(bounds)):
            put_batch(store, project, "c", ROWS.slice(begin, end - begin), name=str(number))
        assert digest_of(store, project, "c") == digest_of(store, project, "b")

    def test_it_does_not_depend_on_how_the_rows_are_chunked(self, store: Store, project: Project) -> None:
        """In eights, as bits are packed; ``CHUNK_ROWS`` is as many."""
        assert CHUNK_ROWS % 8 == 0
        put_batch(store, project, "b", ROWS)
        for rows in (8, 16, 40):
            total = RowDigest(ROWS.columns)
            for chunk in ROWS.iter_slices(rows):
                total.update(chunk)
            assert total.hexdigest() == digest_of(store, project)

    def test_it_does_not_depend_on_the_order_of_the_columns(self, store: Store, project: Project) -> None:
        put_batch(store, project, "b", ROWS)
        put_frame(store, f"{project.name}/batches/c/rows.parquet", ROWS.select(sorted(ROWS.columns)))
        assert digest_of(store, project, "c") == digest_of(store, project, "b")

    @pytest.mark.parametrize(
        ("one", "other"),
        [
            ({"x": [1.0, 2.0]}, {"x": [1.0, 2.5]}),
            ({"x": [1, 2]}, {"x": [2, 1]}),
            ({"x": [1, 2]}, {"y": [1, 2]}),
            ({"x": [1, None]}, {"x": [1, 0]}),
            ({"x": [None, 1]}, {"x": [1, None]}),
            ({"x": [0.0, None]}, {"x": [0.0, float("nan")]}),
            ({"x": [True, False]}, {"x": [True, None]}),
            ({"x": ["", None]}, {"x": [None, ""]}),
            ({"x": ["ab", "c"]}, {"x": ["a", "bc"]}),
            ({"x": ["é", "e"]}, {"x": ["e", "é"]}),
            ({"x": ["a", ""]}, {"x": ["", "a"]}),
            ({"x": ["a", "b"], "y": ["c", "d"]}, {"x": ["c", "d"], "y": ["a", "b"]}),
            ({"x": [date(2024, 1, 1)]}, {"x": [date(2024, 1, 2)]}),
            ({"x": [datetime(2024, 1, 1, 0, 0, 0, 1)]}, {"x": [datetime(2024, 1, 1)]}),  # noqa: DTZ001
            ({"x": [Decimal("1.5")]}, {"x": [Decimal("1.6")]}),
            ({"x": [[1], [2, 3]]}, {"x": [[1, 2], [3]]}),
            ({"x": [b"\xff"]}, {"x": [b"\xfe"]}),
            ({"x": [{"a": 1}]}, {"x": [{"a": 2}]}),
            ({"x": [[0] * 50]}, {"x": [[0] * 25 + [1] + [0] * 24]}),
            ({"x": [[1.00000001]]}, {"x": [[1.00000002]]}),
            ({"x": pl.Series([19723], dtype=pl.Int32)}, {"x": [date(2024, 1, 1)]}),
            ({"x": pl.Series([1]).cast(pl.Datetime("ms"))}, {"x": pl.Series([1]).cast(pl.Datetime("us"))}),
        ],
        ids=[
            "value", "order", "name", "null or zero", "which is null", "null or not a number", "null or false",
            "null or empty", "where a text ends", "letters beyond ASCII", "which is empty", "whose values", "date",
            "microsecond", "decimal", "list", "bytes", "struct", "middle of a long list", "ninth digit in a list",
            "number or date", "millisecond or microsecond",
        ],
    )  # fmt: skip
    def test_other_rows_have_another_digest(self, one: dict[str, Any], other: dict[str, Any]) -> None:
        assert digest(**one) == digest(**one)
        assert digest(**one) != digest(**other)

    def test_a_row_more_is_another_digest(self) -> None:
        assert digest(x=[0]) != digest(x=[0, 0])
        assert digest(x=[""]) != digest(x=["", ""])
        assert digest(x=[None]) != digest(x=[None] * 9)
