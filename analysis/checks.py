"""The conditions of a promotion, each as a sentence that is true."""

from __future__ import annotations

import math
from dataclasses import dataclass

from scipy import stats

from analysis.assess import Measured, shown_metric
from analysis.bootstrap import Bootstrap
from analysis.clusters import ClusteredTest
from analysis.counts import Undefined
from analysis.evidence import Evidence
from analysis.gains import is_corrected
from analysis.guardrails import Guardrail, is_uneven
from analysis.intervals import Interval
from analysis.measures import Measure, amount, gain_sign, is_linear
from analysis.policy import Policy

__all__ = ["Check", "checks", "e_text", "p_text", "uneven"]


@dataclass(frozen=True, slots=True)
class Check:
    """One condition of a promotion, as a sentence that is true."""

    name: str
    passed: bool
    finding: str


def checks(evidence: Evidence, m: Measured, adjusted: float, policy: Policy) -> tuple[Check, ...]:
    """The conditions of a promotion, all of which have to hold at this very look."""
    threshold = -math.log(policy.alpha)
    batches = len(evidence.batches)
    found = [
        Check(
            "batches",
            batches >= policy.min_batches,
            f"{batches} closed batches with evidence ({policy.min_batches} needed)",
        ),
        *_disagreement(evidence, m, policy),
        _evidence(m, adjusted, policy),
        *_one_look(evidence, m, policy),
        *(_guardrail(g, policy) for g in m.guardrails),
        *(
            Check(
                f"{g.metric} in {g.column} = {g.value}",
                g.status == "held",
                f"{g.metric} not more than {g.margin:g} worse in {g.column} = {g.value}: p = {p_text(g.p_value)} ({policy.alpha:g} needed)",
            )
            for g in m.segment_guardrails
        ),
    ]
    if uneven(m) and m.method != "batches":
        found.append(
            Check(
                "batch unit",
                m.log_e_batch_unit >= threshold,
                f"{_varies(policy.primary)} varies between batches, so the batches as units have to carry the proof too: "
                f"E = {e_text(m.log_e_batch_unit)} ({1 / policy.alpha:g} needed)",
            )
        )
    return tuple(found)


def uneven(m: Measured) -> bool:
    """Whether the lead varies between batches more than chance allows."""
    return is_uneven(m.overdispersion)


def _varies(name: Measure) -> str:
    return "the win share" if is_linear(name) else f"the gain in {name}"


def _disagreement(evidence: Evidence, m: Measured, policy: Policy) -> list[Check]:
    if policy.task == "regression":
        return []
    d, unit = m.pairs.discordant, "entities" if evidence.entities else "rows"
    finding = f"the two disagreed on {d} of the {m.pairs.n} {unit} that {shown_metric(policy)} is about"
    if policy.task == "multiclass":
        finding = f"exactly one of the two was right on {d} of the {m.pairs.n} rows"
    return [Check("disagreement", d > 0, finding)]


def _evidence(m: Measured, adjusted: float, policy: Policy) -> Check:
    gain = f"a gain above {policy.min_gain:g} in {policy.primary}" if policy.min_gain else f"a gain in {policy.primary}"
    if policy.horizon:
        if m.planned is None:
            return Check("evidence", False, "the declared horizon has not begun: there is no disagreement yet")
        p = m.planned
        finding = f"at {p.fraction:.0%} of the declared horizon z is {p.z:.2f} for {gain} ({p.boundary:.2f} needed)"
        return Check("evidence", p.crossed, finding)
    if isinstance(m.method, Undefined):
        return Check("evidence", False, f"there is no evidence for {gain} yet: {m.method.reason}")
    needed = 1 / policy.alpha
    return Check(
        "evidence",
        adjusted >= math.log(needed),
        f"the evidence for {gain} is E = {e_text(adjusted)} ({needed:g} needed)",
    )


def _one_look(evidence: Evidence, m: Measured, policy: Policy) -> list[Check]:
    """What a single look would need as well: a promotion never contradicts the plain tests that stand beside it."""
    found, primary = [], policy.primary
    if is_linear(primary) and not is_corrected(evidence.batches, policy):
        p = m.mcnemar[primary].p_value
        found.append(
            Check("mcnemar", p < policy.alpha, f"McNemar's mid-p is {p_text(p)} (below {policy.alpha:g} needed)")
        )
        if evidence.entities:
            clustered = evidence.entities.clustered[primary]
            p = clustered.p_value if isinstance(clustered, ClusteredTest) else 1.0
            finding = f"over all rows of every entity p is {p_text(p)} (below {policy.alpha:g} needed)"
            return [*found, Check("entities", p < policy.alpha, finding)]
    if primary in m.bootstrap:
        return [*found, _bootstrap(m, policy)]
    if policy.task == "regression":
        return [_student(m, policy)]
    total = m.metrics[primary]
    if isinstance(total, Undefined):
        return [*found, Check("one look", False, f"{primary} is not defined: {total.reason}")]
    excess = gain_sign(primary) * total.value - policy.min_gain
    low = excess - float(stats.norm.isf(policy.alpha)) * total.standard_error
    finding = (
        f"at one look the gain in {primary} is at least {low + policy.min_gain:.4f} (above {policy.min_gain:g} needed)"
    )
    return [*found, Check("one look", low > 0, finding)]


def _bootstrap(m: Measured, policy: Policy) -> Check:
    found = m.bootstrap[policy.primary]
    if isinstance(found, Bootstrap):
        low, level = found.interval.low, found.interval.confidence_level
        finding = f"the bootstrap's {level:.0%} interval starts at {low:.4f} (above {policy.min_gain:g} needed)"
        return Check("bootstrap", low > policy.min_gain, finding)
    return Check("bootstrap", False, f"no bootstrap interval: {found.reason}")


def _student(m: Measured, policy: Policy) -> Check:
    found = m.paired_interval
    if isinstance(found, Interval):
        low = f"at least {amount(policy.primary, found.low)} (above {policy.min_gain:g} needed)"
        return Check(
            "paired t", found.low > policy.min_gain, f"by a paired t test the gain in {policy.primary} is {low}"
        )
    return Check("paired t", False, f"no paired t test: {found.reason}")


def _guardrail(g: Guardrail, policy: Policy) -> Check:
    needed = f"({1 / policy.alpha:g} needed)"
    if isinstance(g.method, Undefined):
        return Check(g.metric, False, f"there is no evidence on {g.metric} yet: {g.method.reason}")
    finding = f"the evidence that {g.metric} is not more than {g.margin:g} worse is E = {e_text(g.log_e)} {needed}"
    if g.log_e_batch_unit is not None:
        finding += f"; it varies between batches: as units they give E = {e_text(g.log_e_batch_unit)}"
    return Check(g.metric, g.status == "held", finding)


def p_text(p_value: float) -> str:
    """A p-value for a reader, never 0."""
    return f"{p_value:.2g}" if p_value >= 1e-6 else "less than one in a million"


def e_text(log_e: float) -> str:
    """An e-value for a reader, without overflow."""
    if log_e > math.log(1e6):
        return "more than a million"
    return f"{math.exp(log_e):.3g}"
