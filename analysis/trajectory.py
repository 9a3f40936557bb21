"""How evidence and metrics went, batch by batch: what the plots of a report show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from analysis.counts import PairedCounts, Undefined
from analysis.eprocess import log_e
from analysis.evidence import BatchTally, Evidence
from analysis.metrics import Metric, metric
from analysis.multiplicity import e_closure
from analysis.policy import Policy
from analysis.tally import confusion

__all__ = ["EvidencePoint", "evidence_path", "metric_path"]


@dataclass(frozen=True, slots=True)
class EvidencePoint:
    """The evidence on one challenger after the batch of this date: log e-value adjusted for the family."""

    date: date
    log_e_adjusted: float


def evidence_path(evidence: Sequence[Evidence], policy: Policy) -> dict[str, list[EvidencePoint]]:
    """The adjusted log e-value of every challenger after each closed batch."""
    dates = sorted({b.date for e in evidence for b in e.batches})
    paths: dict[str, list[EvidencePoint]] = {e.challenger.version: [] for e in evidence}
    running = [PairedCounts()] * len(evidence)
    for day in dates:
        for i, e in enumerate(evidence):
            running[i] = sum((b.counts for b in e.batches if b.date == day), running[i])
        raw = [log_e(c.outcomes(policy.primary), null_gain=policy.min_gain, prior=policy.prior) for c in running]
        for e, value in zip(evidence, e_closure(raw), strict=True):
            paths[e.challenger.version].append(EvidencePoint(day, value))
    return paths


def metric_path(closed: Sequence[BatchTally], version: str, name: Metric) -> list[tuple[date, float]]:
    """``name`` of one version in each closed batch where it is defined."""
    path = []
    for tally in sorted(closed, key=lambda t: (t.date, t.batch)):
        value = metric(name, confusion(tally.frame, version))
        if not isinstance(value, Undefined):
            path.append((tally.date, value))
    return path
