"""The bootstrap of entities: a second interval for the difference over rows that share them."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from analysis.one_look.bootstrap_intervals import percentile_interval
from analysis.one_look.clusters import clustered_difference
from analysis.tables.counts import Undefined
from analysis.tables.intervals import Interval

__all__ = ["cluster_bootstrap"]

_AT_ONCE = 1_000_000  # counts held in memory at a time


def cluster_bootstrap(
    net_wins: ArrayLike,
    rows: ArrayLike,
    *,
    rng: np.random.Generator,
    confidence_level: float,
    n_resamples: int = 10_000,
) -> Interval | Undefined:
    """The percentile interval of ``clustered_difference`` when K entities are drawn with replacement, ``n_resamples`` times.

    Entities with the same net win and rows are one cell of a multinomial, so it costs no more than there are such pairs, and
    the order of the entities does not matter. Undefined, and ValueError, as there.
    """
    found = clustered_difference(net_wins, rows)
    if isinstance(found, Undefined):
        return found
    d, n = np.asarray(net_wins, dtype=np.float64), np.asarray(rows, dtype=np.float64)
    pairs, entities = np.unique(np.stack([d, n], axis=1), axis=0, return_counts=True)
    at_once = max(1, _AT_ONCE // len(pairs))
    sums = [
        rng.multinomial(len(d), entities / len(d), size=min(at_once, n_resamples - begin)) @ pairs
        for begin in range(0, n_resamples, at_once)
    ]
    net, total = np.concatenate(sums).T
    return percentile_interval(net / total, confidence_level)
