"""The bootstrap of labelled rows that were chosen with known probabilities."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from analysis.any_look.sampled import SampledCounts
from analysis.one_look.bootstrap import Bootstrap, percentile_interval, summary
from analysis.tables.counts import Undefined
from analysis.tables.metrics import paired_metric

__all__ = ["sampled_bootstrap"]

_AT_ONCE = 1_000_000  # counts held in memory at a time


def sampled_bootstrap(
    counts: SampledCounts,
    metrics: Collection[str],
    *,
    rng: np.random.Generator,
    confidence_level: float,
    n_resamples: int = 10_000,
) -> dict[str, Bootstrap | Undefined]:
    """Bootstrap the differences of metrics of the weighted rows: labelled rows are drawn with replacement, each with its weight.

    Rows with the same probability and cell are one category of a multinomial, so the cost does not grow with the rows. Undefined
    without a labelled row, and for a metric that does not exist in more than 1 % of the resamples.
    """
    cells = counts.cells
    total = int(cells.sum())
    if not total:
        return {name: Undefined("no labelled row") for name in metrics}
    weight, cell = np.nonzero(cells)
    rows = cells[weight, cell]
    weighted = np.zeros((len(rows), 8))
    weighted[np.arange(len(rows)), cell] = counts.weights[weight]
    at_once = max(1, _AT_ONCE // len(rows))
    draws = np.concatenate(
        [
            rng.multinomial(total, rows / total, size=min(at_once, n_resamples - begin)) @ weighted
            for begin in range(0, n_resamples, at_once)
        ]
    )
    differences: dict[str, Bootstrap | Undefined] = {}
    for name in metrics:
        champion, challenger = paired_metric(name, draws)
        values = challenger - champion
        differences[name] = summary(values, percentile_interval(values, confidence_level), "multinomial")
    return differences
