"""How the challengers of the newest decision scored their batches: as they came, or in a replay that is evidence or is not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from tasks.decisions.basis import are_evidence
from tasks.decisions.decision import read_record
from tasks.decisions.decision_log import newest_first
from tasks.store import Store

__all__ = ["Replayed", "replayed_lines", "replayed_of"]


@dataclass(frozen=True, slots=True)
class Replayed:
    """The batches of one challenger in a decision; ``context`` are those that were replayed and are no evidence."""

    fresh: int
    evidence: int
    context: int

    def __str__(self) -> str:
        return f"{self.fresh} batches scored as they came, {self.evidence} replayed as evidence, {self.context} replayed as context"


def replayed_of(record: Mapping[str, Any]) -> dict[str, Replayed]:
    """The batches of each challenger of a recorded decision that was replayed, by version."""
    found = {}
    for assessment in record["judgement"]["assessments"]:
        version = assessment["evidence"]["challenger"]["version"]
        counted = {b["batch"] for b in assessment["evidence"]["batches"]}
        replays = [b for b in record["basis"]["batches"] if version in b.get("replayed", ())]
        as_evidence = {b["batch"] for b in replays if _is_evidence(b, version)}
        if replays:
            evidence, context = len(as_evidence & counted), len({b["batch"] for b in replays} - as_evidence)
            found[version] = Replayed(len(counted) - evidence, evidence, context)
    return found


def _is_evidence(batch: Mapping[str, Any], version: str) -> bool:
    return are_evidence(date.fromisoformat(batch["date"]), batch["labels_from"], batch["replayed"])[version]


def replayed_lines(store: Store, project_name: str) -> list[str]:
    """A line for each challenger of the newest decision that was replayed."""
    newest = next(iter(newest_first(store, project_name)), None)
    if newest is None:
        return []
    record = read_record(store, project_name, newest.decision)
    return [f"version {v}: {r} (decision {newest.decision})" for v, r in replayed_of(record).items()]
