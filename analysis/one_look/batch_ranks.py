"""Paired AUC of a batch that is read block by block: exact for up to a million labelled rows, and for more by bins of scores.

A bin is an interval of scores, and a row of a large batch is ranked by its bin: rows of one bin count as tied. Bins are as narrow,
in proportion, near 0 as near 1: each octave of the distance to the nearer of the two has 16,384 of them, down to 2^-20, and what is nearer
is one bin. Two passes over the rows suffice: the first counts both classes by bin, the second adds up the placements (DeLong's
structural components) that follow from the counts.

Ties that are real change nothing, so only bins that hold different scores do. With p_b of P positives and n_b of N negatives in such a
bin b, no positive's placement moves by more than n_b / 2N and no negative's by more than p_b / 2P, hence no AUC by more than
e = sum_b p_b n_b / (2 P N), no variance of placements of a class by more than 4 e, and no covariance by more than 2 (e + e') for the two
models' e and e'. Where e is above 1e-4, all rows are ranked at once after all.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from analysis.one_look.scores import auc_covariance
from analysis.tables.counts import Undefined
from analysis.tables.metrics import Floats

__all__ = ["BatchRanks"]

_MOST_EXACT = 1 << 20  # labelled rows
_LARGEST_ERROR = 1e-4  # of an AUC
_BITS = 14  # of a score's mantissa that tell its bin
_OCTAVES = 20
_NEAREST = (1023 - _OCTAVES) << _BITS  # the exponent of 2^-20 in a double, and no mantissa
_HALF = ((_OCTAVES - 1) << _BITS) + 1  # the bin of 1/2
_BINS = 2 * _HALF + 1

Block = tuple[Floats, Mapping[str, Floats]]


class BatchRanks:
    """The ranks of the labelled rows of a batch, for the AUC of every version."""

    def __init__(self, most_exact: int = _MOST_EXACT) -> None:
        self._most_exact = most_exact
        self._held: list[Block] = []
        self._bins: dict[str, _Bins] = {}
        self.versions: tuple[str, ...] = ()
        self.positives = self.negatives = 0

    def add(self, y: Floats, scores: Mapping[str, Floats]) -> None:
        """Add rows: labels 0 or 1, shape (n,), and the scores of each version, shape (n,)."""
        self.versions = tuple(sorted(scores, key=int))
        positives = int(np.count_nonzero(y))
        self.positives, self.negatives = self.positives + positives, self.negatives + len(y) - positives
        self._held.append((y, scores))
        if self.positives + self.negatives > self._most_exact:
            for labels, columns in self._held:
                for version, values in columns.items():
                    self._bins.setdefault(version, _Bins()).count(labels == 1, values)
            self._held.clear()

    def auc_covariance(self, blocks: Iterable[Block]) -> tuple[Floats, Floats] | Undefined:
        """The AUCs and their covariance, as ``analysis.one_look.scores.auc_covariance`` gives them, in the order of ``versions``.

        ``blocks`` are all rows once more, in the blocks in which they were added. Undefined with fewer than two rows of either class.
        """
        if not self._bins:
            return self._exact(self._held)
        if any(self.error(v) > _LARGEST_ERROR for v in self.versions):
            return self._exact(blocks)
        m, n = self.positives, self.negatives
        if min(m, n) < 2:
            return Undefined("fewer than two rows of one class")
        placed = [self._bins[v].placements(m, n) for v in self.versions]
        auc = np.array([p.auc for p in placed])
        positive, negative = np.zeros((len(auc), len(auc))), np.zeros((len(auc), len(auc)))
        for y, scores in blocks:
            is_positive = y == 1
            bins = [_bin_of(scores[v]) for v in self.versions]
            v10 = np.stack([p.v10[b[is_positive]] - p.auc for p, b in zip(placed, bins, strict=True)])
            v01 = np.stack([p.v01[b[~is_positive]] - p.auc for p, b in zip(placed, bins, strict=True)])
            positive += v10 @ v10.T
            negative += v01 @ v01.T
        return auc, positive / (m - 1) / m + negative / (n - 1) / n

    def error(self, version: str) -> float:
        """The most by which bins can move the AUC of a version: 0 up to a million labelled rows."""
        return self._bins[version].mixed_pairs() / (2 * self.positives * self.negatives or 1) if self._bins else 0.0

    def _exact(self, blocks: Iterable[Block]) -> tuple[Floats, Floats] | Undefined:
        labels, columns = zip(*chain(blocks), strict=True)
        return auc_covariance(np.concatenate(labels), [np.concatenate([c[v] for c in columns]) for v in self.versions])


class _Placements:
    """The placements of a row of either class by its bin, and their mean, which is the AUC."""

    def __init__(self, positives: NDArray[np.int64], negatives: NDArray[np.int64], m: int, n: int) -> None:
        self.v10 = (np.cumsum(negatives) - negatives / 2) / n
        self.v01 = 1 - (np.cumsum(positives) - positives / 2) / m
        self.auc = float(positives @ self.v10 / m)


class _Bins:
    """How many rows of either class lie in each bin of one version's scores, and which bins hold different scores."""

    def __init__(self) -> None:
        self._counts = np.zeros((_BINS, 2), dtype=np.uint32)
        self._score = np.full(_BINS, np.nan)  # one that the bin holds
        self._mixed = np.zeros(_BINS, dtype=bool)

    def count(self, is_positive: NDArray[np.bool_], scores: Floats) -> None:
        bins = _bin_of(scores)
        np.add.at(self._counts.reshape(-1), 2 * bins + is_positive, np.uint32(1))
        new = np.isnan(self._score[bins])
        self._score[bins[new]] = scores[new]
        self._mixed[bins[self._score[bins] != scores]] = True

    def mixed_pairs(self) -> float:
        """The pairs of a positive and a negative that share a bin whose scores differ."""
        negatives, positives = self._counts[self._mixed].T.astype(np.float64)
        return float(negatives @ positives)

    def placements(self, m: int, n: int) -> _Placements:
        negatives, positives = self._counts.T.astype(np.int64)
        return _Placements(positives, negatives, m, n)


def _bin_of(scores: Floats) -> NDArray[np.int64]:
    """The bin of each score; a score beyond 0 or 1 shares that of what is nearest to it."""
    distance = np.minimum(scores, 1 - scores)  # exact, also from 1
    side = np.maximum((np.maximum(distance, 0.0).view(np.int64) >> (52 - _BITS)) - _NEAREST + 1, 0)
    bins: NDArray[np.int64] = np.where(scores > 0.5, 2 * _HALF - side, side)
    return bins
