"""Models that predict numbers."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import polars as pl
import scipy
from numpy.typing import NDArray

from analysis.any_look.batch_unit import log_e_of_batches
from analysis.kinds.kind import LARGEST_NUMBER, Cell, Details, Kind, Task
from analysis.kinds.score_sums import PREDICTED, PREDICTED_UNLABELLED, LossSums, ScoredBlocks, ScoreSums, Sums
from analysis.one_look.losses import REGRESSION_LOSSES, PairedLosses, paired_t, regression_losses
from analysis.tables.counts import Undefined
from analysis.tables.measure import Measure
from analysis.tables.metrics import Difference, Floats
from analysis.tables.number_counts import NumberCounts

__all__ = ["REGRESSION"]


class _Regression(Kind):
    task: ClassVar[Task] = "regression"
    measures: ClassVar[Mapping[str, Measure]] = REGRESSION_LOSSES
    primary: ClassVar[str] = "squared_error"
    guardrails: ClassVar[Mapping[str, float]] = {}
    right_or_wrong: ClassVar[bool] = False
    decision_type: ClassVar[type[pl.DataType]] = pl.Int8
    usable_label: ClassVar[pl.Expr] = pl.col("label").is_between(-LARGEST_NUMBER, LARGEST_NUMBER)
    unusable: ClassVar[str] = "label not a number"
    differing: ClassVar[str] = "rows on which the two predict different numbers"
    trend: ClassVar[tuple[str, ...]] = ("squared_error", "absolute_error")
    served: ClassVar[tuple[str, ...]] = tuple(REGRESSION_LOSSES)
    prediction: ClassVar[str] = "one number"

    def tally_label(self, label: pl.Expr) -> pl.Expr:
        """1 where there is a label, else null: a tally only counts the rows."""
        return pl.when(label.is_not_null()).then(pl.lit(1, dtype=pl.Int8)).alias("label")

    def checked(self, output: NDArray[Any]) -> NDArray[Any]:
        """Numbers within [-``LARGEST_NUMBER``, ``LARGEST_NUMBER``]."""
        numbers = _as_floats(output)
        if numbers is None:
            msg = f"gave {output.dtype} values such as {output[0]!r}; predictions must be finite numbers"
            raise ValueError(msg)
        bad = np.flatnonzero(~(np.abs(numbers) <= LARGEST_NUMBER))
        if len(bad):
            msg = (
                f"gave the number {numbers[bad[0]]} (row {bad[0]} of a chunk); "
                f"predictions must be finite, and at most {LARGEST_NUMBER:g} either way"
            )
            raise ValueError(msg)
        return numbers

    def table(self, cells: Iterable[Cell]) -> NumberCounts:
        labelled = unlabelled = 0
        for label, _, _, n in cells:
            labelled, unlabelled = labelled + n * (label is not None), unlabelled + n * (label is None)
        return NumberCounts(labelled, unlabelled)

    def total(self, tables: Iterable[Any]) -> NumberCounts:
        return sum(tables, NumberCounts())

    def value(self, name: str, table: NumberCounts) -> float | Undefined:
        return Undefined(f"{name} is not a function of counts")

    def difference(self, name: str, table: NumberCounts) -> Difference | Undefined:
        return Undefined(f"{name} is not a function of counts")

    def score_sums(self, blocks: ScoredBlocks, *, named: Collection[str], largest_error: float | None) -> list[Sums]:
        """The losses, clipped at ``largest_error``; if rows lack a label, also the mean predictions with and without a label."""
        losses = []
        for name, measure in REGRESSION_LOSSES.items():
            bound = measure.bound(largest_error)
            losses.append(LossSums(name, functools.partial(regression_losses, loss=name, clip=bound), bound))
        labelled, unlabelled = LossSums(PREDICTED, _prediction), LossSums(PREDICTED_UNLABELLED, _prediction)
        for block in blocks():
            for sums in (*losses, labelled):
                sums.add(block.y, block.scores)
            unlabelled.add(np.zeros(0), block.unlabelled)
        rows = [row for sums in losses for row in sums.rows()]
        if not rows or not unlabelled.rows():
            return rows
        return rows + labelled.rows() + unlabelled.rows()

    def details(self, table: NumberCounts, losses: Callable[[str], PairedLosses], confidence_level: float) -> Details:
        tests = {name: paired_t(losses(name), confidence_level=confidence_level) for name in REGRESSION_LOSSES}
        return Details(losses=tests)

    def log_e_selection(
        self, tables: Sequence[NumberCounts], sums: Sequence[Mapping[str, ScoreSums]]
    ) -> float | Undefined:
        """Log of the e-value against H0: the two models' predictions differ as much on rows without a label as on labelled rows.

        One number per batch, symmetric around 0 under H0: the mean difference of the predictions without a label minus the mean
        difference with one, over its standard error. The e-value is the mean of both directions.
        """
        x = []
        for batch in sums:
            known, unknown = batch.get(PREDICTED), batch.get(PREDICTED_UNLABELLED)
            variance = known.variance + unknown.variance if known and unknown else 0.0
            if known and unknown and variance > 0:
                gap = (unknown.challenger - unknown.champion) - (known.challenger - known.champion)
                x.append(gap / math.sqrt(variance))
        if not x:
            return Undefined("no batch has rows with a label and rows without one")
        both = np.array([x, [-v for v in x]])
        return float(scipy.special.logsumexp(log_e_of_batches(both, np.zeros(2))) - math.log(2))


def _prediction(_: Floats, predicted: Floats) -> Floats:
    """The prediction in place of a loss, for ``log_e_selection``."""
    return predicted


def _as_floats(output: NDArray[Any]) -> NDArray[np.float64] | None:
    """The output as floats; None for text, dates and other values that are not numbers."""
    kind = output.dtype.kind
    if kind not in "biufO" or (kind == "O" and any(isinstance(v, str) for v in output)):
        return None
    try:
        return output.astype(np.float64)
    except (TypeError, ValueError):
        return None


REGRESSION = _Regression()
