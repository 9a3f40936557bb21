"""Another sample size for McNemar's test, beside Connor's, which plans give."""

from __future__ import annotations

import math

from scipy import stats

from analysis.any_look.planning import Alternative, connor

__all__ = ["miettinen"]


def miettinen(
    discordance: float, gain: float, *, alpha: float, power: float, alternative: Alternative = "greater"
) -> float:
    """Pairs as in ``connor`` by Miettinen (1968, Biometrics 24:339): slightly fewer, and slightly less power than asked for.

    n = [z_alpha psi + z_beta sqrt(psi^2 - gain^2 (3 + psi) / 4)]^2 / (psi gain^2). Raises ValueError as ``connor`` does.
    """
    connor(discordance, gain, alpha=alpha, power=power)
    z_a = float(stats.norm.isf(alpha if alternative == "greater" else alpha / 2))
    z_b = float(stats.norm.isf(1 - power))
    spread = math.sqrt(max(discordance**2 - gain**2 * (3 + discordance) / 4, 0.0))
    return (z_a * discordance + z_b * spread) ** 2 / (discordance * gain**2)
