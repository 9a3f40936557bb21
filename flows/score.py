"""Score batches with the champion and all challengers, so that every row is a paired comparison.

**Requires:** a champion (``flows.enthrone``) and rows below ``<store>/<project>/batches/<batch>/``.
"""

from __future__ import annotations

from datetime import date

from prefect import flow

from tasks.base.project import load_project
from tasks.batches.arrivals import require_whole
from tasks.batches.failures import failures, score_summary
from tasks.batches.predictions import read_manifest
from tasks.batches.progress import VersionCost
from tasks.batches.rows import BatchError, batch_date
from tasks.command import as_state, main, not_after, now, require_over, run_seconds, today
from tasks.events import challengers_failed, tell
from tasks.models.registry import Registry
from tasks.replay_steps import replay_all, versions_step
from tasks.runner import versions_of
from tasks.score_steps import look_step, passed_over_step, score_all, show_scored
from tasks.steps import head_step, repair_projections_step, roll_up_step
from tasks.store import keeping, open_store

_WORTH_A_ROLLUP = 4  # objects; the next runs read fewer one by one, and judge rolls them up


@flow(name="score", flow_run_name="score {project}", validate_parameters=True, timeout_seconds=run_seconds())
@as_state
def score(project: str, batch: str | None = None, *, batch_dated: date | None = None, as_of: date | None = None) -> str:
    """Score one batch, or every batch in the store that is not scored yet; returns a summary in a few sentences.

    Without a batch, challengers that came late or failed are then replayed on the past batches of the reign.

    Args:
        project: Name of a file in deployments/.
        batch: Id of the batch; by default, all unscored batches whose id is a date up to as_of.
        batch_dated: Date of the batch if its id is not a date.
        as_of: The day to use as today.
    """
    settings = load_project(project)
    latest = not_after(as_of, today(settings.timezone))
    if batch_dated and batch is None:
        msg = "batch_dated is the date of one batch; name the batch too"
        raise BatchError(msg)
    if batch:
        require_over(batch, batch_date(batch, batch_dated), latest)
    store = keeping(open_store(settings.store))
    champion = head_step(store, project).version  # raises LogError if there is no champion
    registry = Registry(settings)
    repair_projections_step(store, registry, project, page=False)  # at which judge looks
    came = versions_step(store, registry, project)

    before = [batch] if batch and read_manifest(store, project, batch) else []
    moment = now()
    if batch and not before:
        require_whole(store, settings, batch, moment)
    arrivals = look_step(store, settings, latest, moment)
    batches = [batch] if batch else arrivals.unscored

    costs: dict[str, list[VersionCost]] = {}
    replayed: list[str] = []
    with versions_of(store, registry, settings) as versions:
        scored, faults = score_all(versions, {one: batch_date(one, batch_dated) for one in batches}, latest, costs)
        if batch is None and settings.replay != "none":  # after what is new: years of the past do not hold it up
            failed = {s.version for m in scored for s in m.scored if s.failure}
            replayed = replay_all(versions, latest, failed)
    newly = [m for m in scored if m.batch in costs]
    show_scored(settings, newly, costs)
    tell(settings, challengers_failed(settings, champion, failures(newly), latest))
    if len(faults) == 1:
        raise faults[0]
    if faults:
        raise BatchError("; ".join(map(str, faults)))
    roll_up_step(store, project, _WORTH_A_ROLLUP)
    new = [m.batch for m in scored if m.batch not in before]
    not_read = [passed_over_step(store, f"{project}/batches/{one}", f"batch {one}") for one in new]
    return " ".join(filter(None, [score_summary(scored, before, arrivals, not_read), came, *replayed]))


if __name__ == "__main__":
    main(score, __doc__)
