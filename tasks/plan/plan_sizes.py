"""How many rows a proof of a gain takes at a project's own disagreement: at one look, and with a look after every disagreement."""

from __future__ import annotations

import math
from dataclasses import dataclass

from analysis.any_look.planning import connor, e_process_pairs, rows_for
from analysis.policy import Policy
from analysis.seasons.simulate import Scenario

__all__ = ["HORIZON", "Need", "Sizes", "deciding", "sizes"]

HORIZON = 100_000
"""Disagreements up to which the e-process is followed."""


@dataclass(frozen=True, slots=True)
class Need:
    """Disagreements in the primary metric, and the rows that hold so many on average."""

    disagreements: int
    rows: int


@dataclass(frozen=True, slots=True)
class Sizes:
    """What it takes to prove a gain of which ``win_share`` of the disagreements are won; ``None`` beyond ``HORIZON``.

    ``one_look``: McNemar's mid-p at a size fixed beforehand (Connor), with power 80 %. ``even`` and ``likely``: the e-process in
    half and in 80 % of the cases.
    """

    win_share: float
    one_look: Need
    even: Need | None
    likely: Need | None


def sizes(scenario: Scenario, policy: Policy, alpha: float) -> Sizes | None:
    """The sizes for one scenario; None without a gain, or where something else decides than wins and losses of rows against 0."""
    if (
        not policy.measure(policy.primary).counts_outcomes
        or policy.min_gain
        or policy.unit == "batch"
        or policy.horizon
    ):
        return None
    cells = scenario.expected()
    won, lost = deciding(policy, cells[5], cells[2]), deciding(policy, cells[6], cells[1])
    if won <= lost:
        return None
    pairs = deciding(policy, scenario.positives, scenario.negatives)
    disagreement = min((won + lost) / pairs, 1.0)  # rounding can add to them
    gain, share = min((won - lost) / pairs, disagreement), pairs / (scenario.positives + scenario.negatives)
    at_one_look = connor(disagreement, gain, alpha=alpha, power=0.8)
    disagreements = e_process_pairs(won / (won + lost), alpha=alpha, prior=policy.prior, horizon=HORIZON)
    even, likely = (
        None if n is None else Need(n, rows_for(n / disagreement, prevalence=share))
        for n in (disagreements.half, disagreements.likely)
    )
    one_look = Need(math.ceil(at_one_look * disagreement), rows_for(at_one_look, prevalence=share))
    return Sizes(won / (won + lost), one_look, even, likely)


def deciding(policy: Policy, positives: float, negatives: float) -> float:
    """The rows that the primary metric is about: positives, negatives, or both."""
    if policy.primary == "recall":
        return positives
    return negatives if policy.primary == "specificity" else positives + negatives
