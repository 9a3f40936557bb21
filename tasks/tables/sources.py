"""One file of rows: what columns it has, and its rows in pieces, so that a file of any size is read in bounded memory."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, cast

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from tasks.base.errors import first_line
from tasks.store import Store
from tasks.tables.files import TableError
from tasks.tables.text_values import Texts

__all__ = [
    "CHUNK_BYTES",
    "CHUNK_ROWS",
    "ParquetSource",
    "Source",
    "cannot_be_read",
    "fixed_bytes",
    "parquet_source",
    "without_first",
]

CHUNK_ROWS = 131_072
CHUNK_BYTES = 32 << 20
_PIECE_ROWS = 16_384  # of columns whose values have any length, which may be far longer than they are in the file
_RANGED = (
    pl.Int8,
    pl.Int16,
    pl.Int32,
    pl.Int64,
    pl.String,
)  # types whose bounds in a footer are read as they are meant
_BUFFER = 1 << 20  # without it pyarrow holds whole columns of a row group
_UNREADABLE = (OSError, ValueError, pa.ArrowException, pl.exceptions.PolarsError)


class Source(Protocol):
    """A file that holds ``rows`` rows. A column of ``declared`` that is not in the file is null, as its table says."""

    @property
    def key(self) -> str: ...
    @property
    def size(self) -> int: ...
    @property
    def rows(self) -> int: ...
    @property
    def columns(self) -> Mapping[str, pl.DataType | Texts]: ...
    @property
    def declared(self) -> Mapping[str, pl.DataType]: ...
    @property
    def partitions(self) -> Mapping[str, object]:
        """The values of columns that stand in the table's folders and not in the file."""

    def nulls(self, column: str) -> int | None:
        """How many values are null; None if that is known only once the rows were read."""

    @property
    def counted(self) -> bool:
        """Whether ``pieces`` gives exactly ``rows`` rows."""

    def pieces(self, columns: Sequence[str], first: int = 0) -> Iterator[pl.DataFrame]:
        """These columns of the file, in the order of its rows, from the row ``first`` on. Raises TableError."""


def without_first(pieces: Iterator[pl.DataFrame], rows: int) -> Iterator[pl.DataFrame]:
    """The pieces from this row on."""
    for piece in pieces:
        if rows < piece.height:
            yield piece.slice(rows) if rows else piece
        rows = max(0, rows - piece.height)


@contextlib.contextmanager
def cannot_be_read(key: str, kind: str) -> Iterator[None]:
    """Raise TableError for whatever a library says of a file that is not what its name says."""
    try:
        yield
    except _UNREADABLE as error:
        msg = f"{key} cannot be read as {kind}; write it again ({first_line(error)})"
        raise TableError(msg) from error


def fixed_bytes(dtype: pl.DataType) -> int | None:
    """The bytes of a value; None if values have any length."""
    if dtype.is_nested() or dtype in (pl.String, pl.Binary, pl.Categorical, pl.Enum, pl.Object, pl.Null, pl.Unknown):
        return None
    sizes = {
        pl.Boolean: 1,
        pl.Int8: 1,
        pl.UInt8: 1,
        pl.Int16: 2,
        pl.UInt16: 2,
        pl.Float16: 2,
        pl.Int32: 4,
        pl.UInt32: 4,
    }
    sizes |= {pl.Float32: 4, pl.Date: 4, pl.Decimal: 16, pl.Int128: 16}
    return sizes.get(type(dtype), 8)


