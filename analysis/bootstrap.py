"""The bootstrap from counts: its cost does not grow with the number of rows.

Drawing n rows with replacement makes the cells of the table multinomial with the observed shares, so a row bootstrap
is a draw of eight numbers. Empty cells make that bootstrap too narrow; the default therefore draws the shares from
Dirichlet(N + 1/2), whose intervals keep their coverage where a discordant cell is empty.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from analysis.counts import PairedCounts, Undefined
from analysis.intervals import Interval
from analysis.metrics import Floats, Metric, paired_metric

__all__ = ["Bootstrap", "Resampling", "bootstrap", "percentile_interval"]

Resampling = Literal["dirichlet", "multinomial"]

MAX_UNDEFINED_SHARE = 0.01


@dataclass(frozen=True, slots=True)
class Bootstrap:
    """Percentile interval of challenger minus champion, and the share of replicates above 0 (a description only)."""

    interval: Interval
    share_above_zero: float
    undefined_replicates: int
    n_resamples: int
    method: Resampling


def bootstrap(
    counts: PairedCounts,
    metrics: Sequence[Metric],
    *,
    rng: np.random.Generator,
    confidence_level: float,
    n_resamples: int = 10_000,
    method: Resampling = "dirichlet",
) -> dict[Metric, Bootstrap | Undefined]:
    """Bootstrap the paired difference of every metric from the same draws.

    Replicates in which a metric is undefined (0/0) are left out and counted; above 1 % of them no interval is given.
    """
    if counts.n == 0:
        return {name: Undefined("no labelled row") for name in metrics}
    cells = np.array(counts.labelled, dtype=np.float64)
    if method == "dirichlet":
        draws = rng.standard_gamma(cells + 0.5, size=(n_resamples, 8))
    else:
        draws = rng.multinomial(counts.n, cells / counts.n, size=n_resamples).astype(np.float64)
    return {name: _summary(_differences(name, draws), confidence_level, method) for name in metrics}


def _differences(name: Metric, draws: Floats) -> Floats:
    champion, challenger = paired_metric(name, draws)
    return challenger - champion


def _summary(values: Floats, confidence_level: float, method: Resampling) -> Bootstrap | Undefined:
    interval = percentile_interval(values, confidence_level)
    if isinstance(interval, Undefined):
        return interval
    defined = values[np.isfinite(values)]
    return Bootstrap(
        interval,
        float(np.mean(defined > 0)),
        len(values) - len(defined),
        len(values),
        method,
    )


def percentile_interval(replicates: Floats, confidence_level: float) -> Interval | Undefined:
    """The percentile interval of the replicates that are defined; Undefined if more than 1 % of them are not."""
    defined = replicates[np.isfinite(replicates)]
    undefined = len(replicates) - len(defined)
    if undefined > MAX_UNDEFINED_SHARE * len(replicates):
        return Undefined(f"undefined in {undefined} of {len(replicates)} bootstrap replicates")
    tail = (1 - confidence_level) / 2
    low, high = np.quantile(defined, [tail, 1 - tail])
    return Interval(float(low), float(high), confidence_level)
