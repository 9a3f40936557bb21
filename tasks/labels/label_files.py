"""Reading the label files: from the user's types and values to labels that can be joined with the rows of a batch."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Any

import polars as pl

from analysis.evidence.row_labels import LABEL_IGNORED, LABEL_NOT_MAPPED
from analysis.tables.class_names import class_names, is_class_type
from tasks.base.errors import DethroneError
from tasks.base.project import Columns, LabelValue, LabelValues, Project
from tasks.store import Store
from tasks.tables.files import TableError
from tasks.tables.opening import NoRowsError, open_table
from tasks.tables.sources import Source
from tasks.tables.table import Table
from tasks.tables.text_values import ISO, from_text

__all__ = ["LabelError", "LabelFiles"]

_MOST_BYTES = 512 * 1024 * 1024  # labels that are kept in memory from one batch of a run to the next


class LabelError(DethroneError):
    """The labels cannot be read, or it is not clear which rows they belong to."""


class LabelFiles:
    """The label files of a project, as they are when they are first read: once for all batches of a run, if their labels fit into memory.

    Every method raises LabelError.
    """

    def __init__(self, store: Store, project: Project, *, most_bytes: int = _MOST_BYTES) -> None:
        self._store, self._project, self._most_bytes = store, project, most_bytes
        self._files: list[Table] | None = None
        self._all: pl.DataFrame | None = None  # the labels of all files, if they fit

    def of(self, ids: pl.Series, *, batch: str, dated: date) -> pl.DataFrame:
        """All labels of these ids, of every day; where labels have a period, only those of the batch.

        Columns: ``id``; ``label``; ``observed_at``; ``raw``, the label in the file as text; ``unusable``, the reason if the project
        file's ``labels`` make it so, else null; ``of_batch``, where labels have a period: whether it is the id of the batch;
        ``probability`` and ``file``, where the project file names the column ``label_probability``.
        """
        own = ids.unique().to_frame("id")
        labels = pl.concat(chunk.join(own, on="id", how="semi") for chunk in self._chunks())
        column, sampling = self._project.columns.label_probability, self._project.policy.sampling
        if self._project.columns.period:
            day, name = pl.col("period_day"), pl.col("period")
            is_of = pl.when(day.is_not_null()).then(day == dated).otherwise(name.is_in([batch, str(dated)]))
            # only the id is the batch's own, as other batches can have the same date
            labels = labels.filter(is_of).with_columns(of_batch=name == batch).drop("period", "period_day")
        if column and sampling:
            _require_probabilities(labels, column, sampling.least)
        return labels

    def observed_between(self, first: date, last: date) -> pl.DataFrame:
        """The different ids of all labels that were observed on these days, in the column ``id``."""
        on_these_days = pl.col("observed_at").cast(pl.Date).is_between(first, last) & pl.col("label").is_not_null()
        return pl.concat(chunk.filter(on_these_days).select("id").unique() for chunk in self._chunks()).unique()

    def periods_of(self, ids: pl.Series) -> list[str]:
        """The first few periods of the labels of these ids, as text; empty if labels have no period, or none has these ids."""
        if self._project.columns.period is None:
            return []
        own = ids.unique().to_frame("id")
        found = (c.join(own, on="id", how="semi")["period"].drop_nulls().unique() for c in self._chunks())
        return pl.concat(found).unique().sort().head(3).to_list()

    def example_of_an_id(self) -> str | None:
        """One id of the label files, as text; None if they have no rows."""
        return next((str(chunk["id"][0]) for chunk in self._chunks() if chunk.height), None)

    def _chunks(self) -> Iterator[pl.DataFrame]:
        """All labels in chunks, in the order of the files; the first one may be without labels, and has their columns."""
        if self._all is not None:
            yield self._all
            return
        kept: list[pl.DataFrame] = []
        size = 0
        for chunk in self._read():
            size += int(chunk.estimated_size())
            if size <= self._most_bytes:
                kept.append(chunk)
            else:
                kept.clear()
            yield chunk
        if size <= self._most_bytes:
            self._all = pl.concat(kept, rechunk=True)

    def _read(self) -> Iterator[pl.DataFrame]:
        names, sampled = self._project.columns, self._project.columns.label_probability
        typed: dict[str, Any] = {names.id: pl.String, names.label: pl.String, names.observed_at: ISO}
        more = {c: t for c, t in ((names.period, pl.String), (sampled, pl.Float64)) if c}
        yield _labels_of(self._project, "", pl.DataFrame(schema={**typed, **more}))
        if self._files is None:
            self._files = _files(self._store, self._project)
        for file in self._files:
            yield from _labels_in(self._project, file)


def _require_probabilities(labels: pl.DataFrame, column: str, least: float) -> None:
    """Raise LabelError for a label whose probability is missing or out of range: it can be neither weighted nor left out."""
    p = pl.col("probability")
    wrong = labels.filter(pl.col("label").is_not_null() & ~p.is_between(least, 1).fill_null(value=False)).sort(
        "file", "id"
    )
    for row in wrong.head(1).iter_rows(named=True):
        value = "no number" if row["probability"] is None else f"{row['probability']:g}"
        msg = (
            f"{row['file']}: the label of '{row['id']}' has {value} in '{column}' ({wrong.height} such labels); "
            f"it must lie between policy.sampling.least, which is {least:g}, and 1"
        )
        raise LabelError(msg)


def _opened(store: Store, project: Project) -> Table:
    folder, names = f"{project.name}/labels", project.columns
    try:
        return open_table(store, folder, parent=folder, ids=[c for c in (names.id, names.period) if c])
    except NoRowsError as error:
        msg = f"{error}; put labels with {names.id}, {names.label} and {names.observed_at} there"
        raise LabelError(msg) from error
    except TableError as error:
        msg = f"{store.uri}: {error}"
        raise LabelError(msg) from error


def _files(store: Store, project: Project) -> list[Table]:
    """A table per file, as each file may have types of its own; files without rows often have none."""
    table = _opened(store, project)
    return [Table((source,), (), (), table.ids) for source in table.sources if source.rows]


def _chunks(file: Table, columns: list[str]) -> Iterator[pl.DataFrame]:
    try:
        yield from file.chunks(columns)
    except TableError as error:
        raise LabelError(str(error)) from error


def _labels_in(project: Project, file: Table) -> Iterator[pl.DataFrame]:
    """The labels of one file, with the same columns and types for every file."""
    names, source = project.columns, file.sources[0]
    _check_schema(file, names, source)
    needed = [names.id, names.label, names.observed_at, *(c for c in (names.period, names.label_probability) if c)]
    for chunk in _chunks(file, list(dict.fromkeys(needed))):
        yield _labels_of(project, source.key, chunk)


def _labels_of(project: Project, key: str, chunk: pl.DataFrame) -> pl.DataFrame:
    names = project.columns
    frame = chunk.with_columns(_times(key, chunk[names.observed_at]))
    schema = frame.schema
    observed = pl.col(names.observed_at)
    zone = getattr(schema[names.observed_at], "time_zone", None)
    observed = observed.dt.convert_time_zone("UTC").dt.replace_time_zone(None) if zone else observed
    read = _class_labels if project.policy.kind.names_classes else _number_labels
    label, unusable = read(names.label, schema, project.labels)
    return frame.select(
        id=pl.col(names.id).cast(pl.String),
        label=label,
        observed_at=observed.cast(pl.Datetime("us")),
        raw=class_names(pl.col(names.label), schema[names.label]),
        unusable=unusable,
        **_period(names.period, schema),
        **_probability(names.label_probability, key),
    )


def _times(key: str, values: pl.Series) -> pl.Series:
    """Dates and times that are written as text, as ISO writes them. Raises LabelError for others."""
    if values.dtype != pl.String:
        return values
    plain = from_text(values, ISO)
    times = plain.fill_null(from_text(values, pl.Datetime("us", "UTC")).dt.replace_time_zone(None))
    wrong = values.filter(times.is_null() & values.is_not_null())
    if len(wrong):
        msg = (
            f"{key}: the column '{values.name}' holds {wrong[0]!r}, which is no date or time; "
            "write 2024-01-31, 2024-01-31T12:00:00 or 2024-01-31T12:00:00Z"
        )
        raise LabelError(msg)
    return times


def _period(name: str | None, schema: pl.Schema) -> dict[str, pl.Expr]:
    """The period as text, and as a day if it is one."""
    if name is None:
        return {}
    period = pl.col(name)
    day = period.cast(pl.Date) if schema[name].is_temporal() else pl.lit(None, dtype=pl.Date)
    return {"period": period.cast(pl.String), "period_day": day}


def _probability(column: str | None, key: str) -> dict[str, pl.Expr]:
    """The probability, and the file that an error names."""
    if column is None:
        return {}
    return {"probability": pl.col(column).cast(pl.Float64, strict=False), "file": pl.lit(key)}


def _number_labels(name: str, schema: pl.Schema, values: LabelValues | None) -> tuple[pl.Expr, pl.Expr]:
    """The label as a number, NaN if it is not one, and the reason if ``values`` make it unusable."""
    present = pl.col(name).is_not_null()
    text = schema[name] in (pl.Categorical, pl.Enum)
    number = (pl.col(name).cast(pl.String) if text else pl.col(name)).cast(pl.Float64, strict=False)
    plain = pl.when(present & number.is_null()).then(float("nan")).otherwise(number)
    if values is None:
        return plain, pl.lit(None, dtype=pl.String)
    ignored = _is_one_of(values.ignored, name, schema)
    if not values.positive:  # the other values are numbers
        return pl.when(ignored).then(float("nan")).otherwise(plain), pl.when(ignored).then(pl.lit(LABEL_IGNORED))
    is_positive, is_negative = (_is_one_of(v, name, schema) for v in (values.positive, values.negative))
    label = pl.when(is_positive).then(1.0).when(is_negative).then(0.0).when(present).then(float("nan"))
    known = _is_one_of((*values.positive, *values.negative), name, schema)
    return label, pl.when(ignored).then(pl.lit(LABEL_IGNORED)).when(present & ~known).then(pl.lit(LABEL_NOT_MAPPED))


def _is_one_of(values: tuple[LabelValue, ...], name: str, schema: pl.Schema) -> pl.Expr:
    """Whether the label is one of these values: compared as numbers in a column of numbers, else as text."""
    if schema[name].is_numeric() or schema[name] == pl.Boolean:
        numbers = [n for v in values if (n := LabelValues.number(v)) is not None]
        return pl.col(name).cast(pl.Float64).is_in(numbers).fill_null(value=False)
    words = [w for v in values for w in LabelValues.spellings(v)]
    return pl.col(name).cast(pl.String).is_in(words).fill_null(value=False)


def _class_labels(name: str, schema: pl.Schema, values: LabelValues | None) -> tuple[pl.Expr, pl.Expr]:
    """The label as the name of a class, empty text if it is not one, and the reason if ``values`` make it unusable."""
    named = class_names(pl.col(name), schema[name])
    label = pl.when(pl.col(name).is_not_null()).then(named.fill_null(""))
    if values is None:
        return label, pl.lit(None, dtype=pl.String)
    ignored = _is_one_of(values.ignored, name, schema)
    return pl.when(ignored).then(pl.lit("")).otherwise(label), pl.when(ignored).then(pl.lit(LABEL_IGNORED))


def _check_schema(file: Table, names: Columns, source: Source) -> None:
    schema, key = file.schema, source.key
    needed = [names.id, names.label, names.observed_at, *(c for c in (names.period, names.label_probability) if c)]
    missing = [repr(c) for c in needed if c not in schema]
    if missing:
        msg = (
            f"{key}: the labels have no column {', '.join(missing)}; they have {', '.join(schema.names())}; "
            "rename one, or name it in 'columns' of the project file"
        )
        raise LabelError(msg)
    if schema[names.id].is_float():
        msg = f"{key}: the column '{names.id}' is {schema[names.id]}; ids are integers or text, as in the batches"
        raise LabelError(msg)
    probability = names.label_probability
    if probability and not (schema[probability].is_numeric() or schema[probability] == pl.Null):
        msg = f"{key}: the column '{probability}' is {schema[probability]}; probabilities are numbers between 0 and 1"
        raise LabelError(msg)
    if not isinstance(schema[names.observed_at], (pl.Date, pl.Datetime, pl.String)):
        msg = f"{key}: the column '{names.observed_at}' is {schema[names.observed_at]}; it must be a date or a time"
        raise LabelError(msg)
    if not is_class_type(schema[names.label]):
        msg = f"{key}: the column '{names.label}' is {schema[names.label]}; labels are text or numbers"
        raise LabelError(msg)
