"""A version that scores in this process, from the folder of its model: the conversions and the worker's code without its process."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import polars as pl
from numpy.typing import NDArray

from tasks.models.errors import ScoringError
from tasks.models.outputs import predictions_of
from tasks.models.registry import Artifacts
from tasks.models.signature import Signature, gaps
from tasks.models.worker.errors import ModelError
from tasks.models.worker.model import load_model


def with_gaps(signature: Signature, rows: pl.DataFrame) -> list[str]:
    """The integer and boolean columns with a gap in these rows, which are the whole batch."""
    return [c for c in signature.integral(rows.columns) if rows.select(gaps(c, rows.schema[c]).any()).item()]


class Scorer:
    """A loaded version: call it with rows to get predictions. Raises ScoringError."""

    def __init__(self, artifacts: Artifacts) -> None:
        self._artifacts = artifacts
        version = artifacts.version
        try:
            self._model = load_model(str(artifacts.folder), version.task, version.choices)
        except ModelError as error:
            msg = f"version {version.version} {error}"
            raise ScoringError(msg) from error

    def __call__(self, rows: pl.DataFrame, nullable: Collection[str] | None = None) -> NDArray[Any]:
        """``nullable`` are the integer and boolean columns with a gap anywhere in the batch; without it, the rows are all of it."""
        version, signature = self._artifacts.version, self._artifacts.signature
        table = signature.table(rows, with_gaps(signature, rows) if nullable is None else nullable)
        try:
            output = self._model.predict(table)
        except ModelError as error:
            msg = f"version {version.version} {error}"
            raise ScoringError(msg) from error
        return predictions_of(version.task, version.version, output, rows.height)
