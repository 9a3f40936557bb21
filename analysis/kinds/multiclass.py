"""Models that name one of several classes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import polars as pl
import scipy
from numpy.typing import NDArray

from analysis.any_look.label_selection import class_audit, class_splits, log_e_audit, log_e_selection
from analysis.kinds.kind import Cell, Details, Kind, Task
from analysis.kinds.score_sums import ScoreSums
from analysis.one_look.bootstrap import Bootstrap
from analysis.one_look.by_class import by_class, marginal_tests
from analysis.one_look.class_bootstrap import class_bootstrap
from analysis.one_look.class_metrics import CLASS_METRICS, class_difference, class_metric
from analysis.one_look.losses import PairedLosses
from analysis.tables.class_counts import ClassCounts
from analysis.tables.class_names import class_names, is_class_type
from analysis.tables.counts import PairedOutcomes, Undefined
from analysis.tables.measure import Measure
from analysis.tables.metrics import Difference

__all__ = ["MULTICLASS"]


class _Multiclass(Kind):
    task: ClassVar[Task] = "multiclass"
    measures: ClassVar[Mapping[str, Measure]] = CLASS_METRICS
    primary: ClassVar[str] = "accuracy"
    guardrails: ClassVar[Mapping[str, float]] = {"macro_recall": 0.02}
    names_classes: ClassVar[bool] = True
    decision_type: ClassVar[type[pl.DataType]] = pl.String
    usable_label: ClassVar[pl.Expr] = pl.col("label") != ""
    unusable: ClassVar[str] = "label not a class"
    differing: ClassVar[str] = "rows on which the two name different classes"
    trend: ClassVar[tuple[str, ...]] = ("accuracy", "macro_recall")
    served: ClassVar[tuple[str, ...]] = ("accuracy", "macro_recall")
    prediction: ClassVar[str] = "one class"

    def checked(self, output: NDArray[Any]) -> NDArray[Any]:
        """The names of the predicted classes, as text."""
        values = _as_series(output)
        if values is None or not is_class_type(values.dtype):
            msg = (
                f"gave {output.dtype} values such as {output[0]!r}; classes are text or whole numbers, all of one kind"
            )
            raise ValueError(msg)
        names = values.to_frame("class").select(class_names(pl.col("class"), values.dtype)).to_series()
        missing = names.is_null().arg_true()
        if len(missing):
            first = missing[0]
            msg = f"gave {output[first]!r} (row {first} of a chunk), which is no class; every row needs one"
            raise ValueError(msg)
        return np.array(names.to_list(), dtype=object)

    def table(self, cells: Iterable[Cell]) -> ClassCounts:
        rows = list(cells)
        labelled = (((y, old, new), n) for y, old, new, n in rows if y is not None)
        return ClassCounts.of(labelled, (((old, new), n) for y, old, new, n in rows if y is None))

    def total(self, tables: Iterable[Any]) -> ClassCounts:
        """All tables are added at once, because each addition sorts the cells."""
        counted: list[ClassCounts] = list(tables)
        return ClassCounts.of((e for c in counted for e in c.labelled), (e for c in counted for e in c.unlabelled))

    def value(self, name: str, table: ClassCounts) -> float | Undefined:
        return class_metric(name, table.champion)

    def difference(self, name: str, table: ClassCounts) -> Difference | Undefined:
        return class_difference(name, table)

    def details(self, table: ClassCounts, losses: Callable[[str], PairedLosses], confidence_level: float) -> Details:
        return Details(dict(table.labelled), by_class(table), marginal_tests(table))

    def bootstrap(
        self, table: ClassCounts, *, rng: np.random.Generator, confidence_level: float, n_resamples: int
    ) -> Mapping[str, Bootstrap | Undefined]:
        level = confidence_level
        return class_bootstrap(table, CLASS_METRICS, rng=rng, confidence_level=level, n_resamples=n_resamples)

    def log_e_selection(self, tables: Sequence[ClassCounts], sums: Sequence[Mapping[str, ScoreSums]]) -> float:
        """The mean of the e-values for each pair of classes (``class_splits``)."""
        log_es = [log_e_selection(splits) for splits in class_splits(tables).values()]
        return float(scipy.special.logsumexp(log_es) - math.log(len(log_es)))

    def log_e_audit(self, pairs: Sequence[tuple[ClassCounts, ClassCounts]]) -> float | Undefined:
        return log_e_audit(class_audit(pairs))

    def disagreement(self, outcomes: PairedOutcomes, unit: str, metric: str) -> str:
        return f"exactly one of the two was right on {outcomes.discordant} of the {outcomes.n} rows"


def _as_series(output: NDArray[Any]) -> pl.Series | None:
    """The output as a series; None if its values are of several types."""
    if output.dtype.kind != "O":
        return pl.Series(output)
    import pandas as pd  # only models whose classes are Python objects need it

    try:
        return pl.Series([None if missing else v for v, missing in zip(output, pd.isna(output), strict=True)])
    except (TypeError, ValueError, OverflowError):
        return None


MULTICLASS = _Multiclass()
