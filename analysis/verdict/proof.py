"""The proof of a gain in one measure of one pair: its evidence process, batches as units, and whether these have to carry it too."""

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
from analysis.verdict.process_choice import batch_process, label_cases, process

__all__ = ["UNEVEN_LEVEL", "Proof"]

UNEVEN_LEVEL = 0.2
"""The level of the test of overdispersion. At .05 instead, false promotions are .08 to .17 if batches have shocks of sd .2, if one batch
has half of the rows, or if every row is repeated ten times."""


class Proof:
    """What the evidence proves about the gain in one measure. Each property is computed at its first use and kept."""

    def __init__(self, evidence: Evidence, name: str, policy: Policy) -> None:
        self._about = evidence, name, policy

    @cached_property
    def process(self) -> Process | Undefined:
        """The evidence process of the measure."""
        return process(*self._about)

    @cached_property
    def batches(self) -> BatchProcess | WorstCaseProcess:
        """The process of the batches as units."""
        return batch_process(*self._about)

    @cached_property
    def overdispersion(self) -> Overdispersion | Undefined:
        """The test of whether the gain varies between batches more than chance allows; of two ``label_cases``, the smaller p-value."""
        _, name, policy = self._about
        tests = [_overdispersion(e, name, policy) for e in self._cases()]
        defined = [test for test in tests if isinstance(test, Overdispersion)]
        return min(defined, key=lambda test: test.p_value) if defined else tests[0]

    @cached_property
    def uneven(self) -> bool:
        """Whether the batches as units have to carry the proof too.

        They have to if overdispersion is significant at ``UNEVEN_LEVEL``, or if the disagreements lie in so few batches that
        they are worth at most ``min_batches`` - 1 batches of equal size (``effective_batches``).
        """
        evidence, name, policy = self._about
        test = self.overdispersion
        if isinstance(test, Overdispersion) and test.p_value < UNEVEN_LEVEL:
            return True
        enough = len(evidence.batches) >= policy.min_batches  # with fewer there is no promotion anyway
        return enough and any(_effective(e, policy.measure(name)) <= policy.min_batches - 1 for e in self._cases())

    def _cases(self) -> tuple[Evidence, ...]:
        evidence, _, policy = self._about
        return label_cases(evidence, policy)


def _effective(evidence: Evidence, measure: Measure) -> float:
    """The number of equal batches that the disagreements of all batches are worth; for scores and numbers, the labelled rows."""
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
