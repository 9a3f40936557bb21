"""Judging: from the evidence on every challenger to one verdict on each, and at most one promotion."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from analysis.any_look.forecast import Forecast
from analysis.evidence import Evidence
from analysis.one_look.multiplicity import e_closure_by_wave
from analysis.policy import Policy
from analysis.policy.budget import Allowance
from analysis.tables.counts import Undefined
from analysis.tables.intervals import Interval
from analysis.verdict.assess import Measured, measure
from analysis.verdict.checks import Check, checks, e_text
from analysis.verdict.choice import Candidate, Choice, choose
from analysis.verdict.outlook import outlook_of
from analysis.verdict.process_choice import process
from analysis.verdict.validity import reasons_against

__all__ = ["Assessment", "Check", "Judgement", "Verdict", "judge", "own_policy", "waves_of"]


class Verdict(StrEnum):
    """What happens to a challenger."""

    PROMOTE = "PROMOTE"
    WAIT = "WAIT"
    RETIRE = "RETIRE"
    INVALID = "INVALID"


@dataclass(frozen=True, slots=True)
class Assessment:
    """The verdict on one challenger at its own alpha, its reasons, and everything that it is based on."""

    evidence: Evidence
    alpha: float
    measured: Measured
    log_e_adjusted: float
    forecast: Forecast | Undefined | None
    checks: tuple[Check, ...]
    verdict: Verdict
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Judgement:
    """One look: the assessment of every challenger, the version to promote, if any, and how it was chosen if several were proven."""

    assessments: tuple[Assessment, ...]
    promote: str | None
    choice: Choice | None = None


def judge(
    evidence: Sequence[Evidence],
    policy: Policy,
    *,
    seed: int,
    allowances: Mapping[str, Allowance] | None = None,
    head_to_head: Callable[[str, str], Evidence] | None = None,
    departed: Sequence[tuple[Evidence, Allowance]] = (),
) -> Judgement:
    """Judge all challengers of one champion; the same evidence, policy and seed give the same judgement.

    A challenger may be promoted if it passes every check (an intersection-union test, Berger 1982: each part at the full
    alpha). ``allowances`` gives the alpha of each version, by default the policy's. ``head_to_head`` gives the evidence on two
    challengers, which shows ties (``choose``). ``departed`` are the challengers that left in this reign; they keep their share of alpha.
    """
    allowed = allowances or {}
    waves = waves_of(evidence, policy, allowed)
    departed_by_wave = Counter(a.wave for _, a in departed)
    policies = [
        own_policy(policy, allowed.get(e.challenger.version), waves.count(w) + departed_by_wave[w])
        for e, w in zip(evidence, waves, strict=True)
    ]
    measured = [
        measure(e, p, rng=np.random.default_rng([seed, i]))
        for i, (e, p) in enumerate(zip(evidence, policies, strict=True))
    ]
    log_es = [m.log_e for m in measured]
    adjusted = (
        log_es if policy.error_budget == "programme" else e_closure_by_wave(log_es, waves, _log_es_of(departed, policy))
    )
    assessments = tuple(
        _assess(e, m, a, p, np.random.default_rng([seed, i, 1]))
        for i, (e, m, a, p) in enumerate(zip(evidence, measured, adjusted, policies, strict=True))
    )
    candidates = [
        Candidate(a.evidence.challenger.version, a.measured.interval.low)
        for a in assessments
        if a.verdict is Verdict.PROMOTE and isinstance(a.measured.interval, Interval)  # a proven gain has one
    ]
    if not candidates:
        return Judgement(assessments, None)
    choice = choose(candidates, policy, head_to_head)
    return Judgement(assessments, choice.version, choice if len(candidates) > 1 else None)


def waves_of(evidence: Sequence[Evidence], policy: Policy, allowances: Mapping[str, Allowance]) -> list[int]:
    """The wave of each challenger; with the budget ``family`` all are one wave."""
    if policy.error_budget == "family":
        return [0] * len(evidence)
    return [allowances[v].wave if (v := e.challenger.version) in allowances else 1 for e in evidence]


def _log_es_of(departed: Sequence[tuple[Evidence, Allowance]], policy: Policy) -> dict[int, list[float]]:
    """The log e-values of the challengers that left, by wave; they count only with the budget ``reign``."""
    by_wave: dict[int, list[float]] = {}
    for evidence, allowance in departed if policy.error_budget == "reign" else ():
        primary = process(evidence, policy.primary, policy)
        log_e = 0.0 if isinstance(primary, Undefined) else primary.log_e(policy.min_gain)
        by_wave.setdefault(allowance.wave, []).append(log_e)
    return by_wave


def own_policy(policy: Policy, allowance: Allowance | None, family: int) -> Policy:
    """The policy at the alpha of one challenger; ``family`` challengers, itself included, share it.

    With a horizon there are no e-values, so the family shares alpha evenly.
    """
    alpha = allowance.alpha if allowance else policy.alpha
    if policy.horizon and policy.error_budget != "programme":
        alpha /= family
    return policy if alpha == policy.alpha else policy.model_copy(update={"alpha": alpha})


def _assess(evidence: Evidence, m: Measured, adjusted: float, policy: Policy, rng: np.random.Generator) -> Assessment:
    conditions = checks(evidence, m, adjusted, policy)
    outlook = outlook_of(evidence, m, adjusted, policy, rng)
    invalid, retire = reasons_against(evidence, m, policy), _retire(evidence, m, policy)
    failed = tuple(c.finding for c in conditions if not c.passed)
    if invalid:
        verdict, reasons = Verdict.INVALID, invalid
    elif retire:
        verdict, reasons = Verdict.RETIRE, retire
    elif failed:
        verdict, reasons = Verdict.WAIT, (*failed, *_outlook(outlook))
    else:
        verdict, reasons = Verdict.PROMOTE, tuple(c.finding for c in conditions)
    return Assessment(evidence, policy.alpha, m, adjusted, outlook, conditions, verdict, reasons)


def _retire(evidence: Evidence, m: Measured, policy: Policy) -> tuple[str, ...]:
    """Reasons to retire: proof that the challenger does harm, or that it cannot reach the gain that matters."""
    if len(evidence.batches) < policy.min_batches:
        return ()
    reasons = [
        f"harm: {g.metric} is proven to be more than {g.margin:g} worse than the champion's (E = {e_text(g.log_e_reverse)})"
        for g in m.guardrails
        if g.status == "broken"
    ]
    reasons += [
        f"harm: {g.metric} in {g.column} = {g.value} is proven to be more than {g.margin:g} worse than the champion's"
        for g in m.segment_guardrails
        if g.status == "broken"
    ]
    if m.planned and m.planned.over and not m.planned.crossed:
        reasons.append(
            "futility: the declared horizon is over, and the challenger has not been proven better; it cannot be extended"
        )
    if isinstance(m.interval, Undefined):
        return tuple(reasons)
    high = m.interval.high
    if m.uneven or m.method == "batches":
        # rows alone prove nothing about the next batch, and the interval of batches does not hold at every gain
        if (m.method == "batches" or high < policy.min_gain) and m.log_e_batch_unit_reverse >= -math.log(policy.alpha):
            reasons.append(_proven_by_batches(policy))
        return tuple(reasons)
    if high < 0:
        reasons.append(
            f"harm: {policy.primary} is proven to be worse than the champion's (by at least {policy.measure(policy.primary).amount(-high)})"
        )
    elif high < policy.min_gain:
        most = policy.measure(policy.primary).amount(high)
        reasons.append(
            f"futility: the gain in {policy.primary} is proven to be at most {most}, less than the {policy.min_gain:g} that matters"
        )
    return tuple(reasons)


def _proven_by_batches(policy: Policy) -> str:
    if policy.min_gain:
        return f"futility: the gain in {policy.primary} is proven, batch by batch, to be less than the {policy.min_gain:g} that matters"
    return f"harm: {policy.primary} is proven, batch by batch, to be worse than the champion's"


def _outlook(outlook: Forecast | Undefined | None) -> tuple[str, ...]:
    if outlook is None:
        return ()
    if isinstance(outlook, Undefined):
        return (f"no forecast: {outlook.reason}",)
    chance = f"E reaches its threshold within {outlook.horizon} batches with probability {outlook.probability:.0%}"
    even = f", with even odds within {outlook.batches_50}" if outlook.batches_50 else ""
    return (f"forecast: {chance}{even}",)
