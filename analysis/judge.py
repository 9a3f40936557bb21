"""Judging: from the evidence on every challenger to one verdict on each, and at most one promotion."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from analysis.assess import Measured, measure
from analysis.batch_unit import Overdispersion
from analysis.bootstrap import Bootstrap
from analysis.counts import Undefined
from analysis.evidence import Evidence
from analysis.forecast import Forecast, forecast
from analysis.multiplicity import e_closure
from analysis.policy import Policy

__all__ = ["Assessment", "Check", "Judgement", "Verdict", "judge", "uneven"]


CHECK_LEVEL = 0.05  # of the tests that can only forbid a promotion; a stricter alpha must not make them laxer


class Verdict(StrEnum):
    """What is to be done with a challenger."""

    PROMOTE = "PROMOTE"
    WAIT = "WAIT"
    RETIRE = "RETIRE"
    INVALID = "INVALID"


@dataclass(frozen=True, slots=True)
class Check:
    """One condition of a promotion, as a sentence that is true."""

    name: str
    passed: bool
    finding: str


@dataclass(frozen=True, slots=True)
class Assessment:
    """The verdict on one challenger, the reasons, and all that it rests on."""

    evidence: Evidence
    measured: Measured
    log_e_adjusted: float
    forecast: Forecast | Undefined | None
    checks: tuple[Check, ...]
    verdict: Verdict
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Judgement:
    """One look: every challenger's assessment, and the version to promote, if any."""

    assessments: tuple[Assessment, ...]
    promote: str | None


def judge(evidence: Sequence[Evidence], policy: Policy, *, seed: int) -> Judgement:
    """Judge all challengers of one champion; the same evidence, policy and seed give the same judgement.

    A challenger is promoted if it passes every check (an intersection-union test, Berger 1982: each part at the full
    alpha). Among several, the one with the highest lower limit of the primary metric's confidence sequence leads.
    """
    measured = [measure(e, policy, rng=np.random.default_rng([seed, i])) for i, e in enumerate(evidence)]
    adjusted = e_closure([m.log_e for m in measured])
    assessments = tuple(
        _assess(e, m, a, policy, np.random.default_rng([seed, i, 1]))
        for i, (e, m, a) in enumerate(zip(evidence, measured, adjusted, strict=True))
    )
    proven = [a for a in assessments if a.verdict is Verdict.PROMOTE]
    best = max(proven, key=lambda a: a.measured.interval.low, default=None)
    return Judgement(assessments, best.evidence.challenger.version if best else None)


def _assess(evidence: Evidence, m: Measured, adjusted: float, policy: Policy, rng: np.random.Generator) -> Assessment:
    checks = _checks(evidence, m, adjusted, policy)
    outlook = _forecast(evidence, m, adjusted, policy, rng)
    invalid, retire = _invalid(evidence, m, policy), _retire(evidence, m, policy)
    failed = tuple(c.finding for c in checks if not c.passed)
    if invalid:
        verdict, reasons = Verdict.INVALID, invalid
    elif retire:
        verdict, reasons = Verdict.RETIRE, retire
    elif failed:
        verdict, reasons = Verdict.WAIT, (*failed, *_outlook(outlook))
    else:
        verdict, reasons = Verdict.PROMOTE, tuple(c.finding for c in checks)
    return Assessment(evidence, m, adjusted, outlook, checks, verdict, reasons)


def _invalid(evidence: Evidence, m: Measured, policy: Policy) -> tuple[str, ...]:
    """Why the data cannot carry a judgement at all."""
    reasons = []
    if evidence.champion.digest == evidence.challenger.digest:
        reasons.append("the challenger is the champion's own model with the champion's own threshold")
    p = m.label_selection_p_value
    if isinstance(p, float) and p < CHECK_LEVEL:
        reasons.append(
            f"labels depend on the decisions: rows flagged by one model alone are labelled at different rates (p = {p:.2g})"
        )
    enough = len(evidence.batches) >= policy.min_batches
    if enough and not (m.counts.positives and m.counts.negatives):
        reasons.append(f"all {m.counts.n} labels are of one class")
    return tuple(reasons)


