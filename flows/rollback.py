"""Make an earlier champion champion again, with a name and a reason: one more reign, nothing is rewritten.

**Requires:** a log of at least two reigns.
"""

from __future__ import annotations

import argparse
from datetime import date

from prefect import flow

from tasks.base.project import load_project
from tasks.command import as_state, not_after, run, today
from tasks.steps import heal_step, rollback_step


@flow(name="rollback", flow_run_name="roll back {project}", validate_parameters=True)
@as_state
def rollback(project: str, author: str, reason: str, to: int | None = None, as_of: date | None = None) -> str:
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
    parser = argparse.ArgumentParser(prog="python -m flows.rollback", description=__doc__)
    parser.add_argument("project", help="name of a file in deployments/")
    parser.add_argument("--author", required=True, help="who answers for it")
    parser.add_argument("--reason", required=True, help="why")
    parser.add_argument(
        "--to", type=int, metavar="REIGN", help="number of the reign to go back to; without it, the one before"
    )
    parser.add_argument("--as-of", type=date.fromisoformat, metavar="DATE", help="the day to take for today")
    print(run(rollback, parser))
