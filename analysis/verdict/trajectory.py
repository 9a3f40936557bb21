"""Evidence and measures batch by batch, for the plots of a report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from analysis.any_look.cost import expected_cost
from analysis.any_look.sampled import SampledCounts, sampled_difference, sampled_mean_difference
from analysis.evidence import BatchTally, Evidence
from analysis.evidence.tally import pair_sampled, pair_table
from analysis.kinds.score_sums import version_value
from analysis.one_look.multiplicity import e_closure_by_wave
from analysis.policy import Policy
from analysis.tables.counts import Undefined
from analysis.verdict.process_choice import batch_process, process

__all__ = ["EvidencePoint", "evidence_path", "metric_path"]


@dataclass(frozen=True, slots=True)
class EvidencePoint:
    """The log e-values of one challenger after the batch of this date: adjusted for the other challengers, and with batches as units."""

    date: date
    log_e_adjusted: float
    log_e_batch_unit: float


def evidence_path(
    evidence: Sequence[Evidence], policy: Policy, waves: Mapping[str, int] | None = None
) -> dict[str, list[EvidencePoint]]:
    """The log e-values by challenger, after each closed batch; ``waves`` has the wave of each version, 1 by default."""
    wave_of_each = [(waves or {}).get(e.challenger.version, 1) for e in evidence]
    dates = sorted({b.date for e in evidence for b in e.batches})
    paths: dict[str, list[EvidencePoint]] = {e.challenger.version: [] for e in evidence}
    for day in dates:
        evidence_so_far = [e.until(day) for e in evidence]
        processes = [process(e, policy.primary, policy) for e in evidence_so_far]
        log_es = [0.0 if isinstance(p, Undefined) else p.log_e(policy.min_gain) for p in processes]
        adjusted = log_es if policy.error_budget == "programme" else e_closure_by_wave(log_es, wave_of_each, {})
        for e, log_e in zip(evidence_so_far, adjusted, strict=True):
            batches = batch_process(e, policy.primary, policy)
            paths[e.challenger.version].append(EvidencePoint(day, log_e, batches.log_e(policy.min_gain)))
    return paths


def metric_path(closed: Sequence[BatchTally], version: str, name: str, policy: Policy) -> list[tuple[date, float]]:
    """The value of ``name`` for one version in each closed batch in which it is defined, by date."""
    values = ((t.date, _batch_value(t, version, name, policy)) for t in sorted(closed, key=lambda t: (t.date, t.batch)))
    return [(day, value) for day, value in values if not isinstance(value, Undefined)]


def _batch_value(tally: BatchTally, version: str, name: str, policy: Policy) -> float | Undefined:
    """The value of ``name`` for one version in one batch."""
    measure = policy.measure(name)
    if measure.beside_tally:
        bound = measure.bound(policy.largest_error)
        stored = version_value(tally.scores, name, version, bound=bound) if tally.scores is not None else None
        return stored[1] if stored else Undefined("no labelled row with scores")
    sampled = pair_sampled(tally.frame, version, version)
    if policy.sampling and sampled is not None:
        return _weighted_value(sampled, name, policy)
    counts = pair_table(tally.frame, version, version, policy.kind)
    if measure.family != "cost":
        return policy.kind.value(name, counts)
    if policy.costs is None:
        return Undefined("cost has no price")
    cost = expected_cost(counts, policy.costs.matrix)
    return cost if isinstance(cost, Undefined) else cost.champion


def _weighted_value(sampled: SampledCounts, name: str, policy: Policy) -> float | Undefined:
    if name == "cost":
        assert policy.costs is not None
        difference = sampled_mean_difference(sampled, *policy.costs.matrix.by_cell())
    else:
        difference = sampled_difference(sampled, name)
    return difference if isinstance(difference, Undefined) else difference.champion
