"""Which evidence process a measure gets, given the data's structure and the policy."""

from __future__ import annotations

import numpy as np

from analysis.any_look.asymptotic import MIN_DISCORDANT
from analysis.any_look.batch_unit import (
    BatchGains,
    Overdispersion,
    effective_batches,
    heterogeneity,
    outcome_gains,
    overdispersion,
)
from analysis.any_look.process import (
    AsymptoticProcess,
    BatchProcess,
    CostProcess,
    LossProcess,
    OutcomeProcess,
    PrecisionProcess,
    Process,
    SampledProcess,
    WorstCaseProcess,
)
from analysis.any_look.sampled import outcome_payoffs, sampled_gains
from analysis.evidence import Evidence, scores_of
from analysis.evidence.gains import batch_differences, is_corrected, rows_count_alike, total_difference
from analysis.evidence.score_sums import merge_losses
from analysis.one_look.measures import (
    RANK_MEASURES,
    LinearMetric,
    Measure,
    gain_sign,
    is_linear,
    is_score_measure,
    is_tally_metric,
    loss_bound,
)
from analysis.policy import Policy
from analysis.tables.counts import PairedOutcomes, Undefined
from analysis.tables.metrics import Difference

__all__ = [
    "LOOKS_UNTIL_TIGHTEST",
    "UNEVEN_LEVEL",
    "as_assumed",
    "batch_process",
    "process",
    "total_outcomes",
    "unevenness",
    "varies",
]

LOOKS_UNTIL_TIGHTEST = 13  # a quarter of weekly batches
UNEVEN_LEVEL = 0.2
"""At .05 a shared shock of sd .2, one batch of half the rows, or rows that stand ten times, are false promotions in .08 to .17."""


def as_assumed(evidence: Evidence, policy: Policy) -> Evidence:
    """The evidence under what the policy assumes about missing labels."""
    return evidence.assuming_the_worst() if policy.unlabelled == "worst_case" else evidence


def process(evidence: Evidence, name: Measure, policy: Policy) -> Process | Undefined:
    """The evidence process of the gain in ``name``.

    Exact wherever one is known: wins and losses of rows or entities, precision and NPV, cost, clipped losses, labels of rows that
    were chosen with known probabilities. Batches as units where the
    policy says so, for rank metrics, and for what is not a share of rows where rows share entities. Else asymptotic,
    which needs 20 disagreements, or 20 losses of numbers: before that, Undefined. Labels corrected by Begg and Greenes are asymptotic too.
    Where the policy assumes the worst, evidence for the challenger and against it is what no missing label could undo.
    """
    if policy.unlabelled == "worst_case" and is_linear(name) and not evidence.entities:
        return WorstCaseProcess(*(_bounded(e, name, policy) for e in _both_ways(evidence, policy)))
    if policy.unit == "batch" or name in RANK_MEASURES or (evidence.entities and not is_linear(name)):
        return batch_process(evidence, name, policy)
    if policy.sampling:
        return _sampled(evidence, name, policy, policy.sampling.heaviest)
    if is_tally_metric(name) and is_corrected(evidence.batches, policy):
        return _asymptotic(evidence, total_difference(evidence, name, policy), name, policy)
    if is_linear(name):
        return OutcomeProcess(total_outcomes(evidence, name), policy.prior, "entities" if evidence.entities else "rows")
    counts = evidence.counts
    if name == "precision":
        return PrecisionProcess(counts, policy.prior)
    if name == "npv":
        return PrecisionProcess(counts.flip(), policy.prior)
    if name == "cost":
        assert policy.costs is not None
        return CostProcess(counts, policy.costs.matrix, policy.prior)
    bound = loss_bound(name, policy.largest_error)
    if bound is not None:
        return LossProcess(merge_losses(scores_of(evidence.batches, name)), bound)
    return _asymptotic(evidence, total_difference(evidence, name, policy), name, policy)


def _sampled(evidence: Evidence, name: Measure, policy: Policy, heaviest: tuple[float, float]) -> SampledProcess:
    if name == "cost":
        assert policy.costs is not None
        costs = policy.costs.matrix
        return SampledProcess(evidence.sampled, tuple(costs.saved().tolist()), costs.span, heaviest, policy.prior)
    assert is_linear(name)
    return SampledProcess(evidence.sampled, tuple(outcome_payoffs(name).tolist()), 1.0, heaviest, policy.prior)


def _both_ways(evidence: Evidence, policy: Policy) -> tuple[Evidence, ...]:
    """The evidence as it is, or at its worst and its best where the policy assumes the worst of missing labels."""
    if policy.unlabelled != "worst_case":
        return (evidence,)
    return evidence.assuming_the_worst(), evidence.assuming_the_best()


