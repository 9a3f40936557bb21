"""Evidence and measures batch by batch, for the plots of a report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, TypeVar

from analysis.any_look.cost import expected_cost
from analysis.any_look.sampled import SampledCounts, sampled_difference, sampled_mean_difference
from analysis.evidence import BatchTally, Evidence
from analysis.evidence.pair_counts import PairCounts
from analysis.kinds.score_sums import version_value
from analysis.one_look.multiplicity import e_closure_by_wave
from analysis.policy import Policy
from analysis.tables.counts import Undefined
from analysis.verdict.process_choice import batch_process, process

__all__ = ["EvidencePoint", "evidence_path", "metric_path", "spread"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class EvidencePoint:
    """The log e-values of one challenger after the batch of this date: adjusted for the other challengers, and with batches as units."""

    date: date
    log_e_adjusted: float
    log_e_batch_unit: float


def spread(items: Sequence[T], most: int) -> list[T]:
    """At most so many of the items, at least 1, evenly over them; the last one is always among them."""
    count = min(len(items), most)
    return [items[len(items) - 1 - i * len(items) // count] for i in reversed(range(count))]


def evidence_path(
    evidence: Sequence[Evidence], policy: Policy, waves: Mapping[str, int] | None = None, *, most: int | None = None
) -> dict[str, list[EvidencePoint]]:
    """The log e-values by challenger, after each closed batch, or after at most ``most`` of them (``spread``).

    ``waves`` has the wave of each version, 1 by default.
    """
    wave_of_each = [(waves or {}).get(e.challenger.version, 1) for e in evidence]
    dates = sorted({b.date for e in evidence for b in e.batches})
    if most:
        dates = spread(dates, most)
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
    in_order = sorted(closed, key=lambda t: (t.date, t.batch))
    values = zip(in_order, _batch_values(in_order, version, name, policy), strict=True)
    return [(t.date, value) for t, value in values if not isinstance(value, Undefined)]


def _batch_values(closed: Sequence[BatchTally], version: str, name: str, policy: Policy) -> Iterator[float | Undefined]:
    """The value of ``name`` for one version in each batch."""
    measure = policy.measure(name)
    if measure.beside_tally:
        bound = measure.bound(policy.largest_error)
        for t in closed:
            stored = version_value(t.scores, name, version, bound=bound) if t.scores is not None else None
            yield stored[1] if stored else Undefined("no labelled row with scores")
        return
    counts, every = PairCounts([t.frame for t in closed]), range(len(closed))
    sampled = counts.sampled(version, version, every) if policy.sampling else {}
    tables = counts.tables(version, version, policy.kind, every)
    for i in every:
        yield _weighted_value(sampled[i], name, policy) if i in sampled else _value(tables[i], name, policy)


def _value(counts: Any, name: str, policy: Policy) -> float | Undefined:
    if policy.measure(name).family != "cost":
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
