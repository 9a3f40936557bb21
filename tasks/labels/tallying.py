"""Closing batches: counting predictions and the labels that came in time. A tally is written once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date

import polars as pl

from analysis.evidence import BatchTally, closing_date
from analysis.evidence.pair_counts import TALLY, stacked
from analysis.evidence.score_tally import score_tally
from analysis.evidence.tally import ENTITY, PROBABILITY, UNLABELLED, decision_column, segment_column
from tasks.base.project import Project
from tasks.batches.predictions import DamagedError, Manifest, manifests
from tasks.labels.batch_labels import label_rows, settled_date
from tasks.labels.label_files import LabelError, LabelFiles
from tasks.labels.replay_tallies import ReplayTallies
from tasks.labels.scored_rows import AnotherTaskError, require_task
from tasks.labels.tally_files import (
    SETTLED,
    Closed,
    ClosedBatch,
    create_or_read,
    digests,
    settled_tally,
)
from tasks.store import KeptStore, NotThereError, Store, keeping

__all__ = ["AnotherTaskError", "LabelError", "close_batches"]


def close_batches(store: Store, project: Project, as_of: date, *, keep: bool = True) -> Closed:
    """Tally every batch whose closing date is ``as_of`` or earlier; a tally that exists is read and not made again.

    A batch on which versions were replayed gets one more tally with these. With ``keep=False`` new tallies are not written. Batches
    dated after ``as_of``, and versions found after it, are left out. Raises LabelError, DamagedError, AnotherTaskError.
    """
    store = keeping(store)
    found = (m for m in manifests(store, project.name) if m.date <= as_of)
    scored = [replace(m, replays=tuple(r for r in m.replays if r.found <= as_of)) for m in found]
    due = [m for m in scored if _is_due(m, project, as_of)]
    _prefetch(store, project, due, as_of)
    labels = LabelFiles(store, project)
    closed = [_close(store, project, labels, m, scored, as_of, keep=keep) for m in due]
    settled = frozenset(b.manifest.batch for b in closed if b.tally.settled is not None)
    if project.absent != "negative":
        closed = _without_needless_settled(closed)
    if any(b.manifest.replays for b in closed):
        replayed = ReplayTallies(store, project, labels, scored, as_of, keep=keep)
        closed = [replace(b, replayed=replayed.of(b)) for b in closed]
    return Closed(tuple(closed), tuple(m for m in scored if not _is_due(m, project, as_of)), settled)


def _is_due(manifest: Manifest, project: Project, as_of: date) -> bool:
    return as_of >= closing_date(manifest.date, project.maturity_days)


def _prefetch(store: KeptStore, project: Project, due: Sequence[Manifest], as_of: date) -> None:
    """Read the tallies that there are, several at once."""
    tallies = {m.batch: f"{project.name}/tallies/{m.batch}.parquet" for m in due}
    settled = [m.batch for m in due if as_of >= settled_date(m.date, project.maturity_days)]
    absent = store.prefetch([*tallies.values(), *(f"{project.name}/tallies/{b}{SETTLED}" for b in settled)])
    # the sums of scores are written before their tally
    store.prefetch(f"{project.name}/tallies/{b}.scores.parquet" for b, key in tallies.items() if key not in absent)


def _without_needless_settled(closed: list[ClosedBatch]) -> list[ClosedBatch]:
    """Leave out the settled tallies of batches that lack no label, unless some batch has a corrected label.

    They would say nothing, and each would make the evidence differ, and so the decision a new one.
    """
    if _some_corrected([b.tally for b in closed if b.tally.settled is not None]):
        return closed
    rows = stacked([b.tally.frame for b in closed])
    lacking = set(rows.filter(pl.col("label").is_null())[TALLY].unique())
    return [b if b.tally.settled is None or i in lacking else _without_settled(b) for i, b in enumerate(closed)]


def _without_settled(batch: ClosedBatch) -> ClosedBatch:
    files = {k: v for k, v in batch.files.items() if not k.endswith(SETTLED)}
    return replace(batch, tally=replace(batch.tally, settled=None), files=files)


def _some_corrected(tallies: Sequence[BatchTally]) -> bool:
    """Whether a row that had a label has another one, or none, in one of the settled tallies."""
    first, settled = stacked([t.frame for t in tallies]), stacked([t.settled for t in tallies])
    keys = [c for c in first.columns if c not in ("excluded", "n", ENTITY, PROBABILITY)]
    before, after = (
        f.filter(pl.col("label").is_not_null()).group_by(keys).agg(pl.col("n").sum()) for f in (first, settled)
    )
    both = before.join(after, on=keys, how="left", suffix="_after", nulls_equal=True)
    return not both.filter(pl.col("n") > pl.col("n_after").fill_null(0)).is_empty()


def _close(
    store: KeptStore,
    project: Project,
    labels: LabelFiles,
    manifest: Manifest,
    scored: Sequence[Manifest],
    as_of: date,
    *,
    keep: bool,
) -> ClosedBatch:
    """Read the tally and the sums of scores, or make them; the sums are written first, so a tally always has them."""
    key = f"{project.name}/tallies/{manifest.batch}.parquet"
    scores_key = f"{project.name}/tallies/{manifest.batch}.scores.parquet"
    try:
        there = store.frame(key)
        frames = {scores_key: store.frame(scores_key), key: there}
    except NotThereError:
        deadline = closing_date(manifest.date, project.maturity_days)
        labelled = label_rows(store, project, labels, manifest, scored, deadline, strict=True)
        counted = labelled.counted()
        needs_labels = project.policy.unlabelled != "worst_case" and project.policy.sampling is None
        if labelled.silent and needs_labels:
            return _silent(store, project.name, manifest, counted)
        made = {scores_key: score_tally(labelled.blocks, project.policy), key: counted}
        frames = {k: create_or_read(store, k, frame, keep=keep) for k, frame in made.items()}
    contenders = manifest.contenders()
    tally = frames[key].frame
    classes, flags = tally.schema["label"] == pl.String, any(c.threshold is not None for c in contenders.values())
    _require_versions(store, key, tally, manifest)
    require_task(manifest, "multiclass" if classes else "binary" if flags else "regression", project.task)
    settled_key = f"{project.name}/tallies/{manifest.batch}{SETTLED}"
    settled = None
    if as_of >= settled_date(manifest.date, project.maturity_days):
        stored = settled_tally(store, project, labels, manifest, scored, settled_key, keep=keep)
        if stored is not None:
            frames[settled_key] = stored
            settled = stored.frame
    batch = BatchTally(manifest.batch, manifest.date, tally, contenders, frames[scores_key].frame, settled)
    return ClosedBatch(manifest, batch, digests(store, project.name, manifest, frames))


def _silent(store: Store, project_name: str, manifest: Manifest, counted: pl.DataFrame) -> ClosedBatch:
    reason = pl.col("excluded").fill_null(UNLABELLED)
    reasons = dict(counted.group_by(reason).agg(pl.col("n").sum()).sort("excluded").iter_rows())
    batch = BatchTally(manifest.batch, manifest.date, counted, manifest.contenders())
    return ClosedBatch(manifest, batch, digests(store, project_name, manifest, {}), reasons)


def _require_versions(store: Store, key: str, frame: pl.DataFrame, manifest: Manifest) -> None:
    """Raise DamagedError if the tally does not have a column for each version of the manifest, also for those that failed."""
    scored = {decision_column(s.version) for s in manifest.scored}
    counted = {
        c
        for c in frame.columns
        if c not in ("excluded", "label", "n", ENTITY, PROBABILITY) and not c.startswith(segment_column(""))
    }
    if counted != scored:
        msg = (
            f"{store.uri}: {key} counts {', '.join(sorted(counted))}, and the batch was scored by {', '.join(sorted(scored))}; "
            "restore it from a backup"
        )
        raise DamagedError(msg)
