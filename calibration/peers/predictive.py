"""Single-look tests of predictive values: precision and NPV, whose denominators differ between the two models."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from scipy import stats

from analysis.tables.counts import PairedCounts, Undefined
from analysis.tables.intervals import Interval

__all__ = ["PredictiveValue", "RelativePredictiveValue", "ScoreTest", "relative_predictive_value", "score_test"]

PredictiveValue = Literal["precision", "npv"]
Weighting = Literal["kosinski", "leisenring"]


@dataclass(frozen=True, slots=True)
class ScoreTest:
    """Two-sided chi-square test, 1 degree of freedom, of equal predictive values; ``difference`` is challenger minus champion."""

    difference: float
    statistic: float
    p_value: float


@dataclass(frozen=True, slots=True)
class RelativePredictiveValue:
    """Challenger's predictive value over the champion's, with a Wald interval and test on the log scale."""

    ratio: float
    standard_error_of_log: float
    interval: Interval
    statistic: float
    p_value: float


def score_test(
    counts: PairedCounts, name: PredictiveValue, *, weighting: Weighting = "kosinski"
) -> ScoreTest | Undefined:
    """Test that both models have the same predictive value.

    ``kosinski``: weighted generalised score (Kosinski 2013, Statistics in Medicine 32:964): with the pooled value p
    and C = [N_both_right (1-p)^2 + N_both_wrong p^2] / (n_c + n_h), X2 = d^2 / {[p (1-p) - 2 C] (1/n_c + 1/n_h)}.
    ``leisenring``: generalised score (Leisenring, Alonzo and Pepe 2000, Biometrics 56:345): u = (y - p) (h (1 - z) -
    c z), z = n_h / (n_c + n_h), X2 = (sum u)^2 / sum u^2.
    """
    table = _flagged(counts, name)
    if isinstance(table, Undefined):
        return table
    n_c, n_h = table.champion_flags, table.challenger_flags
    difference = table.challenger_right / n_h - table.champion_right / n_c
    p = (table.champion_right + table.challenger_right) / (n_c + n_h)
    if weighting == "kosinski":
        c = (table.both_right * (1 - p) ** 2 + table.both_wrong * p**2) / (n_c + n_h)
        variance = (p * (1 - p) - 2 * c) * (1 / n_c + 1 / n_h)
        statistic = difference**2 / variance if variance > 0 else 0.0
    else:
        z = n_h / (n_c + n_h)
        total = square = 0.0
        for y, c_flag, h_flag, n in table.cells:
            u = (y - p) * (h_flag * (1 - z) - c_flag * z)
            total += n * u
            square += n * u * u
        statistic = total**2 / square if square > 0 else 0.0
    return ScoreTest(difference, statistic, float(stats.chi2.sf(statistic, 1)))


def relative_predictive_value(
    counts: PairedCounts, name: PredictiveValue, *, confidence_level: float
) -> RelativePredictiveValue | Undefined:
    """The ratio of predictive values (Moskowitz and Pepe 2006, Clinical Trials 3:272), by the delta method on its log."""
    table = _flagged(counts, name)
    if isinstance(table, Undefined):
        return table
    if not table.champion_right or not table.challenger_right:
        return Undefined("a model that was never right has no ratio")
    n_c, n_h, right_c, right_h = (
        table.champion_flags,
        table.challenger_flags,
        table.champion_right,
        table.challenger_right,
    )
    log_ratio = math.log(right_h / n_h) - math.log(right_c / n_c)
    square = 0.0
    for y, c_flag, h_flag, n in table.cells:
        g = h_flag * (y / right_h - 1 / n_h) - c_flag * (y / right_c - 1 / n_c)
        square += n * g * g
    error = math.sqrt(square)
    half = float(stats.norm.isf((1 - confidence_level) / 2)) * error
    statistic = log_ratio / error if error > 0 else 0.0
    return RelativePredictiveValue(
        ratio=math.exp(log_ratio),
        standard_error_of_log=error,
        interval=Interval(math.exp(log_ratio - half), math.exp(log_ratio + half), confidence_level),
        statistic=statistic,
        p_value=float(2 * stats.norm.sf(abs(statistic))),
    )


@dataclass(frozen=True, slots=True)
class _Flagged:
    """Rows by (right, champion says it, challenger says it); for NPV "says it" is to pass a row, "right" that its label is 0."""

    cells: tuple[tuple[int, int, int, int], ...]

    def _sum(self, champion: int | None, challenger: int | None, right: int | None = None) -> int:
        wanted = (right, champion, challenger)
        return sum(
            cell[3] for cell in self.cells if all(w is None or w == v for w, v in zip(wanted, cell[:3], strict=True))
        )

    @property
    def champion_flags(self) -> int:
        return self._sum(1, None)

    @property
    def challenger_flags(self) -> int:
        return self._sum(None, 1)

    @property
    def champion_right(self) -> int:
        return self._sum(1, None, 1)

    @property
    def challenger_right(self) -> int:
        return self._sum(None, 1, 1)

    @property
    def both_right(self) -> int:
        return self._sum(1, 1, 1)

    @property
    def both_wrong(self) -> int:
        return self._sum(1, 1, 0)


def _flagged(counts: PairedCounts, name: PredictiveValue) -> _Flagged | Undefined:
    flip = 0 if name == "precision" else 1
    cells = tuple(
        (((i >> 2) & 1) ^ flip, ((i >> 1) & 1) ^ flip, (i & 1) ^ flip, n) for i, n in enumerate(counts.labelled)
    )
    table = _Flagged(cells)
    if not table.champion_flags or not table.challenger_flags:
        return Undefined(
            "a model that flags nothing has no precision"
            if name == "precision"
            else "a model that passes nothing has no NPV"
        )
    return table
