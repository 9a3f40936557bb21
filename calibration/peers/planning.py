"""Of plans, by other formulas: a sample size for McNemar's test beside Connor's, and about where the e-process stands at 1/alpha."""

from __future__ import annotations

import math

from scipy import stats

from analysis.any_look.eprocess import DEFAULT_PRIOR
from analysis.any_look.planning import Alternative, connor

__all__ = ["e_process_boundary", "miettinen"]


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


def e_process_boundary(disagreements: int, *, alpha: float, prior: float = DEFAULT_PRIOR) -> float:
    """About the z = (w - l) / sqrt(n) at which the e-process of wins and losses reaches 1/alpha after n ``disagreements``.

    Z*(n) = sqrt((1 + (2a + 1) / n) (2 log(1 / (2 alpha)) + log(1 + n / (2a + 1)))), a = ``prior``: that of the normal
    mixture with the variance of the untruncated prior (Robbins 1970, Annals of Mathematical Statistics 41:1397), of which
    the truncation doubles the weight. At the default prior and alpha = 0.05 within 0.3 from n = 20 on, and 0.06 from n =
    1000 on. Raises ValueError outside 0 < alpha < 1/2.
    """
    if not 0 < alpha < 0.5:
        msg = f"alpha must lie between 0 and 0.5, not {alpha}"
        raise ValueError(msg)
    weight = 2 * prior + 1
    return math.sqrt(
        (1 + weight / disagreements) * (2 * math.log(1 / (2 * alpha)) + math.log1p(disagreements / weight))
    )
