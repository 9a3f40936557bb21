"""One pass over the rows of a batch: read once, converted once for all versions, and scored by them side by side."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl
import pyarrow as pa

from analysis.evidence.tally import ENTITY, segment_column
from tasks.base.errors import DethroneError
from tasks.base.project import Project
from tasks.batches.in_flight import InFlight
from tasks.batches.predictions import Part
from tasks.batches.rows import BatchError, BatchRows, RowDigest
from tasks.batches.staging import Staging
from tasks.batches.version_run import VersionRun
from tasks.models.errors import ScoringError
from tasks.models.signature import Column, arrow_column
from tasks.models.versions import Versions

__all__ = ["score_rows"]

_IN_FLIGHT = 128 * 1024 * 1024  # bytes of rows that wait for a version or are with one


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
    for run in live:
        run.start(versions.project.task, staging)
    row_parts: list[Part] = []
    try:
        total = _read(versions.project, rows, live, needed, digested, None if digested else (staging, row_parts))
    except BaseException as error:
        if not isinstance(error, DethroneError):  # such as Ctrl-C, which is not to wait for the models
            for run in live:
                versions.failed(run.version, error)
        raise
    finally:
        for run in live:
            run.finish()
            if wrong := run.error or run.fault:  # its process owes answers that nobody waits for any more
                versions.failed(run.version, wrong)
    for run in live:
        if run.fault:
            raise run.fault
    return total, row_parts


def _read(
    project: Project,
    rows: BatchRows,
    live: Sequence[VersionRun],
    needed: VersionRun | None,
    digested: Sequence[str] | None,
    staged: tuple[Staging, list[Part]] | None,
) -> RowDigest:
    entity, segments, id_column = project.columns.entity, project.segments, project.columns.id
    read = {c for run in live for c in run.signature.present(rows.columns)}
    nullable = rows.with_gaps(sorted({c for run in live for c in run.signature.integral(rows.schema)}))
    wanted = read | set(digested or (*segments, *([entity] if entity else [])))
    columns = (id_column, *sorted(wanted - {id_column}))
    total, in_flight = RowDigest(columns if digested is None else digested), InFlight(_IN_FLIGHT)
    for number, chunk in enumerate(rows.chunks(columns)):
        if not any(run.runs for run in live) or (needed and not needed.runs) or any(run.fault for run in live):
            break
        total.update(chunk)
        if staged:
            staging, row_parts = staged
            row_parts.append(staging.add("rows", number, _identified(chunk, project, rows.batch)))
        converted: dict[Column, tuple[pa.Field, pa.Array]] = {}
        taking = [run for run in live if run.runs and _converts(run, chunk, nullable, converted)]
        names = {column: str(place) for place, column in enumerate(converted)}
        fields, arrays = zip(*converted.values(), strict=True) if converted else ((), ())
        schema = pa.schema([field.with_name(name) for field, name in zip(fields, names.values(), strict=True)])
        sent = in_flight.chunk(number, pa.Table.from_arrays(arrays, schema=schema))
        sent.shared_by(len(taking))
        for run in taking:
            run.put(sent, [(names[column], column.name) for column in run.signature.columns])
    return total


def _converts(
    run: VersionRun,
    chunk: pl.DataFrame,
    nullable: frozenset[str],
    converted: dict[Column, tuple[pa.Field, pa.Array]],
) -> bool:
    """Whether the columns of a version can be converted to its types; they are added to ``converted``, once for all versions."""
    try:
        for column in run.signature.columns:
            if column not in converted:
                converted[column] = arrow_column(chunk, column, run.version, gap=column.name in nullable)
    except ScoringError as error:
        run.error = error
        return False
    return True


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
