"""Files of text, CSV and JSON Lines: the types of their columns are those that all of their values have."""

from __future__ import annotations

import gzip
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, cast

import polars as pl
import pyarrow as pa
from pyarrow import csv

from tasks.store import Store
from tasks.tables.files import TableError
from tasks.tables.sources import cannot_be_read, without_first
from tasks.tables.text_values import Texts, look_at_texts
from tasks.tables.types import common_type

__all__ = ["CsvSource", "JsonSource", "csv_source", "json_source"]

_BLOCK = 1 << 20  # bytes of text that are held at once


@dataclass(frozen=True, slots=True)
class CsvSource:
    """A CSV file with a header, all of it text."""

    store: Store
    key: str
    size: int
    rows: int
    columns: Mapping[str, Texts]
    declared: Mapping[str, pl.DataType] = field(default_factory=dict)
    partitions: Mapping[str, object] = field(default_factory=dict)

    @property
    def counted(self) -> bool:
        return True

    def nulls(self, column: str) -> int | None:
        return self.columns[column].nulls + self.columns[column].empty

    def pieces(self, columns: Sequence[str], first: int = 0) -> Iterator[pl.DataFrame]:
        with self.store.local(self.key) as path, cannot_be_read(self.key, "CSV"):
            yield from without_first(_csv(path, list(self.columns), columns), first)


@dataclass(frozen=True, slots=True)
class JsonSource:
    """A file with one JSON object a line; ``types`` are those that it is read with."""

    store: Store
    key: str
    size: int
    rows: int
    columns: Mapping[str, pl.DataType | Texts]
    types: Mapping[str, pl.DataType]
    null_counts: Mapping[str, int]  # an empty text is none
    declared: Mapping[str, pl.DataType] = field(default_factory=dict)
    partitions: Mapping[str, object] = field(default_factory=dict)

    @property
    def counted(self) -> bool:
        return True

    def nulls(self, column: str) -> int | None:
        own = self.columns[column]
        return self.null_counts[column] + (own.empty if isinstance(own, Texts) else 0)

    def pieces(self, columns: Sequence[str], first: int = 0) -> Iterator[pl.DataFrame]:
        schema = pl.Schema({c: self.types[c] for c in columns})
        with self.store.local(self.key) as path, cannot_be_read(self.key, "JSON Lines"):
            read = (pl.read_ndjson(BytesIO(block), schema=schema).select(columns) for block in _lines(path))
            yield from without_first(read, first)


def csv_source(store: Store, key: str, size: int, ids: Collection[str]) -> CsvSource:
    """Look at all values of a CSV file. Raises TableError."""
    rows = 0
    with store.local(key) as path, cannot_be_read(key, "CSV"):
        names = _header(path)
        repeated = sorted({n for n in names if names.count(n) > 1})
        if repeated:
            msg = f"{key}: its header names the column {repeated[0]!r} twice; rename one of them"
            raise TableError(msg)
        columns = {n: Texts.any(is_id=n in ids) for n in names}
        for piece in _csv(path, names, names):
            rows += piece.height
            columns = {n: look_at_texts(t, piece[n], is_id=n in ids) for n, t in columns.items()}
    return CsvSource(store, key, size, rows, columns)


def json_source(store: Store, key: str, size: int, ids: Collection[str]) -> JsonSource:
    """Look at all values of a file of JSON Lines. Raises TableError."""
    rows = 0
    types: dict[str, pl.DataType] = {}
    texts: dict[str, Texts] = {}
    present: dict[str, int] = {}
    with store.local(key) as path, cannot_be_read(key, "JSON Lines"):
        for block in _lines(path):
            piece = pl.read_ndjson(BytesIO(block), infer_schema_length=None)
            rows += piece.height
            for name, dtype in piece.schema.items():
                common = common_type(types.get(name, pl.Null()), dtype)
                if common is None:
                    msg = f"{key}: the column {name!r} holds {types[name]} in one line and {dtype} in another; write one type"
                    raise TableError(msg)
                types[name] = common
                present[name] = present.get(name, 0) + piece.height - piece[name].null_count()
                if dtype == pl.String:
                    known = texts.get(name, Texts.any(json=True, is_id=name in ids))
                    texts[name] = look_at_texts(known, piece[name], is_id=name in ids)
    nulls = {n: rows - present[n] for n in types}
    columns = {n: replace(texts[n], nulls=nulls[n]) if t == pl.String else t for n, t in types.items()}
    return JsonSource(store, key, size, rows, columns, types, nulls)


def _header(path: Path) -> list[str]:
    with _csv_stream(path) as stream:
        return list(csv.open_csv(stream, csv.ReadOptions(block_size=_BLOCK)).schema.names)


def _csv(path: Path, names: list[str], columns: Sequence[str]) -> Iterator[pl.DataFrame]:
    """An empty field is null, and "" in quotes is an empty text."""
    convert = csv.ConvertOptions(
        column_types=dict.fromkeys(names, pa.string()),
        include_columns=list(columns),
        null_values=[""],
        strings_can_be_null=True,
        quoted_strings_can_be_null=False,
    )
    read, parse = csv.ReadOptions(block_size=_BLOCK, use_threads=False), csv.ParseOptions(newlines_in_values=True)
    with _csv_stream(path) as stream, csv.open_csv(stream, read, parse, convert) as reader:
        for batch in reader:
            yield cast("pl.DataFrame", pl.from_arrow(batch))


def _csv_stream(path: Path) -> pa.NativeFile:
    return pa.input_stream(str(path), compression="gzip" if _is_gzip(path) else None)


def _lines(path: Path) -> Iterator[bytes]:
    """The file in blocks of whole lines."""
    rest = b""
    with gzip.open(path) if _is_gzip(path) else path.open("rb") as opened:
        file = cast("BinaryIO", opened)
        while block := file.read(_BLOCK):
            end = block.rfind(b"\n") + 1
            if not end:
                rest += block
                continue
            if (lines := rest + block[:end]).strip():
                yield lines
            rest = block[end:]
    if rest.strip():
        yield rest


def _is_gzip(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) == b"\x1f\x8b"
