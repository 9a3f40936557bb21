"""The files below a folder as one table, with one type a column, read in chunks of bounded size."""

from __future__ import annotations

import functools
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from tasks.tables.files import PassedOver, RowFile, TableError
from tasks.tables.sources import CHUNK_BYTES, CHUNK_ROWS, Source, fixed_bytes
from tasks.tables.text_values import Texts, from_text
from tasks.tables.types import common_type, lost_in_doubles

__all__ = ["Table", "chunked", "cut"]


@dataclass(frozen=True)
class Table:
    """Rows in the order of their files. ``files`` are all that were read, with those that say which files are rows.

    ``ids`` are columns that identify: UUIDs of 16 bytes in them become text.
    """

    sources: tuple[Source, ...]
    files: tuple[RowFile, ...]
    passed_over: tuple[PassedOver, ...]
    ids: frozenset[str] = frozenset()

    @property
    def rows(self) -> int:
        """How many rows there are, or more, where rows of a file were deleted in another one."""
        return sum(source.rows for source in self.sources)

    @functools.cached_property
    def columns(self) -> tuple[str, ...]:
        """All columns that at least one file has."""
        return tuple(dict.fromkeys(c for s in self.sources for c in _all_columns(s)))

    @functools.cached_property
    def schema(self) -> pl.Schema:
        """The type of each column, without those on whose type the files disagree."""
        types = {c: self._type(c)[0] for c in self.columns}
        return pl.Schema({c: t for c, t in types.items() if t is not None})

    def require(self, columns: Sequence[str]) -> None:
        """Raise TableError if a file lacks one of these columns, or two disagree on its type."""
        for column in columns:
            for source in self._with_rows:
                if column not in _all_columns(source):
                    have = ", ".join(_all_columns(source))
                    msg = f"{source.key} has no column {column!r}, which other files have; it has {have}; add it, or remove the file"
                    raise TableError(msg)
            dtype, one, other = self._type(column)
            if dtype is None:
                msg = (
                    f"the column {column!r} is {self._shown(one, column)} in {one.key} and {self._shown(other, column)} in {other.key}; "
                    "write one of the files again, so that both have one type"
                )
                raise TableError(msg)

    def chunks(self, columns: Sequence[str]) -> Iterator[pl.DataFrame]:
        """The rows in order, at most ``CHUNK_ROWS`` and about ``CHUNK_BYTES`` at a time, with only these columns.

        How they are cut depends on the rows, and not on the files. Raises TableError.
        """
        self.require(columns)
        schema = pl.Schema({c: self.schema[c] for c in columns})
        pieces = (piece for source in self.sources for piece in self._pieces(source, schema))
        yield from chunked(pieces, schema)

    def cut(self, columns: Sequence[str], first: int, heights: Sequence[int]) -> Iterator[pl.DataFrame]:
        """The rows from ``first`` on as frames of these heights, with only these columns; fewer if the rows end before.

        What stands before is not read, as far as its files tell where that ends. Raises TableError.
        """
        self.require(columns)
        schema = pl.Schema({c: self.schema[c] for c in columns})
        yield from cut(self._from(schema, first), heights)

    def _from(self, schema: pl.Schema, first: int) -> Iterator[pl.DataFrame]:
        for source in self.sources:
            if source.counted:
                if source.rows > first:
                    yield from self._pieces(source, schema, first)
                first = max(0, first - source.rows)
                continue
            for piece in self._pieces(source, schema):
                if piece.height > first:
                    yield piece.slice(first)
                first = max(0, first - piece.height)

    def nullable(self, columns: Sequence[str]) -> frozenset[str]:
        """Which of these columns have a null in any row: from what the files tell, or by reading these columns. Raises TableError."""
        self.require(columns)
        found: set[str] = set()
        for source in self._with_rows:
            counts = {c: self._nulls(source, c) for c in columns if c not in found}
            found |= {c for c, n in counts.items() if n}
            unknown = pl.Schema({c: self.schema[c] for c, n in counts.items() if n is None})
            if unknown:
                for piece in self._pieces(source, unknown):
                    found |= {c for c in unknown if piece[c].null_count()}
        return frozenset(found)

    @functools.cached_property
    def _with_rows(self) -> tuple[Source, ...]:
        """A file without rows often has no types either."""
        return tuple(s for s in self.sources if s.rows) or self.sources

    def _nulls(self, source: Source, column: str) -> int | None:
        if column in source.partitions:
            return source.rows if source.partitions[column] is None else 0
        if column not in source.columns:
            return source.rows
        texts = source.columns[column]
        if isinstance(texts, Texts) and self.schema[column] == pl.String:
            return texts.nulls
        return source.nulls(column)

    def _type(self, column: str) -> tuple[pl.DataType | None, Source, Source]:
        """The type, or None and two files that disagree."""
        have = [s for s in self._with_rows if column in _all_columns(s)] or [
            s for s in self.sources if column in _all_columns(s)
        ]
        texts: Texts | None = None
        dtype: pl.DataType = pl.Null()
        first = have[0]
        for source in have:
            own = self._own_type(source, column)
            if isinstance(own, Texts):
                if own.nulls + own.empty < source.rows:
                    texts = own if texts is None else texts.shared_with(own)
                continue
            common = common_type(dtype, own)
            if common is None:
                return None, first, source
            if dtype == pl.Null:
                first = source
            dtype = common
        if texts is None:
            return dtype, first, first
        common = _with_texts(dtype, texts)
        written = next(s for s in have if isinstance(self._own_type(s, column), Texts))
        return common, first, written

    def _own_type(self, source: Source, column: str) -> pl.DataType | Texts:
        if column in source.partitions:
            return self._partition_types[column]
        own = source.columns.get(column) or source.declared[column]
        if own == pl.Binary and (column in self.ids or column in getattr(source, "uuids", ())):
            return pl.String()
        return own

    @functools.cached_property
    def _partition_types(self) -> dict[str, pl.DataType]:
        """Hive's: whole numbers or days if all of the folders' values are, else text; those of a Delta table have a type."""
        values: dict[str, list[object]] = {}
        for source in self.sources:
            for name, value in source.partitions.items():
                values.setdefault(name, []).append(value)
        return {n: _partition_type(v, is_id=n in self.ids) for n, v in values.items()}

    def _shown(self, source: Source, column: str) -> str:
        own = self._own_type(source, column)
        return str(own.best) if isinstance(own, Texts) else str(own)

    def _pieces(self, source: Source, schema: pl.Schema, first: int = 0) -> Iterator[pl.DataFrame]:
        """The rows of one file from ``first`` on, with these columns and types."""
        if not source.rows:
            return
        own = [c for c in schema if c in source.columns and c not in source.partitions]
        for piece in source.pieces(own or [next(iter(source.columns))], first):
            columns = {c: self._converted(source, piece[c], t) for c, t in schema.items() if c in own}
            for name in schema.keys() - columns.keys():
                columns[name] = _repeated(name, source.partitions.get(name), schema[name], piece.height)
            yield pl.DataFrame([columns[c] for c in schema])

    def _converted(self, source: Source, values: pl.Series, dtype: pl.DataType) -> pl.Series:
        if values.dtype == dtype:
            return values
        if values.dtype == pl.Binary and dtype == pl.String:
            return _uuids(source.key, values)
        try:
            if isinstance(source.columns[values.name], Texts) and values.dtype == pl.String:
                return _read_texts(values, dtype)
            return _exactly(values, dtype)
        except pl.exceptions.PolarsError as error:
            msg = f"{source.key}: a value of the column {values.name!r} does not fit into {dtype}, the type of the other files"
            raise TableError(msg) from error


