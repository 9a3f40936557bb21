"""How evidence and metrics went, batch by batch: what the plots of a report show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from analysis.any_look.cost import expected_cost
from analysis.any_look.sampled import SampledCounts, sampled_difference, sampled_mean_difference
from analysis.evidence import BatchTally, Evidence
from analysis.evidence.score_sums import version_value
from analysis.evidence.tally import confusion, pair_classes, pair_counts, pair_sampled
from analysis.one_look.measures import Measure, is_class_measure, is_score_measure, is_tally_metric, loss_bound
from analysis.one_look.multiclass import class_metric
from analysis.one_look.multiplicity import e_closure_by_wave
from analysis.policy import Policy
from analysis.tables.counts import Undefined
from analysis.tables.metrics import Difference, metric
from analysis.verdict.proof import batch_process, process

__all__ = ["EvidencePoint", "evidence_path", "metric_path"]


@dataclass(frozen=True, slots=True)
class EvidencePoint:
    """The evidence on one challenger after the batch of this date: log e-values, of the rows adjusted for the family."""

    date: date
    log_e_adjusted: float
    log_e_batch_unit: float


def evidence_path(
    evidence: Sequence[Evidence], policy: Policy, waves: Mapping[str, int] | None = None
) -> dict[str, list[EvidencePoint]]:
    """The log e-values of every challenger after each closed batch; ``waves`` by version, by default one."""
    numbers = [(waves or {}).get(e.challenger.version, 1) for e in evidence]
    dates = sorted({b.date for e in evidence for b in e.batches})
    paths: dict[str, list[EvidencePoint]] = {e.challenger.version: [] for e in evidence}
    for day in dates:
        seen = [e.until(day) for e in evidence]
        found = [process(e, policy.primary, policy) for e in seen]
        raw = [0.0 if isinstance(p, Undefined) else p.log_e(policy.min_gain) for p in found]
        adjusted = raw if policy.error_budget == "programme" else e_closure_by_wave(raw, numbers, {})
        for e, value in zip(seen, adjusted, strict=True):
            batches = batch_process(e, policy.primary, policy)
            paths[e.challenger.version].append(EvidencePoint(day, value, batches.log_e(policy.min_gain)))
    return paths


def metric_path(closed: Sequence[BatchTally], version: str, name: Measure, policy: Policy) -> list[tuple[date, float]]:
    """``name`` of one version in each closed batch where it is defined; the policy has the costs and where errors are clipped."""
    each = ((t.date, _batch_value(t, version, name, policy)) for t in sorted(closed, key=lambda t: (t.date, t.batch)))
    return [(day, value) for day, value in each if not isinstance(value, Undefined)]


def _batch_value(tally: BatchTally, version: str, name: Measure, policy: Policy) -> float | Undefined:
    """``name`` of one version in one batch, of decisions, classes or scores."""
    if is_score_measure(name):
        bound = loss_bound(name, policy.largest_error)
        found = version_value(tally.scores, name, version, bound=bound) if tally.scores is not None else None
        return found[1] if found else Undefined("no labelled row with scores")
    classes = pair_classes(tally.frame, version, version)
    if classes is not None and is_class_measure(name):
        return class_metric(name, classes.champion)
    sampled = pair_sampled(tally.frame, version, version)
    if policy.sampling and sampled is not None:
        return _weighted_value(sampled, name, policy)
    if name == "cost" and policy.costs:
        found_cost = expected_cost(pair_counts(tally.frame, version, version), policy.costs.matrix)
        return found_cost if isinstance(found_cost, Undefined) else found_cost.champion
    if is_tally_metric(name):
        return metric(name, confusion(tally.frame, version))
    return Undefined(f"{name} is not a metric of a tally of decisions")


def _weighted_value(sampled: SampledCounts, name: Measure, policy: Policy) -> float | Undefined:
    found: Difference | Undefined = Undefined(f"{name} is not a metric of a tally of decisions")
    if name == "cost" and policy.costs:
        found = sampled_mean_difference(sampled, *policy.costs.matrix.by_cell())
    elif is_tally_metric(name):
        found = sampled_difference(sampled, name)
    return found if isinstance(found, Undefined) else found.champion
