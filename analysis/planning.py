"""Sample sizes for a single look, and what they mean in rows."""

from __future__ import annotations

import math
from typing import Literal

from scipy import stats

__all__ = ["connor", "miettinen", "rows_for"]

Alternative = Literal["greater", "two-sided"]


def connor(
    discordance: float, gain: float, *, alpha: float, power: float, alternative: Alternative = "greater"
) -> float:
    """Pairs that McNemar's test needs, not rounded (Connor 1987, Biometrics 43:207).

    n = [z_alpha sqrt(psi) + z_beta sqrt(psi - gain^2)]^2 / gain^2, psi = ``discordance``, the share of pairs on which
    the models disagree. For recall the pairs are the positives. Raises ValueError unless 0 < gain <= discordance <=
    1.
    """
    z_a, z_b = _quantiles(discordance, gain, alpha, power, alternative)
    return (z_a * math.sqrt(discordance) + z_b * math.sqrt(discordance - gain**2)) ** 2 / gain**2


def miettinen(
    discordance: float, gain: float, *, alpha: float, power: float, alternative: Alternative = "greater"
) -> float:
    """The same by Miettinen (1968, Biometrics 24:339): slightly fewer, and slightly less power than asked for.

    n = [z_alpha psi + z_beta sqrt(psi^2 - gain^2 (3 + psi) / 4)]^2 / (psi gain^2).
    """
    z_a, z_b = _quantiles(discordance, gain, alpha, power, alternative)
    spread = math.sqrt(max(discordance**2 - gain**2 * (3 + discordance) / 4, 0.0))
    return (z_a * discordance + z_b * spread) ** 2 / (discordance * gain**2)


def rows_for(pairs: float, *, prevalence: float) -> int:
    """Rows that hold so many positives on average. Raises ValueError for a prevalence outside (0, 1]."""
    if not 0 < prevalence <= 1:
        msg = f"a prevalence lies in (0, 1], not {prevalence}"
        raise ValueError(msg)
    return math.ceil(pairs / prevalence)


def _quantiles(
    discordance: float, gain: float, alpha: float, power: float, alternative: Alternative
) -> tuple[float, float]:
    if not 0 < gain <= discordance <= 1:
        msg = f"need 0 < gain <= discordance <= 1, not gain {gain} and discordance {discordance}"
        raise ValueError(msg)
    if not 0 < alpha < 1 or not 0 < power < 1:
        msg = f"alpha and power lie between 0 and 1, not {alpha} and {power}"
        raise ValueError(msg)
    tail = alpha if alternative == "greater" else alpha / 2
    return float(stats.norm.isf(tail)), float(stats.norm.isf(1 - power))
