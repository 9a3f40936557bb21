"""The scored rows of a batch with the labels that were observed by a day, and what stands against joining them."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import polars as pl

from analysis.evidence import closing_date
from analysis.evidence.row_labels import IDS_OF_NO_BATCH, NO_ID_MATCHES, NO_LABEL_CAME, join_labels
from analysis.evidence.tally import decision_column, score_column
from analysis.kinds import Task
from tasks.base.errors import DethroneError
from tasks.base.project import Project
from tasks.batches.predictions import Manifest, read_parts
from tasks.batches.rows import first_day
from tasks.labels.label_files import LabelError, example_of_a_label_id, observed_between, periods_of, read_labels
from tasks.store import Store

log = logging.getLogger("dethrone")

__all__ = ["AnotherTaskError", "Labelled", "audit_date", "label_rows", "require_task"]

_NOT_OURS = 0.2  # share of the labels of some days that may be of rows which no batch has
_FEWEST = 20  # labels below which such a share says nothing
_EXPECTED = (
    7  # positives by the rate of the neighbours; where so many are due, none is chance in less than 1 of 1,000 cases
)
_ODD = 0.002  # share of the labels that may be numbers far outside all predictions which repeat to the last digit
_FEWEST_ODD = 3


class AnotherTaskError(DethroneError):
    """The batch was scored when the project had another task."""


@dataclass(frozen=True, slots=True)
class Labelled:
    """Rows with their labels; ``silent``: none of them has one that can be used."""

    rows: pl.DataFrame
    silent: bool


def audit_date(batch_date: date, maturity_days: int) -> date:
    """The day at whose end late and corrected labels are looked at: one to four weeks after the batch has closed."""
    return closing_date(batch_date, maturity_days) + timedelta(days=min(max(maturity_days, 7), 28))


def label_rows(
    store: Store, project: Project, manifest: Manifest, scored: Sequence[Manifest], deadline: date, *, refuse: bool
) -> Labelled:
    """The scored rows of one batch with the labels that were observed by the end of the deadline.

    With ``refuse``, before a batch closes, what makes its labels as a whole unfit is an error; later it is a reason of rows.
    Raises LabelError, AnotherTaskError, DamagedError.
    """
    rows = _scored_rows(store, project, manifest)
    ids = rows["id"]
    labels = read_labels(store, project, ids, batch=manifest.batch, dated=manifest.date)
    recurring, where = _recurring(store, project, manifest, labels, ids, scored, deadline)
    if refuse:
        _refuse_most(project, manifest, ids, recurring, where)
    begins = first_day(manifest.batch, manifest.date)
    came = labels.filter(
        pl.col("label").is_not_null() & pl.col("observed_at").cast(pl.Date).is_between(begins, deadline)
    )
    why_not = _feed_is_broken(store, project, manifest, ids, scored, deadline, came.height)
    joined = join_labels(
        rows,
        labels,
        task=project.task,
        begins=begins,
        deadline=deadline,
        absent_is_negative=project.absent == "negative" and not why_not,
        recurring=recurring,
    )
    if refuse:
        _refuse_rare(project, manifest, joined)
        _refuse_odd_number(project, manifest, joined)
    if not labels.height and (why_not or project.absent == "missing"):
        why_not = _unmatched(store, project, manifest, ids) or why_not
    if why_not:
        bare = pl.col("label").is_null() & pl.col("excluded").is_null()
        joined = joined.with_columns(excluded=pl.when(bare).then(pl.lit(why_not)).otherwise("excluded"))
    # positives without their negatives are worse than no label
    broken = why_not is not None and project.absent == "negative"
    return Labelled(joined, broken or joined["label"].null_count() == joined.height)


def _scored_rows(store: Store, project: Project, manifest: Manifest) -> pl.DataFrame:
    """The rows with what each version said of them.

    All file sets of a batch hold its rows in one order, so decisions and scores stand side by side without a join.
    """
    rows = read_parts(store, manifest.parts)
    kind = pl.String if project.task == "multiclass" else pl.Int8
    for one in manifest.scored:
        name = decision_column(one.version)
        if one.failure is None:
            predictions = read_parts(store, one.parts)
            require_task(project, manifest, _task_of(predictions))
            decision = predictions["decision"] if "decision" in predictions.columns else pl.lit(1, dtype=kind)
            rows = rows.with_columns(decision.alias(name))
            if "score" in predictions.columns:
                rows = rows.with_columns(predictions["score"].alias(score_column(one.version)))
        else:
            rows = rows.with_columns(pl.lit(None, dtype=kind).alias(name))
    return rows.with_columns(pl.col("id").cast(pl.String))


def _task_of(predictions: pl.DataFrame) -> Task:
    if "score" not in predictions.columns:
        return "multiclass"
    return "binary" if "decision" in predictions.columns else "regression"


def require_task(project: Project, manifest: Manifest, found: Task) -> None:
    """Raise AnotherTaskError where the batch was scored for another task than the project's."""
    if found != project.task:
        msg = (
            f"batch {manifest.batch} was scored as {found}, and the project's task is {project.task} now; "
            "set it back, or give the new task a project of its own"
        )
        raise AnotherTaskError(msg)


