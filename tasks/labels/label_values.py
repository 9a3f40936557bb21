"""What stands in a label file: from the user's types and values to labels that can be joined with the rows of a batch."""

from __future__ import annotations

import polars as pl

from analysis.evidence.row_labels import LABEL_IGNORED, LABEL_NOT_MAPPED, REASONS
from analysis.tables.class_names import class_names, is_class_type
from tasks.base.errors import DethroneError
from tasks.base.project import Columns, LabelValue, LabelValues, Project
from tasks.tables.text_values import ISO, from_text

__all__ = ["LabelError", "check_schema", "labels_of", "needed_columns"]


class LabelError(DethroneError):
    """The labels cannot be read, or it is not clear which rows they belong to."""


def needed_columns(names: Columns) -> list[str]:
    """The columns of a label file that are read."""
    needed = (names.id, names.label, names.observed_at, names.period, names.label_probability)
    return list(dict.fromkeys(c for c in needed if c))


def labels_of(project: Project, key: str, chunk: pl.DataFrame) -> pl.DataFrame:
    """The labels of a chunk of the file ``key``. Raises LabelError.

    Columns: ``id``, as it is in the file; ``label``; ``observed_at``; where some labels cannot be used, ``raw``, those in the file as text,
    and ``unusable``, the reason if the project file's ``labels`` make them so; where labels have a period, ``period`` and, if it is a
    day, ``period_day``; ``probability`` and ``file``, where the project file names the column ``label_probability``.
    """
    names = project.columns
    frame = chunk.with_columns(_times(key, chunk[names.observed_at], project.timezone))
    schema = frame.schema
    observed = pl.col(names.observed_at)
    zone = getattr(schema[names.observed_at], "time_zone", None)
    observed = observed.dt.convert_time_zone(project.timezone).dt.replace_time_zone(None) if zone else observed
    read = _class_labels if project.policy.kind.names_classes else _number_labels
    label, unusable = read(names.label, schema, project.labels)
    labels = frame.select(
        id=pl.col(names.id),
        label=label,
        observed_at=observed.cast(pl.Datetime("us")),
        **_period(names.period, schema),
        **_probability(names.label_probability, key),
    )
    # text of millions of labels that can be used, and that nobody reads, would take most of the memory
    cannot = labels.select(pl.col("label").is_not_null() & ~project.policy.kind.usable_label).to_series()
    if not cannot.any():
        return labels
    raw = pl.when(cannot).then(class_names(pl.col(names.label), schema[names.label]))
    return labels.hstack(frame.select(raw=raw, unusable=unusable.cast(REASONS)))


def _times(key: str, values: pl.Series, timezone: str) -> pl.Series:
    """Dates and times that are written as text, as ISO writes them; those with a zone in this one. Raises LabelError for others."""
    if values.dtype != pl.String:
        return values
    plain = from_text(values, ISO)
    zoned = from_text(values, pl.Datetime("us", "UTC")).dt.convert_time_zone(timezone)
    times = plain.fill_null(zoned.dt.replace_time_zone(None))
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


def check_schema(key: str, schema: pl.Schema, names: Columns) -> None:
    """Raise LabelError if the file ``key``, with these columns, cannot hold labels."""
    missing = [repr(c) for c in needed_columns(names) if c not in schema]
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
