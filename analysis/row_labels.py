"""Which label a row has, and why one has none that can be used: the join of a batch's rows with the labels that came in time."""

from __future__ import annotations

from datetime import date

import polars as pl

from analysis.measures import Task

__all__ = [
    "BEFORE_ITS_BATCH",
    "CONFLICTING_LABELS",
    "DUPLICATE_ID",
    "ID_RECURS",
    "LABEL_IGNORED",
    "LABEL_NOT_A_CLASS",
    "LABEL_NOT_A_NUMBER",
    "LABEL_NOT_BINARY",
    "LABEL_NOT_MAPPED",
    "LARGEST_NUMBER",
    "NO_ID_MATCHES",
    "base_reason",
    "id_occurs_once",
    "join_labels",
]

DUPLICATE_ID = "duplicate id"
LABEL_NOT_BINARY = "label not 0/1"
LABEL_NOT_A_CLASS = "label not a class"
LABEL_NOT_A_NUMBER = "label not a number"
CONFLICTING_LABELS = "conflicting labels"
LABEL_IGNORED = "label to be ignored"
LABEL_NOT_MAPPED = "label not named in 'labels'"
BEFORE_ITS_BATCH = "label observed before its batch"
ID_RECURS = "id in another batch too"
NO_ID_MATCHES = "no label has an id of this batch"

_SUCH_AS = ", such as "
_SHOWN = 40  # characters of an example

LARGEST_NUMBER = 1e60
"""Beyond it a number is none: the squares of squared errors would no longer be finite."""


def join_labels(
    rows: pl.DataFrame,
    labels: pl.DataFrame,
    *,
    task: Task = "binary",
    begins: date | None = None,
    absent_is_negative: bool = False,
    recurring: pl.Series | None = None,
) -> pl.DataFrame:
    """The rows of one batch with ``label`` (0, 1 or null) and ``excluded``, in no particular order.

    ``excluded`` says why a row has no label that can be used, or that it counts for nothing: its id occurs twice.

    ``rows`` has ``id``, a ``segment.<column>`` for each segment column, maybe ``entity``, and a ``v<version>`` (0/1 or
    null) for each version; other columns are kept. ``labels`` has ``id``, ``label`` (float) and ``observed_at``, and
    holds only what was observed before the batch closed; null labels are none. It may have ``unusable``, why a label cannot be
    used, and ``raw``, the label as text, from which the reason gets an example. Of several labels of an id the last
    observed counts. A row whose last labels contradict each other, or whose label is neither 0 nor 1, is one without a label, and so
    is one whose id is among the ``recurring`` ones. A label that was observed before ``begins``, the first day that a label of the batch
    can be from, is of another row. With ``absent_is_negative`` a row of which there is no label at all has the label 0.

    Of several classes, decisions and labels are text, and an empty label is no class. Of numbers, labels are floats of
    at most ``LARGEST_NUMBER`` either way.

    Where ``labels`` has ``probability``, that with which a row was chosen to be labelled, the labelled rows have it too.
    """
    usable, reason = _LABELS[task]
    given = labels.filter(pl.col("label").is_not_null())
    given = given.with_columns(
        pl.lit(None, dtype=pl.String).alias(c) for c in ("raw", "unusable") if c not in given.columns
    )
    early = pl.col("observed_at").cast(pl.Date) < begins if begins else pl.lit(value=False)
    sampled = ["probability"] if "probability" in given.columns else []
    told = pl.struct("label", *sampled)
    last = (
        given.filter(~early)
        .filter(pl.col("observed_at") == pl.col("observed_at").max().over("id"))
        .group_by("id")
        .agg(pl.col("label", "raw", "unusable", *sampled).min(), (told.n_unique() > 1).alias("conflict"))
    )
    joined = (
        rows.join(last, on="id", how="left")
        .join(given.filter(early).select("id").unique().with_columns(early=pl.lit(value=True)), on="id", how="left")
        .with_columns(
            unusable=pl.when("conflict")
            .then(pl.lit(CONFLICTING_LABELS))
            .when(pl.col("id").is_in(recurring.implode() if recurring is not None else []))
            .then(pl.lit(ID_RECURS))
            .when(pl.col("label").is_not_null() & ~usable)
            .then(pl.coalesce("unusable", pl.lit(reason)))
            .when(pl.col("label").is_null() & pl.col("early"))
            .then(pl.lit(BEFORE_ITS_BATCH)),
        )
    )
    label: pl.Expr = pl.when(pl.col("unusable").is_null()).then(pl.col("label"))
    if absent_is_negative:
        label = pl.when(pl.col("label").is_null() & pl.col("unusable").is_null()).then(0.0).otherwise(label)
    return joined.with_columns(
        excluded=pl.when(pl.col("id").is_duplicated()).then(pl.lit(DUPLICATE_ID)).otherwise(_with_example(joined)),
        label=label.cast(pl.Int8) if task == "binary" else label,
    )


def _with_example(joined: pl.DataFrame) -> pl.Expr:
    """The reason, with the first of the values that it is about: a code that nobody has told us of is seen at once."""
    reason = pl.col("unusable")
    shown = joined.filter(reason.is_in([LABEL_NOT_BINARY, LABEL_NOT_A_CLASS, LABEL_NOT_A_NUMBER, LABEL_NOT_MAPPED]))
    found = reason
    for name, raw in shown.group_by("unusable").agg(pl.col("raw").min()).sort("unusable").iter_rows():
        if raw is not None:
            found = pl.when(reason == name).then(pl.lit(f"{name}{_SUCH_AS}{raw[:_SHOWN]}")).otherwise(found)
    return found


def id_occurs_once() -> pl.Expr:
    """Whether a row of a tally can count for anything; any other reason in ``excluded`` is that of a missing label."""
    return pl.col("excluded").ne_missing(DUPLICATE_ID)


def base_reason(reason: str) -> str:
    """The reason without the example that goes with it."""
    return reason.split(_SUCH_AS, 1)[0]


_LABELS: dict[Task, tuple[pl.Expr, str]] = {
    "binary": (pl.col("label").is_in([0.0, 1.0]), LABEL_NOT_BINARY),
    "multiclass": (pl.col("label") != "", LABEL_NOT_A_CLASS),
    "regression": (pl.col("label").is_between(-LARGEST_NUMBER, LARGEST_NUMBER), LABEL_NOT_A_NUMBER),
}
"""Which labels can be used, and why the others cannot."""
