"""How evidence and metrics went, batch by batch: what the plots of a report show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from analysis.batch_unit import log_e_batch_unit
from analysis.counts import PairedCounts, PairedOutcomes, Undefined
from analysis.eprocess import log_e
from analysis.evidence import BatchTally, Evidence
from analysis.metrics import Metric, metric
from analysis.multiplicity import e_closure
from analysis.policy import Policy
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
    running = [PairedCounts()] * len(evidence)
    units: list[list[PairedOutcomes]] = [[] for _ in evidence]
    for day in dates:
        for i, e in enumerate(evidence):
            today = [b.counts for b in e.batches if b.date == day]
            running[i] = sum(today, running[i])
            units[i] += [counts.outcomes(policy.primary) for counts in today]
        raw = [log_e(c.outcomes(policy.primary), null_gain=policy.min_gain, prior=policy.prior) for c in running]
        for e, value, batches in zip(evidence, e_closure(raw), units, strict=True):
            point = EvidencePoint(day, value, log_e_batch_unit(batches, null_gain=policy.min_gain))
            paths[e.challenger.version].append(point)
    return paths


def metric_path(closed: Sequence[BatchTally], version: str, name: Metric) -> list[tuple[date, float]]:
    """``name`` of one version in each closed batch where it is defined."""
    path = []
    for tally in sorted(closed, key=lambda t: (t.date, t.batch)):
        value = metric(name, confusion(tally.frame, version))
        if not isinstance(value, Undefined):
            path.append((tally.date, value))
    return path
