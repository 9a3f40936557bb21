"""An interval for the paired difference of two shares at one look, challenger minus champion, from wins, losses and ties."""

from __future__ import annotations

import math
from dataclasses import dataclass

import scipy

from analysis.tables.counts import PairedOutcomes, Undefined

__all__ = ["Interval", "newcombe"]


@dataclass(frozen=True, slots=True)
class Interval:
    """A two-sided interval; ``confidence_level`` is that of both sides together."""

    low: float
    high: float
    confidence_level: float


def newcombe(pairs: PairedOutcomes, both_right: int, *, confidence_level: float) -> Interval | Undefined:
    """Newcombe's square-and-add interval for a paired difference of shares (1998, Statistics in Medicine 17:2635, method 10).

    ``both_right`` of the ``pairs.ties`` rows were right under both models. Challenger minus champion.
    """
    n, w, l = pairs.n, pairs.wins, pairs.losses
    if not 0 <= both_right <= pairs.ties or not 0 < confidence_level < 1:
        msg = f"both_right lies in [0, ties] and confidence_level in (0, 1), not {both_right} and {confidence_level}"
        raise ValueError(msg)
    if n == 0:
        return Undefined("no row to compare on")
    new, old = both_right + w, both_right + l
    z = float(scipy.stats.norm.isf((1 - confidence_level) / 2))
    (l1, u1), (l2, u2) = _wilson(new, n, z), _wilson(old, n, z)
    p1, p2 = new / n, old / n
    phi = _correlation(both_right, w, l, n - both_right - w - l)
    low = (p1 - p2) - math.sqrt(max((p1 - l1) ** 2 - 2 * phi * (p1 - l1) * (u2 - p2) + (u2 - p2) ** 2, 0.0))
    high = (p1 - p2) + math.sqrt(max((u1 - p1) ** 2 - 2 * phi * (u1 - p1) * (p2 - l2) + (p2 - l2) ** 2, 0.0))
    return Interval(low, high, confidence_level)


def _wilson(k: int, n: int, z: float) -> tuple[float, float]:
    """The shares that the score test does not reject (Wilson 1927, JASA 22:209)."""
    p, shrink = k / n, 1 + z**2 / n
    centre = (p + z**2 / (2 * n)) / shrink
    half = z * math.sqrt(p * (1 - p) / n + z**2 / (4 * n**2)) / shrink
    return max(centre - half, 0.0), min(centre + half, 1.0)


def _correlation(n11: int, n10: int, n01: int, n00: int) -> float:
    """Newcombe's continuity-corrected phi of the paired table; 0 where a margin is empty."""
    margins = (n11 + n10) * (n01 + n00) * (n11 + n01) * (n10 + n00)
    if margins == 0:
        return 0.0
    cross = n11 * n00 - n10 * n01
    return max(cross - (n11 + n10 + n01 + n00) / 2, min(cross, 0)) / math.sqrt(margins)
