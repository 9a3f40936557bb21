"""Opening the files below a folder as one table, whatever they are."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import replace
from urllib.parse import unquote

from tasks.store import KeptStore, Store, StoredObject
from tasks.tables.delta import delta_sources
from tasks.tables.files import PassedOver, RowFile, TableError, is_parquet, require_distinct, sort_files
from tasks.tables.footers import note_footer, noted_footer
from tasks.tables.iceberg import iceberg_sources
from tasks.tables.sources import Source, parquet_source
from tasks.tables.table import Table
from tasks.tables.text_sources import csv_source, json_source

__all__ = ["NoRowsError", "lake_roots", "log_entry", "open_table", "passed_over"]

_FIRST_NUMBER = re.compile(r"v?(\d+)")
_HIVE_NULL = "__HIVE_DEFAULT_PARTITION__"
_LAKE = re.compile(r"(?P<root>.+?)/(?:(?P<delta>_delta_log)/\d+\.json|metadata/[^/]+\.metadata\.json)")


class NoRowsError(TableError):
    """There is no file of rows below the folder."""


def open_table(
    store: Store, folder: str, *, parent: str, ids: Collection[str] = (), footers: KeptStore | None = None
) -> Table:
    """The files below ``folder`` as one table. Folders below ``parent`` that are named ``column=value`` give their rows columns.

    ``ids`` are columns whose values identify. What footers of Parquet files say is remembered in ``footers``. Raises NoRowsError if
    no file holds rows, TableError if one cannot be read.
    """
    objects = store.objects(folder)
    roots = lake_roots(objects)
    files, passed = sort_files(folder, [o for o in objects if _root_of(o.key, roots) is None])
    require_distinct(files)
    by_key = {o.key: o for o in objects}
    sources: list[Source] = []
    read: list[RowFile] = []
    for file in files:
        known = _looked_at(store, file)
        if isinstance(known, PassedOver):
            passed.append(known)
            continue
        read.append(known)
        source = _source(store, known, ids, footers, by_key[known.key])
        sources.append(replace(source, partitions=_partitions(known.key, parent)))  # type: ignore[type-var]
    for root, is_delta in roots.items():
        inside = [o for o in objects if _root_of(o.key, roots) == root]
        lake = delta_sources if is_delta else iceberg_sources
        more, metadata, over = lake(store, root, inside)
        sources += more
        read += [metadata, *(RowFile(s.key, s.size, "parquet") for s in more)]
        passed += over
    if not read:
        said = "; ".join(map(str, passed[:5]))
        msg = f"{store.uri} holds no file of rows below {folder}/{f' (passed over: {said})' if said else ''}"
        raise NoRowsError(msg)
    return Table(
        tuple(sorted(sources, key=lambda s: s.key)),
        tuple(sorted(read, key=lambda f: f.key)),
        tuple(sorted(passed, key=lambda p: p.key)),
        frozenset(ids),
    )


def lake_roots(objects: Sequence[StoredObject]) -> dict[str, bool]:
    """The folders that are Delta tables (True) or Iceberg tables (False)."""
    found = (_LAKE.fullmatch(o.key) for o in objects)
    return {m["root"]: m["delta"] is not None for m in found if m}


def log_entry(key: str) -> tuple[str, int] | None:
    """The folder of the Delta or Iceberg table whose files this one tells, and the version of the table; None if it tells none."""
    match, number = _LAKE.fullmatch(key), _FIRST_NUMBER.match(key.rpartition("/")[2])
    return (match["root"], int(number[1])) if match and number else None


def passed_over(store: Store, folder: str) -> list[PassedOver]:
    """The files below ``folder`` that ``open_table`` does not read, without looking into those that it does."""
    objects = store.objects(folder)
    roots = lake_roots(objects)
    files, passed = sort_files(folder, [o for o in objects if _root_of(o.key, roots) is None])
    known = (_looked_at(store, f) for f in files if f.kind == "unknown")
    return sorted([*passed, *(k for k in known if isinstance(k, PassedOver))], key=lambda p: p.key)


def _root_of(key: str, roots: dict[str, bool]) -> str | None:
    return next((r for r in roots if key.startswith(f"{r}/")), None)


def _looked_at(store: Store, file: RowFile) -> RowFile | PassedOver:
    """The file with its kind, or why it is passed over."""
    if file.kind != "unknown":
        if not file.size:
            msg = f"{file.key} is empty, or a link that leads nowhere; write it again, or remove it"
            raise TableError(msg)
        return file
    if is_parquet(store, file):
        return replace(file, kind="parquet")
    reason = "its type is not known: rows are Parquet (.parquet), CSV (.csv) or JSON Lines (.jsonl)"
    return PassedOver(file.key, reason, may_hold_rows=True)


def _source(
    store: Store, file: RowFile, ids: Collection[str], footers: KeptStore | None, stored: StoredObject
) -> Source:
    if file.kind == "csv":
        return csv_source(store, file.key, file.size, ids)
    if file.kind == "json":
        return json_source(store, file.key, file.size, ids)
    if footers is None:
        return parquet_source(store, file.key, file.size, ids)
    source = noted_footer(footers, stored, ids)
    if source is None:
        source = parquet_source(store, file.key, file.size, ids)
        note_footer(footers, stored, ids, source)
    return source


def _partitions(key: str, parent: str) -> dict[str, object]:
    folders = key.removeprefix(f"{parent}/").split("/")[:-1]
    pairs = (f.split("=", 1) for f in folders if "=" in f[1:])
    return {unquote(name): None if value == _HIVE_NULL else unquote(value) for name, value in pairs}
