"""Promote the challenger that a decision calls for: one more entry in the promotion log, then everything that is read from it.

**Requires:** a decision of ``flows.judge`` that says PROMOTE, against the champion who leads now.
"""

from __future__ import annotations

import argparse

from prefect import flow

from tasks.command import run
from tasks.project import load_project
from tasks.steps import heal_step, promote_step


@flow(name="promote", flow_run_name="promote {decision}", validate_parameters=True)
def promote(project: str, decision: str) -> str:
    """Commit the reign, then the live pointer, its history, the aliases and the tags; returns who leads as a sentence.

    Args:
        project: Name of a file in deployments/.
        decision: Id of the decision, as in its report.
    """
    settings = load_project(project)

    reign = promote_step(settings, decision)

    heal_step(settings)
    return (
        f"Reign {reign.number} of {project}: version {reign.version} leads since {reign.since}, by decision {decision}."
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m flows.promote", description=__doc__)
    parser.add_argument("project", help="name of a file in deployments/")
    parser.add_argument("decision", help="id of the decision, as in its report")
    print(run(promote, parser))