@dataclass(frozen=True, slots=True)
class ParquetSource:
    """A Parquet file; ``file_bytes`` are those of a row's columns before compression, as its footer says.

    ``ranges`` are bounds of the values of columns of ids, where all row groups have such statistics.
    """

    store: Store
    key: str
    size: int
    rows: int
    columns: Mapping[str, pl.DataType]
    null_counts: Mapping[str, int]
    file_bytes: Mapping[str, float]
    uuids: frozenset[str] = frozenset()
    ranges: Mapping[str, tuple[int, int] | tuple[str, str]] = field(default_factory=dict)
    declared: Mapping[str, pl.DataType] = field(default_factory=dict)
    partitions: Mapping[str, object] = field(default_factory=dict)

    @property
    def counted(self) -> bool:
        return True

    def nulls(self, column: str) -> int | None:
        return self.null_counts.get(column)

    def pieces(self, columns: Sequence[str], first: int = 0) -> Iterator[pl.DataFrame]:
        """Row groups before the row ``first`` are not read."""
        widths = [fixed_bytes(self.columns[c]) for c in columns]
        bytes_per_row = sum(
            max(w or 0, 0 if w else self.file_bytes.get(c, 8)) for c, w in zip(columns, widths, strict=True)
        )
        rows = _PIECE_ROWS if None in widths else CHUNK_ROWS
        rows = max(8, min(rows, int(CHUNK_BYTES / max(bytes_per_row, 1))))
        with self.store.local(self.key) as path, cannot_be_read(self.key, "Parquet"):
            try:
                with pq.ParquetFile(path, buffer_size=_BUFFER, pre_buffer=False) as file:
                    groups, skipped = _from_group(file.metadata, first)
                    batches = file.iter_batches(rows, row_groups=groups, columns=list(columns))
                    frames = (cast("pl.DataFrame", pl.from_arrow(b)).select(columns) for b in batches)
                    yield from without_first(frames, first - skipped)
            except pa.ArrowNotImplementedError:  # integers of 128 bits, which polars writes and pyarrow does not know
                lazy = pl.scan_parquet(path, glob=False).select(columns).slice(first)
                yield from lazy.collect_batches(chunk_size=rows, maintain_order=True)


def _from_group(footer: pq.FileMetaData, first: int) -> tuple[list[int], int]:
    """The row groups from the one with the row ``first`` on, and how many rows stand before them."""
    skipped = 0
    for group in range(footer.num_row_groups):
        rows = footer.row_group(group).num_rows
        if skipped + rows > first:
            return list(range(group, footer.num_row_groups)), skipped
        skipped += rows
    return [], skipped


def parquet_source(store: Store, key: str, size: int, ids: Collection[str] = ()) -> ParquetSource:
    """Look at the footer of a Parquet file; ``ids`` are columns whose values identify. Raises TableError."""
    with store.local(key) as path, cannot_be_read(key, "Parquet"):
        scanned = pl.scan_parquet(path, glob=False, hive_partitioning=False)
        columns = dict(scanned.collect_schema())
        try:
            footer = pq.read_metadata(path)
        except pa.ArrowNotImplementedError:  # as in pieces
            return ParquetSource(store, key, size, scanned.select(pl.len()).collect().item(), columns, {}, {})
    leaves = [footer.schema.column(i) for i in range(footer.num_columns)]
    sizes: dict[str, float] = {}
    nulls: dict[str, int] = dict.fromkeys(columns, 0)
    uuids = {leaf.path for leaf in leaves if leaf.logical_type.type == "UUID" and leaf.path in columns}
    for group in range(footer.num_row_groups):
        for number, leaf in enumerate(leaves):
            chunk = footer.row_group(group).column(number)
            top = leaf.path if leaf.path in columns else leaf.path.split(".", 1)[0]
            sizes[top] = sizes.get(top, 0) + chunk.total_uncompressed_size / max(footer.num_rows, 1)
            statistics = chunk.statistics
            known = leaf.path in columns and statistics is not None and statistics.has_null_count
            if not known:
                nulls.pop(top, None)
            elif top in nulls:
                nulls[top] += statistics.null_count
    ranges = {leaf.path: found for i, leaf in enumerate(leaves) if leaf.path in ids and (found := _range(footer, i))}
    ranges = {c: r for c, r in ranges.items() if columns.get(c) in _RANGED}
    return ParquetSource(store, key, size, footer.num_rows, columns, nulls, sizes, frozenset(uuids), ranges)


def _range(footer: pq.FileMetaData, column: int) -> Any:
    """Bounds of the values of a column; None where a row group does not tell, or none has a value."""
    found = [footer.row_group(group).column(column).statistics for group in range(footer.num_row_groups)]
    if any(s is None or not (s.has_min_max or (s.has_null_count and not s.num_values)) for s in found):
        return None
    given = [s for s in found if s.has_min_max]
    return (min(s.min for s in given), max(s.max for s in given)) if given else None
