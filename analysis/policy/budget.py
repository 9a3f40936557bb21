"""Error budgets: how much of alpha a challenger may spend, and how much has been given out."""

from __future__ import annotations

import math
from dataclasses import dataclass

from scipy import special

from analysis.policy.policy import ErrorBudget

__all__ = ["Allowance", "allowance"]

_DECAY = 1.6


@dataclass(frozen=True, slots=True)
class Allowance:
    """The alpha of one challenger. ``order``: as how many-eth it was registered, counted from 1, in what its budget covers.

    Those that were registered at once are one ``wave``, and share its alpha.
    """

    alpha: float
    order: int
    wave: int = 1


def allowance(budget: ErrorBudget, alpha: float, *, wave: int, order: int, promotions: int) -> Allowance:
    """What a challenger may spend, by its place among all that have been registered; fixed when it is.

    ``family``: alpha, shared with those judged beside it by e-closure. ``reign``: 6 alpha / (pi^2 j^2) for the j-th wave of
    challengers that came at once under this champion, shared within the wave by e-closure, also with those of it that have left; these
    add up to alpha, so it bounds the probability of any false promotion in a reign, however the later ones were made.
    ``programme``: e-LOND, alpha gamma_j (R + 1) for the j-th ever, gamma_j = j^-1.6 / zeta(1.6), after R promotions;
    it bounds the false discovery rate of all promotions ever, under any dependence (Xu and Ramdas 2024, "Online
    multiple testing with e-values"). Raises ValueError for an order below 1.
    """
    if wave < 1 or order < wave or promotions < 0:
        msg = f"orders count from 1 and promotions from 0: wave {wave} of the reign, {order} in all, {promotions} promotions"
        raise ValueError(msg)
    if budget == "reign":
        return Allowance(_as_recorded(6 * alpha / (math.pi * wave) ** 2), wave, wave)
    if budget == "programme":
        gamma = order**-_DECAY / float(special.zeta(_DECAY))
        return Allowance(_as_recorded(alpha * gamma * (promotions + 1)), order, wave)
    return Allowance(alpha, wave, wave)


def _as_recorded(alpha: float) -> float:
    """A record keeps 12 digits, and a replay from it has to give the same bits."""
    return float(f"{alpha:.12g}")
