"""The order in which contenders first challenge; it determines how alpha is shared out among them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from analysis.evidence import Contender
from analysis.policy import Policy
from analysis.policy.budget import Allowance, allowance
from tasks.batches.predictions import Manifest, by_finding
from tasks.reigns import Reign

__all__ = ["Registration", "allowances", "alpha_spent", "registrations"]


@dataclass(frozen=True, slots=True)
class Registration:
    """The first challenge of a contender in a reign: one hypothesis, however often it is tested.

    Contenders that first challenge in the same batch form a ``wave``. ``order`` counts all registrations, from 1.
    """

    reign: int
    digest: str
    wave: int
    order: int


def registrations(
    scored: Sequence[Manifest], known: Mapping[tuple[int, str], Allowance] | None = None
) -> list[Registration]:
    """The registrations in these manifests, which are in the order of their dates.

    The same model with another threshold is another contender. Versions that first challenge in the same batch are in the order
    of their numbers. Contenders that were only replayed come after those: the ones that were found on one day form a wave.
    Contenders with a ``known`` allowance, by reign and digest, keep its wave.
    """
    known = known or {}
    registered: dict[tuple[int, str], Registration] = {}
    waves: dict[int, int] = {}
    for (reign, _), a in known.items():
        waves[reign] = max(waves.get(reign, 0), a.wave)
    for reign, contenders in [*map(_challenging, scored), *_replayed(scored)]:
        wave = waves.get(reign, 0) + 1
        for contender in contenders:
            key = reign, contender.digest
            if key not in registered:
                own = known[key].wave if key in known else wave
                waves[reign] = max(waves.get(reign, 0), own)
                registered[key] = Registration(*key, own, len(registered) + 1)
    return list(registered.values())


def _challenging(manifest: Manifest) -> tuple[int, list[Contender]]:
    """The reign of the batch, and the contenders that challenge in it, in the order of their versions."""
    by_version = sorted(manifest.scored, key=lambda s: int(s.version))
    return manifest.reign, [s.contender for s in by_version if s.contender and s.version != manifest.champion]


def _replayed(scored: Sequence[Manifest]) -> list[tuple[int, list[Contender]]]:
    """The contenders that were replayed on batches of each reign, by the days on which they were found."""
    found: dict[tuple[int, date], dict[str, Contender]] = {}
    for reign, replay in sorted(
        ((m.reign, r) for m in scored for r in m.replays), key=lambda item: (item[0], by_finding(item[1]))
    ):
        found.setdefault((reign, replay.found), {})[replay.contender.digest] = replay.contender
    return [(reign, list(contenders.values())) for (reign, _), contenders in found.items()]


def allowances(
    registered: Sequence[Registration], policy: Policy, reign: Reign, log: Sequence[Reign]
) -> dict[str, Allowance]:
    """The allowance of every contender that has challenged in this reign, by its digest; ``log`` is the promotion log."""
    promotions = sum(r.kind == "promotion" for r in log if r.number <= reign.number)
    return {
        r.digest: allowance(policy.error_budget, policy.alpha, wave=r.wave, order=r.order, promotions=promotions)
        for r in registered
        if r.reign == reign.number
    }


def alpha_spent(allowances: dict[str, Allowance], policy: Policy) -> float:
    """The alpha given out in this reign: all of it for a family, the sum over waves for a reign, else the sum over contenders."""
    if policy.error_budget == "family":
        return policy.alpha if allowances else 0.0
    if policy.error_budget == "reign":
        return sum({a.wave: a.alpha for a in allowances.values()}.values())
    return sum(a.alpha for a in allowances.values())
