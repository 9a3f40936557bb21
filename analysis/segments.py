"""Whether the challenger's lead is the same everywhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from scipy import stats

from analysis.counts import BinaryMetric, PairedCounts, PairedOutcomes, Undefined
from analysis.intervals import Interval, newcombe

__all__ = ["Segment", "homogeneity_p_value", "paired_interval", "segment_forest"]


@dataclass(frozen=True, slots=True)
class Segment:
    """The paired difference within one value of a segment column."""

    column: str
    value: str
    pairs: PairedOutcomes
    difference: float
    interval: Interval


def paired_interval(counts: PairedCounts, name: BinaryMetric, *, confidence_level: float) -> Interval | Undefined:
    """Newcombe's interval for the difference of ``name``."""
    n = counts.labelled
    both_right = {"recall": n[7], "specificity": n[0], "accuracy": n[7] + n[0]}[name]
    return newcombe(counts.outcomes(name), both_right, confidence_level=confidence_level)


def segment_forest(
    segments: Mapping[tuple[str, str], PairedCounts], name: BinaryMetric, *, confidence_level: float
) -> list[Segment]:
    """The difference of ``name`` in every segment that has a row to compare on."""
    forest = []
    for (column, value), counts in segments.items():
        interval = paired_interval(counts, name, confidence_level=confidence_level)
        if isinstance(interval, Interval):
            pairs = counts.outcomes(name)
            forest.append(Segment(column, value, pairs, (pairs.wins - pairs.losses) / pairs.n, interval))
    return forest


def homogeneity_p_value(forest: list[Segment], column: str) -> float | Undefined:
    """Chi-square test that the win share is the same in all values of one segment column, S - 1 degrees of freedom."""
    table = [(s.pairs.wins, s.pairs.losses) for s in forest if s.column == column and s.pairs.discordant]
    wins, losses = sum(w for w, _ in table), sum(l for _, l in table)
    if len(table) < 2 or not wins or not losses:
        return Undefined("fewer than two segments with disagreements to compare")
    if min(wins, losses) * min(w + l for w, l in table) < 5 * (wins + losses):
        return Undefined("expected counts below 5")
    return float(stats.chi2_contingency(table, correction=False).pvalue)
