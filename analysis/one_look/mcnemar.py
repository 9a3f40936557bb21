"""McNemar's test on paired outcomes: one look at a table whose size was not chosen by looking."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import scipy

from analysis.tables.counts import PairedOutcomes

__all__ = ["Alternative", "McNemar", "Method", "mcnemar"]

Alternative = Literal["greater", "two-sided"]
Method = Literal["mid-p", "exact", "asymptotic", "edwards"]


@dataclass(frozen=True, slots=True)
class McNemar:
    """The result, with the counts needed to compute it again."""

    wins: int
    losses: int
    alternative: Alternative
    method: Method
    p_value: float


def mcnemar(pairs: PairedOutcomes, *, alternative: Alternative = "greater", method: Method = "mid-p") -> McNemar:
    """Test whether the challenger wins more of the disagreements than it loses.

    Conditional on their number D, the wins are Binomial(D, 1/2) under H0 (McNemar 1947). The mid-p version counts
    half of the probability of the observed table and is the recommendation of Fagerland, Lydersen and Laake 2013 (BMC
    Medical Research Methodology 13:91). ``edwards`` is the old continuity correction (max(|w - l| - 1, 0))^2 / D,
    two-sided only, for comparison with old reports. Without any disagreement there is no evidence: the mid-p value is
    1/2 one-sided and 1 two-sided, every other one 1 (asymptotic one-sided 1/2). Raises ValueError for a one-sided
    Edwards test.
    """
    if method == "edwards" and alternative == "greater":
        msg = "Edwards' test is two-sided; ask for alternative='two-sided'"
        raise ValueError(msg)
    w, l = pairs.wins, pairs.losses
    tail = _one_sided if alternative == "greater" else _two_sided
    return McNemar(w, l, alternative, method, tail(w, l, method))


def _one_sided(w: int, l: int, method: Method) -> float:
    d = w + l
    if method == "asymptotic":
        return float(scipy.stats.norm.sf((w - l) / math.sqrt(d))) if d else 0.5
    if method == "exact":
        return float(scipy.stats.binom.sf(w - 1, d, 0.5))
    return float(scipy.stats.binom.sf(w, d, 0.5) + scipy.stats.binom.pmf(w, d, 0.5) / 2)


def _two_sided(w: int, l: int, method: Method) -> float:
    d, low = w + l, min(w, l)
    if method == "asymptotic":
        return float(2 * scipy.stats.norm.sf(abs(w - l) / math.sqrt(d))) if d else 1.0
    if method == "edwards":
        return float(scipy.stats.chi2.sf(max(abs(w - l) - 1, 0) ** 2 / d, 1)) if d else 1.0
    if method == "exact":
        return min(1.0, float(2 * scipy.stats.binom.cdf(low, d, 0.5)))
    if d == 0:
        return 1.0
    here = float(scipy.stats.binom.pmf(low, d, 0.5))
    return 1.0 - here / 2 if w == l else max(float(2 * scipy.stats.binom.cdf(low, d, 0.5)) - here, 0.0)
