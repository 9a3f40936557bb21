"""Error budgets: how much of alpha a challenger may spend, and how much has been given out."""

from __future__ import annotations

import math
from dataclasses import dataclass

from scipy import special

from analysis.policy import ErrorBudget

__all__ = ["Allowance", "allowance"]

_DECAY = 1.6


@dataclass(frozen=True, slots=True)
class Allowance:
    """The alpha of one challenger. ``order``: as how many-eth it was registered, counted from 1, in what its budget covers."""

    alpha: float
    order: int


def allowance(budget: ErrorBudget, alpha: float, *, order_in_reign: int, order: int, promotions: int) -> Allowance:
    """What a challenger may spend, by its place among all that have been registered; fixed when it is.

    ``family``: alpha, shared with those judged beside it by e-closure. ``reign``: 6 alpha / (pi^2 j^2) for the j-th
    under this champion; these add up to alpha, so it bounds the probability of any false promotion in a reign.
    ``programme``: e-LOND, alpha gamma_j (R + 1) for the j-th ever, gamma_j = j^-1.6 / zeta(1.6), after R promotions;
    it bounds the false discovery rate of all promotions ever, under any dependence (Xu and Ramdas 2024, "Online
    multiple testing with e-values"). Raises ValueError for an order below 1.
    """
    if order_in_reign < 1 or order < order_in_reign or promotions < 0:
        msg = f"orders count from 1 and promotions from 0: {order_in_reign} in the reign, {order} in all, {promotions} promotions"
        raise ValueError(msg)
    if budget == "reign":
        return Allowance(6 * alpha / (math.pi * order_in_reign) ** 2, order_in_reign)
    if budget == "programme":
        gamma = order**-_DECAY / float(special.zeta(_DECAY))
        return Allowance(alpha * gamma * (promotions + 1), order)
    return Allowance(alpha, order_in_reign)
