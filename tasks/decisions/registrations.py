"""Who has challenged, in which order: what the error budgets are given out by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from analysis.policy import Policy
from analysis.policy.budget import Allowance, allowance
from tasks.batches.predictions import Manifest
from tasks.reigns import Reign

__all__ = ["Registration", "allowances", "alpha_spent", "registrations"]


@dataclass(frozen=True, slots=True)
class Registration:
    """A contender that first challenged a champion in a reign: one hypothesis, however often it is tested.

    Those that first appear in the same batch are one wave of the reign.
    """

    reign: int
    digest: str
    wave: int
    order: int


def registrations(
    scored: Sequence[Manifest], known: Mapping[tuple[int, str], Allowance] | None = None
) -> list[Registration]:
    """Every challenge that these manifests, in the order of their dates, have seen begin.

    The same model with another threshold is another contender. Versions that first appear in the same batch count in
    the order of their numbers. ``known`` are those by reign and digest that a decision has given a wave to: they keep it.
    """
    given = known or {}
    found: dict[tuple[int, str], Registration] = {}
    waves: dict[int, int] = {}
    for (reign, _), a in given.items():
        waves[reign] = max(waves.get(reign, 0), a.wave)
    for manifest in scored:
        wave = waves.get(manifest.reign, 0) + 1
        for s in sorted(manifest.scored, key=lambda s: int(s.version)):
            if s.contender is None or s.version == manifest.champion:
                continue
            key = manifest.reign, s.contender.digest
            if key not in found:
                own = given[key].wave if key in given else wave
                waves[manifest.reign] = max(waves.get(manifest.reign, 0), own)
                found[key] = Registration(*key, own, len(found) + 1)
    return list(found.values())


def allowances(
    registered: Sequence[Registration], policy: Policy, reign: Reign, log: Sequence[Reign]
) -> dict[str, Allowance]:
    """The alpha of every contender that has challenged in this reign, by its digest."""
    promotions = sum(r.kind == "promotion" for r in log if r.number <= reign.number)
    return {
        r.digest: allowance(policy.error_budget, policy.alpha, wave=r.wave, order=r.order, promotions=promotions)
        for r in registered
        if r.reign == reign.number
    }


def alpha_spent(given: dict[str, Allowance], policy: Policy) -> float:
    """What has been given out in this reign: all of alpha to a family, else the sum over the waves, or over those who have challenged."""
    if policy.error_budget == "family":
        return policy.alpha if given else 0.0
    if policy.error_budget == "reign":
        return sum({a.wave: a.alpha for a in given.values()}.values())
    return sum(a.alpha for a in given.values())
