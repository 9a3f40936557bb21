"""What is said of a decision: in one sentence, in the table of verdicts, and as a warning about the last promotion."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from analysis.policy import Policy
from analysis.tables.intervals import Interval
from analysis.verdict.judge import Assessment, Verdict
from tasks.base.markdown import e_value, escape
from tasks.base.project import Project
from tasks.decisions import Look
from tasks.reigns import Reign

__all__ = ["rollback_guard", "sentence", "since_then", "verdicts", "why"]

_ROLLBACK_ALPHA = 0.2
_SAID = {
    Verdict.PROMOTE: "it takes over",
    Verdict.WAIT: "not enough evidence yet",
    Verdict.RETIRE: "stop scoring it",
    Verdict.INVALID: "the data cannot carry a judgement",
}


def sentence(project: Project, look: Look) -> str:
    """The decision in one plain sentence."""
    champion = look.record["basis"]["champion"]["version"]
    chosen = next((a for a in look.judgement.assessments if a.evidence.challenger.version == look.promote), None)
    failed = {f["version"]: f"failed in {_how_often(f)}" for f in look.record["failures"]}
    if chosen:
        also = "; ".join(f"version {v}: {said}" for v, said in failed.items())
        asks = project.policy.approval == "required"
        takes_over = (
            f"Version {look.promote} {'is to take' if asks else 'takes'} over from version {champion} in {project.name}"
        )
        takes_over += ", once that is approved" if asks else ""
        return f"{takes_over}: {why(chosen, project.policy)}{f' ({also})' if also else ''}."
    each_verdict = {a.evidence.challenger.version: a.verdict.value for a in look.judgement.assessments}
    each = (
        f"version {v}: {', '.join(told[v] for told in (each_verdict, failed) if v in told)}"
        for v in sorted({*each_verdict, *failed}, key=int)
    )
    return f"Version {champion} stays the champion of {project.name}: no challenger has proven to be better ({'; '.join(each)})."


def why(a: Assessment, policy: Policy) -> str:
    """The one reason that matters most.

    Where the lead varies between batches, the rows' confidence sequence says too much; then the proof is of
    ``min_gain`` alone.
    """
    if a.verdict is not Verdict.PROMOTE:
        return a.reasons[0]
    interval, measure = a.measured.interval, policy.measure(policy.primary)
    by = f"by more than {policy.min_gain:g}"
    if isinstance(interval, Interval) and not (a.measured.uneven or policy.horizon):
        by = f"by at least {measure.amount(interval.low)}"
    direction = "lower" if measure.lower_is_better else "higher"
    if a.measured.method == "entities":
        by += " of the entities"
    return f"its {policy.primary} is proven to be {direction} {by}, and every guardrail is proven to hold"


def since_then(look: Look, newest: Reign) -> str:
    """What has become of the reign that was judged, if it is over."""
    if look.reign == newest:
        return ""
    return f" Since then: reign {newest.number}, version {newest.version}, by {newest.kind}."


def _said(a: Assessment, look: Look) -> str:
    if a.verdict is Verdict.PROMOTE and a.evidence.challenger.version != look.promote:
        choice = look.judgement.choice
        return f"it has earned it too, but version {look.promote} was chosen: {choice.reason if choice else ''}"
    return _SAID[a.verdict]


def verdicts(look: Look, policy: Policy) -> list[list[str]]:
    """A row for each challenger, also for one that failed in every batch and so has nothing to be judged on."""
    failed = {f["version"]: f for f in look.record["failures"]}
    rows = {}
    for a in look.judgement.assessments:
        version = a.evidence.challenger.version
        lost = f"; {_failed(failed[version])}" if version in failed else ""
        rows[version] = [f"**{a.verdict.value}**: {_said(a, look)}", escape(why(a, policy)) + lost]
    unjudged = {
        v: ["**FAILED**: it has nothing to be judged on", _failed(f)] for v, f in failed.items() if v not in rows
    }
    return [[f"version {v}", *row] for v, row in sorted({**rows, **unjudged}.items(), key=lambda item: int(item[0]))]


def _failed(failure: Mapping[str, Any]) -> str:
    last = escape(failure["batch"])
    return f"it failed in {_how_often(failure)}, last in {last}: it {escape(failure['failure'])}"


def _how_often(failure: Mapping[str, Any]) -> str:
    """Decisions from before failures were counted name the last batch alone."""
    return f"{failure['failed']} of {failure['batches']} batches" if "failed" in failure else "at least one batch"


def rollback_guard(look: Look, reigns: Sequence[Reign]) -> str:
    """An early word that the last promotion may have been wrong, at an alpha that would be too large for a promotion."""
    if look.reign.kind != "promotion" or look.reign != reigns[-1] or look.promote:
        return ""
    champion = look.reign.version
    former = next((r.version for r in reversed(reigns[: look.reign.number - 1]) if r.version != champion), None)
    found = next((a for a in look.judgement.assessments if a.evidence.challenger.version == former), None)
    if found is None or found.verdict is not Verdict.WAIT or found.measured.log_e < -math.log(_ROLLBACK_ALPHA):
        return ""
    return (
        f"> **Rollback guard.** On the batches since version {champion} took over, the evidence that version {former}, which led "
        f"before, is better is E = {e_value(found.measured.log_e)}: an alpha of {_ROLLBACK_ALPHA:g} would act on it. To lead again "
        "by itself it has to prove as much as any challenger; `flows.rollback` takes the promotion back now."
    )
