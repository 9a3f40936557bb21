"""What became of each row of a batch: its label, or why it has none, in a few bytes a row."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from analysis.evidence.row_labels import AFTER_CLOSING, REASONS, SILENT
from analysis.kinds import KINDS, Task

__all__ = ["RowOutcomes"]

_NONE = 255  # of the reasons: the row has none
_CODES: dict[str, int] = {reason: i for i, reason in enumerate(REASONS.categories)}


class RowOutcomes:
    """The labels of ``rows`` rows by their numbers: 2 bytes each for 0 and 1, 5 for classes, 9 for numbers, 8 more for a probability."""

    def __init__(self, rows: int, task: Task, *, sampled: bool) -> None:
        self._classes: list[str] | None = [] if KINDS[task].names_classes else None
        kept: Any = np.int32 if self._classes is not None else np.int8 if KINDS[task].decides else np.float64
        self._label: NDArray[Any] = np.full(rows, np.nan if kept is np.float64 else -1, dtype=kept)
        self._reason = np.full(rows, _NONE, dtype=np.uint8)
        self._probability = np.full(rows, np.nan) if sampled else None

    def put(self, rows: pl.Series, found: pl.DataFrame) -> None:
        """Put down what ``labels_of_rows`` found of the rows with these numbers."""
        at = rows.to_numpy()
        missing = np.nan if self._label.dtype == np.float64 else -1
        self._label[at] = self._codes(found["label"]).fill_null(missing).to_numpy()
        self._reason[at] = found["excluded"].to_physical().fill_null(_NONE).to_numpy()
        if self._probability is not None and "probability" in found.columns:
            self._probability[at] = found["probability"].cast(pl.Float64).fill_null(float("nan")).to_numpy()

    def silence_is_negative(self) -> None:
        """Give the label 0 to all rows for which no label came in time, and nothing else that says why."""
        silent = np.isin(self._reason, [_CODES[SILENT], _CODES[AFTER_CLOSING]])
        self._label[silent], self._reason[silent] = 0, _NONE

    def labels(self) -> pl.Series:
        """The labels of all rows that have one."""
        there = ~np.isnan(self._label) if self._label.dtype == np.float64 else self._label >= 0
        return pl.Series("label", self._label[there])

    def reasons(self) -> set[str]:
        """The reasons that a row has."""
        return {reason for reason, code in _CODES.items() if (self._reason == code).any()}

    def block(self, first: int, rows: int) -> pl.DataFrame:
        """``label``, ``excluded`` and ``probability`` of so many rows from the row ``first`` on."""
        part = slice(first, first + rows)
        reason = pl.Series("excluded", self._reason[part])
        columns = [self._read(pl.Series("label", self._label[part])), reason.set(reason == _NONE, None).cat.to(REASONS)]
        if self._probability is not None:
            columns.append(pl.Series("probability", self._probability[part], nan_to_null=True))
        return pl.DataFrame(columns)

    def _codes(self, labels: pl.Series) -> pl.Series:
        if self._classes is None:
            return labels
        self._classes += sorted(set(labels.drop_nulls().unique()) - set(self._classes))
        return labels.replace_strict(self._classes, range(len(self._classes)), return_dtype=pl.Int32)

    def _read(self, codes: pl.Series) -> pl.Series:
        if codes.dtype == pl.Float64:
            return codes.fill_nan(None)
        known = codes.set(codes < 0, None)
        if self._classes is None:
            return known
        return pl.Series("label", self._classes, dtype=pl.String).gather(known)
