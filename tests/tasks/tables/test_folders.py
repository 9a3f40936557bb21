"""Folders as people keep them: what is read of them, what is passed over and why, and what their columns are."""

from __future__ import annotations

import gzip
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from parcels import put_frame

from tasks.store import Store, open_store
from tasks.tables.files import TableError
from tasks.tables.opening import NoRowsError, open_table
from tasks.tables.table import Table

FOLDER = "p/batches/b"


@pytest.fixture
def store(store_uri: str) -> Store:
    return open_store(store_uri)


def opened(store: Store, folder: str = FOLDER) -> Table:
    return open_table(store, folder, parent="p/batches", ids=["id"])


def rows_of(table: Table, *columns: str) -> list[tuple[Any, ...]]:
    return pl.concat(list(table.chunks(columns or table.columns))).rows()


def put(store: Store, name: str, text: str) -> None:
    store.write(f"{FOLDER}/{name}", text.encode())


class TestKinds:
    def test_files_of_every_kind_at_any_depth_are_one_table_in_the_order_of_their_keys(self, store: Store) -> None:
        for number, name in enumerate(("a.parquet", "b.pq", "c.PARQ", "d/e/part-00000")):
            put_frame(store, f"{FOLDER}/{name}", pl.DataFrame({"id": [f"p{number}"], "x": [float(number)]}))
        put(store, "f.csv", "x,id\n4.5,p4\n")
        store.write(f"{FOLDER}/g.csv.gz", gzip.compress(b"id,x\np5,5\n"))
        put(store, "h.jsonl", '{"id": "p6", "x": 6}\n{"x": 7.5, "id": "p7"}\n')
        store.write(f"{FOLDER}/i.ndjson.gz", gzip.compress(b'{"id": "p8", "x": 8}'))
        table = opened(store)
        assert table.schema == {"id": pl.String, "x": pl.Float64}
        expected = [0.0, 1.0, 2.0, 3.0, 4.5, 5.0, 6.0, 7.5, 8.0]
        assert rows_of(table, "id", "x") == [(f"p{n}", x) for n, x in enumerate(expected)]
        assert len(table.files) == 8
        assert table.passed_over == ()

    def test_what_is_passed_over_is_named_with_its_reason(self, store: Store) -> None:
        put_frame(store, f"{FOLDER}/part-0.parquet", pl.DataFrame({"id": ["a"]}))
        names = (
            "_SUCCESS",
            "notes.txt",
            "rows.orc",
            "half.parquet.tmp",
            "part-0.parquet.crc",
            "_temporary/0/part-1.parquet",
        )
        for name in (*names, "old", "_old/part-0.parquet"):
            put(store, name, "" if name in ("_SUCCESS", "old") else "something")
        passed = {p.key.removeprefix(f"{FOLDER}/"): (p.reason, p.may_hold_rows) for p in opened(store).passed_over}
        unknown = "its type is not known: rows are Parquet (.parquet), CSV (.csv) or JSON Lines (.jsonl)"
        assert passed == {
            "_SUCCESS": ("a marker", False),
            "notes.txt": (unknown, True),
            "rows.orc": (unknown, True),
            "half.parquet.tmp": ("a temporary file of a write that is not finished", True),
            "part-0.parquet.crc": ("a checksum", False),
            "_temporary/0/part-1.parquet": ("a temporary file of a write that is not finished", True),
            "_old/part-0.parquet": ("in a folder whose name begins with _", True),
            "old": ("empty", False),
        }

    def test_a_folder_of_an_unfinished_write_alone_holds_no_rows(self, store: Store) -> None:
        put(store, "_temporary/0/part-0.parquet", "half")
        sentence = r"no file of rows below p/batches/b/ \(passed over: .*part-0.parquet: a temporary file of a write that is not finished\)"
        with pytest.raises(NoRowsError, match=sentence):
            opened(store)

    def test_rows_that_may_be_there_twice_are_refused(self, store: Store) -> None:
        put(store, "rows.csv", "id\na\n")
        put_frame(store, f"{FOLDER}/rows.parquet", pl.DataFrame({"id": ["a"]}))
        with pytest.raises(
            TableError, match=r"b/rows.csv and p/batches/b/rows.parquet have the same name and may hold the same rows"
        ):
            opened(store)

    @pytest.mark.parametrize(
        ("name", "text", "sentence"),
        [
            ("rows.csv", "id,x\na,1,2\n", r"b/rows.csv cannot be read as CSV; write it again \("),
            ("rows.csv", "id,id\na,1\n", r"b/rows.csv: its header names the column 'id' twice; rename one of them"),
            ("rows.jsonl", '{"id": "a"}\nnonsense\n', r"b/rows.jsonl cannot be read as JSON Lines; write it again \("),
            ("rows.csv", "", r"b/rows.csv is empty, or a link that leads nowhere; write it again, or remove it"),
        ],
    )
    def test_a_file_that_is_not_what_its_name_says_is_named(
        self, store: Store, name: str, text: str, sentence: str
    ) -> None:
        put(store, name, text)
        with pytest.raises(TableError, match=sentence):
            opened(store)


