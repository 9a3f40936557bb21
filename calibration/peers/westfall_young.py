"""Several challengers at one look, their dependence kept: Westfall and Young's step-down max-T."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

__all__ = ["westfall_young"]


def westfall_young(
    decisions: ArrayLike, counts: ArrayLike, *, rng: np.random.Generator, n_resamples: int = 10_000
) -> list[float]:
    """One-sided p-values of each challenger's gain, adjusted by the step-down max-T of Westfall and Young (1993).

    ``decisions`` has a row for each pattern that occurs among the rows compared (for recall: the positives) and a
    column for each version, the champion first; 1 where the version was right. ``counts`` says how often each pattern
    occurs. The resamples are multinomial draws of the patterns, which is a bootstrap of the rows, so the dependence
    between challengers is kept: near-copies cost little. At a fixed horizon only. t = (w - l) / sqrt(D - (w - l)^2 /
    n), centred in the resamples; adjusted p = (1 + #{max over the remaining t* >= t}) / (B + 1), made monotone. A
    challenger that never disagrees has p = 1. One that wins every row has no spread to resample: its p is that of the
    sign test, 2^-n, times the challengers remaining. Raises ValueError for shapes that do not match.
    """
    patterns, n = np.asarray(decisions, dtype=np.float64), np.asarray(counts, dtype=np.float64)
    if patterns.ndim != 2 or n.shape != (len(patterns),):
        msg = f"need patterns x versions and one count a pattern, not shapes {patterns.shape} and {n.shape}"
        raise ValueError(msg)
    gains = patterns[:, 1:] - patterns[:, :1]
    total = n.sum()
    if total == 0:
        return [1.0] * gains.shape[1]
    observed = n @ gains
    statistic = _studentized(observed, n @ gains**2, total)
    draws = rng.multinomial(int(total), n / total, size=n_resamples).astype(np.float64)
    sums = draws @ gains
    resampled = _studentized(sums - observed, draws @ gains**2, total, centre=sums)
    order = np.argsort(-np.where(observed == total, np.inf, statistic), kind="stable")
    adjusted, running = np.empty(len(order)), 0.0
    for rank, j in enumerate(order):
        remaining = order[rank:]
        highest = resampled[:, remaining].max(axis=1)
        p = (1 + int(np.sum(highest >= statistic[j]))) / (n_resamples + 1)
        if math.isinf(statistic[j]):
            p = min(len(remaining) * 0.5**total, 1.0) if observed[j] == total else 1.0
        running = max(running, p)
        adjusted[j] = running
    return adjusted.tolist()


def _studentized(difference: np.ndarray, square: np.ndarray, n: float, centre: np.ndarray | None = None) -> np.ndarray:
    """difference / sqrt(D - (w - l)^2 / n); where nothing varies, minus infinity: no evidence."""
    variance = square - (difference if centre is None else centre) ** 2 / n
    known, statistic = variance > 1e-9, np.full(variance.shape, -np.inf)
    statistic[known] = difference[known] / np.sqrt(variance[known])
    return statistic
