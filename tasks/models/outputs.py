"""What of a model's output is a prediction: one score, one class or one number per row, by the kind of task."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.kinds import KINDS, Task
from tasks.models.errors import ScoringError

__all__ = ["predictions_of"]


def predictions_of(task: Task, version: str, output: Any, rows: int) -> NDArray[Any]:
    """The predictions in a model's output for so many rows, as ``Kind.predictions`` reads them. Raises ScoringError."""
    kind, values = KINDS[task], np.asarray(output)
    try:
        predictions = kind.predictions(values) if values.shape[:1] == (rows,) else values
    except ValueError as error:
        msg = f"version {version} {error}"
        raise ScoringError(msg) from None
    if predictions.shape != (rows,):
        shape = predictions.shape
        msg = f"version {version} gave an output of shape {shape} for {rows} rows; {kind.prediction} per row is needed"
        raise ScoringError(msg)
    return predictions
