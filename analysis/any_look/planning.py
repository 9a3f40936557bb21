"""Sample sizes for a single look and for the e-process, and what they mean in rows."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import scipy

from analysis.any_look.eprocess import DEFAULT_PRIOR, log_e
from analysis.tables.counts import PairedOutcomes

__all__ = [
    "Alternative",
    "DisagreementsNeeded",
    "connor",
    "e_process_pairs",
    "fewest_disagreements",
    "rows_for",
]

Alternative = Literal["greater", "two-sided"]

_NEGLIGIBLE = 1e-15  # share of all records that is dropped at one disagreement at most


@dataclass(frozen=True, slots=True)
class DisagreementsNeeded:
    """The disagreements by which E has reached 1/alpha in half and in 80 % of all records; ``None`` beyond the horizon."""

    half: int | None
    likely: int | None


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


def fewest_disagreements(*, alpha: float, prior: float = DEFAULT_PRIOR) -> int:
    """The straight wins after which E has reached 1/alpha: with fewer disagreements nothing can be proven.

    Raises ValueError outside 0 < alpha < 1.
    """
    if not 0 < alpha < 1:
        msg = f"alpha must lie between 0 and 1, not {alpha}"
        raise ValueError(msg)
    wins = (w for w in itertools.count(1) if log_e(PairedOutcomes(w, 0, 0), prior=prior) >= -math.log(alpha))
    return next(wins)


def e_process_pairs(
    win_share: float, *, alpha: float, prior: float = DEFAULT_PRIOR, horizon: int
) -> DisagreementsNeeded:
    """Disagreements until E against "no gain" first reaches 1/alpha, looked at after each, if the challenger wins ``win_share`` of them.

    By recursion, exact but for 1e-15 a disagreement: a win never lowers E and a loss never raises it, so the fewest wins that
    suffice stay or grow by one with each disagreement, and the undecided records are one vector over their wins. Raises
    ValueError for a share outside [0, 1] or alpha outside (0, 1).
    """
    if not 0 <= win_share <= 1 or not 0 < alpha < 1:
        msg = f"a win share lies in [0, 1] and alpha in (0, 1), not {win_share} and {alpha}"
        raise ValueError(msg)
    undecided, decided, enough, half = np.ones(1), 0.0, 1, None
    for n in range(1, horizon + 1):
        grown = np.append(undecided * (1 - win_share), 0.0)
        grown[1:] += undecided * win_share
        if log_e(PairedOutcomes(enough, n - enough, 0), prior=prior) >= -math.log(alpha):
            undecided, decided = grown[:-1], decided + float(grown[-1])
        else:
            undecided, enough = grown, enough + 1
        if undecided[0] < _NEGLIGIBLE:
            undecided = undecided[1:]
        if half is None and decided >= 0.5:
            half = n
        if decided >= 0.8:
            return DisagreementsNeeded(half, n)
    return DisagreementsNeeded(half, None)


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
    return float(scipy.stats.norm.isf(tail)), float(scipy.stats.norm.isf(1 - power))
