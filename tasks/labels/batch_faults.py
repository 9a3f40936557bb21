"""Faults of the labels of a whole batch: with any of them the batch does not close, until somebody corrects it."""

from __future__ import annotations

from collections.abc import Iterable

import polars as pl

from analysis.evidence.tally import decision_column, score_column
from tasks.base.project import Project
from tasks.batches.predictions import Manifest
from tasks.labels.batch_join import Recurring
from tasks.labels.label_values import LabelError

__all__ = ["require_common_probabilities", "require_own_ids", "require_plausible_numbers"]

_MOST_REPEATED = 0.002  # share of a batch's labels that may be repeated numbers far outside all predictions
_REPEATS = 3  # so often a number occurs that counts as repeated


def require_own_ids(project: Project, manifest: Manifest, recurring: Recurring) -> None:
    """Raise LabelError if most ids of the batch also occur in another batch.

    Only before the batch closes: later batches do not change a closed one.
    """
    if 2 * recurring.number <= recurring.ids:
        return
    period = project.columns.period
    cure = (
        f"write the id of the batch into the labels' column '{period}', as both batches have the same date"
        if period
        else "give every row an id of its own, or name the column of the labels that says which batch they belong to: columns.period"
    )
    msg = (
        f"batch {manifest.batch}: {recurring.number} of its {recurring.ids} ids, such as '{recurring.example}', are also ids of another "
        f"batch ({recurring.other}), so it is not clear which of the two a label belongs to; {cure}; if one of the two is a copy that "
        f"should not have been scored, delete it below {project.name}/batches/ and {project.name}/predictions/"
    )
    raise LabelError(msg)


def require_common_probabilities(manifest: Manifest, blocks: Iterable[pl.DataFrame], least: float) -> None:
    """Raise LabelError if the models disagree on a labelled row whose probability of being labelled is below ``least``."""
    decisions = [pl.col(decision_column(s.version)) for s in manifest.scored]
    disagree = pl.max_horizontal(decisions) != pl.min_horizontal(decisions)
    rare = disagree & (pl.col("probability") < least) & pl.col("label").is_not_null()
    of_blocks = (b.filter(rare).select(pl.col("id").cast(pl.String), "probability") for b in blocks)
    found = pl.concat(of_blocks).sort("id")
    for row in found.head(1).iter_rows(named=True):
        msg = (
            f"batch {manifest.batch}: the models disagree on '{row['id']}', which was labelled with probability {row['probability']:g} "
            f"({found.height} such rows), and policy.sampling.disagreements is {least:g}; lower it, or correct the labels"
        )
        raise LabelError(msg)


def require_plausible_numbers(manifest: Manifest, labels: pl.Series, blocks: Iterable[pl.DataFrame]) -> None:
    """Raise LabelError if labels repeat a number far outside all predictions: it may stand for a missing value, such as -999.

    ``labels`` are those of the batch, and ``blocks`` its scored rows.
    """
    named = [score_column(s.version) for s in manifest.scored if s.failure is None]
    if not len(labels) or not named:
        return
    ends = [
        b.select(least=pl.min_horizontal(pl.col(named).min()), most=pl.max_horizontal(pl.col(named).max()))
        for b in blocks
    ]
    low, high = float(min(e["least"].item() for e in ends)), float(max(e["most"].item() for e in ends))
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