class TestLinks:
    def test_a_file_that_has_two_names_is_read_once(self, tmp_path: Path) -> None:
        store = open_store(str(tmp_path / "store"))
        put_frame(store, f"{FOLDER}/a.parquet", pl.DataFrame({"id": ["a"]}))
        folder = tmp_path / "store" / FOLDER
        (folder / "b.parquet").symlink_to("a.parquet")
        (folder / "loop").symlink_to(folder)
        table = opened(store)
        assert rows_of(table) == [("a",)]
        assert [str(p) for p in table.passed_over] == [
            f"{FOLDER}/b.parquet: a link, or another name, of {FOLDER}/a.parquet"
        ]
        (folder / "c.parquet").symlink_to("nowhere.parquet")
        with pytest.raises(TableError, match=r"c.parquet is empty, or a link that leads nowhere"):
            opened(store)

    def test_a_link_to_a_folder_elsewhere_is_a_part_of_the_batch(self, tmp_path: Path) -> None:
        store = open_store(str(tmp_path / "store"))
        elsewhere = tmp_path / "elsewhere"
        elsewhere.mkdir()
        pl.DataFrame({"id": ["a"]}).write_parquet(elsewhere / "rows.parquet")
        (tmp_path / "store/p/batches").mkdir(parents=True)
        (tmp_path / "store" / FOLDER).symlink_to(elsewhere)
        assert rows_of(opened(store)) == [("a",)]


class TestHive:
    def test_the_folders_give_columns_typed_as_hive_types_them(self, store: Store) -> None:
        folders = ("date=2024-01-07/region=north/n=1", "date=2024-01-08/region=a%2Fb/n=__HIVE_DEFAULT_PARTITION__")
        for number, below in enumerate(folders):
            put_frame(store, f"{FOLDER}/{below}/rows.parquet", pl.DataFrame({"id": [number, 9]}))
        table = opened(store)
        assert table.schema == {"id": pl.Int64, "date": pl.Date, "region": pl.String, "n": pl.Int64}
        assert rows_of(table, "region", "id", "n", "date") == [
            ("north", 0, 1, date(2024, 1, 7)), ("north", 9, 1, date(2024, 1, 7)),
            ("a/b", 1, None, date(2024, 1, 8)), ("a/b", 9, None, date(2024, 1, 8)),
        ]  # fmt: skip
        assert rows_of(table, "date") == [(date(2024, 1, 7),)] * 2 + [(date(2024, 1, 8),)] * 2
        assert table.nullable(["n", "id", "region"]) == {"n"}

    def test_the_folder_of_the_batch_gives_its_column_too(self, store: Store) -> None:
        put_frame(store, "p/batches/date=2024-01-07/rows.parquet", pl.DataFrame({"id": ["a"]}))
        assert rows_of(opened(store, "p/batches/date=2024-01-07")) == [("a", date(2024, 1, 7))]

    def test_the_value_of_a_folder_counts_where_the_file_has_the_column_too(self, store: Store) -> None:
        put_frame(store, f"{FOLDER}/k=2/rows.parquet", pl.DataFrame({"id": ["a"], "k": [7]}))
        assert rows_of(opened(store), "k") == [(2,)]
