"""The conditions of a promotion, each as a sentence that is true."""

from __future__ import annotations

import math
from dataclasses import dataclass

import scipy

from analysis.evidence import Evidence
from analysis.evidence.entities import EntityEvidence
from analysis.evidence.gains import rows_count_alike
from analysis.one_look.bootstrap import Bootstrap
from analysis.one_look.clusters import ClusteredDifference, ClusteredTest
from analysis.policy import Policy
from analysis.tables.counts import Undefined
from analysis.tables.intervals import Interval
from analysis.verdict.assess import Measured, shown_metric
from analysis.verdict.guardrails import Guardrail

__all__ = ["Check", "checks", "e_text", "needed", "p_text"]


@dataclass(frozen=True, slots=True)
class Check:
    """One condition of a promotion, as a sentence that is true."""

    name: str
    passed: bool
    finding: str


def checks(evidence: Evidence, m: Measured, adjusted: float, policy: Policy) -> tuple[Check, ...]:
    """The conditions of a promotion, which have to hold at one look. ``adjusted`` is ``m.log_e`` adjusted for the other challengers."""
    threshold = -math.log(policy.alpha)
    batches = len(evidence.batches)
    conditions = [
        Check(
            "batches",
            batches >= policy.min_batches,
            f"{batches} closed batches with evidence ({policy.min_batches} needed)",
        ),
        *_disagreement(evidence, m, policy),
        *_scores(evidence),
        *_labels(evidence, m, adjusted, policy),
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
    if m.uneven and m.method != "batches":
        conditions.append(
            Check(
                "batch unit",
                m.log_e_batch_unit >= threshold,
                f"{_what_varies(policy)} varies between batches, or lies in a few of them, so the batches as units have to carry the "
                f"proof too: E = {e_text(m.log_e_batch_unit)} ({needed(policy.alpha)} needed)",
            )
        )
    return tuple(conditions)


def _what_varies(policy: Policy) -> str:
    counts_outcomes = policy.measure(policy.primary).counts_outcomes
    return "the win share" if counts_outcomes else f"the gain in {policy.primary}"


def _disagreement(evidence: Evidence, m: Measured, policy: Policy) -> list[Check]:
    unit = "entities" if evidence.entities else "rows"
    finding = policy.kind.disagreement(m.pairs, unit, shown_metric(policy))
    return [Check("disagreement", m.pairs.discordant > 0, finding)] if finding else []


_OF_ENTITIES = " (as a share of entities: those on which it is right more often, less those on which the champion is)"
_MANY_MISSING = 0.05


def _labels(evidence: Evidence, m: Measured, adjusted: float, policy: Policy) -> list[Check]:
    """There may be no sign that labels depend on the decisions, long before it is proven that they do.

    If missing labels could overturn a proof, if labels were corrected, or if silence is a negative, late labels have to be looked at
    before a promotion.
    """
    checks, labels = [], m.labels
    allowed = (("labels", labels.log_e, 1), ("labels that came late", labels.log_e_audit, 2))
    for name, log_e, most in allowed if policy.unlabelled == "refuse" else ():
        if isinstance(log_e, float):
            fault = "depend on the decisions"
            if policy.sampling and name == "labels":
                fault = "come more or less often than their probabilities say"
            finding = f"the evidence that {name} {fault} is E = {e_text(log_e)} (at most {most} allowed)"
            checks.append(Check(name, log_e <= math.log(most), finding))
    many = labels.missing > _MANY_MISSING * labels.disagreements
    rows_alone = adjusted == m.log_e and not m.uneven  # else the tipping point of the rows is not that of the proof
    safe = (
        labels.tipping_point is None
        and m.method == "rows"
        and policy.measure(policy.primary).counts_outcomes
        and rows_alone
    )
    left_out = policy.unlabelled == "refuse" and not policy.sampling
    unsafe = left_out and many and not safe
    most_missing = evidence.counts.unlabelled_rows > evidence.counts.n or labels.missing > labels.disagreements / 2
    mixed = _mixed(policy, many=unsafe, most=left_out and most_missing)
    if mixed:
        finding = (
            f"{labels.missing} of {labels.disagreements} rows on which the two disagree have no label, and "
            f"{evidence.counts.unlabelled_rows} in all; if it is one class that lacks more of them, {mixed} is wrong and nothing shows "
            "it: say what holds by unlabelled: worst_case or begg_greenes, or name recall and specificity instead"
        )
        checks.append(Check("labels of both classes", passed=False, finding=finding))
    silence = evidence.feed is not None and evidence.feed.absent_is_negative
    if not policy.kind.right_or_wrong:
        return checks
    if unsafe or silence or labels.corrected:
        finding = (
            f"labels that came late or were corrected were looked at in {labels.audited} batches ({policy.min_batches} needed), as of "
            f"{labels.disagreements} rows on which the two disagree {labels.missing} have none and {labels.corrected} another one "
            "than before"
        )
        checks.append(Check("late labels", labels.audited >= policy.min_batches, finding))
    elif evidence.feed is not None and not evidence.feed.looked_again:
        finding = "no batch is old enough yet to be looked at again, for labels that come late or are corrected"
        checks.append(Check("late labels", passed=False, finding=finding))
    return checks


def _mixed(policy: Policy, *, many: bool, most: bool) -> str | None:
    """A measure of the policy that mixes both classes and has too few labels for it.

    The primary measure must not lack many labels, a guardrail not most of them.
    """
    named = [*([policy.primary] if many else []), *(policy.guardrails if most else [])]
    return next((name for name in named if policy.measure(name).mixes_classes), None)


def _scores(evidence: Evidence) -> list[Check]:
    """A challenger that could not score the newest batches is not promoted."""
    if evidence.feed is None:
        return []
    failed = evidence.feed.failed_lately.get(evidence.challenger.version, ())
    finding = (
        f"it failed in {', '.join(failed)} of the newest batches" if failed else "it has scored the newest batches"
    )
    return [Check("scores", not failed, finding)]


def _evidence(m: Measured, adjusted: float, policy: Policy) -> Check:
    gain = f"a gain above {policy.min_gain:g} in {policy.primary}" if policy.min_gain else f"a gain in {policy.primary}"
    gain += _OF_ENTITIES if m.method == "entities" else ""
    if policy.horizon:
        if m.planned is None:
            return Check("evidence", False, "the declared horizon has not begun: there is no disagreement yet")
        p = m.planned
        finding = f"at {p.fraction:.0%} of the declared horizon z is {p.z:.2f} for {gain} ({p.boundary:.2f} needed)"
        return Check("evidence", p.crossed, finding)
    if isinstance(m.method, Undefined):
        return Check("evidence", False, f"there is no evidence for {gain} yet: {m.method.reason}")
    return Check(
        "evidence",
        adjusted >= -math.log(policy.alpha),
        f"the evidence for {gain} is E = {e_text(adjusted)} ({needed(policy.alpha)} needed)",
    )


def _one_look(evidence: Evidence, m: Measured, policy: Policy) -> list[Check]:
    """Tests at one look, which have to agree, so that a promotion never contradicts them."""
    conditions, primary = [], policy.primary
    measure = policy.measure(primary)
    if measure.counts_outcomes and rows_count_alike(evidence.batches, policy):
        p = m.mcnemar[primary].p_value
        conditions.append(
            Check("mcnemar", p < policy.alpha, f"McNemar's mid-p is {p_text(p)} (below {policy.alpha:g} needed)")
        )
        if evidence.entities:
            return [*conditions, *_rows_of_entities(evidence.entities, primary, policy)]
    if primary in m.bootstrap:
        return [*conditions, _bootstrap(m, policy)]
    if measure.family == "numbers":
        return [_student(m, policy)]
    total = m.metrics[primary]
    if isinstance(total, Undefined):
        return [*conditions, Check("one look", False, f"{primary} is not defined: {total.reason}")]
    excess = measure.sign * total.value - policy.min_gain
    low = excess - float(scipy.stats.norm.isf(policy.alpha)) * total.standard_error
    finding = (
        f"at one look the gain in {primary} is at least {low + policy.min_gain:.4f} (above {policy.min_gain:g} needed)"
    )
    return [*conditions, Check("one look", low > 0, finding)]


def _rows_of_entities(entities: EntityEvidence, primary: str, policy: Policy) -> list[Check]:
    """Tests over all rows of every entity, at one look: that there is a gain, and that it exceeds ``min_gain`` in rows too."""
    clustered, difference = entities.clustered[primary], entities.differences.get(primary)
    p = clustered.p_value if isinstance(clustered, ClusteredTest) else 1.0
    tested = Check(
        "entities", p < policy.alpha, f"over all rows of every entity p is {p_text(p)} (below {policy.alpha:g} needed)"
    )
    if not policy.min_gain:
        return [tested]
    if not isinstance(difference, ClusteredDifference):
        return [
            tested,
            Check("rows of entities", passed=False, finding="the gain in rows is not known: too few entities"),
        ]
    low = difference.value - float(scipy.stats.norm.isf(policy.alpha)) * difference.standard_error
    finding = (
        f"over all rows of every entity the gain in {primary} is at least {low:.4f} (above {policy.min_gain:g} needed)"
    )
    return [tested, Check("rows of entities", low > policy.min_gain, finding)]


def _bootstrap(m: Measured, policy: Policy) -> Check:
    bootstrap = m.bootstrap[policy.primary]
    if isinstance(bootstrap, Bootstrap):
        low, level = bootstrap.interval.low, bootstrap.interval.confidence_level
        finding = f"the bootstrap's {level:.0%} interval starts at {low:.4f} (above {policy.min_gain:g} needed)"
        return Check("bootstrap", low > policy.min_gain, finding)
    return Check("bootstrap", False, f"no bootstrap interval: {bootstrap.reason}")


def _student(m: Measured, policy: Policy) -> Check:
    interval = m.paired_interval
    if isinstance(interval, Interval):
        low = f"at least {policy.measure(policy.primary).amount(interval.low)} (above {policy.min_gain:g} needed)"
        return Check(
            "paired t", interval.low > policy.min_gain, f"by a paired t test the gain in {policy.primary} is {low}"
        )
    return Check("paired t", False, f"no paired t test: {interval.reason}")


def _guardrail(g: Guardrail, policy: Policy) -> Check:
    enough = f"({needed(policy.alpha)} needed)"
    if isinstance(g.method, Undefined):
        return Check(g.metric, False, f"there is no evidence on {g.metric} yet: {g.method.reason}")
    of_entities = _OF_ENTITIES if g.method == "entities" else ""
    finding = f"the evidence that {g.metric}{of_entities} is not more than {g.margin:g} worse is E = {e_text(g.log_e)} {enough}"
    if g.log_e_batch_unit is not None:
        finding += f"; it varies between batches, which as units have to carry it too: E = {e_text(g.log_e_batch_unit)} {enough}"
    return Check(g.metric, g.status == "held", finding)


def needed(alpha: float) -> str:
    """The e-value that is needed at this alpha, as text."""
    return f"{1 / alpha:.4g}"


def p_text(p_value: float) -> str:
    """A p-value as text, never 0."""
    return f"{p_value:.2g}" if p_value >= 1e-6 else "less than one in a million"


def e_text(log_e: float) -> str:
    """An e-value as text, without overflow."""
    if log_e > math.log(1e6):
        return "more than a million"
    return f"{math.exp(log_e):.3g}"