def _ids(store: Store, manifest: Manifest) -> pl.Series:
    return read_parts(store, manifest.parts)["id"].cast(pl.String)


def _near(project: Project, manifest: Manifest, scored: Sequence[Manifest], deadline: date) -> list[Manifest]:
    """The other batches whose labels can come in the same time."""
    earliest = manifest.date - (audit_date(manifest.date, project.maturity_days) - manifest.date)
    return [m for m in scored if m.batch != manifest.batch and earliest <= m.date <= deadline]


def _recurring(
    store: Store,
    project: Project,
    manifest: Manifest,
    labels: pl.DataFrame,
    ids: pl.Series,
    scored: Sequence[Manifest],
    deadline: date,
) -> tuple[pl.Series, str]:
    """The ids whose labels could be those of another batch too, and the last such batch.

    Where labels name their period, only another batch of the same date can be meant, by a label that names no batch by its id.
    """
    others = _near(project, manifest, scored, deadline)
    if project.columns.period:
        ids = labels.filter(~pl.col("of_batch").fill_null(value=False))["id"].unique()
        others = [m for m in others if m.date == manifest.date]
    found, where = ids.clear(), ""
    for other in others:
        shared = ids.filter(ids.is_in(_ids(store, other).implode()))
        if len(shared):
            found, where = found.append(shared), other.batch
    return found.unique(), where


def _refuse_most(project: Project, manifest: Manifest, ids: pl.Series, recurring: pl.Series, where: str) -> None:
    """Raise LabelError where the ids that recur are most of the rows; what has closed stays, whatever comes later."""
    if 2 * len(recurring) <= ids.n_unique():
        return
    period = project.columns.period
    cure = (
        f"name the batch itself in the labels' column '{period}', as its date is that of both"
        if period
        else "give every row an id of its own, or name the column of the labels that says which batch they belong to: columns.period"
    )
    msg = (
        f"batch {manifest.batch}: {len(recurring)} of its {ids.n_unique()} ids, such as '{min(recurring)}', are ids of another batch too "
        f"(of {where}), so a label cannot be told to belong to one of them; {cure}; if one of the two is a copy that should not have "
        f"been scored, delete it below {project.name}/batches/ and {project.name}/predictions/"
    )
    raise LabelError(msg)


def _refuse_rare(project: Project, manifest: Manifest, rows: pl.DataFrame) -> None:
    """Raise LabelError for a row on which two models disagree whose probability of being labelled is below the bound for such rows."""
    sampling = project.policy.sampling
    if sampling is None or sampling.disagreements is None:
        return
    decisions = [pl.col(decision_column(s.version)) for s in manifest.scored]
    rare = (pl.max_horizontal(decisions) != pl.min_horizontal(decisions)) & (
        pl.col("probability") < sampling.disagreements
    )
    found = rows.filter(rare & pl.col("label").is_not_null()).sort("id")
    for row in found.head(1).iter_rows(named=True):
        msg = (
            f"batch {manifest.batch}: the models disagree on '{row['id']}', which was labelled with probability {row['probability']:g} "
            f"({found.height} rows are so); policy.sampling.disagreements says at least {sampling.disagreements:g}; "
            "lower it, or correct the labels"
        )
        raise LabelError(msg)


