"""Rows that belong together: tests whose unit is the entity (a customer, a machine), not the row."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import scipy
from numpy.typing import ArrayLike

from analysis.tables.counts import PairedOutcomes, Undefined
from analysis.tables.intervals import Interval
from analysis.tables.metrics import Floats

__all__ = [
    "ClusterMethod",
    "ClusteredDifference",
    "ClusteredTest",
    "clustered_difference",
    "clustered_test",
    "entity_outcomes",
]

ClusterMethod = Literal["sign-flip", "obuchowski", "durkalski"]


@dataclass(frozen=True, slots=True)
class ClusteredTest:
    """A McNemar test with entities as units; positive ``z`` where the challenger is ahead."""

    method: ClusterMethod
    entities: int
    z: float
    p_value: float

    @property
    def statistic(self) -> float:
        """The chi-square, 1 degree of freedom, that the literature prints."""
        return self.z**2


@dataclass(frozen=True, slots=True)
class ClusteredDifference:
    """Challenger minus champion over all rows, with the standard error of entities drawn independently."""

    value: float
    standard_error: float

    def interval(self, confidence_level: float) -> Interval:
        """The normal interval, valid in the limit of many entities; it may leave [-1, 1]."""
        half = float(scipy.stats.norm.isf((1 - confidence_level) / 2)) * self.standard_error
        return Interval(self.value - half, self.value + half, confidence_level)


def clustered_test(
    net_wins: ArrayLike, rows: ArrayLike, *, method: ClusterMethod = "sign-flip"
) -> ClusteredTest | Undefined:
    """Test, one-sided, whether the challenger wins more disagreements than it loses, entities being independent.

    ``net_wins[k]`` = d_k is wins minus losses of entity k, ``rows[k]`` = n_k its rows. ``sign-flip``: z = sum d /
    sqrt(sum d^2) (Yang, Sun and Hardin 2010). ``obuchowski``: that times sqrt((K - 1) / K), K entities (Obuchowski
    1998, Statistics in Medicine 17:1495). ``durkalski``: d_k / n_k in place of d_k, every entity weighs the same
    (Durkalski, Palesch, Lipsitz and Rust 2003, Statistics in Medicine 22:2417). Raises ValueError for shapes that do
    not match or an entity without rows.
    """
    d, n = _entities(net_wins, rows)
    x = d / n if method == "durkalski" else d
    square = float(np.sum(x * x))
    if square == 0:
        return Undefined("no entity has a net win or loss")
    z = float(np.sum(x)) / math.sqrt(square)
    if method == "obuchowski":
        z *= math.sqrt((len(d) - 1) / len(d))
    return ClusteredTest(method, len(d), z, float(scipy.stats.norm.sf(z)))


def entity_outcomes(net_wins: ArrayLike) -> PairedOutcomes:
    """One outcome an entity: won, lost or tied on balance. The estimand becomes the share of entities, not of rows.

    On these counts the e-process of rows keeps its error rate whatever the correlation within an entity.
    """
    d = np.asarray(net_wins)
    return PairedOutcomes(int(np.sum(d > 0)), int(np.sum(d < 0)), int(np.sum(d == 0)))


def clustered_difference(net_wins: ArrayLike, rows: ArrayLike) -> ClusteredDifference | Undefined:
    """The paired difference of rows that share entities: delta = sum d_k / sum n_k, a ratio of two sums over K entities.

    SE^2 = K / (K - 1) * sum (d_k - n_k delta)^2 / (sum n_k)^2, the ratio estimator's of survey sampling (Cochran 1977, Sampling
    Techniques, section 6.3) and the cluster-robust one of a regression on a constant. Undefined where the entities show no spread.
    Raises ValueError as ``clustered_test`` does.
    """
    d, n = _entities(net_wins, rows)
    excess = _excess(d, n)
    if isinstance(excess, Undefined):
        return excess
    k, total = len(d), float(n.sum())
    standard_error = math.sqrt(k / (k - 1) * float(np.sum(excess**2))) / total**2
    return ClusteredDifference(float(d.sum()) / total, standard_error)


def _entities(net_wins: ArrayLike, rows: ArrayLike) -> tuple[Floats, Floats]:
    d, n = np.asarray(net_wins, dtype=np.float64), np.asarray(rows, dtype=np.float64)
    if d.shape != n.shape or d.ndim != 1 or np.any(n < 1) or np.any(np.abs(d) > n):
        msg = "need one net win and one number of rows an entity, the rows at least 1 and at least the net win"
        raise ValueError(msg)
    return d, n


def _excess(d: Floats, n: Floats) -> Floats | Undefined:
    """What each entity's net win exceeds its share of the total by, times all rows: whole numbers, so no spread is exactly 0."""
    excess = d * n.sum() - n * d.sum()
    if len(d) < 2:
        return Undefined("fewer than two entities")
    return excess if excess.any() else Undefined("no entity differs from the others")
