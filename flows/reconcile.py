"""Make pointer, aliases and tags say what the promotion log says, and tell what somebody had moved by hand.

**Requires:** a champion (``flows.enthrone``).
"""

from __future__ import annotations

from prefect import flow

from tasks.base.project import load_project
from tasks.command import as_state, main
from tasks.steps import heal_step, newest_reign


@flow(name="reconcile", flow_run_name="reconcile {project}", validate_parameters=True)
@as_state
def reconcile(project: str) -> str:
    """Put right what differs from the log; returns what it was, a line each.

    Args:
        project: Name of a file in deployments/.
    """
    settings = load_project(project)
    reign = newest_reign(settings)

    corrected = heal_step(settings)

    said = f"Version {reign.version} leads {project}, reign {reign.number}."
    return "\n- ".join([f"{said} Put right:", *corrected]) if corrected else f"{said} Everything says so."


if __name__ == "__main__":
    main(reconcile, __doc__)
