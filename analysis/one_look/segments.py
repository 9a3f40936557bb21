"""Whether the challenger's lead is the same everywhere, and the exact test that any two kinds of row have the same shares everywhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import NDArray

from analysis.tables.counts import PairedCounts, PairedOutcomes, Undefined
from analysis.tables.intervals import Interval, newcombe
from analysis.tables.metrics import Floats, difference

__all__ = [
    "Reversal",
    "Segment",
    "exact_homogeneity_p_value",
    "exact_p_value",
    "homogeneity_p_value",
    "paired_interval",
    "reversals",
    "segment_forest",
]

_REVERSIBLE: tuple[str, ...] = ("precision", "npv", "f1", "mcc")

_DRAWS = 9_999
_AT_ONCE = 1_000_000  # groups held in memory at a time
_MOST = 10**9  # rows, beyond which the log of a table's probability keeps too few digits
_ROUNDING = 1e-7  # tables closer than this in log probability are equally likely


@dataclass(frozen=True, slots=True)
class Reversal:
    """Simpson's paradox: ``metric`` differs one way in every value of ``column``, and the other way in the total."""

    metric: str
    column: str
    pooled: float


@dataclass(frozen=True, slots=True)
class Segment:
    """The paired difference within one value of a segment column."""

    column: str
    value: str
    pairs: PairedOutcomes
    difference: float
    interval: Interval


def paired_interval(counts: PairedCounts, name: str, *, confidence_level: float) -> Interval | Undefined:
    """Newcombe's interval for the difference of ``name``."""
    n = counts.labelled
    both_right = {"recall": n[7], "specificity": n[0], "accuracy": n[7] + n[0]}[name]
    return newcombe(counts.outcomes(name), both_right, confidence_level=confidence_level)


def segment_forest(
    segments: Mapping[tuple[str, str], PairedCounts], name: str, *, confidence_level: float
) -> list[Segment]:
    """The difference of ``name`` in every segment that has a row to compare on."""
    forest = []
    for (column, value), counts in segments.items():
        interval = paired_interval(counts, name, confidence_level=confidence_level)
        if isinstance(interval, Interval):
            pairs = counts.outcomes(name)
            forest.append(Segment(column, value, pairs, (pairs.wins - pairs.losses) / pairs.n, interval))
    return forest


def reversals(segments: Mapping[tuple[str, str], PairedCounts]) -> list[Reversal]:
    """Where the total contradicts all of its segments.

    Recall, specificity and accuracy cannot be reversed: their pooled paired difference is the weighted mean of the
    segments' differences, with one denominator for both models. Precision, NPV, F1 and MCC can.
    """
    reversed_metrics = []
    for column in sorted({c for c, _ in segments}):
        parts = [counts for (c, _), counts in segments.items() if c == column]
        for name in _REVERSIBLE:
            pooled = difference(name, sum(parts, PairedCounts()))
            each = [difference(name, counts) for counts in parts]
            defined = [d.value for d in each if not isinstance(d, Undefined)]
            if isinstance(pooled, Undefined) or len(defined) < 2:
                continue
            if all(d * pooled.value < 0 for d in defined):
                reversed_metrics.append(Reversal(name, column, pooled.value))
    return reversed_metrics


def homogeneity_p_value(forest: list[Segment], column: str) -> float | Undefined:
    """Chi-square test that the win share is the same in all values of one segment column, S - 1 degrees of freedom."""
    table = _disagreements(forest, column)
    if isinstance(table, Undefined):
        return table
    wins, losses = sum(w for w, _ in table), sum(l for _, l in table)
    if min(wins, losses) * min(w + l for w, l in table) < 5 * (wins + losses):
        return Undefined("expected counts below 5")
    return float(scipy.stats.chi2_contingency(table, correction=False).pvalue)


def exact_homogeneity_p_value(forest: Sequence[Segment], column: str) -> float | Undefined:
    """The same hypothesis by Fisher's exact test (``exact_p_value``), however few the disagreements."""
    table = _disagreements(forest, column)
    return table if isinstance(table, Undefined) else exact_p_value(table)


def exact_p_value(table: Sequence[tuple[int, int]]) -> float | Undefined:
    """Test whether all groups, each a pair of counts, have the same share of the first: P(a table at most as likely as this).

    Given its margins. For two groups Fisher's exact test, two-sided. For more its extension (Freeman and Halton 1951,
    Biometrika 38:141) over 9 999 tables drawn at random: p = (1 + those at most as likely) / 10 000, valid for any number
    of draws (Davison and Hinkley 1997, section 4.2). The table seeds them, so the same groups give the same p in any order,
    and with the two counts exchanged. Undefined below two groups with a count, and from 10^9 counts on.
    """
    groups = sorted((a, b) for a, b in table if a + b)
    groups = min(groups, sorted((b, a) for a, b in groups))
    if len(groups) < 2:
        return Undefined("fewer than two groups to compare")
    counts = np.array(groups)
    if counts.sum() >= _MOST:
        return Undefined("too many rows for an exact test")
    if len(groups) == 2:
        return float(scipy.stats.fisher_exact(counts).pvalue)
    drawn = scipy.stats.random_table(counts.sum(axis=1), counts.sum(axis=0), seed=np.random.default_rng(counts.ravel()))
    limit, at_once = _log_factorials(counts) - _ROUNDING, max(1, _AT_ONCE // len(groups))
    parts = (min(at_once, _DRAWS - begin) for begin in range(0, _DRAWS, at_once))
    as_rare = sum(int(np.sum(_log_factorials(drawn.rvs(n)) >= limit)) for n in parts)
    return (1 + as_rare) / (1 + _DRAWS)


def _log_factorials(tables: NDArray[np.int64]) -> Floats:
    """The sum of the logs of the factorials of all counts in each table: the larger, the less likely the table, given its margins."""
    largest = int(tables.max())
    if largest < _AT_ONCE:
        return np.asarray(scipy.special.gammaln(np.arange(1.0, largest + 2))[tables].sum(axis=(-2, -1)))
    return np.asarray(scipy.special.gammaln(tables + 1.0).sum(axis=(-2, -1)))


def _disagreements(forest: Sequence[Segment], column: str) -> list[tuple[int, int]] | Undefined:
    """Wins and losses in each value of the column that has any."""
    table = [(s.pairs.wins, s.pairs.losses) for s in forest if s.column == column and s.pairs.discordant]
    if len(table) < 2 or not any(w for w, _ in table) or not any(l for _, l in table):
        return Undefined("fewer than two segments with disagreements to compare")
    return table
