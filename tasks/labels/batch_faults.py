"""Faults of the labels of a whole batch: with any of them the batch does not close, until somebody corrects it."""

from __future__ import annotations

import polars as pl

from analysis.evidence.tally import decision_column, score_column
from tasks.base.project import Project
from tasks.batches.predictions import Manifest
from tasks.labels.label_files import LabelError

__all__ = ["require_common_probabilities", "require_own_ids", "require_plausible_numbers"]

_MOST_REPEATED = 0.002  # share of a batch's labels that may be repeated numbers far outside all predictions
_REPEATS = 3  # so often a number occurs that counts as repeated


def require_own_ids(
    project: Project, manifest: Manifest, ids: pl.Series, recurring: pl.Series, other_batch: str
) -> None:
    """Raise LabelError if most ids of the batch also occur in another batch, of which ``other_batch`` is the last.

    Only before the batch closes: later batches do not change a closed one.
    """
    if 2 * len(recurring) <= ids.n_unique():
        return
    period = project.columns.period
    cure = (
        f"write the id of the batch into the labels' column '{period}', as both batches have the same date"
        if period
        else "give every row an id of its own, or name the column of the labels that says which batch they belong to: columns.period"
    )
    msg = (
        f"batch {manifest.batch}: {len(recurring)} of its {ids.n_unique()} ids, such as '{min(recurring)}', are also ids of another "
        f"batch ({other_batch}), so it is not clear which of the two a label belongs to; {cure}; if one of the two is a copy that "
        f"should not have been scored, delete it below {project.name}/batches/ and {project.name}/predictions/"
    )
    raise LabelError(msg)


def require_common_probabilities(manifest: Manifest, rows: pl.DataFrame, least: float) -> None:
    """Raise LabelError if the models disagree on a labelled row whose probability of being labelled is below ``least``."""
    decisions = [pl.col(decision_column(s.version)) for s in manifest.scored]
    disagree = pl.max_horizontal(decisions) != pl.min_horizontal(decisions)
    rare = rows.filter(disagree & (pl.col("probability") < least) & pl.col("label").is_not_null()).sort("id")
    for row in rare.head(1).iter_rows(named=True):
        msg = (
            f"batch {manifest.batch}: the models disagree on '{row['id']}', which was labelled with probability {row['probability']:g} "
            f"({rare.height} such rows), and policy.sampling.disagreements is {least:g}; lower it, or correct the labels"
        )
        raise LabelError(msg)


def require_plausible_numbers(manifest: Manifest, rows: pl.DataFrame) -> None:
    """Raise LabelError if labels repeat a number far outside all predictions: it may stand for a missing value, such as -999."""
    labels = rows["label"].drop_nulls()
    scores = [
        rows[c].drop_nulls().cast(pl.Float64)
        for c in rows.columns
        if c.startswith(score_column("")) and rows[c].dtype.is_numeric()
    ]
    predicted = pl.concat(scores) if scores else labels.clear()
    if not len(labels) or not len(predicted):
        return
    low, high = float(predicted.min()), float(predicted.max())  # type: ignore[arg-type]
    far = labels.filter(~labels.is_between(low - (high - low), high + (high - low)))
    repeated = far.value_counts(sort=True).filter(pl.col("count") >= _REPEATS)
    n = int(repeated["count"].sum())
    if n <= _MOST_REPEATED * len(labels):
        return
    value = float(repeated.row(0)[0])
    msg = (
        f"batch {manifest.batch}: {n} of its {len(labels)} labels repeat a few numbers, such as {value:g}, far outside all predictions "
        f"({low:g} to {high:g}); if {value:g} stands for a missing value, list it in the project file: "
        f"labels: {{ignored: [{value:g}]}}; if it is a true value, write there: labels: {{}}"
    )
    raise LabelError(msg)
