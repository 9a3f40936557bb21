"""Name the first champion of a project, with a name and a reason. Every later one has to earn it.

**Requires:** a registered version with the tag ``threshold``, and an empty promotion log.
"""

from __future__ import annotations

import argparse
from datetime import date

from prefect import flow

from tasks.base.project import load_project
from tasks.command import as_state, not_after, run, today
from tasks.steps import enthrone_step, heal_step


@flow(name="enthrone", flow_run_name="enthrone {version}", validate_parameters=True)
@as_state
def enthrone(project: str, version: str, author: str, reason: str = "first champion", as_of: date | None = None) -> str:
    """Commit the first reign, then everything that is read from the log; returns who leads as a sentence.

    Args:
        project: Name of a file in deployments/.
        version: Number of the registered version.
        author: Who answers for it.
        reason: Why.
        as_of: The day to take for today.
    """
    settings = load_project(project)

    reign = enthrone_step(settings, version, not_after(as_of, today()), author, reason)

    heal_step(settings)
    return f"Reign {reign.number} of {project}: version {reign.version} leads since {reign.since}."


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m flows.enthrone", description=__doc__)
    parser.add_argument("project", help="name of a file in deployments/")
    parser.add_argument("version", help="number of the registered version")
    parser.add_argument("--author", required=True, help="who answers for it")
    parser.add_argument("--reason", default="first champion", help="why")
    parser.add_argument("--as-of", type=date.fromisoformat, metavar="DATE", help="the day to take for today")
    print(run(enthrone, parser))
