"""Name the first champion of a project, with a name and a reason. Every later one has to earn it.

**Requires:** a registered version with the tag ``threshold``, and an empty promotion log.
"""

from __future__ import annotations

from datetime import date

from prefect import flow

from tasks.base.project import load_project
from tasks.command import as_state, main, not_after, today
from tasks.models.registry import Registry
from tasks.steps import enthrone_step, repair_projections_step
from tasks.store import open_store


@flow(name="enthrone", flow_run_name="enthrone {version}", validate_parameters=True)
@as_state
def enthrone(
    project: str, version: str, *, author: str, reason: str = "first champion", as_of: date | None = None
) -> str:
    """Commit the first reign, then write the projections of the log; returns the champion in a sentence.

    Args:
        project: Name of a file in deployments/.
        version: Number of the registered version.
        author: Who answers for it.
        reason: Why.
        as_of: The day to use as today.
    """
    settings = load_project(project)
    since = not_after(as_of, today(settings.timezone))
    store, registry = open_store(settings.store), Registry(settings)

    reign = enthrone_step(store, registry, project, version, since, author, reason)

    repair_projections_step(store, registry, project)
    return f"Reign {reign.number} of {project}: version {reign.version} leads since {reign.since}."


if __name__ == "__main__":
    main(enthrone, __doc__)
