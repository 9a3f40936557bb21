"""The scored rows of a batch, read from its predictions."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from analysis.evidence.tally import decision_column, score_column
from analysis.kinds import KINDS, Task
from tasks.base.errors import DethroneError
from tasks.batches.predictions import Manifest, Part, Scored, read_parts
from tasks.batches.rows import CHUNK_ROWS
from tasks.store import Store
from tasks.tables.table import cut

__all__ = ["AnotherTaskError", "ScoredBlocks", "require_task"]


class AnotherTaskError(DethroneError):
    """The batch was scored for another task than the project's."""


class ScoredBlocks:
    """The scored rows of a batch in blocks of ``CHUNK_ROWS``, however its files are cut: they are read whenever it is iterated over.

    Columns: ``id``, segments, entity, and for each version its decision and its score. The decision of a version that failed is null;
    of the task regression it is always 1. Raises AnotherTaskError, DamagedError.
    """

    def __init__(self, store: Store, manifest: Manifest, task: Task) -> None:
        self._store, self._manifest, self._task = store, manifest, task
        self._first = next(self._read())  # kept, so that a batch of one block is read once

    def __iter__(self) -> Iterator[pl.DataFrame]:
        yield self._first
        if self._manifest.rows > self._first.height:
            blocks = self._read()
            next(blocks)
            yield from blocks

    def _read(self) -> Iterator[pl.DataFrame]:
        columns = [_files(self._store, self._manifest.parts)]
        columns += [self._of_version(s) for s in self._manifest.scored if s.failure is None]
        missing = [
            pl.lit(None, dtype=KINDS[self._task].decision_type).alias(decision_column(s.version))
            for s in self._manifest.scored
            if s.failure is not None
        ]
        heights = [CHUNK_ROWS] * max(1, -(-self._manifest.rows // CHUNK_ROWS))
        for frames in zip(
            *(cut(c, heights) for c in columns), strict=True
        ):  # in the order of the rows, so no join is needed
            yield pl.concat(frames, how="horizontal").with_columns(missing)

    def _of_version(self, scored: Scored) -> Iterator[pl.DataFrame]:
        dtype = KINDS[self._task].decision_type
        for predictions in _files(self._store, scored.parts):
            require_task(self._manifest, _task_of(predictions), self._task)
            decision = pl.col("decision") if "decision" in predictions.columns else pl.lit(1, dtype=dtype)
            score = [pl.col("score").alias(score_column(scored.version))] if "score" in predictions.columns else []
            yield predictions.select(*score, decision.alias(decision_column(scored.version)))


def _files(store: Store, parts: tuple[Part, ...]) -> Iterator[pl.DataFrame]:
    return (read_parts(store, (part,)) for part in parts)


def require_task(manifest: Manifest, scored_task: Task, task: Task) -> None:
    """Raise AnotherTaskError if the batch was scored for another task than the project's ``task``."""
    if scored_task != task:
        msg = (
            f"batch {manifest.batch} was scored as {scored_task}, and the project's task is {task} now; "
            "set it back, or make another project for the new task"
        )
        raise AnotherTaskError(msg)


def _task_of(predictions: pl.DataFrame) -> Task:
    if "score" not in predictions.columns:
        return "multiclass"
    return "binary" if "decision" in predictions.columns else "regression"