def _retire(evidence: Evidence, m: Measured, policy: Policy) -> tuple[str, ...]:
    """Proof that the challenger does harm, or that it cannot bring the gain that matters."""
    if len(evidence.batches) < policy.min_batches:
        return ()
    reasons = [
        f"harm: {g.metric} is proven to be more than {g.margin:g} below the champion's (E = {_e(g.log_e_reverse)})"
        for g in m.guardrails
        if g.status == "broken"
    ]
    high = m.interval.high
    if uneven(m) and m.log_e_batch_unit_reverse < -math.log(policy.alpha):
        return tuple(reasons)  # rows alone do not prove anything about the next batch
    if high < 0:
        reasons.append(f"harm: {policy.primary} is proven to be below the champion's (by at least {-high:.4f})")
    elif high < policy.min_gain:
        reasons.append(
            f"futility: the gain in {policy.primary} is proven to be at most {high:.4f}, less than the {policy.min_gain:g} that matters"
        )
    return tuple(reasons)


def _checks(evidence: Evidence, m: Measured, adjusted: float, policy: Policy) -> tuple[Check, ...]:
    """The conditions of a promotion, all of which have to hold at this very look."""
    threshold = -math.log(policy.alpha)
    gain = f"a gain above {policy.min_gain:g} in {policy.primary}" if policy.min_gain else f"a gain in {policy.primary}"
    batches, d = len(evidence.batches), m.pairs.discordant
    mid_p = m.mcnemar[policy.primary].p_value
    checks = [
        Check(
            "batches",
            batches >= policy.min_batches,
            f"{batches} closed batches with evidence ({policy.min_batches} needed)",
        ),
        Check(
            "disagreement", d > 0, f"the two disagreed on {d} of the {m.pairs.n} rows that {policy.primary} is about"
        ),
        Check(
            "evidence",
            adjusted >= threshold,
            f"the evidence for {gain} is E = {_e(adjusted)} ({1 / policy.alpha:g} needed)",
        ),
        Check("mcnemar", mid_p < policy.alpha, f"McNemar's mid-p is {_p(mid_p)} (below {policy.alpha:g} needed)"),
        _bootstrap_check(m, policy),
        *(
            Check(
                g.metric,
                g.status == "held",
                f"the evidence that {g.metric} is not more than {g.margin:g} worse is E = {_e(g.log_e)} ({1 / policy.alpha:g} needed)",
            )
            for g in m.guardrails
        ),
    ]
    if uneven(m):
        checks.append(
            Check(
                "batch unit",
                m.log_e_batch_unit >= threshold,
                "the win share varies between batches, so the batches as units have to carry the proof too: "
                f"E = {_e(m.log_e_batch_unit)} ({1 / policy.alpha:g} needed)",
            )
        )
    return tuple(checks)


def uneven(m: Measured) -> bool:
    """Whether the win share varies between batches more than binomial chance allows."""
    return isinstance(m.overdispersion, Overdispersion) and m.overdispersion.p_value < CHECK_LEVEL


def _bootstrap_check(m: Measured, policy: Policy) -> Check:
    found = m.bootstrap[policy.primary]
    if isinstance(found, Bootstrap):
        low = found.interval.low
        return Check(
            "bootstrap",
            low > policy.min_gain,
            f"the bootstrap's {found.interval.confidence_level:.0%} interval starts at {low:.4f} (above {policy.min_gain:g} needed)",
        )
    return Check("bootstrap", False, f"no bootstrap interval: {found.reason}")


def _forecast(
    evidence: Evidence, m: Measured, adjusted: float, policy: Policy, rng: np.random.Generator
) -> Forecast | Undefined | None:
    """When the adjusted e-value may reach its threshold if the family stays as it is; None once it has."""
    threshold = -math.log(policy.alpha)
    if adjusted >= threshold:
        return None
    return forecast(
        m.pairs,
        rows_per_batch=m.pairs.n / max(len(evidence.batches), 1),
        null_gain=policy.min_gain,
        threshold=threshold + m.log_e - adjusted,
        prior=policy.prior,
        rng=rng,
    )


def _outlook(outlook: Forecast | Undefined | None) -> tuple[str, ...]:
    if outlook is None:
        return ()
    if isinstance(outlook, Undefined):
        return (f"no forecast: {outlook.reason}",)
    chance = f"E reaches its threshold within {outlook.horizon} batches with probability {outlook.probability:.0%}"
    even = f", with even odds within {outlook.batches_50}" if outlook.batches_50 else ""
    return (f"forecast: {chance}{even}",)


def _p(p_value: float) -> str:
    """A p-value for a reader, never 0."""
    return f"{p_value:.2g}" if p_value >= 1e-6 else "less than one in a million"


def _e(log_e: float) -> str:
    """An e-value for a reader, without overflow."""
    if log_e > math.log(1e6):
        return "more than a million"
    return f"{math.exp(log_e):.3g}"
