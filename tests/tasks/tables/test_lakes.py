"""Delta and Iceberg tables: the rows that they hold now, wherever the store is, and no file that they dropped."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake
from pyiceberg.catalog import Catalog
from pyiceberg.catalog.sql import SqlCatalog

from tasks.store import Store, open_store
from tasks.tables.files import TableError
from tasks.tables.opening import open_table
from tasks.tables.table import Table

FOLDER = "p/batches/b"


@pytest.fixture
def store(store_uri: str) -> Store:
    return open_store(store_uri)


def copied(store: Store, local: Path, folder: str = FOLDER) -> None:
    """The table as somebody uploads it: other than where it was written."""
    for path in sorted(local.rglob("*")):
        if path.is_file() and not path.name.startswith("."):
            store.write(f"{folder}/{path.relative_to(local).as_posix()}", path.read_bytes())


def opened(store: Store, folder: str = FOLDER) -> Table:
    return open_table(store, folder, parent="p/batches", ids=["id"])


def rows_of(table: Table, *columns: str) -> list[tuple[Any, ...]]:
    return sorted(pl.concat(list(table.chunks(columns))).rows(), key=str)


class TestDelta:
    def test_only_the_files_that_the_log_names_now_are_read(self, store: Store, tmp_path: Path) -> None:
        rows = pl.DataFrame({"id": ["a", "b", "c"], "x": [1, 2, 3], "region": ["n/1 2", "s", None]})
        write_deltalake(tmp_path / "t", rows.to_arrow(), partition_by=["region"])
        DeltaTable(tmp_path / "t").delete("id = 'b'")
        more = pl.DataFrame({"id": ["d"], "x": [4], "region": ["s"], "late": [0.5]})
        write_deltalake(tmp_path / "t", more.to_arrow(), mode="append", schema_mode="merge")
        copied(store, tmp_path / "t")
        table = opened(store)
        assert rows_of(table, "id", "x", "region", "late") == [
            ("a", 1, "n/1 2", None), ("c", 3, None, None), ("d", 4, "s", 0.5),
        ]  # fmt: skip
        assert table.nullable(["id", "region", "late"]) == {"region", "late"}
        assert [f.key for f in table.files if f.key.endswith(".json")] == [f"{FOLDER}/_delta_log/{2:020}.json"]
        assert [p.reason for p in table.passed_over if p.key.endswith(".parquet")] == [
            "not a part of the Delta table now"
        ]

    def test_a_checkpoint_stands_for_the_log_before_it(self, store: Store, tmp_path: Path) -> None:
        for number in range(3):
            write_deltalake(tmp_path / "t", pa.table({"id": [number]}), mode="append")
        DeltaTable(tmp_path / "t").create_checkpoint()
        copied(store, tmp_path / "t")
        store.delete(f"{FOLDER}/_delta_log/{0:020}.json")
        assert rows_of(opened(store), "id") == [(0,), (1,), (2,)]

    def test_a_file_that_is_gone_and_a_log_that_is_none_have_a_sentence(self, store: Store, tmp_path: Path) -> None:
        write_deltalake(tmp_path / "t", pa.table({"id": [1]}))
        copied(store, tmp_path / "t")
        (gone,) = (k for k in store.keys(FOLDER) if k.endswith(".parquet"))
        store.delete(gone)
        with pytest.raises(
            TableError, match=r"p/batches/b: the Delta table names the file part-.*, which is not below its folder"
        ):
            opened(store)
        store.write(f"{FOLDER}/_delta_log/{0:020}.json", b"nonsense")
        with pytest.raises(
            TableError,
            match=r"p/batches/b cannot be read as a Delta table; repair its log, or write the table again \(",
        ):
            opened(store)

    def test_without_its_library_the_cure_is_named(self, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        store.write(f"{FOLDER}/_delta_log/{0:020}.json", b"")
        monkeypatch.setitem(sys.modules, "deltalake", None)
        sentence = r"p/batches/b is a Delta table; add 'deltalake' to requirements-models.txt and run 'make env'"
        with pytest.raises(TableError, match=sentence):
            opened(store)


class TestIceberg:
    @pytest.fixture
    def catalog(self, tmp_path: Path) -> Catalog:
        catalog = SqlCatalog("c", uri=f"sqlite:///{tmp_path}/catalog.db", warehouse=f"file://{tmp_path}/warehouse")
        catalog.create_namespace("n")
        return catalog

    def test_the_rows_of_its_newest_version_are_read_wherever_it_lies(
        self, store: Store, tmp_path: Path, catalog: Catalog
    ) -> None:
        first = pa.table({"id": ["a", "b"], "x": [1, 2]})
        written = catalog.create_table("n.t", first.schema)
        written.append(first)
        written.append(pa.table({"id": ["c"], "x": [3]}))
        with written.update_schema() as change:
            change.rename_column("x", "y")
        written.delete("id == 'a'")
        copied(store, tmp_path / "warehouse/n/t")
        table = opened(store)
        assert rows_of(table, "id", "y") == [("b", 2), ("c", 3)]
        assert rows_of(table, "y") == [(2,), (3,)]
        assert table.columns == ("id", "y")
        assert table.nullable(["id", "y"]) == frozenset()
        reasons = {p.reason for p in table.passed_over}
        assert reasons == {"a part of the Iceberg table's metadata", "not a part of the Iceberg table now"}
        assert [f.key for f in table.files if "/metadata/" in f.key] == [
            max(k for k in store.keys(FOLDER) if k.endswith(".metadata.json"))
        ]

    def test_a_table_without_rows_has_none(self, store: Store, tmp_path: Path, catalog: Catalog) -> None:
        catalog.create_table("n.t", pa.schema({"id": pa.string()}))
        copied(store, tmp_path / "warehouse/n/t")
        assert list(opened(store).chunks([])) == []

    def test_a_file_that_is_gone_has_a_sentence(self, store: Store, tmp_path: Path, catalog: Catalog) -> None:
        rows = pa.table({"id": ["a"]})
        catalog.create_table("n.t", rows.schema).append(rows)
        copied(store, tmp_path / "warehouse/n/t")
        for key in store.keys(f"{FOLDER}/data"):
            store.delete(key)
        with pytest.raises(
            TableError, match=r"p/batches/b: the Iceberg table names the file file:.*, which is not below its folder"
        ):
            opened(store)

    def test_without_its_library_the_cure_is_named(self, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        store.write(f"{FOLDER}/metadata/v1.metadata.json", b"{}")
        monkeypatch.setitem(sys.modules, "pyiceberg.catalog.noop", None)
        sentence = r"p/batches/b is an Iceberg table; add 'pyiceberg' to requirements-models.txt and run 'make env'"
        with pytest.raises(TableError, match=sentence):
            opened(store)
