"""What the footers of Parquet files say, remembered from run to run, so that files that nobody needs are not opened."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection
from typing import Any

import polars as pl

from tasks.store import KeptStore, StoredObject
from tasks.tables.sources import ParquetSource

__all__ = ["note_footer", "noted_footer"]

_NAMED = {
    str(t): t()
    for t in (
        pl.Boolean, pl.Int8, pl.Int16, pl.Int32, pl.Int64, pl.UInt8, pl.UInt16, pl.UInt32, pl.UInt64, pl.Float32, pl.Float64, pl.String,
        pl.Date,
    )
}  # fmt: skip
_FIELDS = ("rows", "null_counts", "file_bytes", "ranges")


def noted_footer(store: KeptStore, file: StoredObject, ids: Collection[str]) -> ParquetSource | None:
    """The file as its footer said when it was last opened; None if it was not, or has changed since."""
    data = store.noted(_key(file, ids))
    if data is None:
        return None
    value = json.loads(data)
    columns = {c: _type(t) for c, t in value["columns"]}
    ranges = {c: tuple(r) for c, r in value["ranges"].items()}
    known = {**{f: value[f] for f in _FIELDS}, "ranges": ranges}
    return ParquetSource(store, file.key, file.size, columns=columns, **known)


def note_footer(store: KeptStore, file: StoredObject, ids: Collection[str], source: ParquetSource) -> None:
    """Remember what the footer of the file says, unless a column has a type that is rare in label files."""
    if source.uuids or not all(str(t) in _NAMED or isinstance(t, pl.Datetime) for t in source.columns.values()):
        return
    columns = [
        [c, [t.time_unit, t.time_zone] if isinstance(t, pl.Datetime) else str(t)] for c, t in source.columns.items()
    ]
    fields = {f: getattr(source, f) for f in _FIELDS}
    store.note(_key(file, ids), json.dumps({"columns": columns, **fields}, sort_keys=True).encode())


def _type(value: Any) -> pl.DataType:
    return pl.Datetime(*value) if isinstance(value, list) else _NAMED[value]


def _key(file: StoredObject, ids: Collection[str]) -> str:
    """Under which a file is remembered: another one of the same name has another size or came at another time."""
    project_name = file.key.partition("/")[0]
    version = json.dumps([file.key, file.size, file.changed.isoformat(), sorted(ids)])
    return f"{project_name}/footers/{hashlib.sha256(version.encode()).hexdigest()}"
