"""How the challengers of the newest decision scored their batches: as they came, or in a replay that is evidence or is not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from analysis.evidence import Evidence
from tasks.decisions.decision_log import newest_first, read_record
from tasks.store import Store

__all__ = ["Replayed", "replayed_lines", "replayed_of"]


@dataclass(frozen=True, slots=True)
class Replayed:
    """The batches of one challenger in a decision; ``context`` are those that were replayed and are no evidence."""

    fresh: int
    evidence: int
    context: int

    @classmethod
    def of(cls, evidence: Evidence) -> Replayed:
        replayed = sum(b.replayed for b in evidence.batches)
        return cls(len(evidence.batches) - replayed, replayed, len(evidence.context))

    def __str__(self) -> str:
        return f"{self.fresh} batches scored as they came, {self.evidence} replayed as evidence, {self.context} replayed as context"


def replayed_of(evidence: Sequence[Evidence]) -> dict[str, Replayed]:
    """The batches of each challenger that was replayed, by version."""
    counted = {e.challenger.version: Replayed.of(e) for e in evidence}
    return {version: r for version, r in counted.items() if r.evidence or r.context}


def replayed_lines(store: Store, project_name: str) -> list[str]:
    """A line for each challenger of the newest decision that was replayed."""
    newest = next(iter(newest_first(store, project_name)), None)
    if newest is None:
        return []
    record = read_record(store, project_name, newest.decision)
    replayed = record.get("replayed", {})  # decisions from before versions were replayed have no such key
    return [f"version {v}: {Replayed(**r)} (decision {newest.decision})" for v, r in replayed.items()]
