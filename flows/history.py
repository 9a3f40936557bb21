"""Print who led, since when, by which decision, and who answers for it.

**Requires:** a champion (``flows.enthrone``).
"""

from __future__ import annotations

from prefect import flow

from tasks.base.project import load_project
from tasks.command import main
from tasks.reigns.history import history_text
from tasks.steps import all_denials, all_reigns


@flow(name="history", flow_run_name="history of {project}", validate_parameters=True)
def history(project: str) -> str:
    """The reigns, oldest first, one a line; the same table is kept as reports/index.md.

    Args:
        project: Name of a file in deployments/.
    """
    settings = load_project(project)
    return history_text(all_reigns(settings), all_denials(settings))


if __name__ == "__main__":
    main(history, __doc__)
