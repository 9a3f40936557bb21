"""Make an earlier champion champion again, with a name and a reason: one more reign, nothing is rewritten.

**Requires:** a log of at least two reigns.
"""

from __future__ import annotations

from datetime import date

from prefect import flow

from tasks.base.project import load_project
from tasks.command import as_state, main, not_after, today
from tasks.steps import heal_step, rollback_step


@flow(name="rollback", flow_run_name="roll back {project}", validate_parameters=True)
@as_state
def rollback(project: str, *, author: str, reason: str, to: int | None = None, as_of: date | None = None) -> str:
    """Commit the reign, then everything that is read from the log; returns who leads as a sentence.

    Args:
        project: Name of a file in deployments/.
        author: Who answers for it.
        reason: Why.
        to: Number of the reign whose champion shall lead again; without it, the one before.
        as_of: The day to take for today.
    """
    settings = load_project(project)

    reign = rollback_step(settings, not_after(as_of, today()), author, reason, to)

    heal_step(settings)
    return f"Reign {reign.number} of {project}: version {reign.version} leads again since {reign.since}."


if __name__ == "__main__":
    main(rollback, __doc__)
