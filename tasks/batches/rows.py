"""The rows of a batch: reading only the needed columns in bounded memory, and their digest."""

from __future__ import annotations

import contextlib
import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import polars as pl

from tasks.base.errors import DethroneError, first_line
from tasks.models.signature import gaps
from tasks.store import Store

__all__ = [
    "CHUNK_ROWS",
    "BatchError",
    "BatchRows",
    "RowDigest",
    "batch_date",
    "batches_in",
    "first_day",
    "is_dated",
    "open_batch",
]

CHUNK_ROWS = 131_072
_WEEK = re.compile(r"(\d{4})-?W(\d{2})")
_WIDE = (pl.Decimal, pl.Int128)  # numeric types that NumPy does not have


class BatchError(DethroneError):
    """The rows, the id or the date of a batch are not fit for scoring."""


def batch_date(batch: str, batch_dated: date | None = None) -> date:
    """The date of a batch, which is that of its last row: from its id if it is an ISO date or week, else ``batch_dated``.

    The date of a week is its Sunday. Raises BatchError if there is no date, or if the two differ.
    """
    week = _WEEK.fullmatch(batch)
    try:
        own = date.fromisocalendar(int(week[1]), int(week[2]), 7) if week else date.fromisoformat(batch)
    except ValueError:
        own = None
    if own and batch_dated and own != batch_dated:
        msg = f"batch {batch}: its id has the date {own}, and --batch-dated is {batch_dated}; leave out --batch-dated"
        raise BatchError(msg)
    dated = own or batch_dated
    if dated is None:
        msg = f"batch {batch}: its id is not a date such as 2013-06-30; give its date with --batch-dated"
        raise BatchError(msg)
    return dated


def first_day(batch: str, dated: date) -> date:
    """The first day on which a label of the batch can be observed: the Monday of a week, else the date of the batch."""
    week = _WEEK.fullmatch(batch)
    return date.fromisocalendar(int(week[1]), int(week[2]), 1) if week else dated


def is_dated(batch: str) -> bool:
    """Whether the id of the batch is an ISO date or week; other batches are scored only if they are named."""
    try:
        batch_date(batch)
    except BatchError:
        return False
    return True


def batches_in(store: Store, project_name: str) -> list[str]:
    """The ids of all batches in the store, scored or not, sorted."""
    prefix = f"{project_name}/batches/"
    return sorted({k.removeprefix(prefix).split("/", 1)[0] for k in store.keys(prefix) if k.endswith(".parquet")})


@dataclass(frozen=True, slots=True)
class BatchRows:
    """The rows of one batch, read lazily; ``schema`` has all of its columns."""

    batch: str
    schema: pl.Schema
    _frame: pl.LazyFrame

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of all of its columns."""
        return tuple(self.schema)

    def with_gaps(self, columns: Sequence[str]) -> frozenset[str]:
        """Those of the columns that are null, or NaN, in a row. Raises BatchError."""
        if not columns:
            return frozenset()
        found = self._frame.select(gaps(c, self.schema[c]).any().alias(c) for c in columns)
        with self._readable():
            (row,) = found.collect(engine="streaming").iter_rows(named=True)
        return frozenset(c for c, gap in row.items() if gap)

    def chunks(self, columns: Sequence[str]) -> Iterator[pl.DataFrame]:
        """The rows in order, at most ``CHUNK_ROWS`` at a time, with only these columns. Raises BatchError."""
        missing = [repr(c) for c in columns if c not in self.columns]
        if missing:
            msg = (
                f"batch {self.batch}: its rows have no column {', '.join(missing)}; they have {', '.join(self.columns)}; "
                "add it, or correct the project file"
            )
            raise BatchError(msg)
        with self._readable():
            yield from self._frame.select(columns).collect_batches(chunk_size=CHUNK_ROWS, maintain_order=True)

    @contextlib.contextmanager
    def _readable(self) -> Iterator[None]:
        try:
            yield
        except pl.exceptions.PolarsError as error:
            msg = (
                f"batch {self.batch}: its Parquet files cannot be read as one table; write them again, all with the same columns "
                f"and types ({first_line(error)})"
            )
            raise BatchError(msg) from error


def open_batch(store: Store, project_name: str, batch: str) -> BatchRows:
    """The rows below ``batches/<batch>/``. Raises BatchError if there are none or they cannot be read."""
    prefix = f"{project_name}/batches/{batch}"
    keys = [k for k in store.keys(prefix) if k.endswith(".parquet")]
    if not keys:
        msg = f"batch {batch}: {store.uri} holds no Parquet file below {prefix}/; put its rows there, or correct the id"
        raise BatchError(msg)
    frame = store.scan_parquet(keys)
    try:
        schema = frame.collect_schema()
    except pl.exceptions.PolarsError as error:
        msg = f"batch {batch}: {keys[0]} cannot be read as Parquet; write it again ({first_line(error)})"
        raise BatchError(msg) from error
    return BatchRows(batch, schema, frame)


class RowDigest:
    """SHA-256 of some columns of a batch. It depends on the rows and their order, not on how they are split into files."""

    def __init__(self, columns: Sequence[str]) -> None:
        self._hashes = {c: tuple(hashlib.sha256() for _ in range(3)) for c in columns}
        self._types: dict[str, str] = {}
        self.columns, self.rows = tuple(columns), 0

    def update(self, chunk: pl.DataFrame) -> None:
        self.rows += chunk.height
        for column, (kind, missing, values) in self._hashes.items():
            series = chunk[column]
            self._types[column] = str(series.dtype)
            missing.update(np.packbits(series.is_null().to_numpy()).tobytes())
            if (
                (series.dtype.is_numeric() and series.dtype not in _WIDE)
                or series.dtype.is_temporal()
                or series.dtype == pl.Boolean
            ):
                physical = series.to_physical().cast(pl.UInt8) if series.dtype == pl.Boolean else series.to_physical()
                values.update(physical.fill_null(0).to_numpy().tobytes())
            else:
                plain = series.dtype in (pl.String, pl.Categorical, pl.Enum)
                text = (
                    series.cast(pl.String).fill_null("")
                    if plain
                    else pl.Series([repr(v) for v in series.to_list()], dtype=pl.String)
                )
                kind.update(text.str.len_bytes().to_numpy().tobytes())
                values.update("".join(text).encode())

    def hexdigest(self) -> str:
        total = hashlib.sha256(str(self.rows).encode())
        for column, parts in sorted(self._hashes.items()):
            total.update(f"\0{column}\0{self._types.get(column)}\0".encode() + b"".join(p.digest() for p in parts))
        return total.hexdigest()
