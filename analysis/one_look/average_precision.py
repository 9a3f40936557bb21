"""Average precision of scores, and the paired difference of two models with a bootstrap of the rows.

The rows are sorted once. A resample of n rows is a whole-number weight a row, so each replicate costs one pass over the
weights in the order of either model's scores, and both models are weighed by the same rows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analysis.one_look.bootstrap_intervals import percentile_interval
from analysis.tables.counts import Undefined
from analysis.tables.intervals import Interval
from analysis.tables.metrics import Floats

__all__ = ["PairedAveragePrecision", "average_precision", "paired_average_precision"]


@dataclass(frozen=True, slots=True)
class PairedAveragePrecision:
    """Two average precisions on the same rows; challenger minus champion with the spread of its replicates."""

    champion: float
    challenger: float
    difference: float
    standard_error: float
    interval: Interval
    n_resamples: int


@dataclass(frozen=True, slots=True)
class _Ranking:
    """Rows in falling order of one model's scores. A threshold lets a score in with all its ties."""

    order: NDArray[np.intp]
    positives: NDArray[np.intp]  # places of the positive rows in that order
    reach: NDArray[np.intp]  # for each of them, the last place with the same score
    peers: NDArray[np.intp]  # and the number, from 0, of the last positive with the same score


def average_precision(labels: ArrayLike, scores: ArrayLike, weights: ArrayLike | None = None) -> float | Undefined:
    """AP = sum_k (R_k - R_(k-1)) P_k over the distinct scores as thresholds, falling; 1 if all positives come first.

    Step-wise without interpolation; rows with the same score enter together. ``weights`` (n,) are not negative, and a
    whole number does what so many copies of the row would. Undefined without a positive row of some weight. Raises
    ValueError for arrays of different lengths, scores that are not numbers and negative weights.
    """
    y, (s,) = _checked(labels, scores)
    w = np.ones(len(y)) if weights is None else np.asarray(weights, dtype=np.float64)
    if w.shape != y.shape or not (w >= 0).all():
        msg = "need one weight for each row, none negative"
        raise ValueError(msg)
    ranking = _rank(y, s)
    value = _weighted(ranking, w[ranking.order])
    return Undefined("no labelled positive") if np.isnan(value) else value


def paired_average_precision(
    labels: ArrayLike,
    champion: ArrayLike,
    challenger: ArrayLike,
    *,
    rng: np.random.Generator,
    confidence_level: float,
    n_resamples: int = 2000,
) -> PairedAveragePrecision | Undefined:
    """Challenger minus champion in average precision, with a percentile interval of a paired bootstrap of the rows.

    Each replicate weighs the n rows by Multinomial(n, 1/n) counts (Efron 1979, Annals of Statistics 7:1). Time is
    O(n log n) once and O(n) a replicate. Undefined without a positive row, if no replicate differs from the others, or
    if more than 1 % of them have no positive row. Raises ValueError as ``average_precision`` does.
    """
    y, (old, new) = _checked(labels, champion, challenger)
    first = _rank(y, old)
    y, new = y[first.order], new[first.order]  # rows in the champion's order: one look-up of weights less a replicate
    second = _rank(y, new)
    n, ones = len(y), np.ones(len(y), dtype=np.int64)
    a, b = _weighted(first, ones), _weighted(second, ones)
    if np.isnan(a):
        return Undefined("no labelled positive")
    replicates = np.empty(n_resamples)
    for i in range(n_resamples):
        weights = np.bincount(rng.integers(n, size=n), minlength=n)
        replicates[i] = _weighted(second, weights[second.order]) - _weighted(first, weights)
    interval = percentile_interval(replicates, confidence_level)
    if isinstance(interval, Undefined):
        return interval
    if np.nanmax(replicates) == np.nanmin(replicates):
        return Undefined("no bootstrap replicate differs from the others")
    return PairedAveragePrecision(a, b, b - a, float(np.nanstd(replicates, ddof=1)), interval, n_resamples)


def _checked(labels: ArrayLike, *scores: ArrayLike) -> tuple[NDArray[np.bool_], list[Floats]]:
    y = np.asarray(labels, dtype=bool)
    columns = [np.asarray(s, dtype=np.float64) for s in scores]
    if any(s.shape != y.shape or y.ndim != 1 or np.isnan(s).any() for s in columns):
        msg = "need one label and one score that is a number for each row"
        raise ValueError(msg)
    return y, columns


def _rank(y: NDArray[np.bool_], scores: Floats) -> _Ranking:
    order = np.argsort(-scores, kind="stable")
    falling = -scores[order]
    positives = np.flatnonzero(y[order])
    reach = np.searchsorted(falling, falling[positives], side="right") - 1
    peers = np.searchsorted(positives, reach, side="right") - 1
    return _Ranking(order, positives, reach, peers)


def _weighted(ranking: _Ranking, weights: NDArray[np.int64] | Floats) -> float:
    """Average precision of rows weighted in the order of ``ranking``; not-a-number if no positive row weighs anything."""
    gain = weights[ranking.positives]
    hits = np.cumsum(gain)
    if len(hits) == 0 or hits[-1] == 0:
        return float("nan")
    weighing = gain > 0  # a positive without weight may stand before every row with some
    precision = hits[ranking.peers[weighing]] / np.cumsum(weights)[ranking.reach[weighing]]
    return float(np.sum(gain[weighing] * precision) / hits[-1])
