"""The bootstrap from counts: its cost does not grow with the number of rows.

Drawing n rows with replacement makes the cells of the table multinomial with the observed shares, so a row bootstrap
is a draw of eight numbers. Empty cells make that bootstrap too narrow; the default therefore draws the shares from
Dirichlet(N + 1/2), whose intervals keep their coverage where a discordant cell is empty.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

import numpy as np

from analysis.one_look.bootstrap_intervals import (
    IntervalKind,
    acceleration,
    basic_interval,
    bca_interval,
    percentile_interval,
    studentized_interval,
)
from analysis.tables.counts import PairedCounts, Undefined
from analysis.tables.intervals import Interval
from analysis.tables.metrics import Floats, difference, paired_metric, paired_standard_error

__all__ = ["Bootstrap", "Resampling", "bootstrap", "percentile_interval", "summary"]

Resampling = Literal["dirichlet", "multinomial"]


@dataclass(frozen=True, slots=True)
class Bootstrap:
    """An interval of challenger minus champion, and the share of replicates above 0 (a description only)."""

    interval: Interval
    share_above_zero: float
    undefined_replicates: int
    n_resamples: int
    method: Resampling
    kind: IntervalKind = "percentile"


def bootstrap(
    counts: PairedCounts,
    metrics: Collection[str],
    *,
    rng: np.random.Generator,
    confidence_level: float,
    n_resamples: int = 10_000,
    method: Resampling = "dirichlet",
    interval: IntervalKind = "percentile",
) -> dict[str, Bootstrap | Undefined]:
    """Bootstrap the paired difference of every metric from the same draws.

    Replicates in which a metric is undefined (0/0) are left out and counted; above 1 % of them no interval is given.
    Every ``interval`` but ``percentile`` measures the replicates against the table they were drawn from: the observed
    one, or the smoothed N + 1/2 (against the observed one Dirichlet draws would be pulled towards 0 twice). It is
    Undefined where the observed difference is; ``analysis.one_look.bootstrap_intervals`` has the formulas.
    """
    if counts.n == 0:
        return {name: Undefined("no labelled row") for name in metrics}
    origin, draws = _tables(counts, rng, n_resamples, method)
    results: dict[str, Bootstrap | Undefined] = {}
    for name in metrics:
        values = _differences(name, draws)
        limits = _interval(name, counts, origin, draws, values, confidence_level, interval)
        results[name] = summary(values, limits, method, interval)
    return results


def _tables(
    counts: PairedCounts, rng: np.random.Generator, n_resamples: int, method: Resampling
) -> tuple[Floats, Floats]:
    """The table that is drawn from, and the draws; those of ``dirichlet`` are shares up to a factor."""
    cells = np.array(counts.labelled, dtype=np.float64)
    if method == "dirichlet":
        return cells + 0.5, rng.standard_gamma(cells + 0.5, size=(n_resamples, 8))
    return cells, rng.multinomial(counts.n, cells / counts.n, size=n_resamples).astype(np.float64)


def _differences(name: str, tables: Floats) -> Floats:
    champion, challenger = paired_metric(name, tables)
    return challenger - champion


def summary(
    values: Floats, interval: Interval | Undefined, method: Resampling, kind: IntervalKind = "percentile"
) -> Bootstrap | Undefined:
    """What is told of the replicates ``values``, those that are undefined among them; Undefined where the interval is."""
    if isinstance(interval, Undefined):
        return interval
    defined = values[np.isfinite(values)]
    return Bootstrap(
        interval,
        float(np.mean(defined > 0)),
        len(values) - len(defined),
        len(values),
        method,
        kind,
    )


def _interval(
    name: str,
    counts: PairedCounts,
    origin: Floats,
    draws: Floats,
    values: Floats,
    confidence_level: float,
    kind: IntervalKind,
) -> Interval | Undefined:
    if kind == "percentile":
        return percentile_interval(values, confidence_level)
    observed = difference(name, counts)
    if isinstance(observed, Undefined):
        return observed
    estimate = float(_differences(name, origin[None, :])[0])
    if kind == "basic":
        return basic_interval(values, estimate, confidence_level)
    if kind == "bca":
        a = acceleration(name, counts)
        return a if isinstance(a, Undefined) else bca_interval(values, estimate, a, confidence_level)
    # gamma draws are shares up to a factor: as tables of n rows they have the standard errors of n rows
    tables = np.vstack([origin, draws])
    errors = paired_standard_error(name, tables * (counts.n / tables.sum(axis=1, keepdims=True)))
    return studentized_interval(values, errors[1:], estimate, float(errors[0]), confidence_level)
