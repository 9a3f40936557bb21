"""The join of a batch's rows with the labels that came in time: the label of each row, or why it has none that can be used."""

from __future__ import annotations

from datetime import date

import polars as pl

from analysis.kinds import BINARY, KINDS, MULTICLASS, REGRESSION, Task

__all__ = [
    "AFTER_CLOSING",
    "BEFORE_ITS_BATCH",
    "CONFLICTING_LABELS",
    "DUPLICATE_ID",
    "IDS_OF_NO_BATCH",
    "ID_RECURS",
    "LABEL_IGNORED",
    "LABEL_NOT_A_CLASS",
    "LABEL_NOT_A_NUMBER",
    "LABEL_NOT_BINARY",
    "LABEL_NOT_MAPPED",
    "LABEL_UNDATED",
    "LABEL_WITHDRAWN",
    "NO_ID_MATCHES",
    "NO_LABEL_CAME",
    "base_reason",
    "join_labels",
]

DUPLICATE_ID = "duplicate id"
LABEL_NOT_BINARY = BINARY.unusable
LABEL_NOT_A_CLASS = MULTICLASS.unusable
LABEL_NOT_A_NUMBER = REGRESSION.unusable
CONFLICTING_LABELS = "conflicting labels"
LABEL_IGNORED = "label to be ignored"
LABEL_NOT_MAPPED = "label not named in 'labels'"
LABEL_UNDATED = "label without the time when it was observed"
LABEL_WITHDRAWN = "label withdrawn"
BEFORE_ITS_BATCH = "label observed before its batch"
AFTER_CLOSING = "label observed after its batch had closed"
ID_RECURS = "id in another batch too"
NO_ID_MATCHES = "no label has an id of this batch"
NO_LABEL_CAME = "silence is no negative: no label of the batch has come"
IDS_OF_NO_BATCH = "silence is no negative: many labels of these days have ids that no batch has"

_SUCH_AS = ", such as "
_SHOWN = 40  # characters of an example
_SHOWN_REASONS = [*(kind.unusable for kind in KINDS.values()), LABEL_NOT_MAPPED, AFTER_CLOSING]


