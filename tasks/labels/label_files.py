"""The label files of a project: which of them a batch needs, and their labels, a file at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

import polars as pl

from tasks.base.project import Project
from tasks.labels.label_index import LabelIndex
from tasks.labels.label_values import LabelError, check_schema, labels_of, needed_columns
from tasks.labels.row_ids import BatchIds, IdRange, as_key, is_whole
from tasks.store import Store, keeping
from tasks.tables.files import TableError
from tasks.tables.opening import NoRowsError, open_table
from tasks.tables.sources import ParquetSource
from tasks.tables.table import Table

__all__ = ["LabelError", "LabelFiles"]

_MOST_BYTES = 64 * 1024 * 1024  # labels that are kept in memory from one batch of a run to the next
_ROW_BYTES = 32  # of a label in memory, about
_MANY = 8  # files that are joined at once, if they are in memory


@dataclass(frozen=True, slots=True)
class _File:
    """A file with labels; ``period`` is that of all of them, where its folder says so."""

    table: Table
    ids: IdRange | None
    period: str | None

    @property
    def key(self) -> str:
        return self.table.sources[0].key


class LabelFiles:
    """The label files of a project, as they are when they are first looked at, and the ids of its batches.

    One file is open at a time. The last that were read stay in memory for the next batches of the run, as far as they fit into
    ``most_bytes``, and once more in the order of their ids where a batch needs many of them. Every method raises LabelError.
    """

    def __init__(self, store: Store, project: Project, *, most_bytes: int = _MOST_BYTES) -> None:
        self._store, self._project, self._most_bytes = store, project, most_bytes
        self._files: list[_File] | None = None
        self._kept: dict[str, pl.DataFrame] = {}  # the one that was read last comes last
        self._kept_bytes = 0
        self._known: dict[str, IdRange] = {}  # the ids of the files that were read
        self._index: LabelIndex | None = None  # of all files that are kept
        self.ids = BatchIds(store)

    def of(self, ids: IdRange, *, batch: str, dated: date, all_ids: pl.Series | None = None) -> Iterator[pl.DataFrame]:
        """The labels of every day of the ids in this range, with others; where labels have a period, only those of the batch.

        The columns are those of ``labels_of``, but for the period; ``of_batch`` is then whether it is the id of the batch. A file
        is left out only if the statistics in it, or what was read of it before, prove that it has no such id, or if its folder,
        named as hive does (``week=2024-01-07``), is of another period. ``all_ids``, if they are in memory, say which labels are needed.
        """
        period, names = self._project.columns.period, (batch, str(dated))
        wanted = [
            f
            for f in self._opened()
            if ids.meets(self._known.get(f.key, f.ids)) and (f.period is None or f.period in names)
        ]
        for labels in self._chunks(wanted, all_ids):
            if period:
                day, name = pl.col("period_day"), pl.col("period")
                is_of = pl.when(day.is_not_null()).then(day == dated).otherwise(name.is_in(names))
                # only the id is the batch's own, as other batches can have the same date
                yield labels.filter(is_of).with_columns(of_batch=name == batch).drop("period", "period_day")
            else:
                yield labels

    @property
    def key(self) -> pl.DataType:
        """The type in which the ids of all labels can be compared."""
        whole = all(is_whole(f.table.schema[self._project.columns.id]) for f in self._opened())
        return pl.Int64() if whole else pl.String()

    def observed_between(self, first: date, last: date) -> pl.Series:
        """The different ids of all labels that were observed on these days, in the type ``key``."""
        key = self.key
        on_these_days = pl.col("observed_at").cast(pl.Date).is_between(first, last) & pl.col("label").is_not_null()
        found = (as_key(c.filter(on_these_days)["id"], key).unique() for c in self._chunks(self._opened()))
        return pl.concat([pl.Series("id", [], dtype=key), *found]).unique()

    def periods_of(self, ids: pl.Series) -> list[str]:
        """The first few periods of the labels of these ids, as text; empty if labels have no period, or none has these ids."""
        if self._project.columns.period is None:
            return []
        own = ids.cast(pl.String).unique().implode()
        found = (
            c.filter(pl.col("id").cast(pl.String).is_in(own))["period"].drop_nulls().unique()
            for c in self._chunks(self._opened())
        )
        return pl.concat([pl.Series("period", [], dtype=pl.String), *found]).unique().sort().head(3).to_list()

    def example_of_an_id(self) -> str | None:
        """One id of the label files, as text; None if they have no rows."""
        return next((str(chunk["id"][0]) for chunk in self._chunks(self._opened()) if chunk.height), None)

    def _chunks(self, files: list[_File], ids: pl.Series | None = None) -> Iterator[pl.DataFrame]:
        if ids is not None and len(files) >= _MANY and all(f.key in self._kept for f in files):
            if self._index is None:
                self._index = LabelIndex(list(self._kept.values()), self.key)
            yield self._index.of(ids)
            return
        for file in files:
            if file.key in self._kept:
                yield self._kept.setdefault(file.key, self._kept.pop(file.key))
            elif file.table.rows * _ROW_BYTES <= self._most_bytes:
                if read := list(self._read(file)):
                    yield self._keep(file.key, pl.concat(read, how="diagonal", rechunk=True))
            else:
                yield from self._read(file)

    def _keep(self, key: str, labels: pl.DataFrame) -> pl.DataFrame:
        self._known[key] = IdRange.of(labels["id"])
        self._kept[key] = labels
        self._kept_bytes += int(labels.estimated_size())
        self._index = None
        while self._kept_bytes > self._most_bytes:
            self._kept_bytes -= int(self._kept.pop(next(iter(self._kept))).estimated_size())
        return labels

    def _opened(self) -> list[_File]:
        """A table per file, as each file may have types of its own; files without rows often have none."""
        if self._files is None:
            table = _open(self._store, self._project)
            files = [Table((source,), (), (), table.ids) for source in table.sources if source.rows]
            for file in files:
                check_schema(file.sources[0].key, file.schema, self._project.columns)
            self._files = [_file(f, self._project) for f in files]
        return self._files

    def _read(self, file: _File) -> Iterator[pl.DataFrame]:
        try:
            for chunk in file.table.chunks(needed_columns(self._project.columns)):
                yield labels_of(self._project, file.key, chunk)
        except TableError as error:
            raise LabelError(str(error)) from error


def _open(store: Store, project: Project) -> Table:
    folder, names = f"{project.name}/labels", project.columns
    try:
        ids = [c for c in (names.id, names.period) if c]
        return open_table(store, folder, parent=folder, ids=ids, footers=keeping(store))
    except NoRowsError as error:
        msg = f"{error}; put labels with {names.id}, {names.label} and {names.observed_at} there"
        raise LabelError(msg) from error
    except TableError as error:
        msg = f"{store.uri}: {error}"
        raise LabelError(msg) from error


def _file(table: Table, project: Project) -> _File:
    source, names = table.sources[0], project.columns
    if table.schema[names.observed_at] == pl.String:  # of which one that is no time is told whatever its id
        return _File(table, None, None)
    known = source.ranges.get(names.id) if isinstance(source, ParquetSource) else None
    period = source.partitions.get(names.period) if names.period else None
    return _File(table, IdRange(*known) if known else None, period if isinstance(period, str) else None)