def _all_columns(source: Source) -> dict[str, None]:
    return dict.fromkeys([*source.columns, *source.declared, *source.partitions])


def _with_texts(dtype: pl.DataType, texts: Texts) -> pl.DataType | None:
    """The type of values that are typed in some files and text in others."""
    if dtype == pl.Null:
        return texts.best
    if dtype == pl.String or isinstance(dtype, (pl.Categorical, pl.Enum)):
        return pl.String()
    fitting = [c for t in texts.types if (c := common_type(dtype, t)) is not None]
    return fitting[0] if fitting else None


def _partition_type(values: Sequence[object], *, is_id: bool) -> pl.DataType:
    given = [v for v in values if v is not None]
    if not given or not all(isinstance(v, str) for v in given):
        return pl.Series(given).dtype if given else pl.Null()
    if is_id:
        return pl.String()
    text = pl.Series("value", given, dtype=pl.String)
    if text.str.contains(r"^-?\d{1,18}$").all():
        return pl.Int64()
    return pl.String() if from_text(text, pl.Date()).has_nulls() else pl.Date()


def _repeated(name: str, value: object, dtype: pl.DataType, rows: int) -> pl.Series:
    one = pl.Series(name, [value])
    one = from_text(one, dtype) if isinstance(value, str) and dtype != pl.String else one.cast(dtype)
    return one.new_from_index(0, rows)


