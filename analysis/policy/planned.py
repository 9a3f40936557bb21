"""A test up to an end that was declared beforehand: where a challenger stands on its way there."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from analysis.any_look.group_sequential import boundaries
from analysis.policy.policy import Horizon
from analysis.tables.counts import PairedOutcomes

__all__ = ["PlannedLook", "planned_look"]


@dataclass(frozen=True, slots=True)
class PlannedLook:
    """The last look of a group-sequential test: z = (wins - losses) / sqrt(D) against its boundary.

    ``fraction`` of the planned disagreements have been seen. At 1 the plan is over: no later look counts.
    """

    fraction: float
    z: float
    boundary: float

    @property
    def crossed(self) -> bool:
        return self.z >= self.boundary

    @property
    def over(self) -> bool:
        return self.fraction >= 1


def planned_look(batches: Sequence[PairedOutcomes], horizon: Horizon, *, alpha: float) -> PlannedLook | None:
    """The newest look of the plan, one look a batch that brings a disagreement; None before the first.

    Information is the number of disagreements, not of weeks. The look at which the planned number is reached spends
    what is left of ``alpha``, also where it brings more than was planned; whatever comes after it is not looked at, so a
    plan cannot be extended.
    """
    wins = losses = 0
    fractions: list[float] = []
    for batch in batches:
        if not batch.discordant:
            continue
        wins, losses = wins + batch.wins, losses + batch.losses
        fractions.append((wins + losses) / horizon.disagreements)
        if fractions[-1] >= 1:
            break
    if not fractions:
        return None
    z = (wins - losses) / math.sqrt(wins + losses)
    return PlannedLook(min(fractions[-1], 1.0), z, boundaries(fractions, alpha=alpha, spending=horizon.spending)[-1])
