"""Hand-made batches of a judgement, and the judgement of a challenger alone."""

from __future__ import annotations

from typing import Any

from analysis_examples import evidence

from analysis.policy import Policy
from analysis.tables.counts import PairedCounts
from analysis.verdict.judge import Assessment, Verdict, judge

# true negatives, false positives of the challenger alone, of the champion alone, of both; missed, won, lost, found by both
GOOD = PairedCounts((1800, 10, 10, 30, 10, 20, 4, 150))
EQUAL = PairedCounts((1800, 10, 10, 30, 10, 6, 6, 150))
IDENTICAL = PairedCounts((1800, 0, 0, 30, 10, 0, 0, 150))
BLUNT = PairedCounts((1800, 80, 10, 30, 10, 20, 4, 150))  # wins on positives, and flags far too much
POLICY = Policy()


def only(*batches: PairedCounts, policy: Policy = POLICY, **changes: Any) -> Assessment:
    judgement = judge([evidence(*batches, **changes)], policy, seed=0)
    (assessment,) = judgement.assessments
    assert judgement.promote == ("2" if assessment.verdict is Verdict.PROMOTE else None)
    return assessment


def failed(assessment: Assessment) -> list[str]:
    return [c.name for c in assessment.checks if not c.passed]


def with_positives(wins: int, losses: int, fp_challenger: int = 10) -> PairedCounts:
    return PairedCounts((1800, fp_challenger, 10, 30, 10, wins, losses, 150))