def _read_texts(values: pl.Series, dtype: pl.DataType) -> pl.Series:
    """A source has looked at all of its values, so that each is of a type that becomes this one."""
    missing = values.is_null() | (values == "").fill_null(value=False)
    for exact in (dtype, pl.Int64(), pl.Float64(), pl.Date(), pl.Datetime("us"), pl.Datetime("us", "UTC")):
        read = from_text(values, exact)
        if not (read.is_null() & ~missing).any():
            return read.cast(dtype)
    msg = "a value is not of the type"
    raise pl.exceptions.InvalidOperationError(msg)


def _exactly(values: pl.Series, dtype: pl.DataType) -> pl.Series:
    """Integers and decimals that another file has as doubles are cast only where a double holds all of their digits."""
    exact = values.dtype.is_integer() or values.dtype.is_decimal()
    if exact and dtype.is_float() and lost_in_doubles(values).any():
        msg = "a value has more digits than a double holds"
        raise pl.exceptions.InvalidOperationError(msg)
    return values.cast(dtype)


def _uuids(key: str, values: pl.Series) -> pl.Series:
    wrong = values.drop_nulls().bin.size() != 16
    if wrong.any():
        size = len(next(v for v in values if v is not None and len(v) != 16))
        msg = f"{key}: the column {values.name!r} holds {size} bytes; ids are integers, text or UUIDs of 16 bytes"
        raise TableError(msg)
    text = [None if v is None else str(uuid.UUID(bytes=v)) for v in values]
    return pl.Series(values.name, text, dtype=pl.String)


def chunked(pieces: Iterator[pl.DataFrame], schema: pl.Schema) -> Iterator[pl.DataFrame]:
    """Cut rows anew. All chunks but the last have a multiple of 8 rows, as a digest of the rows packs its bits."""
    widths = [fixed_bytes(t) for t in schema.values()]
    fixed, loose = sum(w or 8 for w in widths), [c for c, w in zip(schema, widths, strict=True) if w is None]
    waiting: list[pl.DataFrame] = []
    sizes = np.zeros(0, dtype=np.int64)
    for piece in pieces:
        waiting.append(piece)
        sizes = np.concatenate([sizes, _row_bytes(piece, fixed, loose)])
        while len(sizes) >= CHUNK_ROWS or int(sizes.sum()) > CHUNK_BYTES:
            fit = int(np.searchsorted(np.cumsum(sizes[:CHUNK_ROWS]), CHUNK_BYTES, side="right"))
            rows = max(8, fit - fit % 8)
            if rows > len(sizes):
                break
            whole = pl.concat(waiting)
            waiting, sizes = ([whole.slice(rows)] if rows < len(sizes) else []), sizes[rows:]
            yield whole.head(rows).rechunk()
    if len(sizes):
        yield pl.concat(waiting).rechunk()


def cut(pieces: Iterator[pl.DataFrame], heights: Sequence[int]) -> Iterator[pl.DataFrame]:
    """Cut rows into frames of these heights, until there are none left."""
    waiting: list[pl.DataFrame] = []
    rows = 0
    for height in heights:
        while rows < height and (piece := next(pieces, None)) is not None:
            waiting.append(piece)
            rows += piece.height
        if not rows:
            return
        whole = pl.concat(waiting)
        waiting, rows = [whole.slice(height)], max(0, rows - height)
        yield whole.head(height).rechunk()


def _row_bytes(piece: pl.DataFrame, fixed: int, loose: Sequence[str]) -> np.ndarray:
    sizes = np.full(piece.height, fixed, dtype=np.int64)
    for column in loose:
        sizes += _lengths(piece[column]).fill_null(0).to_numpy().astype(np.int64)
    return sizes


def _lengths(values: pl.Series) -> pl.Series:
    if values.dtype in (pl.String, pl.Categorical, pl.Enum):
        return values.cast(pl.String).str.len_bytes()
    if values.dtype == pl.Binary:
        return values.bin.size()
    if isinstance(values.dtype, (pl.List, pl.Array)):
        return (values.list if isinstance(values.dtype, pl.List) else values.arr).len() * 8
    return pl.Series(values.name, [8]).new_from_index(0, len(values))