def _bounded(evidence: Evidence, name: LinearMetric, policy: Policy) -> OutcomeProcess:
    """Rows without a label on which the two decide alike are ties, if they count for the metric at all."""
    ties = sum(evidence.counts.unlabelled)
    return OutcomeProcess(total_outcomes(evidence, name), policy.prior, maybe_ties=ties)


def _asymptotic(
    evidence: Evidence, found: Difference | Undefined, name: Measure, policy: Policy
) -> AsymptoticProcess | Undefined:
    """Tightest after a quarter's worth of batches as large as the first."""
    if isinstance(found, Undefined):
        return found
    if is_score_measure(name):
        sizes = [s.n for s in scores_of(evidence.batches, name)]
        differing = sum(sizes)
    else:
        sizes = [b.counts.n for b in evidence.batches]
        differing = evidence.counts.outcomes("accuracy").discordant
    if differing < MIN_DISCORDANT:
        units = "labelled rows" if is_score_measure(name) else "disagreements"
        return Undefined(f"fewer than {MIN_DISCORDANT} {units}, too few for an asymptotic statement")
    if found.standard_error == 0:
        return Undefined(f"{name} differs by the same amount on every row, so there is no spread to judge it by")
    gain = gain_sign(name) * found.value
    return AsymptoticProcess(gain, found.standard_error, sum(sizes), sizes[0] * LOOKS_UNTIL_TIGHTEST, policy.alpha)


def batch_process(evidence: Evidence, name: Measure, policy: Policy) -> BatchProcess | WorstCaseProcess:
    """Batches as units: the gain of each over the scale of ``BatchGains`` for shares of rows, else over its standard error.

    There a batch without a standard error says nothing.
    """
    each = [_batch_process(e, name, policy) for e in _both_ways(evidence, policy)]
    return each[0] if len(each) == 1 else WorstCaseProcess(*each)


def _batch_process(evidence: Evidence, name: Measure, policy: Policy) -> BatchProcess:
    if is_linear(name) and policy.sampling:
        return BatchProcess(sampled_gains([b.sampled for b in evidence.batches if b.sampled], name))
    if is_linear(name) and rows_count_alike(evidence.batches, policy):
        return BatchProcess(outcome_gains(evidence.outcomes(name)))
    sign = gain_sign(name)
    found = [d for d in batch_differences(evidence, name, policy) if d.standard_error > 0]
    return BatchProcess(BatchGains(tuple(sign * d.value for d in found), tuple(d.standard_error for d in found)))


def unevenness(evidence: Evidence, name: Measure, policy: Policy) -> Overdispersion | Undefined:
    """Test whether the lead in ``name`` varies between batches more than chance allows; of two cases the one that does more."""
    found = [_unevenness(e, name, policy) for e in _both_ways(evidence, policy)]
    tested = [f for f in found if isinstance(f, Overdispersion)]
    return min(tested, key=lambda f: f.p_value) if tested else found[0]


def varies(evidence: Evidence, name: Measure, policy: Policy) -> bool:
    """Whether batches have to carry a proof about ``name`` beside the rows.

    The lead varies between batches more than chance allows, at the level .2, as a shock is worth more than a few weeks; or
    the disagreements, most of which may lie in one batch, are worth fewer equal batches than the policy's least number.
    """
    found = unevenness(evidence, name, policy)
    if isinstance(found, Overdispersion) and found.p_value < UNEVEN_LEVEL:
        return True
    enough = len(evidence.batches) >= policy.min_batches  # before that nobody is promoted, however even
    return enough and any(_effective(e, name) <= policy.min_batches - 1 for e in _both_ways(evidence, policy))


def _effective(evidence: Evidence, name: Measure) -> float:
    """The number of equal batches that the disagreements of all batches are worth, or the rows where there are none to count."""
    sampled = [b.sampled for b in evidence.batches if b.sampled]
    if sampled:
        differs = np.nan_to_num(outcome_payoffs(name if is_linear(name) else "accuracy")) != 0
        return effective_batches([s.moment(1)[differs].sum() for s in sampled])
    if is_linear(name):
        return effective_batches([b.discordant for b in evidence.outcomes(name)])
    if is_score_measure(name):
        return effective_batches([s.n for s in scores_of(evidence.batches, name)])
    return effective_batches([b.counts.outcomes("accuracy").discordant for b in evidence.batches])


def _unevenness(evidence: Evidence, name: Measure, policy: Policy) -> Overdispersion | Undefined:
    if is_linear(name) and rows_count_alike(evidence.batches, policy):
        return overdispersion(evidence.outcomes(name))
    return heterogeneity(batch_differences(evidence, name, policy))


def total_outcomes(evidence: Evidence, name: LinearMetric) -> PairedOutcomes:
    """Wins, losses and ties over all batches."""
    parts = evidence.outcomes(name)
    return PairedOutcomes(sum(p.wins for p in parts), sum(p.losses for p in parts), sum(p.ties for p in parts))
