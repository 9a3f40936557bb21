"""Repair what is projected from the logs: live pointer, history, aliases, tags, runs of decisions; print what was moved by hand.

**Requires:** a champion (``flows.enthrone``).
"""

from __future__ import annotations

from prefect import flow

from tasks.base.project import load_project
from tasks.command import as_state, main
from tasks.models.registry import Registry
from tasks.steps import head_step, repair_looks_step, repair_projections_step
from tasks.store import open_store


@flow(name="reconcile", flow_run_name="reconcile {project}", validate_parameters=True)
@as_state
def reconcile(project: str) -> str:
    """Write every projection that differs from the logs; returns a line for each.

    Args:
        project: Name of a file in deployments/.
    """
    settings = load_project(project)
    store = open_store(settings.store)
    reign = head_step(store, project)

    registry = Registry(settings)
    corrected = repair_projections_step(store, registry, project)
    corrected += repair_looks_step(store, registry, settings)

    summary = f"Version {reign.version} leads {project}, reign {reign.number}."
    return "\n- ".join([f"{summary} Put right:", *corrected]) if corrected else f"{summary} Everything says so."


if __name__ == "__main__":
    main(reconcile, __doc__)
