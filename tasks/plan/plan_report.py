"""The report on a plan: what to expect of the policy, of the naive rules beside it, and what was assumed."""

from __future__ import annotations

import base64
from dataclasses import asdict

from analysis.policy import Policy
from analysis.seasons.season import DETHRONE
from analysis.seasons.simulate import Promotions
from analysis.tables.counts import Undefined
from analysis.tables.record import canonical_json
from tasks.base.markdown import escape, table
from tasks.base.project import Project
from tasks.plan.plan import Course, Plan
from tasks.plan.plan_plot import draw_plan, percent
from tasks.plan.plan_sizes import HORIZON, Need, deciding
from tasks.store import Store

__all__ = ["plan_caveats", "plan_sentence", "record_of", "write_plan"]

_ENOUGH = 0.8


def write_plan(store: Store, project: Project, plan: Plan) -> str:
    """Write ``reports/plan/`` with ``plan.md``, ``plan.svg`` and ``plan.json``; returns the markdown with the plot inside it."""
    prefix = f"{project.name}/reports/plan"
    drawn = draw_plan(plan, project.policy) or b""
    store.write(f"{prefix}/plan.svg", drawn)
    store.write(f"{prefix}/plan.json", record_of(project, plan))
    store.write(f"{prefix}/plan.md", _markdown(project, plan, "plan.svg").encode())
    return _markdown(project, plan, f"data:image/svg+xml;base64,{base64.b64encode(drawn).decode()}")


def record_of(project: Project, plan: Plan) -> bytes:
    """Everything that went into the plan and came out of it, as canonical JSON."""
    results = [
        {
            "gain": c.gain,
            "gain_in_primary": c.scenario.gain_in(project.policy.primary, project.policy),
            "scenario": c.scenario,
            "rules": {name: _numbers(p) for name, p in c.rules.items()},
            "sizes": c.sizes,
        }
        for c in plan.courses
    ]
    content = {
        "schema": 1,
        "project": project.name,
        "policy": project.policy.model_dump(mode="json"),
        "as_of": plan.as_of,
        "question": asdict(plan.question),
        "basis": plan.basis,
        "alphas": plan.alphas,
        "results": results,
        "sentence": plan_sentence(project, plan),
    }
    return canonical_json(content)


def _numbers(p: Promotions) -> dict[str, object]:
    return {
        "promoted": p.promoted,
        "share": p.promoted / p.runs,
        "interval": p.interval,
        "mean_batches": p.mean_batches,
        "standard_error": p.standard_error,
        "batches_50": p.batches_until(0.5),
        "batches_80": p.batches_until(_ENOUGH),
        "at_batch": p.at_batch,
    }


def plan_sentence(project: Project, plan: Plan) -> str:
    """The plan in a sentence: the risk of an equal challenger, and the pace of the least gain that is promoted in most runs."""
    q, equal = plan.question, plan.equal.rules[DETHRONE]
    who = "an equal challenger" if q.challengers == 1 else f"one of {q.challengers} equal challengers"
    said = (
        f"With this policy and these volumes {who} is promoted within {q.batches} batches in {equal.promoted} of {q.runs} runs "
        f"(at most {percent(equal.interval.high)})"
    )
    better = [c for c in plan.courses if c.gain > 0]
    if not better:
        return f"{said}."
    sure = [c for c in better if c.rules[DETHRONE].promoted >= _ENOUGH * q.runs]
    told = (sure or better[-1:])[0]
    p = told.rules[DETHRONE]
    share = "" if p.promoted == q.runs else f" in {percent(p.promoted / q.runs)} of them,"
    one = "one that is" if q.challengers == 1 else "one of several that are"
    return f"{said}, and {one} better by {_gain(project.policy, told)}{share} after {p.mean_batches:.1f} batches on average."


def plan_caveats(plan: Plan) -> list[str]:
    """The assumption that fails most often, where the closed batches show that it does."""
    versions = plan.basis.uneven
    if not versions:
        return []
    who = f"version {versions[0]}" if len(versions) == 1 else f"versions {', '.join(versions)}"
    found = (
        f"The gain of {who} varies between the closed batches by more than chance allows, which is not simulated: "
        "then the batches as units have to carry the proof, and a promotion takes longer than this plan says."
    )
    return [found]


def _gain(policy: Policy, course: Course) -> str:
    if policy.measure(policy.primary).counts_outcomes:
        return f"{course.gain:g} in {policy.primary}"
    return f"{course.gain:g} in recall ({_primary(policy, course)} in {policy.primary})"


def _primary(policy: Policy, course: Course) -> str:
    found = course.scenario.gain_in(policy.primary, policy)
    return escape(found.reason) if isinstance(found, Undefined) else f"{found:+.4g}"


def _markdown(project: Project, plan: Plan, image: str) -> str:
    q, policy = plan.question, project.policy
    parts = [
        f"# {project.name}: what to expect of its policy",
        plan_sentence(project, plan),
        *(f"**{c}**" for c in plan_caveats(plan)),
        f"![promotions by batch for each gain, and of equal challengers under each rule]({image})",
        "## The policy",
        _policy(plan, policy),
        (
            f"Shares with their 95 % intervals (Clopper and Pearson), of {q.runs} simulated runs of {q.batches} batches. A run "
            f"without a promotion counts as {q.batches} in the mean. {_matters(policy)}"
        ),
        _sizes(plan, policy),
        "## The naive rules on the same batches",
        _naive(plan, policy),
        "Share of runs with a promotion, with its 95 % interval, and the mean batches up to it. These rules look at recall alone.",
        "## What was assumed",
        table(
            ["of a batch", "value", "from"],
            [[a.quantity, _number(a.value), escape(a.source)] for a in plan.basis.assumed],
        ),
        "\n".join(f"- {s}" for s in _assumptions(project, plan)),
    ]
    return "\n\n".join(p for p in parts if p) + "\n"


