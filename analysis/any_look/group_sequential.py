"""Group-sequential boundaries by alpha spending, for a horizon that was declared beforehand and is not extended."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special

__all__ = ["Spending", "boundaries", "spent"]

Floats = NDArray[np.float64]
Spending = Literal["obrien-fleming", "pocock"]

_POINTS = 1201  # odd, for Simpson's rule
_BEYOND = 8.0  # standard deviations beyond which a density is 0
_CLOSEST = 3e-4  # of the information so far: a shorter step falls between the points of the grid


def spent(fraction: float, *, alpha: float, spending: Spending) -> float:
    """The part of the one-sided ``alpha`` that may be spent by this fraction of the planned information.

    Lan and DeMets 1983 (Biometrika 70:659). ``obrien-fleming``: 2 - 2 Phi(z_{alpha/2} / sqrt(t)); ``pocock``: alpha
    log(1 + (e - 1) t).
    """
    if not 0 < fraction <= 1:
        msg = f"a fraction of the planned information lies in (0, 1], not {fraction}; the horizon cannot be extended"
        raise ValueError(msg)
    if spending == "pocock":
        return float(alpha * np.log1p((np.e - 1) * fraction))
    return float(2 * special.ndtr(special.ndtri(alpha / 2) / np.sqrt(fraction)))


def boundaries(fractions: Sequence[float], *, alpha: float, spending: Spending) -> list[float]:
    """The z-values that a one-sided statistic has to exceed at each look.

    ``fractions`` of the planned information (disagreements, not weeks) rise; the first of at least 1 ends the plan and
    spends what is left, and where it brings more than was planned its statistic depends less on those before it. The
    probability to cross for the first time at a look is the increment of ``spent``, found by the recursion of
    Armitage, McPherson and Rowe (1969) on the score scale. The boundary is inf at a look that may spend less than 1e-12,
    and at one that brings less than 0.03 % more than the look before: what it would spend is left to the next.
    """
    if any(b <= a for a, b in zip([0.0, *fractions], fractions, strict=False)):
        msg = f"the fractions of information have to rise: {list(fractions)}"
        raise ValueError(msg)
    if any(f >= 1 for f in fractions[:-1]):
        msg = f"a look follows the end of the plan: {list(fractions)}; the horizon cannot be extended"
        raise ValueError(msg)
    limits: list[float] = []
    before, grid, density = 0.0, np.zeros(1), np.ones(1)
    already = 0.0
    for fraction in fractions:
        if fraction - before < _CLOSEST * fraction and fraction < 1:
            limits.append(float("inf"))
            continue
        total = spent(min(fraction, 1.0), alpha=alpha, spending=spending)
        step = np.sqrt(max(fraction - before, _CLOSEST * fraction))
        increment = total - already
        limit = _limit(grid, density, step, increment, np.sqrt(fraction))
        limits.append(float(limit / np.sqrt(fraction)))
        grid, density = _propagate(grid, density, step, min(limit, _BEYOND * np.sqrt(fraction)), fraction)
        already, before = already if np.isinf(limit) else total, fraction
    return limits


def _limit(grid: Floats, density: Floats, step: float, increment: float, scale: float) -> float:
    """The score above which the walk has probability ``increment``."""
    if increment < 1e-12:
        return float("inf")

    def excess(limit: float) -> float:
        return float(np.sum(density * special.ndtr((grid - limit) / step))) - increment

    return float(optimize.brentq(excess, -_BEYOND * scale, (_BEYOND + 2) * scale, xtol=1e-12))


def _propagate(grid: Floats, density: Floats, step: float, limit: float, fraction: float) -> tuple[Floats, Floats]:
    """The walk's density, times Simpson's weights, on a grid below the limit after one more look."""
    low = -_BEYOND * np.sqrt(fraction)
    new = np.linspace(low, limit, _POINTS)
    kernel = np.exp(-(((new[:, None] - grid[None, :]) / step) ** 2) / 2) / (step * np.sqrt(2 * np.pi))
    weights = np.full(_POINTS, 2.0)
    weights[1::2] = 4.0
    weights[[0, -1]] = 1.0
    return new, np.sum(kernel * density, axis=1) * weights * (new[1] - new[0]) / 3
