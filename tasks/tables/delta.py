"""The files that a Delta table consists of now, by its log, which the library deltalake reads."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

import polars as pl
import pyarrow as pa

from tasks.base.errors import first_line
from tasks.store import Store, StoredObject, is_key
from tasks.tables.files import PassedOver, RowFile, TableError
from tasks.tables.sources import ParquetSource, parquet_source

if TYPE_CHECKING:
    from deltalake import DeltaTable

__all__ = ["delta_sources"]

_VALUE = "partition."
_BEYOND = {"deletionVectors", "columnMapping"}  # features that make a file's rows or names others than the table's


def delta_sources(
    store: Store, root: str, objects: Sequence[StoredObject]
) -> tuple[list[ParquetSource], RowFile, list[PassedOver]]:
    """The table's files now, the newest entry of its log, and everything else below its folder. Raises TableError."""
    try:
        from deltalake import DeltaTable
        from deltalake.exceptions import DeltaError
    except ModuleNotFoundError:
        msg = f"{root} is a Delta table; add 'deltalake' to requirements-models.txt and run 'make env'"
        raise TableError(msg) from None
    log = [o for o in objects if o.key.startswith(f"{root}/_delta_log/") and is_key(o.key)]
    with tempfile.TemporaryDirectory(prefix="dethrone-") as copy:  # so that only the store talks to its server
        for entry in log:
            path = Path(copy) / entry.key.removeprefix(f"{root}/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(store.read(entry.key))
        try:
            table = DeltaTable(copy)
            adds = pl.DataFrame(pl.from_arrow(pa.table(table.get_add_actions(flatten=True))))
        except (DeltaError, ValueError, OSError) as error:
            msg = f"{root} cannot be read as a Delta table; repair its log, or write the table again ({first_line(error)})"
            raise TableError(msg) from error
        _require_plain(root, table)
        declared = _declared(table)
        newest = f"{root}/_delta_log/{table.version():020}.json"
    sizes = {o.key: o.size for o in objects}
    sources = []
    for row in adds.iter_rows(named=True):
        key = next((k for p in (row["path"], unquote(row["path"])) if (k := f"{root}/{p}") in sizes), None)
        if key is None:
            msg = f"{root}: the Delta table names the file {row['path']}, which is not below its folder; restore it from a backup"
            raise TableError(msg)
        values = {n.removeprefix(_VALUE): v for n, v in row.items() if n.startswith(_VALUE)}
        sources.append(replace(parquet_source(store, key, sizes[key]), declared=declared, partitions=values))
    read = {newest, *(s.key for s in sources)}
    passed = [PassedOver(o.key, _reason(root, o.key)) for o in objects if o.key not in read]
    return sources, RowFile(newest, sizes.get(newest, 0), "json"), passed


def _reason(root: str, key: str) -> str:
    if key.startswith(f"{root}/_delta_log/"):
        return "a part of the Delta table's log"
    return "not a part of the Delta table now"


def _require_plain(root: str, table: DeltaTable) -> None:
    features = _BEYOND & set(table.protocol().reader_features or ())
    mapped = table.metadata().configuration.get("delta.columnMapping.mode", "none") != "none"
    if features or mapped:
        named = ", ".join(sorted(features)) or "columnMapping"
        msg = f"{root}: the Delta table uses {named}, which cannot be read; write its rows as a table without, or as Parquet"
        raise TableError(msg)


def _declared(table: DeltaTable) -> dict[str, pl.DataType]:
    """Columns with their types: a file from before a column was added has none of it."""
    empty = pl.from_arrow(pa.schema(table.schema().to_arrow()).empty_table())
    assert isinstance(empty, pl.DataFrame)
    return dict(empty.schema)
