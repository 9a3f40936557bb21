"""Models that decide between 0 and 1 by a score and a threshold."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import polars as pl
from numpy.typing import NDArray

from analysis.any_look.cost import COST
from analysis.any_look.label_selection import (
    binary_audit,
    binary_splits,
    binary_withdrawn,
    log_e_audit,
    log_e_selection,
)
from analysis.kinds.kind import Cell, Kind, Task
from analysis.kinds.score_sums import LossSums, ScoredBlocks, ScoreSums, Sums, pairs_of
from analysis.one_look.average_precision import paired_average_precision
from analysis.one_look.batch_ranks import BatchRanks
from analysis.one_look.bootstrap import Bootstrap, bootstrap
from analysis.one_look.scores import RANK_METRICS, SCORE_LOSSES, one_score_a_row
from analysis.tables.counts import PairedCounts, PairedOutcomes, Undefined
from analysis.tables.measure import Measure
from analysis.tables.metrics import METRICS, Difference, difference, differences, metric

__all__ = ["BINARY"]

_RESAMPLES = 200  # for the standard error of average precision within one batch


class _Binary(Kind):
    task: ClassVar[Task] = "binary"
    measures: ClassVar[Mapping[str, Measure]] = {**METRICS, COST.name: COST, **RANK_METRICS, **SCORE_LOSSES}
    primary: ClassVar[str] = "recall"
    guardrails: ClassVar[Mapping[str, float]] = {"accuracy": 0.005, "precision": 0.03}
    decides: ClassVar[bool] = True
    decision_type: ClassVar[type[pl.DataType]] = pl.Int8
    usable_label: ClassVar[pl.Expr] = pl.col("label").is_in([0.0, 1.0])
    widths: ClassVar[tuple[int, ...]] = (1, 2)  # or the probabilities of the classes 0 and 1
    unusable: ClassVar[str] = "label not 0/1"
    differing: ClassVar[str] = "rows flagged by one model alone"
    trend: ClassVar[tuple[str, ...]] = ("precision", "recall")
    served: ClassVar[tuple[str, ...]] = ("recall", "precision", "alert_rate")
    prediction: ClassVar[str] = "one score"

    def joined_label(self, label: pl.Expr) -> pl.Expr:
        return label.cast(pl.Int8)

    def checked(self, output: NDArray[Any]) -> NDArray[Any]:
        try:
            scores = output.astype(np.float64)
        except (TypeError, ValueError):
            msg = f"gave {output.dtype} values such as {output[0]!r}; scores must be numbers from 0 to 1"
            raise ValueError(msg) from None
        bad = np.flatnonzero(~((scores >= 0) & (scores <= 1)))
        if len(bad):
            msg = f"gave the score {scores[bad[0]]} (row {bad[0]} of a chunk); scores must be numbers from 0 to 1"
            raise ValueError(msg)
        return scores

    def table(self, cells: Iterable[Cell]) -> PairedCounts:
        labelled, unlabelled = [0] * 8, [0] * 4
        for label, old, new, n in cells:
            if label is None:
                unlabelled[2 * old + new] += n
            else:
                labelled[4 * label + 2 * old + new] += n
        return PairedCounts(tuple(labelled), tuple(unlabelled))  # type: ignore[arg-type]

    def total(self, tables: Iterable[Any]) -> PairedCounts:
        parts = list(tables)
        if len(parts) < 2:
            return parts[0] if parts else PairedCounts()
        labelled, unlabelled = zip(*((t.labelled, t.unlabelled) for t in parts), strict=True)
        sums = (tuple(map(sum, zip(*cells, strict=True))) for cells in (labelled, unlabelled))
        return PairedCounts(*sums)  # type: ignore[arg-type]

    def value(self, name: str, table: PairedCounts) -> float | Undefined:
        return metric(name, table.champion)

    def difference(self, name: str, table: PairedCounts) -> Difference | Undefined:
        return difference(name, table)

    def differences(self, name: str, tables: Sequence[PairedCounts]) -> list[Difference | Undefined]:
        return differences(name, tables)

    def score_sums(self, blocks: ScoredBlocks, *, named: Collection[str], largest_error: float | None) -> list[Sums]:
        """The losses and AUC. Average precision, which needs a bootstrap of all rows at once, only if the policy names it."""
        losses = [LossSums(m.name, m.loss) for m in SCORE_LOSSES.values()]
        ranks = BatchRanks()
        for block in blocks():
            scores = {version: one_score_a_row(block.y, s) for version, s in block.scores.items()}
            for sums in losses:
                sums.add(block.y, scores)
            ranks.add(block.y, scores)
        rows = [row for sums in losses for row in sums.rows()]
        rows += _auc(ranks, blocks)
        return rows + _average_precision(blocks) if "average_precision" in named else rows

    def bootstrap(
        self, table: PairedCounts, *, rng: np.random.Generator, confidence_level: float, n_resamples: int
    ) -> Mapping[str, Bootstrap | Undefined]:
        return bootstrap(table, METRICS, rng=rng, confidence_level=confidence_level, n_resamples=n_resamples)

    def log_e_selection(self, tables: Sequence[PairedCounts], sums: Sequence[Mapping[str, ScoreSums]]) -> float:
        return log_e_selection(binary_splits(tables))

    def log_e_audit(self, pairs: Sequence[tuple[PairedCounts, PairedCounts]]) -> float | Undefined:
        return log_e_audit(binary_audit(pairs), binary_withdrawn(pairs))

    def disagreement(self, outcomes: PairedOutcomes, unit: str, metric: str) -> str:
        return f"the two disagreed on {outcomes.discordant} of the {outcomes.n} {unit} that {metric} is about"


def _auc(ranks: BatchRanks, blocks: ScoredBlocks) -> list[Sums]:
    estimate = ranks.auc_covariance((block.y, block.scores) for block in blocks())
    if isinstance(estimate, Undefined):
        return []
    auc, s = estimate
    n = ranks.positives * ranks.negatives
    rows: list[Sums] = []
    for (i, a), (j, b) in itertools.combinations(enumerate(ranks.versions), 2):
        variance = max(float(s[i, i] + s[j, j] - 2 * s[i, j]), 0.0)
        rows.append(("auc", a, b, ScoreSums(n, float(auc[i]), float(auc[j]), variance)))
    return rows


def _average_precision(blocks: ScoredBlocks) -> list[Sums]:
    labels, columns = zip(*((block.y, block.scores) for block in blocks()), strict=True)
    y = np.concatenate(labels)
    rows: list[Sums] = []
    for a, b in pairs_of(columns[0]) if len(y) else ():
        first, second = (np.concatenate([scores[v] for scores in columns]) for v in (a, b))
        rng = np.random.default_rng([len(y), int(y.sum()), int(a), int(b)])
        paired = paired_average_precision(y, first, second, rng=rng, confidence_level=0.95, n_resamples=_RESAMPLES)
        if not isinstance(paired, Undefined):
            sums = ScoreSums(int(y.sum()), paired.champion, paired.challenger, paired.standard_error**2)
            rows.append(("average_precision", a, b, sums))
    return rows


BINARY = _Binary()
