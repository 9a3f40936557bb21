"""A group-sequential test up to the horizon of a policy: where a challenger stands on its way there."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import scipy

from analysis.any_look.group_sequential import boundaries, spent
from analysis.policy.policy import Horizon
from analysis.tables.counts import PairedOutcomes

__all__ = ["PlannedLook", "may_cross", "planned_look"]


@dataclass(frozen=True, slots=True)
class PlannedLook:
    """The newest look of a group-sequential test: z = (wins - losses) / sqrt(D), D the disagreements, against its boundary.

    ``fraction`` is the share of the planned disagreements that have been seen. At 1 the test is over, and no later look counts.
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
    """The newest look of the test, which takes one look per batch with a disagreement; None before the first.

    Information is measured in disagreements, not in weeks. The look that reaches the planned number spends what is left
    of ``alpha``, even if it brings more disagreements than planned. Later batches are not looked at, so the test cannot
    be extended.
    """
    z, fractions = _so_far(batches, horizon)
    if not fractions:
        return None
    return PlannedLook(min(fractions[-1], 1.0), z, boundaries(fractions, alpha=alpha, spending=horizon.spending)[-1])


def may_cross(batches: Sequence[PairedOutcomes], horizon: Horizon, *, alpha: float) -> bool:
    """Whether ``planned_look`` can have crossed its boundary, in no time.

    What is crossed for the first time with the part of alpha that has been spent so far is crossed at all with more than that:
    z of a look beyond its boundary is beyond the quantile of all that has been spent.
    """
    z, fractions = _so_far(batches, horizon)
    if not fractions:
        return False
    so_far = spent(min(fractions[-1], 1.0), alpha=alpha, spending=horizon.spending)
    return z >= float(scipy.stats.norm.isf(so_far)) - 0.01  # more than the boundary errs by


def _so_far(batches: Sequence[PairedOutcomes], horizon: Horizon) -> tuple[float, list[float]]:
    """z at the newest look, and the shares of the planned disagreements at all looks; z is 0 before the first."""
    wins = losses = 0
    fractions: list[float] = []
    for batch in batches:
        if not batch.discordant:
            continue
        wins, losses = wins + batch.wins, losses + batch.losses
        fractions.append((wins + losses) / horizon.disagreements)
        if fractions[-1] >= 1:
            break
    return (wins - losses) / math.sqrt(max(wins + losses, 1)), fractions
