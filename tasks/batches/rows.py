"""The rows of a batch: reading only the needed columns in bounded memory, and their digest."""

from __future__ import annotations

import contextlib
import hashlib
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import polars as pl

from tasks.base.errors import DethroneError
from tasks.base.project import Project
from tasks.batches.predictions import BatchFile
from tasks.models.signature import gaps
from tasks.store import Store
from tasks.tables.files import PassedOver, RowFile, TableError
from tasks.tables.opening import NoRowsError, open_table
from tasks.tables.sources import CHUNK_ROWS
from tasks.tables.table import Table

__all__ = [
    "CHUNK_ROWS",
    "BatchError",
    "BatchRows",
    "RowDigest",
    "batch_date",
    "first_day",
    "is_dated",
    "open_batch",
]

_WEEK = re.compile(r"(?:[^/=]+=)?(\d{4})-?W(\d{2})")
_NAMED = re.compile(r"[^/=]+=(.+)")  # as hive names a folder by its day: date=2024-01-07
_WIDE = (pl.Decimal, pl.Int128)  # numeric types that NumPy does not have


class BatchError(DethroneError):
    """The rows, the id or the date of a batch are not fit for scoring."""


def batch_date(batch: str, batch_dated: date | None = None) -> date:
    """The date of a batch, which is that of its last row: from its id if it is an ISO date or week, also
    as hive names folders (``date=2024-01-07``), else ``batch_dated``.

    The date of a week is its Sunday. Raises BatchError if there is no date, or if the two differ.
    """
    week = _WEEK.fullmatch(batch)
    try:
        own = (
            date.fromisocalendar(int(week[1]), int(week[2]), 7)
            if week
            else date.fromisoformat(_NAMED.sub(r"\1", batch))
        )
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


@dataclass(frozen=True, slots=True)
class BatchRows:
    """The rows of one batch, read as they are asked for."""

    batch: str
    _table: Table

    @property
    def rows(self) -> int:
        """How many rows the files say that they hold."""
        return self._table.rows

    @property
    def columns(self) -> tuple[str, ...]:
        """All columns that at least one file has."""
        return self._table.columns

    @property
    def schema(self) -> pl.Schema:
        """The type of each column in the whole batch, without those on whose type the files disagree."""
        return self._table.schema

    @property
    def files(self) -> tuple[RowFile, ...]:
        """The files that are read, by their keys; of a Delta or Iceberg table also the one that says which files it has."""
        return self._table.files

    @property
    def passed_over(self) -> tuple[PassedOver, ...]:
        """The files below the folder of the batch that are not read, and why."""
        return self._table.passed_over

    def named_files(self, project_name: str) -> tuple[BatchFile, ...]:
        """The files that are read, as a manifest names them."""
        folder = f"{project_name}/batches/{self.batch}/"
        return tuple(BatchFile(f.key.removeprefix(folder), f.size) for f in self.files)

    def with_gaps(self, columns: Sequence[str]) -> frozenset[str]:
        """Those of the columns that are null, or NaN, in any row of the batch. Raises BatchError."""
        floats = [c for c in columns if self.schema[c].is_float()]
        found = set(self.nullable([c for c in columns if c not in floats]))
        for chunk in self.chunks(floats) if floats else ():
            found.update(c for c in floats if chunk.select(gaps(c, chunk.schema[c]).any()).item())
        return frozenset(found)

    def chunks(self, columns: Sequence[str]) -> Iterator[pl.DataFrame]:
        """The rows in the order of the files' keys, at most ``CHUNK_ROWS`` at a time, with only these columns. Raises BatchError."""
        self._require(columns)
        with self._batch_errors():
            yield from self._table.chunks(columns)

    def cut(self, columns: Sequence[str], first: int, heights: Sequence[int]) -> Iterator[pl.DataFrame]:
        """The rows from ``first`` on as frames of these heights; fewer if the batch ends before. Raises BatchError."""
        self._require(columns)
        with self._batch_errors():
            yield from self._table.cut(columns, first, heights)

    def nullable(self, columns: Sequence[str]) -> frozenset[str]:
        """Which of these columns have a null in any row of the batch. Raises BatchError."""
        self._require(columns)
        with self._batch_errors():
            return self._table.nullable(columns)

    def _require(self, columns: Sequence[str]) -> None:
        missing = [repr(c) for c in columns if c not in self.columns]
        if missing:
            msg = (
                f"batch {self.batch}: its rows have no column {', '.join(missing)}; they have {', '.join(self.columns)}; "
                "add it, or correct the project file"
            )
            raise BatchError(msg)

    @contextlib.contextmanager
    def _batch_errors(self) -> Iterator[None]:
        try:
            yield
        except TableError as error:
            msg = f"batch {self.batch}: {error}"
            raise BatchError(msg) from error


def open_batch(store: Store, project: Project, batch: str) -> BatchRows:
    """The rows below ``batches/<batch>/``. Raises BatchError if there are none or they cannot be read."""
    parent = f"{project.name}/batches"
    ids = [c for c in (project.columns.id, project.columns.entity) if c]
    try:
        return BatchRows(batch, open_table(store, f"{parent}/{batch}", parent=parent, ids=ids))
    except NoRowsError as error:
        msg = f"batch {batch}: {error}; put its rows there, or correct the id"
        raise BatchError(msg) from error
    except TableError as error:
        msg = f"batch {batch}: {error}"
        raise BatchError(msg) from error


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

    def hexdigest(self, columns: Collection[str] | None = None) -> str:
        """The digest of these columns, by default of all."""
        total = hashlib.sha256(str(self.rows).encode())
        hashes = {c: self._hashes[c] for c in (self._hashes if columns is None else columns)}
        for column, parts in sorted(hashes.items()):
            total.update(f"\0{column}\0{self._types.get(column)}\0".encode() + b"".join(p.digest() for p in parts))
        return total.hexdigest()