def _refuse_odd_number(project: Project, manifest: Manifest, rows: pl.DataFrame) -> None:
    """Raise LabelError for one number that labels share again and again and that lies far outside all predictions, such as -999."""
    if project.task != "regression" or project.labels is not None:
        return
    labels = rows["label"].drop_nulls()
    said = [
        rows[c].drop_nulls().cast(pl.Float64)
        for c in rows.columns
        if c.startswith(score_column("")) and rows[c].dtype.is_numeric()
    ]
    predicted = pl.concat(said) if said else labels.clear()
    if not len(labels) or not len(predicted):
        return
    low, high = float(predicted.min()), float(predicted.max())  # type: ignore[arg-type]
    far = labels.filter(~labels.is_between(low - (high - low), high + (high - low)))
    repeated = far.value_counts(sort=True).filter(pl.col("count") >= _FEWEST_ODD)
    n = int(repeated["count"].sum())
    if n <= _ODD * len(labels):
        return
    value = float(repeated.row(0)[0])
    msg = (
        f"batch {manifest.batch}: {n} of its {len(labels)} labels are a few numbers that stand again and again, such as {value:g}, and all "
        f"predictions lie between {low:g} and {high:g}; if it stands for no number, name it in the project file: "
        f"labels: {{ignored: [{value:g}]}}; if it is one, say so by labels: {{}}"
    )
    raise LabelError(msg)


def _feed_is_broken(
    store: Store,
    project: Project,
    manifest: Manifest,
    own: pl.Series,
    scored: Sequence[Manifest],
    deadline: date,
    came: int,
) -> str | None:
    """Why silence is no negative here: the feed was down, or its ids are not those of the batches."""
    if project.absent != "negative":
        return None
    near = _near(project, manifest, scored, deadline)
    seen = observed_between(store, project, first_day(manifest.batch, manifest.date), deadline)
    ids = [_ids(store, m).unique().to_frame("id") for m in near]
    strange = seen.join(pl.concat([own.unique().to_frame("id"), *ids]), on="id", how="anti")
    if _are_many(strange, seen):
        strange = _of_no_batch(store, project, strange, seen, scored, read=[manifest, *near])
    if _are_many(strange, seen):
        example = str(strange["id"].cast(pl.String).sort().first())
        log.warning(
            "batch %s: %s: %d of %d, such as %s", manifest.batch, IDS_OF_NO_BATCH, strange.height, seen.height, example
        )
        return f"{IDS_OF_NO_BATCH}, such as '{example}'"
    rows = sum(m.rows for m in near)
    expected = manifest.rows * sum(seen.join(i, on="id", how="semi").height for i in ids) / rows if rows else math.inf
    return NO_LABEL_CAME if not came and expected > _EXPECTED else None


def _are_many(strange: pl.DataFrame, seen: pl.DataFrame) -> bool:
    return seen.height >= _FEWEST and strange.height > _NOT_OURS * seen.height


def _of_no_batch(
    store: Store,
    project: Project,
    strange: pl.DataFrame,
    seen: pl.DataFrame,
    scored: Sequence[Manifest],
    *,
    read: Sequence[Manifest],
) -> pl.DataFrame:
    """The ids without those of any batch that was not ``read`` yet, scored or not; batches are read until few are left."""
    for other in (m for m in scored if m not in read):
        if not _are_many(strange, seen):
            return strange
        strange = strange.join(_ids(store, other).unique().to_frame("id"), on="id", how="anti")
    prefix, known = f"{project.name}/batches/", {m.batch for m in scored}
    unscored = [
        k for k in store.keys(prefix) if k.endswith(".parquet") and k.removeprefix(prefix).split("/")[0] not in known
    ]
    for key in unscored:
        frame = store.scan_parquet([key])
        if project.columns.id in frame.collect_schema():
            ids = frame.select(pl.col(project.columns.id).cast(pl.String).alias("id")).unique().collect()
            strange = strange.join(ids, on="id", how="anti")
    return strange


def _unmatched(store: Store, project: Project, manifest: Manifest, ids: pl.Series) -> str | None:
    """Why none of the batch's ids is among the labels, with an example of both sides, if there are labels at all."""
    periods = periods_of(store, project, ids)
    if periods:
        names = " or ".join(f"'{name}'" for name in dict.fromkeys([manifest.batch, str(manifest.date)]))
        return (
            f"{NO_ID_MATCHES}, such as '{ids[0]}' in the period {names}; labels of such ids have "
            f"'{project.columns.period}' {', '.join(map(repr, periods))}"
        )
    other = example_of_a_label_id(store, project)
    if other is None:
        return None
    log.warning(
        "batch %s: %s: the batch has ids such as '%s', the labels such as '%s'",
        manifest.batch,
        NO_ID_MATCHES,
        ids[0],
        other,
    )
    return f"{NO_ID_MATCHES}, such as '{ids[0]}'; the labels have ids such as '{other}'"
