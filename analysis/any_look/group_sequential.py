"""Group-sequential boundaries by alpha spending, for a horizon that is declared before the data and is not extended."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import scipy
from numpy.typing import NDArray

__all__ = ["Spending", "boundaries", "spent"]

Floats = NDArray[np.float64]
Spending = Literal["obrien-fleming", "pocock"]

_POINTS = 1201  # odd, for Simpson's rule
_BEYOND = 8.0  # standard deviations beyond which a density counts as 0
_CLOSEST = 3e-4  # of the information so far; the grid is too coarse for a shorter step


def spent(fraction: float, *, alpha: float, spending: Spending) -> float:
    """The part of the one-sided ``alpha`` that may be spent by this fraction t of the planned information.

    ``obrien-fleming``: 2 - 2 Phi(z_{alpha/2} / sqrt(t)); ``pocock``: alpha log(1 + (e - 1) t) (Lan and DeMets 1983,
    Biometrika 70:659). Raises ValueError for a fraction outside (0, 1].
    """
    if not 0 < fraction <= 1:
        msg = f"the fraction of the planned information must lie in (0, 1], not {fraction}; the horizon cannot be extended"
        raise ValueError(msg)
    if spending == "pocock":
        return float(alpha * np.log1p((np.e - 1) * fraction))
    return float(2 * scipy.special.ndtr(scipy.special.ndtri(alpha / 2) / np.sqrt(fraction)))


def boundaries(fractions: Sequence[float], *, alpha: float, spending: Spending) -> list[float]:
    """The z-values that a one-sided statistic has to reach, one per look.

    ``fractions`` are the increasing shares of the planned information (disagreements, not weeks) at the looks. The first
    one of at least 1 ends the test and spends what is left of ``alpha``; if it exceeds 1, the statistic correlates less
    with earlier ones, which is taken into account. The probability of crossing for the first time at a look is the
    increment of ``spent``, computed by the recursion of Armitage, McPherson and Rowe (1969) on the score scale. The
    boundary is inf at a look that may spend less than 1e-12, and at one that adds less than 0.03 % to the information so
    far; the next look spends its part. Raises ValueError if the fractions do not increase, or if a look follows one of at least 1.
    """
    if any(b <= a for a, b in zip([0.0, *fractions], fractions, strict=False)):
        msg = f"the fractions of the planned information must increase: {list(fractions)}"
        raise ValueError(msg)
    if any(f >= 1 for f in fractions[:-1]):
        msg = f"no look may follow the one that reaches the planned information: {list(fractions)}; the horizon cannot be extended"
        raise ValueError(msg)
    limits: list[float] = []
    before, grid, density = 0.0, np.zeros(1), np.ones(1)
    spent_before = 0.0
    for fraction in fractions:
        if fraction - before < _CLOSEST * fraction and fraction < 1:
            limits.append(float("inf"))
            continue
        total = spent(min(fraction, 1.0), alpha=alpha, spending=spending)
        step = np.sqrt(max(fraction - before, _CLOSEST * fraction))
        increment = total - spent_before
        limit = _limit(grid, density, step, increment, np.sqrt(fraction))
        limits.append(float(limit / np.sqrt(fraction)))
        grid, density = _propagate(grid, density, step, min(limit, _BEYOND * np.sqrt(fraction)), fraction)
        spent_before, before = spent_before if np.isinf(limit) else total, fraction
    return limits


def _limit(grid: Floats, density: Floats, step: float, increment: float, scale: float) -> float:
    """The score above which the random walk has the probability ``increment``; inf for less than 1e-12."""
    if increment < 1e-12:
        return float("inf")

    def excess(limit: float) -> float:
        return float(np.sum(density * scipy.special.ndtr((grid - limit) / step))) - increment

    return float(scipy.optimize.brentq(excess, -_BEYOND * scale, (_BEYOND + 2) * scale, xtol=1e-12))


def _propagate(grid: Floats, density: Floats, step: float, limit: float, fraction: float) -> tuple[Floats, Floats]:
    """The grid below the limit, and on it the density of the walk after one more look, times Simpson's weights."""
    low = -_BEYOND * np.sqrt(fraction)
    new = np.linspace(low, limit, _POINTS)
    kernel = np.exp(-(((new[:, None] - grid[None, :]) / step) ** 2) / 2) / (step * np.sqrt(2 * np.pi))
    weights = np.full(_POINTS, 2.0)
    weights[1::2] = 4.0
    weights[[0, -1]] = 1.0
    return new, np.sum(kernel * density, axis=1) * weights * (new[1] - new[0]) / 3
