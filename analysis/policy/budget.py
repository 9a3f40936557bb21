"""Error budgets: how much of alpha each challenger may spend."""

from __future__ import annotations

import math
from dataclasses import dataclass

import scipy

from analysis.policy.policy import ErrorBudget

__all__ = ["Allowance", "allowance"]

_DECAY = 1.6  # exponent of gamma_j in e-LOND


@dataclass(frozen=True, slots=True)
class Allowance:
    """The alpha of one challenger.

    ``order`` is its position, counted from 1, in what the budget covers: among the waves of a reign, or among all challengers ever.
    Challengers that were registered at the same time are one ``wave`` and share its alpha.
    """

    alpha: float
    order: int
    wave: int = 1


def allowance(budget: ErrorBudget, alpha: float, *, wave: int, order: int, promotions: int) -> Allowance:
    """What a challenger may spend, which is fixed when it is registered: as the ``wave``-th of this reign and the ``order``-th ever.

    ``family``: alpha, shared by e-closure among the challengers that are judged together. ``reign``: 6 alpha / (pi^2 j^2) for
    the j-th wave under this champion, shared by e-closure among the challengers of the wave, including those that have left. The
    waves add up to alpha, so it bounds the probability of any false promotion in a reign, however later challengers were made.
    ``programme``: e-LOND, alpha gamma_j (R + 1) for the j-th challenger ever, gamma_j = j^-1.6 / zeta(1.6), after R promotions;
    it bounds the false discovery rate of all promotions ever, under any dependence (Xu and Ramdas 2024, "Online
    multiple testing with e-values"). Raises ValueError for a wave below 1, an order below the wave, or negative promotions.
    """
    if wave < 1 or order < wave or promotions < 0:
        msg = f"need 1 <= wave <= order and promotions >= 0, not wave {wave}, order {order}, promotions {promotions}"
        raise ValueError(msg)
    if budget == "reign":
        return Allowance(_as_recorded(6 * alpha / (math.pi * wave) ** 2), wave, wave)
    if budget == "programme":
        gamma = order**-_DECAY / float(scipy.special.zeta(_DECAY))
        return Allowance(_as_recorded(alpha * gamma * (promotions + 1)), order, wave)
    return Allowance(alpha, wave, wave)


def _as_recorded(alpha: float) -> float:
    """Rounded to the 12 digits of a record, because a replay from the record has to give the same bits."""
    return float(f"{alpha:.12g}")
