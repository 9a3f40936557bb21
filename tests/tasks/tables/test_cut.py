"""Cutting: rows from anywhere in a batch, whatever its files are, without reading what stands before where files can tell."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq
import pytest
from parcels import put_frame

from tasks.store import Store, open_store
from tasks.tables.opening import open_table
from tasks.tables.table import Table

FOLDER = "p/batches/b"
ROWS = pl.DataFrame({"id": [f"r{i}" for i in range(100)], "x": [None if i == 77 else i for i in range(100)]})


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(str(tmp_path / "store"))


def opened(store: Store) -> Table:
    return open_table(store, FOLDER, parent="p/batches", ids=["id"])


def put(store: Store, kind: str) -> None:
    """The rows in four files, of which one is empty."""
    for number, (begin, end) in enumerate([(0, 40), (40, 40), (40, 43), (43, 100)]):
        frame, buffer = ROWS.slice(begin, end - begin), BytesIO()
        if kind == "parquet":
            frame.write_parquet(buffer, row_group_size=10)
        elif kind == "csv":
            frame.write_csv(buffer)
        elif frame.height:
            frame.write_ndjson(buffer)
        if buffer.getvalue():
            store.write(f"{FOLDER}/{number}.{kind}", buffer.getvalue())


@pytest.mark.parametrize("kind", ["parquet", "csv", "jsonl"])
@pytest.mark.parametrize(
    ("first", "heights"),
    [(0, (100,)), (0, (8, 8, 84)), (39, (1, 1, 1)), (40, (3,)), (43, (8, 49)), (99, (1,)), (55, (20, 20, 5))],
)
def test_any_rows_are_those_that_stand_there(store: Store, kind: str, first: int, heights: tuple[int, ...]) -> None:
    put(store, kind)
    frames = list(opened(store).cut(["x", "id"], first, heights))
    assert [f.height for f in frames] == list(heights)
    assert pl.concat(frames).equals(ROWS.select("x", "id").slice(first, sum(heights)))


def test_where_the_rows_end_there_are_no_more(store: Store) -> None:
    put(store, "parquet")
    assert [f.height for f in opened(store).cut(["x"], 90, (8, 8, 8))] == [8, 2]
    assert list(opened(store).cut(["x"], 100, (8,))) == []


def test_row_groups_and_files_that_stand_before_are_not_read(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    put(store, "parquet")
    table = opened(store)
    read: list[tuple[int, ...]] = []
    iter_batches = pq.ParquetFile.iter_batches

    def noted(file: pq.ParquetFile, rows: int, *, row_groups: list[int], columns: list[str]) -> object:
        read.append(tuple(row_groups))
        return iter_batches(file, rows, row_groups=row_groups, columns=columns)

    monkeypatch.setattr(pq.ParquetFile, "iter_batches", noted)
    (frame,) = table.cut(["x"], 68, (8,))
    assert frame["x"].to_list() == list(range(68, 76))
    assert read == [(2, 3, 4, 5)]


def test_integers_of_128_bits_are_cut_too(store: Store) -> None:
    wide = pl.DataFrame({"id": range(100), "x": pl.Series(range(100), dtype=pl.Int128)})
    put_frame(store, f"{FOLDER}/rows.parquet", wide)
    (frame,) = opened(store).cut(["x"], 70, (8,))
    assert frame.equals(wide.select("x").slice(70, 8))
