"""The scored rows of a batch joined with the labels that were observed by a day."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta

import polars as pl

from analysis.evidence import closing_date
from analysis.evidence.row_labels import AFTER_CLOSING, SILENT, with_examples
from analysis.evidence.tally import add_counts, count_rows
from analysis.kinds import Task
from tasks.base.project import Project
from tasks.batches.predictions import Manifest
from tasks.labels.batch_faults import require_common_probabilities, require_own_ids, require_plausible_numbers
from tasks.labels.batch_join import join_batch
from tasks.labels.label_files import LabelFiles
from tasks.labels.missing_labels import broken_feed, unmatched_ids
from tasks.labels.row_outcomes import RowOutcomes
from tasks.labels.scored_rows import ScoredBlocks
from tasks.store import Store

__all__ = ["Labelled", "label_rows", "settled_date"]


@dataclass(frozen=True, slots=True)
class Labelled:
    """Rows with their labels; ``silent``: none of them has a label that can be used.

    ``labels_from`` is the day on which the first label of these ids was observed since the batch began; None if none was.
    ``examples`` are those of reasons, and ``unexplained`` is why all rows without a label and a reason lack one.
    """

    scored: ScoredBlocks
    outcomes: RowOutcomes
    task: Task
    examples: Mapping[str, str]
    unexplained: str | None
    silent: bool
    labels_from: date | None
    late: bool = True

    def blocks(self) -> Iterator[pl.DataFrame]:
        """The rows in blocks: what ``ScoredBlocks`` gives, with ``label``, ``excluded`` and perhaps ``probability``."""
        first = 0
        for block in self.scored:
            yield pl.concat([block, self.outcomes.block(first, block.height)], how="horizontal")
            first += block.height

    def counted(self) -> pl.DataFrame:
        """The tally of the rows."""
        reason = pl.col("excluded")
        if not self.late:
            reason = pl.when(reason != AFTER_CLOSING).then(reason)
        told = with_examples(pl.when(reason != SILENT).then(reason), self.examples)
        if self.unexplained:
            without = told.is_null() & pl.col("label").is_null()
            told = pl.when(without).then(pl.lit(self.unexplained)).otherwise(told)
        return add_counts(count_rows(b, task=self.task).with_columns(excluded=told) for b in self.blocks())

    def without_late(self) -> Labelled:
        """The rows as if no label had come after closing."""
        return replace(self, late=False)


def settled_date(batch_date: date, maturity_days: int) -> date:
    """The day whose labels make the settled tally, with late and corrected labels: one to four weeks after the closing date."""
    return closing_date(batch_date, maturity_days) + timedelta(days=min(max(maturity_days, 7), 28))


def label_rows(
    store: Store,
    project: Project,
    files: LabelFiles,
    manifest: Manifest,
    scored: Sequence[Manifest],
    deadline: date,
    *,
    strict: bool,
) -> Labelled:
    """The scored rows of one batch with the labels that were observed by the end of the deadline, as ``labels_of_rows`` gives them.

    ``scored`` are all scored batches. A fault of the labels of the whole batch raises LabelError if ``strict``, for a batch that
    is about to close; else it only excludes rows. Raises also AnotherTaskError, DamagedError.
    """
    blocks = ScoredBlocks(store, manifest, project.task)
    neighbours = _neighbours(manifest, scored, project.maturity_days, deadline)
    found = join_batch(project, files, manifest, neighbours, deadline)
    if strict:
        require_own_ids(project, manifest, found.recurring)
    absent_is_negative, reason = project.absent == "negative", None
    if absent_is_negative:
        reason = broken_feed(store, project, files, manifest, scored, neighbours, deadline, found.in_time)
        if not reason:
            found.outcomes.silence_is_negative()
    labelled = Labelled(
        blocks, found.outcomes, project.task, found.examples, None, silent=False, labels_from=found.labels_from
    )
    if strict:
        _require_plausible(project, manifest, labelled)
    if not found.labels and (reason or not absent_is_negative):
        reason = unmatched_ids(project, files, manifest) or reason
    # of a broken feed not even the labels count: positives without negatives are worse than no label
    broken = reason is not None and absent_is_negative
    return replace(labelled, unexplained=reason, silent=broken or not len(found.outcomes.labels()))


def _require_plausible(project: Project, manifest: Manifest, labelled: Labelled) -> None:
    sampling = project.policy.sampling
    if sampling and sampling.disagreements is not None:
        require_common_probabilities(manifest, labelled.blocks(), sampling.disagreements)
    if project.task == "regression" and project.labels is None:
        require_plausible_numbers(manifest, labelled.outcomes.labels(), labelled.scored)


def _neighbours(manifest: Manifest, scored: Sequence[Manifest], maturity_days: int, deadline: date) -> list[Manifest]:
    """The other scored batches whose labels can be observed on the same days as those of the batch."""
    earliest = manifest.date - (settled_date(manifest.date, maturity_days) - manifest.date)
    return [m for m in scored if m.batch != manifest.batch and earliest <= m.date <= deadline]
