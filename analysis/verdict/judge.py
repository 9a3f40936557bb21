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

__all__ = ["Assessment", "Check", "Judgement", "Verdict", "judge", "own_policy"]


class Verdict(StrEnum):
    """What is to be done with a challenger."""

    PROMOTE = "PROMOTE"
    WAIT = "WAIT"
    RETIRE = "RETIRE"
    INVALID = "INVALID"


@dataclass(frozen=True, slots=True)
class Assessment:
    """The verdict on one challenger at its own alpha, the reasons, and all that it rests on."""

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
    """One look: every challenger's assessment, the version to promote, if any, and how it was chosen among several."""

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

    A challenger is promoted if it passes every check (an intersection-union test, Berger 1982: each part at the full
    alpha). ``allowances`` gives each version's alpha, by default the policy's; ``head_to_head`` the evidence on two
    challengers, without which several that are proven are ranked by their lower limits alone. ``departed`` are those that challenged
    in this reign and do not compete any more.
    """
    allowed = allowances or {}
    waves = _waves(evidence, policy, allowed)
    left = Counter(a.wave for _, a in departed)
    own = [
        own_policy(policy, allowed.get(e.challenger.version), waves.count(w) + left[w])
        for e, w in zip(evidence, waves, strict=True)
    ]
    measured = [
        measure(e, p, rng=np.random.default_rng([seed, i])) for i, (e, p) in enumerate(zip(evidence, own, strict=True))
    ]
    log_es = [m.log_e for m in measured]
    adjusted = (
        log_es if policy.error_budget == "programme" else e_closure_by_wave(log_es, waves, _log_es_of(departed, policy))
    )
    assessments = tuple(
        _assess(e, m, a, p, np.random.default_rng([seed, i, 1]))
        for i, (e, m, a, p) in enumerate(zip(evidence, measured, adjusted, own, strict=True))
    )
    candidates = [
        Candidate(a.evidence.challenger.version, a.measured.interval.low)
        for a in assessments
        if a.verdict is Verdict.PROMOTE and isinstance(a.measured.interval, Interval)  # what is proven has one
    ]
    if not candidates:
        return Judgement(assessments, None)
    choice = choose(candidates, policy, head_to_head)
    return Judgement(assessments, choice.version, choice if len(candidates) > 1 else None)


def _waves(evidence: Sequence[Evidence], policy: Policy, allowances: Mapping[str, Allowance]) -> list[int]:
    """The wave of each challenger; a family is one."""
    if policy.error_budget == "family":
        return [0] * len(evidence)
    return [allowances[v].wave if (v := e.challenger.version) in allowances else 1 for e in evidence]


def _log_es_of(departed: Sequence[tuple[Evidence, Allowance]], policy: Policy) -> dict[int, list[float]]:
    """The log e-values of those who have left, by wave; a family is those who are judged together."""
    by_wave: dict[int, list[float]] = {}
    for evidence, allowance in departed if policy.error_budget == "reign" else ():
        own = process(evidence, policy.primary, policy)
        by_wave.setdefault(allowance.wave, []).append(0.0 if isinstance(own, Undefined) else own.log_e(policy.min_gain))
    return by_wave


def own_policy(policy: Policy, allowance: Allowance | None, family: int) -> Policy:
    """The policy at one challenger's own alpha, which it shares with ``family`` challengers, itself among them.

    A plan to a horizon has no e-values, so these share alpha evenly.
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
    """Proof that the challenger does harm, or that it cannot bring the gain that matters."""
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
        # rows alone prove nothing about the next batch, and an interval of batches not at every gain
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