def _matters(policy: Policy) -> str:
    if not policy.min_gain:
        return f"A challenger with no gain in {policy.primary} must not be promoted: at most in {percent(policy.alpha)} of the runs."
    return (
        f"A challenger whose gain in {policy.primary} is at most {policy.min_gain:g}, the gain that matters, must not be promoted: "
        f"at most in {percent(policy.alpha)} of the runs."
    )


def _policy(plan: Plan, policy: Policy) -> str:
    linear = policy.measure(policy.primary).counts_outcomes
    header = [f"gain in {policy.primary}"] if linear else ["gain in recall", f"gain in {policy.primary}"]
    header += ["won : lost a batch", "promoted", "95 %", "mean batches", "half promoted by", "80 % promoted by"]
    rows = []
    for c in plan.courses:
        p, cells = c.rules[DETHRONE], c.scenario.expected()
        won, lost = (deciding(policy, cells[5], cells[2]), deciding(policy, cells[6], cells[1]))
        rows.append(
            [
                f"{c.gain:g}",
                *([] if linear else [_primary(policy, c)]),
                f"{won:.1f} : {lost:.1f}",
                percent(p.promoted / p.runs),
                _interval(p),
                f"{p.mean_batches:.1f} ± {1.96 * p.standard_error:.1f}",
                *(str(b) if (b := p.batches_until(share)) else "–" for share in (0.5, _ENOUGH)),
            ]
        )
    return table(header, rows)


def _sizes(plan: Plan, policy: Policy) -> str:
    """What the gains take; nothing where wins and losses of rows are not what decides."""
    found = [(c.gain, c.sizes) for c in plan.courses if c.sizes]
    if not found:
        return ""
    header = [f"gain in {policy.primary}", "won", "one look, 80 % power", "E: half of the time", "E: 80 % of the time"]
    rows = [[f"{gain:g}", f"{s.win_share:.0%}", _need(s.one_look), _need(s.even), _need(s.likely)] for gain, s in found]
    about = (
        "Labelled rows that on average hold the disagreements in brackets, of which the challenger wins the share named. One look is "
        "McNemar's mid-p at a size fixed beforehand (Connor 1987); E may be looked at after every row. A promotion waits for "
        f"closed batches, guardrails and the tests of one look as well. Alpha {plan.alphas[0]:.2g}, one challenger."
    )
    return "\n\n".join(["## How many rows a decision needs", table(header, rows), about])


def _need(n: Need | None) -> str:
    return f"{n.rows:,} ({n.disagreements:,})" if n else f"more than {HORIZON:,} disagreements"


def _naive(plan: Plan, policy: Policy) -> str:
    unit = policy.primary if policy.measure(policy.primary).counts_outcomes else "recall"
    names = [DETHRONE, *(n for n in plan.equal.rules if n != DETHRONE)]
    rows = [[f"**{n}**" if n == DETHRONE else escape(n), *(_cell(c.rules[n]) for c in plan.courses)] for n in names]
    return table(["rule", *(f"gain in {unit} {c.gain:g}" for c in plan.courses)], rows)


def _cell(p: Promotions) -> str:
    return f"{percent(p.promoted / p.runs)} ({_interval(p)}); {p.mean_batches:.1f}"


def _interval(p: Promotions) -> str:
    return f"{percent(p.interval.low)} to {percent(p.interval.high)}".replace(" % to", " to")


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.4g}"


def _assumptions(project: Project, plan: Plan) -> list[str]:
    """What the simulation does not know, each a sentence."""
    policy, q = project.policy, plan.question
    positives, negatives = plan.basis.scenario.positives, plan.basis.scenario.negatives
    found = [
        f"Every batch has {positives:,} positives and {negatives:,} negatives, all labelled, and neither model changes.",
        "Rows are independent and no batch has a shock of its own. Where batches differ more than chance allows, a promotion takes longer.",
    ]
    if policy.primary == "accuracy":
        found.append("A gain in accuracy is one share of wins among the disagreements on positives and on negatives.")
    elif policy.primary == "specificity":
        found.append("A gain is in specificity, at the champion's recall.")
    else:
        found.append("A gain is in recall, at the champion's false positive rate.")
    found.append(
        "Where a gain takes more disagreement than was assumed, or leaves room for less, the disagreement gives way."
    )
    if q.challengers == 1:
        found.append("The challenger stands alone; several that are judged together share alpha.")
    else:
        found.append(
            f"The {q.challengers} challengers are equally good, and independent of each other given label and champion."
        )
    if policy.error_budget != "family":
        alphas = ", ".join(f"{a:.2g}" for a in plan.alphas)
        found.append(
            f"The error budget is that of a {policy.error_budget}: what is judged next may spend alpha = {alphas}."
        )
    if policy.segment_guardrails:
        found.append("Segment guardrails are left out: with them a promotion takes longer.")
    if project.columns.entity:
        shared = escape(project.columns.entity)
        found.append(
            f"Rows that share {shared} are not independent and are simulated as if they were: a promotion takes longer."
        )
    found.append(f"A batch counts when it is closed, {project.maturity_days} days after its date.")
    found.append(f"Seed {q.seed}; as of {plan.as_of}. Inputs and results: plan.json.")
    return found
