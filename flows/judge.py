"""Judge the challengers on every batch that has closed, and promote the one that has earned it.

**Requires:** scored batches (``flows.score``) and labels below ``<store>/<project>/labels/``.
"""

from __future__ import annotations

from datetime import date

from prefect import flow

from flows.promote import promote
from tasks.base.project import load_project
from tasks.command import as_state, last_complete_day, main, not_after, run_seconds
from tasks.events import approval_waiting, tell
from tasks.models.registry import Registry
from tasks.patience import quoted
from tasks.reading import look, nothing_to_judge
from tasks.reports.report_verdicts import sentence, since_then
from tasks.steps import (
    close_step,
    head_step,
    judge_step,
    repair_projections_step,
    report_step,
    request_approval,
    roll_up_step,
    save_decision_step,
    watch_step,
)
from tasks.store import keeping, look_anew, open_store


@flow(name="judge", flow_run_name="judge {project}", validate_parameters=True, timeout_seconds=run_seconds())
@as_state
def judge(project: str, *, as_of: date | None = None, dry_run: bool = False) -> str:
    """Close batches, judge the evidence, record and report the decision, and promote; returns the decision in a sentence.

    Args:
        project: Name of a file in deployments/.
        as_of: Judge as of the end of this day, by default yesterday; it determines which batches are closed.
        dry_run: Judge and return what would happen; write nothing.
    """
    settings = load_project(project)
    latest = last_complete_day(settings.timezone)
    if dry_run:
        return look(project, as_of or latest, look_back=as_of is not None)
    day = not_after(as_of, latest)
    store = keeping(open_store(settings.store))
    newest = head_step(store, project)  # a damaged log stops the run before any batch is closed
    closed = close_step(store, settings, day)

    alarms = watch_step(store, settings, quoted(closed), newest)
    look_anew(store)  # closing may have taken long, and another run may have committed a reign
    decision = judge_step(store, settings, quoted(closed), day, look_back=as_of is not None)
    if decision is None:
        return ". ".join([nothing_to_judge(project, closed, newest, day).removesuffix("."), *alarms]) + "."
    newest = head_step(store, project)

    summary = ". ".join([f"{sentence(settings, decision)} Decision {decision.id}", *alarms])
    in_force, registry = decision.reign == newest, Registry(settings)
    new = in_force and save_decision_step(store, settings, quoted(decision))
    roll_up_step(store, project)
    if in_force:
        missing = report_step(store, registry, settings, quoted(decision), quoted(closed), new)
        summary = ". ".join([summary, *missing])
    if in_force and decision.promote and settings.policy.approval == "automatic":
        promote(project, decision.id)
        return f"{summary}."
    # at those that somebody moved by hand score looks
    repair_projections_step(store, registry, project, pointers=not in_force)
    if in_force and decision.promote:
        asked = request_approval(store, project, decision.id)
        if new:
            tell(settings, [approval_waiting(settings, decision, asked)])
        return f"{summary}. {asked}"
    return f"{summary}.{since_then(decision, newest)}"


if __name__ == "__main__":
    main(judge, __doc__)
