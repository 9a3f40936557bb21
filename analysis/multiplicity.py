"""Several challengers at once."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy import special

__all__ = ["e_closure"]


def e_closure(log_e: Sequence[float]) -> list[float]:
    """Log e-values adjusted for the whole family: a rejection at 1/alpha errs in the family with probability at most alpha.

    The closure of the mean of e-values (Vovk and Wang 2021, Annals of Statistics 49:1736): adjusted e_j is the
    minimum over i of (e_j + the i smallest other e-values) / (i + 1). Valid under any dependence and at any time;
    never above e_j.
    """
    values = np.asarray(log_e, dtype=np.float64)
    adjusted = []
    for j, own in enumerate(values):
        others = np.sort(np.delete(values, j))
        means = (float(special.logsumexp([own, *others[:i]])) - math.log(i + 1) for i in range(len(others) + 1))
        adjusted.append(min(means))
    return adjusted
