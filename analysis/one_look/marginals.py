"""Whether two models name the classes alike: a test of the square table (champion, challenger) of predicted classes.

It needs no label, so it describes how the predictions changed and never says which model is better.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import ArrayLike

from analysis.tables.counts import Undefined
from analysis.tables.metrics import Floats

__all__ = ["TableTest", "stuart_maxwell"]


@dataclass(frozen=True, slots=True)
class TableTest:
    """A chi-square test of a square table."""

    statistic: float
    degrees_of_freedom: int
    p_value: float


def stuart_maxwell(table: ArrayLike) -> TableTest | Undefined:
    """Test that both models predict each class equally often (Stuart 1955, Biometrika 42:412; Maxwell 1970).

    X2 = d' V^-1 d with d_i = n_i. - n_.i, V_ii = n_i. + n_.i - 2 n_ii, V_ij = -(n_ij + n_ji), one class left out,
    which is K - 1 degrees of freedom. Classes that are never swapped with others, directly or through third ones,
    have a difference of their own that sums to 0, so one class is left out of each connected group. Undefined where the
    models never differ. Raises ValueError for a table that is not square or has a negative count.
    """
    n = _square(table)
    swapped = n + n.T
    np.fill_diagonal(swapped, 0)
    d = n.sum(axis=1) - n.sum(axis=0)
    variance = np.diag(swapped.sum(axis=0)) - swapped
    _, group = scipy.sparse.csgraph.connected_components(scipy.sparse.csr_array(swapped), directed=False)
    kept = np.setdiff1d(np.arange(len(n)), np.unique(group, return_index=True)[1])
    if not len(kept):
        return Undefined("the two models never differ")
    statistic = max(float(d[kept] @ np.linalg.solve(variance[np.ix_(kept, kept)], d[kept])), 0.0)
    return TableTest(statistic, len(kept), float(scipy.stats.chi2.sf(statistic, len(kept))))


def _square(table: ArrayLike) -> Floats:
    n = np.asarray(table, dtype=np.float64)
    if n.ndim != 2 or n.shape[0] != n.shape[1] or np.any(n < 0) or not np.isfinite(n).all():
        msg = f"need a square table of counts, none negative, not one of shape {n.shape}"
        raise ValueError(msg)
    return n
