"""Judge the challengers on every batch that has closed, and promote the one that has earned it.

**Requires:** scored batches (``flows.score``) and labels below ``<store>/<project>/labels/``.
"""

from __future__ import annotations

from datetime import date

from prefect import flow

from flows.promote import promote
from tasks.base.project import load_project
from tasks.command import as_state, last_complete_day, main, not_after
from tasks.reports.report_verdicts import sentence, since_then
from tasks.steps import (
    ask_for_approval,
    close_step,
    failed_so_far,
    heal_step,
    judge_step,
    newest_reign,
    record_step,
    report_step,
    whole,
)


@flow(name="judge", flow_run_name="judge {project}", validate_parameters=True)
@as_state
def judge(project: str, *, as_of: date | None = None, dry_run: bool = False) -> str:
    """Close batches, judge the evidence, record and report the decision, promote if it says so; returns it as a sentence.

    Args:
        project: Name of a file in deployments/.
        as_of: Judge as at the end of this day, by default yesterday's: decides which batches are closed.
        dry_run: Judge and say what would happen; write nothing.
    """
    settings = load_project(project)
    day = as_of or last_complete_day() if dry_run else not_after(as_of, last_complete_day())
    newest = newest_reign(settings)  # a log that is not whole stops the run before anything is closed
    closed = close_step(settings, day, keep=not dry_run)

    look = judge_step(settings, whole(closed), day, look_back=as_of is not None)
    if look is None:
        idle = f"Nothing to judge in {project} as of {day}: no closed batch of this reign was scored by a challenger."
        return f"{idle} {failed_so_far(closed, newest)}".rstrip()
    newest = newest_reign(settings)

    said = f"{sentence(settings, look)} Decision {look.id}"
    if dry_run:
        return f"{said} (dry run: nothing was written).{since_then(look, newest)}"
    in_force, missing = look.reign == newest, []
    if in_force:
        record_step(settings, whole(look))
        missing = report_step(settings, whole(look), whole(closed))
    told = ". ".join([said, *missing])
    if in_force and look.promote and settings.policy.approval == "automatic":
        promote(project, look.id)
        return f"{told}."
    heal_step(settings)
    if in_force and look.promote:
        return f"{told}. {ask_for_approval(settings, look.id)}"
    return f"{told}.{since_then(look, newest)}"


if __name__ == "__main__":
    main(judge, __doc__)
