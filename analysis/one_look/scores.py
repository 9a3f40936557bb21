"""Metrics of scores rather than decisions: paired AUC, and the losses of rows."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from analysis.tables.counts import Undefined
from analysis.tables.measure import Measure
from analysis.tables.metrics import Floats

__all__ = [
    "RANK_METRICS",
    "SCORE_LOSSES",
    "ScoreLoss",
    "auc_covariance",
    "one_score_a_row",
]

_CLIP = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ScoreLoss(Measure):
    """The loss of a score; ``loss`` takes labels and scores of one shape, and gives one loss a row."""

    loss: Callable[[Floats, Floats], Floats]


def _log_loss(y: Floats, scores: Floats) -> Floats:
    p = np.clip(scores, _CLIP, 1 - _CLIP)
    positive = y == 1
    losses = np.empty(len(p))
    losses[positive], losses[~positive] = -np.log(p[positive]), -np.log1p(-p[~positive])
    return losses


SCORE_LOSSES: dict[str, ScoreLoss] = {
    m.name: m
    for m in (
        ScoreLoss(
            name="brier", family="scores", lower_is_better=True, mixes_classes=True, loss=lambda y, scores: (scores - y) ** 2
        ),
        ScoreLoss(
            name="log_loss", family="scores", lower_is_better=True, mixes_classes=True, largest_difference=math.inf, loss=_log_loss
        ),
    )
}  # fmt: skip
"""By name; log loss with scores clipped to [1e-6, 1 - 1e-6]. To add a loss of scores is to add an entry here, and a test."""

RANK_METRICS: dict[str, Measure] = {
    m.name: m
    for m in (
        Measure(name="auc", family="ranks", process="batches"),
        Measure(name="average_precision", family="ranks", process="batches", mixes_classes=True),
    )
}
"""They compare rows with each other, so their evidence comes by batches. ``analysis.evidence.score_tally`` computes them."""


def auc_covariance(labels: ArrayLike, scores: Sequence[ArrayLike]) -> tuple[Floats, Floats] | Undefined:
    """The AUC of each of k score vectors and their k x k covariance, by midranks; each is ranked once.

    DeLong, DeLong and Clarke-Pearson 1988 (Biometrics 44:837) in the fast form of Sun and Xu 2014: V10 = (R_all[pos] - R_pos) / n,
    V01 = 1 - (R_all[neg] - R_neg) / m, S = cov(V10) / m + cov(V01) / n for m positives and n negatives. Ties count one half.
    Undefined with fewer than two rows of either class. Raises ValueError for scores that are not one number a row.
    """
    y = np.asarray(labels, dtype=bool)
    m, n = int(y.sum()), int((~y).sum())
    if min(m, n) < 2:
        return Undefined("fewer than two rows of one class")
    v10, v01 = zip(*(_placements(y, one_score_a_row(y, s), m, n) for s in scores), strict=True)
    positive, negative = np.stack(v10), np.stack(v01)
    covariance = np.cov(positive) / m + np.cov(negative) / n
    return positive.mean(axis=1), np.atleast_2d(covariance)


def one_score_a_row(y: np.ndarray, scores: ArrayLike) -> Floats:
    """The scores as numbers. Raises ValueError unless there is one for each label, and none is NaN."""
    numbers = np.asarray(scores, dtype=np.float64)
    if numbers.shape != y.shape or y.ndim != 1 or np.isnan(numbers).any():
        msg = "need one label and one score that is a number for each row"
        raise ValueError(msg)
    return numbers


def _placements(y: np.ndarray, scores: Floats, m: int, n: int) -> tuple[Floats, Floats]:
    order = np.argsort(scores)
    ordered, positive = scores[order], y[order]
    starts = np.flatnonzero(
        np.concatenate([[True], ordered[1:] != ordered[:-1]])
    )  # the first row of every distinct score
    tied = np.diff(np.append(starts, len(ordered)))
    positives = np.add.reduceat(positive, starts, dtype=np.int64)
    negatives = tied - positives
    above = np.cumsum(negatives) - negatives / 2  # negatives that a positive of this score outranks, ties as one half
    below = np.cumsum(positives) - positives / 2
    placed = np.empty(len(scores))
    placed[order] = np.repeat(above, tied) / n
    v10 = placed[y]
    placed[order] = 1 - np.repeat(below, tied) / m
    return v10, placed[~y]
