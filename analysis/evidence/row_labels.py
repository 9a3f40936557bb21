"""The join of a batch's rows with the labels that came in time: the label of each row, or why it has none that can be used.

Rows can be joined in several sets, such as by a hash of their ids, as long as all labels of an id are in one with its rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

import polars as pl

from analysis.kinds import BINARY, KINDS, MULTICLASS, REGRESSION, Kind, Task

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
    "REASONS",
    "SILENT",
    "base_reason",
    "examples_of",
    "join_labels",
    "labels_of_rows",
    "with_examples",
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

SILENT = "no label in time"
"""Why a row of ``labels_of_rows`` has no label, where nothing was delivered that says more: it is unlabelled, or a negative."""

_SUCH_AS = ", such as "
_SHOWN = 40  # characters of an example
_SHOWN_REASONS = [*(kind.unusable for kind in KINDS.values()), LABEL_NOT_MAPPED, AFTER_CLOSING]

REASONS = pl.Enum(
    [
        *(kind.unusable for kind in KINDS.values()),
        *(DUPLICATE_ID, CONFLICTING_LABELS, ID_RECURS, LABEL_NOT_MAPPED, LABEL_IGNORED, LABEL_UNDATED, LABEL_WITHDRAWN),
        *(BEFORE_ITS_BATCH, AFTER_CLOSING, SILENT),
    ]
)
"""The type of ``excluded`` before examples are added: a byte a row."""


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
    """The rows of one batch with ``label`` (0, 1 or null) and ``excluded``, why a row has no label that can be used, as text.

    ``rows`` has ``id``, ``segment.<column>`` for each segment column, ``v<version>`` (0, 1 or null) for each version, and perhaps
    ``entity``; all columns are kept. With ``absent_is_negative``, a row for which no label came in time has the label 0. For all else
    see ``labels_of_rows``.
    """
    found = labels_of_rows(rows.select("id"), labels, task=task, begins=begins, deadline=deadline, recurring=recurring)
    silent = pl.col("excluded").is_in([SILENT, AFTER_CLOSING]) if absent_is_negative else pl.col("excluded") == SILENT
    negative = pl.when(silent).then(pl.lit(0 if absent_is_negative else None, dtype=found.schema["label"]))
    found = found.with_columns(
        label=negative.otherwise("label"),
        excluded=pl.when(silent.fill_null(value=False)).then(None).otherwise("excluded"),
    )
    shown = with_examples(pl.col("excluded"), examples_of(found))
    return pl.concat([rows, found.select(pl.exclude("^example|excluded$"), excluded=shown)], how="horizontal")


def labels_of_rows(
    ids: pl.DataFrame,
    labels: pl.DataFrame,
    *,
    task: Task = "binary",
    begins: date | None = None,
    deadline: date | None = None,
    recurring: pl.Series | None = None,
) -> pl.DataFrame:
    """For each row, in order: ``label`` (0, 1 or null), ``excluded``, one of ``REASONS``, and perhaps ``example`` of what it is about.

    ``ids`` has the column ``id``, and ``labels`` has ``id`` of the same type, ``label`` (float) and ``observed_at``. It may have
    ``unusable``, why a label cannot be used; ``raw``, as text, of labels that cannot, which are the examples; and ``probability``, with
    which the row was chosen to be labelled, which rows then have too.

    If an id has several labels, the last one observed by the ``deadline`` counts; if it is null, the label was withdrawn. A row has no
    label if its last labels contradict each other, if its label is not 0 or 1, if its id is repeated in the batch or is in ``recurring``,
    or if its labels have no time of observation. A label observed before ``begins``, the first possible day for a label of this batch,
    belongs to another row. Without any of these, and without a label in time, a row is ``SILENT``.

    For several classes, labels are text, and an empty text is no class. For numbers, labels are floats within
    [-``analysis.kinds.LARGEST_NUMBER``, ``analysis.kinds.LARGEST_NUMBER``].
    """
    by_id = _by_id(labels, KINDS[task], begins, deadline)
    joined = ids.select("id").join(by_id, on="id", how="left", maintain_order="left")
    joined = joined.with_columns(
        excluded=pl.when(pl.col("listed").is_null()).then(_reason(SILENT)).otherwise("excluded")
    )
    if recurring is not None and len(recurring):
        conflict = (pl.col("excluded") == CONFLICTING_LABELS).fill_null(value=False)
        joined = _without_label(joined, pl.col("id").is_in(recurring.implode()) & ~conflict, ID_RECURS)
    if ids["id"].n_unique() < ids.height:
        joined = _without_label(joined, pl.col("id").is_duplicated(), DUPLICATE_ID)
    return joined.drop("id", "listed")


def _reason(reason: str) -> pl.Expr:
    return pl.lit(reason, dtype=REASONS)


def _without_label(rows: pl.DataFrame, which: pl.Expr, reason: str) -> pl.DataFrame:
    return rows.with_columns(
        label=pl.when(~which).then("label"), excluded=pl.when(which).then(_reason(reason)).otherwise("excluded")
    )


def _by_id(labels: pl.DataFrame, kind: Kind, begins: date | None, deadline: date | None) -> pl.DataFrame:
    """What ``labels_of_rows`` says of each id that has labels, in one row; ``listed`` is true."""
    day = pl.col("observed_at").cast(pl.Date)
    early = (day < begins).fill_null(value=False) if begins else pl.lit(value=False)
    late = (day > deadline).fill_null(value=False) if deadline else pl.lit(value=False)
    plain = day.is_not_null() & ~early & ~late & kind.usable_label.fill_null(value=False)
    # most ids have one label, which came in time and can be used; only the others are looked at for what was wrong
    simple = labels.select(plain if labels["id"].n_unique() == labels.height else plain & ~pl.col("id").is_duplicated())
    simple_labels = labels if simple.to_series().all() else labels.filter(simple.to_series())
    found = simple_labels.select(
        "id",
        *_sampled(labels),
        label=kind.joined_label(pl.col("label")),
        excluded=pl.lit(None, dtype=REASONS),
        listed=pl.lit(value=True),
    )
    if found.height == labels.height:
        return found
    others = _explained(labels.filter(~simple.to_series()), kind, early, late)
    return pl.concat([found, others], how="diagonal")


def _explained(labels: pl.DataFrame, kind: Kind, early: pl.Expr, late: pl.Expr) -> pl.DataFrame:
    """The same for ids with several labels, or one that cannot be used or did not come in time; with an example of why."""
    given = labels.with_columns(
        pl.lit(None, dtype=t).alias(c)
        for c, t in (("raw", pl.String), ("unusable", REASONS))
        if c not in labels.columns
    ).with_columns(pl.col("unusable").cast(REASONS))
    dated, there = pl.col("observed_at").is_not_null(), pl.col("label").is_not_null()
    marked = given.group_by("id").agg(
        early=(there & early).any(),
        late=pl.col("observed_at").filter(there & late).min(),
        undated=(there & ~dated).any(),
    )
    of_id = marked.join(_last(given.filter(dated & ~early & ~late)), on="id", how="left")
    none, silent = pl.col("label").is_null(), pl.col("in_time").is_null()
    excluded = (
        pl.when("conflict")
        .then(_reason(CONFLICTING_LABELS))
        .when(~none & ~kind.usable_label)
        .then(pl.coalesce("unusable", _reason(kind.unusable)))
        .when(none & pl.col("withdrawn"))
        .then(_reason(LABEL_WITHDRAWN))
        .when(none & pl.col("early"))
        .then(_reason(BEFORE_ITS_BATCH))
        .when(silent & pl.col("undated"))
        .then(_reason(LABEL_UNDATED))
        .when(silent & pl.col("late").is_not_null())
        .then(_reason(AFTER_CLOSING))
        .when(silent)
        .then(_reason(SILENT))
    )
    is_late = pl.col("excluded") == AFTER_CLOSING
    return of_id.with_columns(excluded=excluded).select(
        "id",
        *_sampled(labels),
        label=kind.joined_label(pl.when(pl.col("excluded").is_null()).then(pl.col("label"))),
        excluded="excluded",
        listed=pl.lit(value=True),
        example=pl.when(is_late).then(pl.col("late").cast(pl.Date).cast(pl.String)).otherwise("raw"),
    )


def _sampled(labels: pl.DataFrame) -> list[str]:
    return ["probability"] if "probability" in labels.columns else []


def _last(labels: pl.DataFrame) -> pl.DataFrame:
    """The last label of each id; ``conflict``: several last ones contradict each other; ``withdrawn``: it is null after another one."""
    sampled = _sampled(labels)
    known = labels.filter(pl.col("label").is_not_null()).select("id").unique().with_columns(known=pl.lit(value=True))
    distinct = pl.struct("label", *sampled).filter(pl.col("label").is_not_null()).n_unique()
    last = (
        labels.filter(pl.col("observed_at") == pl.col("observed_at").max().over("id"))
        .group_by("id")
        .agg(pl.col("label", "raw", "unusable", *sampled).min(), (distinct > 1).alias("conflict"))
    )
    withdrawn = pl.col("label").is_null() & pl.col("known").is_not_null()
    return (
        last.join(known, on="id", how="left")
        .with_columns(withdrawn=withdrawn, in_time=pl.lit(value=True))
        .drop("known")
    )


def examples_of(found: pl.DataFrame) -> dict[str, str]:
    """For each reason of ``labels_of_rows`` that is told with an example, the first of them in the order of texts."""
    if "example" not in found.columns:
        return {}
    shown = found.lazy().filter(pl.col("excluded").is_in(_SHOWN_REASONS) & pl.col("example").is_not_null())
    return dict(shown.group_by(pl.col("excluded").cast(pl.String)).agg(pl.col("example").min()).collect().iter_rows())


def with_examples(excluded: pl.Expr, examples: Mapping[str, str]) -> pl.Expr:
    """The reasons as text, each followed by its example, so that an unknown code shows at once."""
    told = {reason: f"{reason}{_SUCH_AS}{example[:_SHOWN]}" for reason, example in examples.items()}
    return excluded.cast(pl.String).replace(told)


def base_reason(reason: str) -> str:
    """The reason without its example."""
    return reason.split(_SUCH_AS, 1)[0]
