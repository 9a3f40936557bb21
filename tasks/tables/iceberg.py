"""The files that an Iceberg table consists of now, by its metadata; the library pyiceberg reads both."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import polars as pl

from tasks.store import Store, StoredObject
from tasks.tables.files import PassedOver, RowFile, TableError
from tasks.tables.sources import cannot_be_read, without_first

if TYPE_CHECKING:
    from pyiceberg.table import FileScanTask, StaticTable

__all__ = ["iceberg_sources"]

_VERSION = re.compile(r".*/v?(\d+)[^/]*\.metadata\.json")


@dataclass(frozen=True, slots=True)
class IcebergSource:
    """One data file; the library gives its rows the table's columns and leaves out rows that were deleted."""

    key: str
    size: int
    rows: int
    columns: Mapping[str, pl.DataType]
    table: StaticTable
    task: FileScanTask
    declared: Mapping[str, pl.DataType] = field(default_factory=dict)
    partitions: Mapping[str, object] = field(default_factory=dict)

    @property
    def counted(self) -> bool:
        return not self.task.delete_files

    def nulls(self, column: str) -> int | None:  # noqa: ARG002  known once the deleted rows are left out
        return None

    def pieces(self, columns: Sequence[str], first: int = 0) -> Iterator[pl.DataFrame]:
        from pyiceberg.expressions import AlwaysTrue
        from pyiceberg.io.pyarrow import ArrowScan

        with cannot_be_read(self.key, "a file of its Iceberg table"):
            schema = self.table.schema().select(*columns)
            scan = ArrowScan(self.table.metadata, self.table.io, schema, AlwaysTrue())
            batches = scan.to_record_batches([self.task])
            yield from without_first((cast("pl.DataFrame", pl.from_arrow(b)).select(columns) for b in batches), first)


def iceberg_sources(
    store: Store, root: str, objects: Sequence[StoredObject]
) -> tuple[list[IcebergSource], RowFile, list[PassedOver]]:
    """The table's data files now, its newest metadata, and everything else below its folder. Raises TableError."""
    try:
        from pyiceberg.catalog.noop import NoopCatalog
        from pyiceberg.io.pyarrow import schema_to_pyarrow
        from pyiceberg.table import StaticTable
        from pyiceberg.table.metadata import TableMetadataUtil

        from tasks.tables.iceberg_files import StoreFiles
    except ModuleNotFoundError:
        msg = f"{root} is an Iceberg table; add 'pyiceberg' to requirements-models.txt and run 'make env'"
        raise TableError(msg) from None
    sizes = {o.key: o.size for o in objects}
    newest = max((o.key for o in objects if _VERSION.fullmatch(o.key)), key=_version, default=None)
    if newest is None:
        msg = f"{root} looks like an Iceberg table, and no file below {root}/metadata/ has the number of a version; write it again"
        raise TableError(msg)
    with cannot_be_read(newest, "the metadata of an Iceberg table"):
        metadata = TableMetadataUtil.parse_raw(store.read(newest).decode())
        files = StoreFiles(store, root, metadata.location)
        table = StaticTable((root,), metadata, newest, files, NoopCatalog(root))
        tasks = list(table.scan().plan_files()) if table.current_snapshot() else []
        columns = dict(_empty(schema_to_pyarrow(table.schema())).schema)
    sources = []
    for task in tasks:
        key = files.key(task.file.file_path)
        if key not in sizes:
            msg = f"{root}: the Iceberg table names the file {task.file.file_path}, which is not below its folder; restore it from a backup"
            raise TableError(msg)
        sources.append(IcebergSource(key, sizes[key], task.file.record_count, columns, table, task))
    read = {newest, *(s.key for s in sources)}
    reasons = {True: "a part of the Iceberg table's metadata", False: "not a part of the Iceberg table now"}
    passed = [PassedOver(k, reasons[k.startswith(f"{root}/metadata/")]) for k in sizes if k not in read]
    return sources, RowFile(newest, sizes[newest], "json"), passed


def _version(key: str) -> tuple[int, str]:
    match = _VERSION.fullmatch(key)
    return (int(match[1]) if match else -1, key)


def _empty(schema: Any) -> pl.DataFrame:
    empty = pl.from_arrow(schema.empty_table())
    assert isinstance(empty, pl.DataFrame)
    return empty
