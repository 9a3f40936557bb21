"""At which looks of simulated runs a rule can promote at all: bounds over arrays of counts, so that the rule is asked at few looks."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np
import scipy
from numpy.typing import NDArray

from analysis.any_look.eprocess import log_e_array
from analysis.policy import Policy
from analysis.policy.budget import Allowance
from analysis.seasons.season import Rule, bootstrap_rule, mcnemar_rule, seed_rule
from analysis.tables.metrics import Floats
from analysis.verdict.judge import own_policy

__all__ = ["Bools", "Ints", "Screen", "screen_of_policy", "screen_of_rule"]

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Screen = Callable[[Ints], Bools]
"""From the rows by cell up to each look, shape (runs, looks, challengers, 8), to the looks, shape (runs, looks), that need to be asked.

At all others the rule promotes nobody.
"""

_ROUNDING = 1e-9
_QUADRATURE = 0.01  # ``log_e_array`` errs by less at a margin or a gain above 0, below _MANY rows
_MANY = 10**5
_LEAST_Z = 1.5


def screen_of_rule(rule: Rule) -> Screen | None:
    """The screen of a naive rule for recall; None for any other rule."""
    screens: dict[Rule, Screen] = {seed_rule: _ahead, mcnemar_rule: _below_5_percent, bootstrap_rule: _ahead_by_far}
    return screens.get(rule)


def _ahead(totals: Ints) -> Bools:
    return _any(totals[..., 5] > totals[..., 6])


def _below_5_percent(totals: Ints) -> Bools:
    won, lost = totals[..., 5], totals[..., 6]
    mid_p = scipy.stats.binom.sf(won, won + lost, 0.5) + scipy.stats.binom.pmf(won, won + lost, 0.5) / 2
    return _any(mid_p < 0.05 + _ROUNDING)


def _ahead_by_far(totals: Ints) -> Bools:
    """Whether the lead is above 1.5 of its standard errors.

    Else a replicate of the bootstrap has no lead with a probability of more than .06, and at most 50 of 2,000 may have none.
    """
    won, lost, n = totals[..., 5], totals[..., 6], np.maximum(totals.sum(axis=-1), 1)
    lead = won - lost
    return _any((lead > 0) & (lead >= _LEAST_Z * np.sqrt(np.maximum(won + lost - lead**2 / n, 0))))


def _any(of_challengers: Bools) -> Bools:
    return np.asarray(of_challengers.any(axis=-1))


def screen_of_policy(policy: Policy, allowances: Mapping[str, Allowance] | None = None) -> Screen:
    """Looks at which the e-values of rows reach 1/alpha for the gain and for every guardrail of one challenger, before e-closure.

    Only recall, specificity and accuracy are asked, and nothing where batches are the units or a horizon decides.
    """
    allowed = allowances or {}

    def screen(totals: Ints) -> Bools:
        challengers = totals.shape[2]
        passed = np.ones(totals.shape[:3], dtype=bool)
        passed[:, : policy.min_batches - 1] = False
        if policy.unit == "batch":
            return _any(passed)
        gain = [] if policy.horizon else [(policy.primary, policy.min_gain)]
        claims = [*gain, *((name, -margin) for name, margin in policy.guardrails.items())]
        for j in range(challengers):
            own = own_policy(policy, allowed.get(str(j + 2)), challengers)
            for name, null_gain in claims:
                if policy.measure(name).counts_outcomes:
                    asked = passed[:, :, j]
                    asked[asked] = _may_reach(totals[:, :, j][asked], name, null_gain, own)
        return _any(passed)

    return screen


def _may_reach(cells: Ints, name: str, null_gain: float, policy: Policy) -> Bools:
    """Whether log E, shape (n,), can reach its threshold for each row of ``cells``, shape (n, 8)."""
    won, lost, rows = _outcomes(cells, name)
    log_e = log_e_array(won, lost, rows - won - lost, null_gain=null_gain, prior=policy.prior)
    reached: Bools = log_e >= -math.log(policy.alpha) - (_QUADRATURE if null_gain else _ROUNDING)
    return reached | (rows >= _MANY) if null_gain else reached


def _outcomes(cells: Ints, name: str) -> tuple[Floats, Floats, Floats]:
    """Wins, losses and rows of the metric, as ``PairedCounts.outcomes`` has them."""
    n = cells.astype(np.float64).T
    positives = n[5], n[6], n[4:].sum(axis=0)
    negatives = n[2], n[1], n[:4].sum(axis=0)
    if name == "recall":
        return positives
    if name == "specificity":
        return negatives
    return positives[0] + negatives[0], positives[1] + negatives[1], positives[2] + negatives[2]
