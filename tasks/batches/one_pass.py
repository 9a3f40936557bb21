"""One pass over the rows of a batch: read once, digested, and scored by every version."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import polars as pl

from analysis.evidence.tally import ENTITY, segment_column
from tasks.base.errors import DethroneError
from tasks.base.project import Project
from tasks.batches.on_workers import OnWorkers
from tasks.batches.predictions import Part
from tasks.batches.rows import BatchError, BatchRows, RowDigest
from tasks.batches.side_by_side import SideBySide
from tasks.batches.staging import Staging
from tasks.batches.version_run import VersionRun
from tasks.models.versions import Versions
from tasks.models.versions_on_workers import VersionsOnWorkers

__all__ = ["Place", "score_rows"]


class Place(Protocol):
    """Where versions predict: side by side on this machine, or on the workers of a cluster. What they predict is the same."""

    def put(self, number: int, chunk: pl.DataFrame) -> None:
        """Let every version that still runs predict the rows of a chunk."""

    def finish(self) -> None:
        """Wait until all is predicted; what a version failed with is in its run."""

    def abandon(self, error: BaseException) -> None:
        """Stop without waiting for any version."""


def score_rows(
    versions: Versions,
    rows: BatchRows,
    runs: Sequence[VersionRun],
    staging: Staging,
    *,
    needed: VersionRun | None = None,
    digested: Sequence[str] | None = None,
) -> tuple[RowDigest, list[Part]]:
    """Let every version of ``runs`` score every row; the digest of the rows, and their staged parts.

    The pass ends early when no version is left, or the ``needed`` one has failed; what a version failed with is in its run. Without
    ``digested``, the digest covers all columns that are read, and the ids, segments and entities of the rows are staged; with it, only
    these columns are digested and no rows are staged. Raises BatchError, and what is not a version's own fault, such as a full disk.
    """
    live = [run for run in runs if run.runs]
    row_parts: list[Part] = []
    nullable = rows.with_gaps(sorted({c for run in live for c in run.signature.integral(rows.schema)}))
    place: Place = (
        OnWorkers(versions, rows, live, nullable, needed)
        if isinstance(versions, VersionsOnWorkers)
        else SideBySide(versions, live, nullable, staging)
    )
    try:
        total = _read(versions, rows, live, place, needed, digested, None if digested else (staging, row_parts))
    except DethroneError:
        place.finish()
        raise
    except BaseException as error:  # such as Ctrl-C, which is not to wait for the models
        place.abandon(error)
        raise
    place.finish()
    for run in live:
        if run.fault:
            raise run.fault
    return total, row_parts


def _read(
    versions: Versions,
    rows: BatchRows,
    live: Sequence[VersionRun],
    place: Place,
    needed: VersionRun | None,
    digested: Sequence[str] | None,
    staged: tuple[Staging, list[Part]] | None,
) -> RowDigest:
    project = versions.project
    entity, segments, id_column = project.columns.entity, project.segments, project.columns.id
    read = {c for run in live for c in run.signature.present(rows.columns)}
    wanted = read | set(digested or (*segments, *([entity] if entity else [])))
    columns = (id_column, *sorted(wanted - {id_column}))
    total = RowDigest(columns if digested is None else digested)
    for number, chunk in enumerate(rows.chunks(columns)):
        if not any(run.runs for run in live) or (needed and not needed.runs) or any(run.fault for run in live):
            break
        total.update(chunk)
        if staged:
            staging, row_parts = staged
            row_parts.append(staging.add("rows", number, _identified(chunk, project, rows.batch)))
        place.put(number, chunk)
        if versions.progress:
            versions.progress(total.rows, [run.version for run in live if run.runs])
    return total


def _identified(chunk: pl.DataFrame, project: Project, batch: str) -> pl.DataFrame:
    """The ids, segments and entities of the rows. Raises BatchError if an id or an entity cannot be used."""
    id_column, entity = project.columns.id, project.columns.entity
    ids = chunk[id_column].alias("id")
    if ids.dtype.is_float():
        msg = f"batch {batch}: column '{id_column}' is {ids.dtype}; ids are integers or text, as in the labels"
        raise BatchError(msg)
    if ids.null_count():
        msg = f"batch {batch}: column '{id_column}' is null in {ids.null_count()} rows; every row needs an id"
        raise BatchError(msg)
    if entity and chunk[entity].null_count():
        msg = (
            f"batch {batch}: column '{entity}' is null in {chunk[entity].null_count()} rows; every row needs its entity"
        )
        raise BatchError(msg)
    shared = [pl.col(entity).alias(ENTITY)] if entity else []
    return chunk.select(ids, *(pl.col(s).alias(segment_column(s)) for s in project.segments), *shared)
