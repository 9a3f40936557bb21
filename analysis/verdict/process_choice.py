"""The choice of the evidence process for a measure, by the policy and the structure of the data."""

from __future__ import annotations

from typing import assert_never

from analysis.any_look.asymptotic import MIN_DISCORDANT
from analysis.any_look.batch_unit import BatchGains, outcome_gains
from analysis.any_look.process import (
    AsymptoticProcess,
    BatchProcess,
    CostProcess,
    LossProcess,
    Method,
    OutcomeProcess,
    PrecisionProcess,
    Process,
    SampledProcess,
    WorstCaseProcess,
)
from analysis.any_look.sampled import outcome_payoffs, sampled_gains
from analysis.evidence import Evidence, scores_of
from analysis.evidence.gains import batch_differences, is_corrected, rows_count_alike, total_difference
from analysis.kinds.score_sums import merge_losses
from analysis.policy import Policy
from analysis.tables.counts import Undefined
from analysis.tables.measure import Measure

__all__ = ["LOOKS_UNTIL_TIGHTEST", "batch_process", "label_cases", "process", "under_assumption"]

LOOKS_UNTIL_TIGHTEST = 13  # a quarter of a year, with a batch per week


def under_assumption(evidence: Evidence, policy: Policy) -> Evidence:
    """The evidence under the policy's assumption about missing labels."""
    return evidence.assuming_the_worst() if policy.unlabelled == "worst_case" else evidence


def process(evidence: Evidence, name: str, policy: Policy) -> Process | Undefined:
    """The evidence process of the gain in ``name``: that of its measure, unless the policy or the rows need another one.

    It is exact where an exact one is known: wins and losses of rows or entities, precision and NPV, cost, clipped losses, and labels of
    rows that were chosen with known probabilities. Batches are the units if the policy says so, for rank metrics, and, if rows share
    entities, for measures other than shares of rows. All other processes are asymptotic, also those corrected by Begg and Greenes: they
    are Undefined before 20 disagreements, or 20 labelled rows for scores and numbers. If the policy assumes the worst of missing labels,
    no missing label could undo the evidence, for the challenger or against it.
    """
    measure = policy.measure(name)
    if policy.unlabelled == "worst_case" and measure.counts_outcomes and not evidence.entities:
        return WorstCaseProcess(*(_bounded(e, name, policy) for e in label_cases(evidence, policy)))
    if policy.unit == "batch" or (evidence.entities and not measure.counts_outcomes):
        return batch_process(evidence, name, policy)
    if policy.sampling:
        return _sampled(evidence, name, policy, policy.sampling.heaviest)
    if measure.family == "decisions" and is_corrected(evidence.batches, policy):
        return _asymptotic(evidence, name, policy)
    return _process_of_the_measure(evidence, measure, policy)


def _process_of_the_measure(evidence: Evidence, measure: Measure, policy: Policy) -> Process | Undefined:
    name = measure.name
    match measure.process:
        case "batches":
            return batch_process(evidence, name, policy)
        case "outcomes":
            units: Method = "entities" if evidence.entities else "rows"
            return OutcomeProcess(evidence.total_outcomes(name), policy.prior, units)
        case "precision":
            return PrecisionProcess(evidence.counts, policy.prior)
        case "npv":
            return PrecisionProcess(evidence.counts.flip(), policy.prior)
        case "cost":
            assert policy.costs is not None
            return CostProcess(evidence.counts, policy.costs.matrix, policy.prior)
        case "asymptotic":
            bound = measure.bound(policy.largest_error)
            if bound is not None:
                return LossProcess(merge_losses(scores_of(evidence.batches, name)), bound)
            return _asymptotic(evidence, name, policy)
        case _:
            assert_never(measure.process)


def _sampled(evidence: Evidence, name: str, policy: Policy, heaviest: tuple[float, float]) -> SampledProcess:
    if name == "cost":
        assert policy.costs is not None
        costs = policy.costs.matrix
        return SampledProcess(evidence.sampled, tuple(costs.saved().tolist()), costs.span, heaviest, policy.prior)
    return SampledProcess(evidence.sampled, tuple(outcome_payoffs(name).tolist()), 1.0, heaviest, policy.prior)


def label_cases(evidence: Evidence, policy: Policy) -> tuple[Evidence, ...]:
    """The evidence as it is; but its worst and its best case if the policy assumes the worst of missing labels."""
    if policy.unlabelled != "worst_case":
        return (evidence,)
    return evidence.assuming_the_worst(), evidence.assuming_the_best()


def _bounded(evidence: Evidence, name: str, policy: Policy) -> OutcomeProcess:
    """The rows that are left without a label, on which the two models decide alike, are ties if they count for the metric."""
    ties = evidence.counts.unlabelled_rows
    return OutcomeProcess(evidence.total_outcomes(name), policy.prior, maybe_ties=ties)


def _asymptotic(evidence: Evidence, name: str, policy: Policy) -> AsymptoticProcess | Undefined:
    """The asymptotic process, tightest after ``LOOKS_UNTIL_TIGHTEST`` batches of the size of the first."""
    measure, difference = policy.measure(name), total_difference(evidence, name, policy)
    if isinstance(difference, Undefined):
        return difference
    if measure.beside_tally:
        sizes = [s.n for s in scores_of(evidence.batches, name)]
        differing = sum(sizes)
    else:
        sizes = [b.counts.n for b in evidence.batches]
        differing = evidence.counts.outcomes("accuracy").discordant
    if differing < MIN_DISCORDANT:
        units = "labelled rows" if measure.beside_tally else "disagreements"
        return Undefined(f"fewer than {MIN_DISCORDANT} {units}, too few for an asymptotic statement")
    if difference.standard_error == 0:
        return Undefined(f"{name} differs by the same amount on every row, so there is no spread to judge it by")
    gain = measure.sign * difference.value
    return AsymptoticProcess(gain, difference.standard_error, sum(sizes), sizes[0] * LOOKS_UNTIL_TIGHTEST, policy.alpha)


def batch_process(evidence: Evidence, name: str, policy: Policy) -> BatchProcess | WorstCaseProcess:
    """Batches as units: the gain of each over the scale of ``BatchGains`` for shares of rows, else over its standard error.

    A batch whose standard error is 0 is left out.
    """
    processes = [_batch_process(e, name, policy) for e in label_cases(evidence, policy)]
    return processes[0] if len(processes) == 1 else WorstCaseProcess(*processes)


def _batch_process(evidence: Evidence, name: str, policy: Policy) -> BatchProcess:
    measure = policy.measure(name)
    if measure.counts_outcomes and policy.sampling:
        return BatchProcess(sampled_gains([b.sampled for b in evidence.batches if b.sampled], name))
    if measure.counts_outcomes and rows_count_alike(evidence.batches, policy):
        return BatchProcess(outcome_gains(evidence.outcomes(name)))
    differences = [d for d in batch_differences(evidence, name, policy) if d.standard_error > 0]
    gains = tuple(measure.sign * d.value for d in differences)
    return BatchProcess(BatchGains(gains, tuple(d.standard_error for d in differences)))