def join_labels(
    rows: pl.DataFrame,
    labels: pl.DataFrame,
    *,
    task: Task = "binary",
    begins: date | None = None,
    deadline: date | None = None,
    absent_is_negative: bool = False,
    recurring: pl.Series | None = None,
) -> pl.DataFrame:
    """The rows of one batch with ``label`` (0, 1 or null) and ``excluded``, why a row has no label that can be used; in no order.

    ``rows`` has ``id``, ``segment.<column>`` for each segment column, ``v<version>`` (0, 1 or null) for each version, and perhaps
    ``entity``; other columns are kept. ``labels`` has ``id``, ``label`` (float) and ``observed_at``. It may have ``unusable``, why a
    label cannot be used; ``raw``, the label as text, which is the example in the reason; and ``probability``, with which the row was
    chosen to be labelled, which labelled rows keep.

    If an id has several labels, the last one observed by the ``deadline`` counts; if it is null, the label was withdrawn. A row has no
    label if its last labels contradict each other, if its label is not 0 or 1, if its id is repeated in the batch or is in ``recurring``,
    or if its labels have no time of observation. A label observed before ``begins``, the first possible day for a label of this batch,
    belongs to another row. With ``absent_is_negative``, a row for which no label came in time has the label 0.

    For several classes, decisions and labels are text, and an empty text is no class. For numbers, labels are floats within
    [-``analysis.kinds.LARGEST_NUMBER``, ``analysis.kinds.LARGEST_NUMBER``].
    """
    kind = KINDS[task]
    delivered = labels.with_columns(
        pl.lit(None, dtype=pl.String).alias(c) for c in ("raw", "unusable") if c not in labels.columns
    )
    day, there = pl.col("observed_at").cast(pl.Date), pl.col("label").is_not_null()
    early = day < begins if begins else pl.lit(value=False)
    late = day > deadline if deadline else pl.lit(value=False)
    joined = (
        rows.join(_last(delivered.filter(day.is_not_null() & ~early & ~late)), on="id", how="left")
        .join(_marked(delivered.filter(there & early), "early"), on="id", how="left")
        .join(_marked(delivered.filter(there & late), "late"), on="id", how="left")
        .join(_marked(delivered.filter(there & day.is_null()), "undated"), on="id", how="left")
    )
    none, silent = pl.col("label").is_null(), pl.col("listed").is_null()
    repeated = pl.col("id").is_duplicated()
    joined = joined.with_columns(
        unusable=pl.when(repeated)
        .then(pl.lit(DUPLICATE_ID))
        .when("conflict")
        .then(pl.lit(CONFLICTING_LABELS))
        .when(pl.col("id").is_in(recurring.implode() if recurring is not None else []))
        .then(pl.lit(ID_RECURS))
        .when(~none & ~kind.usable_label)
        .then(pl.coalesce("unusable", pl.lit(kind.unusable)))
        .when(none & pl.col("withdrawn"))
        .then(pl.lit(LABEL_WITHDRAWN))
        .when(none & pl.col("early").is_not_null())
        .then(pl.lit(BEFORE_ITS_BATCH))
        .when(silent & pl.col("undated").is_not_null())
        .then(pl.lit(LABEL_UNDATED))
        .when(silent & pl.col("late").is_not_null() & (not absent_is_negative))
        .then(pl.lit(AFTER_CLOSING)),
    )
    label: pl.Expr = pl.when(pl.col("unusable").is_null()).then(pl.col("label"))
    if absent_is_negative:
        label = pl.when(silent & pl.col("unusable").is_null()).then(0.0).otherwise(label)
    return joined.with_columns(excluded=_with_example(joined), label=kind.joined_label(label))


def _last(labels: pl.DataFrame) -> pl.DataFrame:
    """The last label of each id; ``conflict``: several last ones contradict each other; ``withdrawn``: it is null after another one."""
    sampled = ["probability"] if "probability" in labels.columns else []
    known = labels.filter(pl.col("label").is_not_null()).select("id").unique().with_columns(known=pl.lit(value=True))
    distinct = pl.struct("label", *sampled).filter(pl.col("label").is_not_null()).n_unique()
    last = (
        labels.filter(pl.col("observed_at") == pl.col("observed_at").max().over("id"))
        .group_by("id")
        .agg(pl.col("label", "raw", "unusable", *sampled).min(), (distinct > 1).alias("conflict"))
    )
    withdrawn = pl.col("label").is_null() & pl.col("known").is_not_null()
    return (
        last.join(known, on="id", how="left").with_columns(withdrawn=withdrawn, listed=pl.lit(value=True)).drop("known")
    )


def _marked(labels: pl.DataFrame, name: str) -> pl.DataFrame:
    """The ids; the column ``name`` has the earliest time of observation of their labels, as text."""
    return labels.group_by("id").agg(pl.col("observed_at").min().cast(pl.String).fill_null("none").alias(name))


def _with_example(joined: pl.DataFrame) -> pl.Expr:
    """The reason, followed by an example of the values that it is about, so that an unknown code shows at once."""
    reason = pl.col("unusable")
    raw = pl.when(reason == AFTER_CLOSING).then(pl.col("late").str.slice(0, 10)).otherwise(pl.col("raw"))
    examples = joined.filter(reason.is_in(_SHOWN_REASONS)).group_by("unusable").agg(raw.min().alias("raw"))
    with_example = reason
    for name, example in examples.sort("unusable").iter_rows():
        if example is not None:
            shown = pl.lit(f"{name}{_SUCH_AS}{example[:_SHOWN]}")
            with_example = pl.when(reason == name).then(shown).otherwise(with_example)
    return with_example


def base_reason(reason: str) -> str:
    """The reason without its example."""
    return reason.split(_SUCH_AS, 1)[0]
