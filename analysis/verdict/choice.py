"""Choosing among several challengers that have all been proven better."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import scipy

from analysis.evidence import Evidence
from analysis.evidence.gains import rows_count_alike, total_difference
from analysis.one_look.mcnemar import mcnemar
from analysis.policy import Policy
from analysis.tables.counts import Undefined

__all__ = ["TIE_LEVEL", "Candidate", "Choice", "choose"]

TIE_LEVEL = 0.05


@dataclass(frozen=True, slots=True)
class Candidate:
    """A challenger proven better, and the lower limit of its gain."""

    version: str
    low: float


@dataclass(frozen=True, slots=True)
class Choice:
    """The version to promote, the versions that are tied head to head (this one included), and why it was chosen."""

    version: str
    tied: tuple[str, ...]
    reason: str


def choose(
    candidates: Sequence[Candidate], policy: Policy, head_to_head: Callable[[str, str], Evidence] | None
) -> Choice:
    """Choose the challenger whose gain has the highest lower limit; those that do not differ from it head to head are tied with it.

    Two challengers differ if a two-sided test of the primary metric on the rows that both scored has p < 0.05: McNemar's
    mid-p for shares of rows, else difference over standard error. A tie is only reported. Without ``head_to_head`` there are no ties.
    """
    ranked = sorted(candidates, key=lambda c: -c.low)
    first = ranked[0]
    tied = [first.version]
    if head_to_head:
        tied += [c.version for c in ranked[1:] if _p_value(head_to_head(first.version, c.version), policy) >= TIE_LEVEL]
    others = _others([c.version for c in ranked], first.version)
    tie = f"; head to head it is tied with {_others(tied, first.version)}" if len(tied) > 1 else ""
    return Choice(
        first.version,
        tuple(tied),
        f"it has the highest lower limit, above {others}{tie}" if others else "it is the only one",
    )


def _p_value(evidence: Evidence, policy: Policy) -> float:
    """The two-sided p-value of a difference in the primary metric."""
    if policy.measure(policy.primary).counts_outcomes and rows_count_alike(evidence.batches, policy):
        return mcnemar(evidence.total_outcomes(policy.primary), alternative="two-sided").p_value
    difference = total_difference(evidence, policy.primary, policy)
    if isinstance(difference, Undefined) or difference.standard_error == 0:
        return 1.0
    return float(2 * scipy.stats.norm.sf(abs(difference.value) / difference.standard_error))


def _others(versions: Sequence[str], one: str) -> str:
    return ", ".join(f"version {v}" for v in versions if v != one)
