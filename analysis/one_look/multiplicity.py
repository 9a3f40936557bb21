"""Several challengers at once."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import scipy

__all__ = ["e_closure", "e_closure_by_wave", "holm"]


def e_closure(log_e: Sequence[float]) -> list[float]:
    """Log e-values adjusted for the whole family: a rejection at 1/alpha errs in it with probability at most alpha.

    The closure of the mean of e-values (Vovk and Wang 2021, Annals of Statistics 49:1736): adjusted e_j is the
    minimum over i of (e_j + the i smallest other e-values) / (i + 1). Valid under any dependence and at any time;
    never above e_j.
    """
    values = np.asarray(log_e, dtype=np.float64)
    adjusted = []
    for j, own in enumerate(values):
        others = np.sort(np.delete(values, j))
        means = (float(scipy.special.logsumexp([own, *others[:i]])) - math.log(i + 1) for i in range(len(others) + 1))
        adjusted.append(min(means))
    return adjusted


def e_closure_by_wave(
    log_e: Sequence[float], waves: Sequence[int], departed: Mapping[int, Sequence[float]]
) -> list[float]:
    """``e_closure`` within each wave of challengers that were registered at once.

    Who has left stays in its wave with the e-value that it left with: a process that is stopped is still one, and without it the
    best of many would be judged as if it had stood alone.
    """
    adjusted = [0.0] * len(log_e)
    for wave in set(waves):
        members = [i for i, w in enumerate(waves) if w == wave]
        closed = e_closure([*(log_e[i] for i in members), *departed.get(wave, ())])
        for i, value in zip(members, closed, strict=False):
            adjusted[i] = value
    return adjusted


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values adjusted for the family at one look that was fixed beforehand (Holm 1979), under any dependence."""
    if not p_values:
        return []
    from statsmodels.stats.multitest import multipletests  # noqa: PLC0415  (who has nothing to adjust does not wait for it)

    return [float(p) for p in multipletests(p_values, method="holm")[1]]
