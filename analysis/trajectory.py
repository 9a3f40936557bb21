"""How evidence and metrics went, batch by batch: what the plots of a report show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from analysis.counts import Undefined
from analysis.evidence import BatchTally, Evidence
from analysis.metrics import Metric, metric
from analysis.multiplicity import e_closure
from analysis.policy import Policy
from analysis.proof import as_assumed, batch_process, process
from analysis.tally import confusion

__all__ = ["EvidencePoint", "evidence_path", "metric_path"]


@dataclass(frozen=True, slots=True)
class EvidencePoint:
    """The evidence on one challenger after the batch of this date: log e-values, of the rows adjusted for the family."""

    date: date
    log_e_adjusted: float
    log_e_batch_unit: float


def evidence_path(evidence: Sequence[Evidence], policy: Policy) -> dict[str, list[EvidencePoint]]:
    """The log e-values of every challenger after each closed batch."""
    dates = sorted({b.date for e in evidence for b in e.batches})
    paths: dict[str, list[EvidencePoint]] = {e.challenger.version: [] for e in evidence}
    for day in dates:
        seen = [as_assumed(e.until(day), policy) for e in evidence]
        found = [process(e, policy.primary, policy) for e in seen]
        raw = [0.0 if isinstance(p, Undefined) else p.log_e(policy.min_gain) for p in found]
        adjusted = e_closure(raw) if policy.error_budget == "family" else raw
        for e, value in zip(seen, adjusted, strict=True):
            batches = batch_process(e, policy.primary, policy)
            paths[e.challenger.version].append(EvidencePoint(day, value, batches.log_e(policy.min_gain)))
    return paths


def metric_path(closed: Sequence[BatchTally], version: str, name: Metric) -> list[tuple[date, float]]:
    """``name`` of one version in each closed batch where it is defined."""
    path = []
    for tally in sorted(closed, key=lambda t: (t.date, t.batch)):
        value = metric(name, confusion(tally.frame, version))
        if not isinstance(value, Undefined):
            path.append((tally.date, value))
    return path
