"""Asymptotic confidence sequences: for metrics that no exact e-process covers."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from analysis.any_look.batch_unit import log_e_symmetric
from analysis.tables.metrics import Floats

__all__ = ["MIN_DISCORDANT", "half_width", "log_e_asymptotic", "rho_squared"]

MIN_DISCORDANT = 20  # below that the estimated spread may be 0, and the coverage fell to .82


def rho_squared(alpha: float, n_opt: float) -> float:
    """The scale r^2 = (-2 log a + log(-2 log a) + 1) / ``n_opt`` that makes a mixture tightest at ``n_opt`` rows for the level a.

    It is an approximation for small levels, and below 0 for large ones: a level above 1/2 is taken as 1/2.
    """
    level = min(alpha, 0.5)
    return (-2 * math.log(level) + math.log(-2 * math.log(level)) + 1) / n_opt


def log_e_asymptotic(z: ArrayLike, n: ArrayLike, *, rho2: float) -> Floats:
    """Log of the e-value, one-sided, of an estimate ``z`` standard errors above its null after ``n`` rows.

    The half-normal mixture of which the one-sided ``half_width`` is a bound: with S = z sqrt(n) and V = n it is the
    self-normalised e-value of ``log_e_symmetric``. Its type I error holds in the limit of many rows.
    """
    rows = np.asarray(n, dtype=np.float64)
    return log_e_symmetric(np.asarray(z, dtype=np.float64) * np.sqrt(rows), rows, rho=rho2)


def half_width(n: float, sd: float, *, alpha: float, n_opt: float, sides: Literal[1, 2] = 2) -> float:
    """Half-width after ``n`` rows whose influence values have the standard deviation ``sd``.

    Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas 2024 (Annals of Statistics 52:2613). Two-sided, from the normal
    mixture: sd sqrt(2 (n r^2 + 1) / (n^2 r^2) log(sqrt(n r^2 + 1) / alpha)). One-sided, from the half-normal mixture:
    sd sqrt(2 (n r^2 + 1) / (n^2 r^2) log(1 + sqrt(n r^2 + 1) / (2 alpha))). r^2 is ``rho_squared`` of alpha two-sided
    and of 2 alpha one-sided; ``n_opt`` has to be chosen before the data are seen.
    """
    rho2 = rho_squared(alpha if sides == 2 else 2 * alpha, n_opt)
    inside = n * rho2 + 1
    bound = math.log(math.sqrt(inside) / alpha) if sides == 2 else math.log1p(math.sqrt(inside) / (2 * alpha))
    return sd * math.sqrt(2 * inside / (n * n * rho2) * bound)
