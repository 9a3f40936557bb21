"""The scored rows of a batch, read from its predictions."""

from __future__ import annotations

import polars as pl

from analysis.evidence.tally import decision_column, score_column
from analysis.kinds import KINDS, Task
from tasks.base.errors import DethroneError
from tasks.batches.predictions import Manifest, read_parts
from tasks.store import Store

__all__ = ["AnotherTaskError", "ids_of", "require_task", "scored_rows"]


class AnotherTaskError(DethroneError):
    """The batch was scored for another task than the project's."""


def scored_rows(store: Store, manifest: Manifest, task: Task) -> pl.DataFrame:
    """One row per scored row: ``id`` as text, segments, entity, and for each version its decision and its score.

    The decision of a version that failed is null; of the task regression it is always 1. Raises AnotherTaskError, DamagedError.
    """
    rows = read_parts(store, manifest.parts)
    dtype = KINDS[task].decision_type
    for scored in manifest.scored:
        name = decision_column(scored.version)
        if scored.failure is None:
            predictions = read_parts(store, scored.parts)  # in the order of the rows, so no join is needed
            require_task(manifest, _task_of(predictions), task)
            decision = predictions["decision"] if "decision" in predictions.columns else pl.lit(1, dtype=dtype)
            rows = rows.with_columns(decision.alias(name))
            if "score" in predictions.columns:
                rows = rows.with_columns(predictions["score"].alias(score_column(scored.version)))
        else:
            rows = rows.with_columns(pl.lit(None, dtype=dtype).alias(name))
    return rows.with_columns(pl.col("id").cast(pl.String))


def ids_of(store: Store, manifest: Manifest) -> pl.Series:
    """The ids of the batch's rows as text, in their order. Raises DamagedError."""
    return read_parts(store, manifest.parts)["id"].cast(pl.String)


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
