"""Score batches by the champion and all challengers, so that every row is a paired comparison.

**Requires:** a champion (``flows.enthrone``) and rows below ``<store>/<project>/batches/<batch>/``.
"""

from __future__ import annotations

from datetime import date

from prefect import flow

from tasks.base.errors import DethroneError
from tasks.base.project import load_project
from tasks.batches.failures import score_summary
from tasks.batches.predictions import Manifest
from tasks.batches.rows import BatchError, batch_date
from tasks.command import as_state, main, not_after, require_over, today
from tasks.steps import heal_step, is_scored, newest_reign, score_step, unscored_batches


@flow(name="score", flow_run_name="score {project}", validate_parameters=True)
@as_state
def score(project: str, batch: str | None = None, *, batch_dated: date | None = None, as_of: date | None = None) -> str:
    """Score one batch, or every batch in the store that is not scored yet; returns what was done, in a few sentences.

    Args:
        project: Name of a file in deployments/.
        batch: Id of the batch. Without it, all unscored batches whose id is a date up to today.
        batch_dated: Date of the batch where its id is not a date.
        as_of: The day to take for today.
    """
    settings = load_project(project)
    latest = not_after(as_of, today())
    if batch_dated and batch is None:
        msg = "batch_dated is the date of one batch; name the batch too"
        raise BatchError(msg)
    if batch:
        require_over(batch, batch_date(batch, batch_dated), latest)
    newest_reign(settings)  # without a champion nothing can be scored
    heal_step(settings)

    batches = [batch] if batch else unscored_batches(settings, latest)
    before = [batch] if batch and is_scored(settings, batch) else []

    scored: list[Manifest] = []
    faults: list[DethroneError] = []
    for one in batches:
        try:
            scored.append(score_step(settings, one, batch_date(one, batch_dated)))
        except DethroneError as error:  # a bad batch does not keep the others waiting
            faults.append(error)
    if len(faults) == 1:
        raise faults[0]
    if faults:
        raise BatchError("; ".join(map(str, faults)))
    return score_summary(scored, before)


if __name__ == "__main__":
    main(score, __doc__)
