"""Why labels of a whole batch are missing: a broken feed, or ids that do not match."""

from __future__ import annotations

import contextlib
import logging
import math
from collections.abc import Sequence
from datetime import date

import polars as pl

from analysis.evidence.row_labels import IDS_OF_NO_BATCH, NO_ID_MATCHES, NO_LABEL_CAME
from tasks.base.project import Project
from tasks.batches.listing import batches_in
from tasks.batches.predictions import Manifest
from tasks.batches.rows import BatchError, first_day, open_batch
from tasks.labels.label_files import LabelFiles
from tasks.labels.row_ids import IdRange, as_key
from tasks.store import Store

log = logging.getLogger("dethrone")

__all__ = ["broken_feed", "unmatched_ids"]

_MOST_UNKNOWN = 0.2  # share of the labels of some days whose ids may be of no batch
_FEWEST_LABELS = 20  # so many labels are needed to judge that share
_MOST_EXPECTED = 7  # with more positives expected, none at all has a probability below 1 in 1,000


def broken_feed(
    store: Store,
    project: Project,
    files: LabelFiles,
    manifest: Manifest,
    scored: Sequence[Manifest],
    neighbours: Sequence[Manifest],
    deadline: date,
    in_time: int,
) -> str | None:
    """Why a row without a label is not a negative, although ``absent: negative`` is set; None if the feed seems to work.

    Either many labels that were observed since the first day of the batch have ids of no batch. Or none of the batch's labels
    came ``in_time``, and at the rate of positives in its ``neighbours`` some would have. ``scored`` are all scored batches.
    """
    observed = files.observed_between(first_day(manifest.batch, manifest.date), deadline)
    of_neighbours = [_among(files, observed, m) for m in neighbours]
    known = [_among(files, observed, manifest), *of_neighbours]
    unknown = observed.filter(~observed.is_in(pl.concat(known).implode()))
    if _are_many(unknown, observed):
        others = [m for m in scored if m.batch != manifest.batch and m not in neighbours]
        unknown = _without_other_ids(store, project, files, unknown, observed, scored, others)
    if _are_many(unknown, observed):
        example = str(unknown.cast(pl.String).sort().first())
        log.warning(
            "batch %s: %s: %d of %d, such as %s",
            manifest.batch,
            IDS_OF_NO_BATCH,
            len(unknown),
            len(observed),
            example,
        )
        return f"{IDS_OF_NO_BATCH}, such as '{example}'"
    rows = sum(m.rows for m in neighbours)
    expected = manifest.rows * sum(map(len, of_neighbours)) / rows if rows else math.inf
    return NO_LABEL_CAME if not in_time and expected > _MOST_EXPECTED else None


def _among(files: LabelFiles, ids: pl.Series, manifest: Manifest) -> pl.Series:
    """Those of these different ids that the batch has."""
    found = ids.clear()
    if IdRange.of(ids).meets(files.ids.range(manifest)):
        for part in files.ids.parts(manifest):
            found = found.append(ids.filter(ids.is_in(as_key(part, ids.dtype).implode())))
    return found.unique()


def _are_many(unknown: pl.Series, observed: pl.Series) -> bool:
    return len(observed) >= _FEWEST_LABELS and len(unknown) > _MOST_UNKNOWN * len(observed)


def _without_other_ids(
    store: Store,
    project: Project,
    files: LabelFiles,
    unknown: pl.Series,
    observed: pl.Series,
    scored: Sequence[Manifest],
    others: Sequence[Manifest],
) -> pl.Series:
    """Remove the ids of the ``others`` among the scored batches, one by one until few are left, and those of unscored batches."""
    for other in others:
        if not _are_many(unknown, observed):
            return unknown
        unknown = unknown.filter(~unknown.is_in(_among(files, unknown, other).implode()))
    known = {m.batch for m in scored}
    for batch in batches_in(store, project.name):
        if batch not in known and _are_many(unknown, observed):
            unknown = _without_ids_of_rows(store, project, unknown, batch)
    return unknown


def _without_ids_of_rows(store: Store, project: Project, unknown: pl.Series, batch: str) -> pl.Series:
    """What is wrong with a batch that is not scored is said when it is scored."""
    id_column = project.columns.id
    with contextlib.suppress(BatchError):
        for chunk in open_batch(store, project, batch).chunks([id_column]):
            unknown = unknown.filter(~unknown.is_in(as_key(chunk[id_column], unknown.dtype).implode()))
    return unknown


def unmatched_ids(project: Project, files: LabelFiles, manifest: Manifest) -> str | None:
    """Why no label has an id of the batch, with an example of both sides; None if there are no labels at all."""
    ids = pl.concat(files.ids.parts(manifest))
    periods = files.periods_of(ids)
    if periods:
        names = " or ".join(f"'{name}'" for name in dict.fromkeys([manifest.batch, str(manifest.date)]))
        return (
            f"{NO_ID_MATCHES}, such as '{ids[0]}' in the period {names}; labels of such ids have "
            f"'{project.columns.period}' {', '.join(map(repr, periods))}"
        )
    other = files.example_of_an_id()
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
