"""What the section of a report on replayed challengers names; its words are in ``templates/replays.md.j2``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from analysis.evidence import Evidence
from analysis.policy import Policy
from analysis.tables.counts import Undefined
from analysis.tables.metrics import Difference
from tasks.decisions.replayed import Replayed

__all__ = ["Replays", "replays"]


@dataclass(frozen=True, slots=True)
class Replays:
    """The batches of a challenger by how it scored them: as they came (``fresh``), in a replay that counts, or in one that does not.

    ``difference`` is that of the primary metric over the batches that do not count; None where there is no such batch, or where losses
    would be needed. ``claim`` has the claim that decides instead of the day on which the challenger was ``found``, if there is one.
    """

    version: str
    found: str
    fresh: int
    counted: int
    context: int
    context_rows: int
    difference: Difference | Undefined | None
    claim: Mapping[str, Any] | None


def replays(evidence: Evidence, batches: Sequence[Mapping[str, Any]], policy: Policy) -> Replays | None:
    """What there is to say of a challenger's replays in the ``batches`` of a basis; None if it has none."""
    version = evidence.challenger.version
    seen = next((b["replayed"][version] for b in batches if version in b.get("replayed", ())), None)
    if seen is None:
        return None
    counted = Replayed.of(evidence)
    aside = policy.kind.total(b.counts for b in evidence.context)
    comparable = bool(evidence.context) and policy.task != "regression"
    return Replays(
        version=version,
        found=seen["found"],
        fresh=counted.fresh,
        counted=counted.evidence,
        context=counted.context,
        context_rows=aside.n if evidence.context else 0,
        difference=policy.kind.difference(policy.primary, aside) if comparable else None,
        claim=seen if "labels_seen_through" in seen else None,
    )
