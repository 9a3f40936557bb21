"""The evidence on one measure of one pair: its process, the batches as units, and whether these have to carry the proof too."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from analysis.any_look.batch_unit import (
    Overdispersion,
    effective_batches,
    overdispersion,
    overdispersion_of_differences,
)
from analysis.any_look.process import BatchProcess, Process, WorstCaseProcess
from analysis.any_look.sampled import outcome_payoffs
from analysis.evidence import Evidence, scores_of
from analysis.evidence.gains import batch_differences, rows_count_alike
from analysis.policy import Policy
from analysis.tables.counts import Undefined
from analysis.tables.measure import Measure
from analysis.verdict.process_choice import batch_process, both_ways, process

__all__ = ["UNEVEN_LEVEL", "Proof", "batch_overdispersion", "is_uneven"]

UNEVEN_LEVEL = 0.2
"""At .05 a shared shock of sd .2, one batch of half the rows, or rows that stand ten times, are false promotions in .08 to .17."""


class Proof:
    """What the evidence proves about the gain in one measure. Each part is computed once, when somebody asks for it."""

    def __init__(self, evidence: Evidence, name: str, policy: Policy) -> None:
        self._about = evidence, name, policy

    @cached_property
    def process(self) -> Process | Undefined:
        """Its evidence process."""
        return process(*self._about)

    @cached_property
    def batches(self) -> BatchProcess | WorstCaseProcess:
        """The process of the batches as units."""
        return batch_process(*self._about)

    @cached_property
    def overdispersion(self) -> Overdispersion | Undefined:
        """Whether the lead varies between batches more than chance allows, as a test."""
        return batch_overdispersion(*self._about)

    @cached_property
    def uneven(self) -> bool:
        """Whether the batches have to carry the proof beside the rows."""
        return is_uneven(*self._about)


def batch_overdispersion(evidence: Evidence, name: str, policy: Policy) -> Overdispersion | Undefined:
    """Test whether the lead in ``name`` varies between batches more than chance allows; of two cases, the one in which it varies more."""
    each = [_overdispersion(e, name, policy) for e in both_ways(evidence, policy)]
    tested = [test for test in each if isinstance(test, Overdispersion)]
    return min(tested, key=lambda test: test.p_value) if tested else each[0]


def is_uneven(evidence: Evidence, name: str, policy: Policy) -> bool:
    """Whether batches have to carry a proof about ``name`` beside the rows.

    The lead varies between batches more than chance allows, at the level .2, as a shock is worth more than a few weeks; or
    the disagreements, most of which may lie in one batch, are worth fewer equal batches than the policy's least number.
    """
    test = batch_overdispersion(evidence, name, policy)
    if isinstance(test, Overdispersion) and test.p_value < UNEVEN_LEVEL:
        return True
    enough = len(evidence.batches) >= policy.min_batches  # before that nobody is promoted, however even
    return enough and any(
        _effective(e, policy.measure(name)) <= policy.min_batches - 1 for e in both_ways(evidence, policy)
    )


def _effective(evidence: Evidence, measure: Measure) -> float:
    """The number of equal batches that the disagreements of all batches are worth, or the rows where there are none to count."""
    sampled = [b.sampled for b in evidence.batches if b.sampled]
    if sampled:
        differs = np.nan_to_num(outcome_payoffs(measure.name if measure.counts_outcomes else "accuracy")) != 0
        return effective_batches([s.moment(1)[differs].sum() for s in sampled])
    if measure.counts_outcomes:
        return effective_batches([b.discordant for b in evidence.outcomes(measure.name)])
    if measure.beside_tally:
        return effective_batches([s.n for s in scores_of(evidence.batches, measure.name)])
    return effective_batches([b.counts.outcomes("accuracy").discordant for b in evidence.batches])


def _overdispersion(evidence: Evidence, name: str, policy: Policy) -> Overdispersion | Undefined:
    if policy.measure(name).counts_outcomes and rows_count_alike(evidence.batches, policy):
        return overdispersion(evidence.outcomes(name))
    return overdispersion_of_differences(batch_differences(evidence, name, policy))
