"""Rows that belong together: tests whose unit is the entity (a customer, a machine), not the row."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from analysis.counts import PairedOutcomes, Undefined

__all__ = ["ClusterMethod", "ClusteredTest", "clustered_test", "entity_outcomes"]

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
    d, n = np.asarray(net_wins, dtype=np.float64), np.asarray(rows, dtype=np.float64)
    if d.shape != n.shape or d.ndim != 1 or np.any(n < 1) or np.any(np.abs(d) > n):
        msg = "need one net win and one number of rows an entity, the rows at least 1 and at least the net win"
        raise ValueError(msg)
    x = d / n if method == "durkalski" else d
    square = float(np.sum(x * x))
    if square == 0:
        return Undefined("no entity has a net win or loss")
    z = float(np.sum(x)) / math.sqrt(square)
    if method == "obuchowski":
        z *= math.sqrt((len(d) - 1) / len(d))
    return ClusteredTest(method, len(d), z, float(stats.norm.sf(z)))


def entity_outcomes(net_wins: ArrayLike) -> PairedOutcomes:
    """One outcome an entity: won, lost or tied on balance. The estimand becomes the share of entities, not of rows.

    On these counts the e-process of rows keeps its error rate whatever the correlation within an entity.
    """
    d = np.asarray(net_wins)
    return PairedOutcomes(int(np.sum(d > 0)), int(np.sum(d < 0)), int(np.sum(d == 0)))
