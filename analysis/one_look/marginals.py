"""Whether two models name the classes alike: tests of a square table (champion, challenger) of predicted classes.

They need no label, so they describe how the predictions changed and never say which model is better.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse, stats

from analysis.tables.counts import Undefined
from analysis.tables.metrics import Floats

__all__ = ["TableTest", "bhapkar", "bowker", "stuart_maxwell"]


@dataclass(frozen=True, slots=True)
class TableTest:
    """A chi-square test of a square table."""

    statistic: float
    degrees_of_freedom: int
    p_value: float


def bowker(table: ArrayLike) -> TableTest | Undefined:
    """Test that the models swap each pair of classes equally often in either direction (Bowker 1948, JASA 43:572).

    X2 = sum over i < j of (n_ij - n_ji)^2 / (n_ij + n_ji), one degree of freedom for each pair of classes that is
    swapped at all. Undefined where the models never differ. Raises ValueError for a table that is not square or has a
    negative count.
    """
    n = _square(table)
    upper, lower = n[np.triu_indices(len(n), 1)], n.T[np.triu_indices(len(n), 1)]
    swapped = upper + lower > 0
    if not swapped.any():
        return Undefined("the two models never differ")
    gap, total = (upper - lower)[swapped], (upper + lower)[swapped]
    return _test(float(np.sum(gap**2 / total)), int(swapped.sum()))


def stuart_maxwell(table: ArrayLike) -> TableTest | Undefined:
    """Test that both models predict each class equally often (Stuart 1955, Biometrika 42:412; Maxwell 1970).

    X2 = d' V^-1 d with d_i = n_i. - n_.i, V_ii = n_i. + n_.i - 2 n_ii, V_ij = -(n_ij + n_ji), one class left out,
    which is K - 1 degrees of freedom. Classes that are never swapped with others, directly or through third ones,
    have a difference of their own that sums to 0, so one class is left out of each connected group. Undefined and
    raised as in ``bowker``.
    """
    n = _square(table)
    swapped = n + n.T
    np.fill_diagonal(swapped, 0)
    d = n.sum(axis=1) - n.sum(axis=0)
    variance = np.diag(swapped.sum(axis=0)) - swapped
    _, group = sparse.csgraph.connected_components(sparse.csr_array(swapped), directed=False)
    kept = np.setdiff1d(np.arange(len(n)), np.unique(group, return_index=True)[1])
    if not len(kept):
        return Undefined("the two models never differ")
    statistic = float(d[kept] @ np.linalg.solve(variance[np.ix_(kept, kept)], d[kept]))
    return _test(max(statistic, 0.0), len(kept))


def bhapkar(table: ArrayLike) -> TableTest | Undefined:
    """The Wald test of the same hypothesis as ``stuart_maxwell`` (Bhapkar 1966, JASA 61:228): X2 / (1 - X2 / n), n rows.

    Undefined, beside the cases of ``stuart_maxwell``, where X2 = n: no row says how much the difference may vary.
    """
    found = stuart_maxwell(table)
    if isinstance(found, Undefined):
        return found
    left = 1 - found.statistic / float(np.sum(_square(table)))
    if left <= 1e-12:
        return Undefined("every row moves the same way, so the difference has no variance")
    return _test(found.statistic / left, found.degrees_of_freedom)


def _square(table: ArrayLike) -> Floats:
    n = np.asarray(table, dtype=np.float64)
    if n.ndim != 2 or n.shape[0] != n.shape[1] or np.any(n < 0) or not np.isfinite(n).all():
        msg = f"need a square table of counts, none negative, not one of shape {n.shape}"
        raise ValueError(msg)
    return n


def _test(statistic: float, df: int) -> TableTest:
    return TableTest(statistic, df, float(stats.chi2.sf(statistic, df)))
