"""Make an earlier champion the champion again, with a name and a reason: one more reign, nothing is rewritten.

**Requires:** a log of at least two reigns.
"""

from __future__ import annotations

from datetime import date

from prefect import flow

from tasks.base.project import load_project
from tasks.command import as_state, main, not_after, today
from tasks.models.registry import Registry
from tasks.steps import repair_projections_step, rollback_step
from tasks.store import open_store


@flow(name="rollback", flow_run_name="roll back {project}", validate_parameters=True)
@as_state
def rollback(project: str, *, author: str, reason: str, to: int | None = None, as_of: date | None = None) -> str:
    """Commit the reign, then write the projections of the log; returns the champion in a sentence.

    Args:
        project: Name of a file in deployments/.
        author: Who answers for it.
        reason: Why.
        to: Number of the reign whose champion shall lead again, by default the one before.
        as_of: The day to use as today.
    """
    settings = load_project(project)
    since = not_after(as_of, today(settings.timezone))
    store, registry = open_store(settings.store), Registry(settings)

    reign = rollback_step(store, registry, settings, since, author, reason, to)

    repair_projections_step(store, registry, project)
    return f"Reign {reign.number} of {project}: version {reign.version} leads again since {reign.since}."


if __name__ == "__main__":
    main(rollback, __doc__)
