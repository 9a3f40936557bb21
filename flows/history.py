"""Print who led, since when, by which decision, and who answers for it.

**Requires:** a champion (``flows.enthrone``).
"""

from __future__ import annotations

from prefect import flow

from tasks.base.project import load_project
from tasks.command import main
from tasks.decisions.replayed import replayed_lines
from tasks.reigns import reigns
from tasks.reigns.approvals import denials
from tasks.reigns.history import history_text
from tasks.store import open_store


@flow(name="history", flow_run_name="history of {project}", validate_parameters=True)
def history(project: str) -> str:
    """The reigns, oldest first, one per line, and how challengers scored that were replayed; reports/index.md has the same table.

    Args:
        project: Name of a file in deployments/.
    """
    store = open_store(load_project(project).store)
    return "\n".join([history_text(reigns(store, project), denials(store, project)), *replayed_lines(store, project)])


if __name__ == "__main__":
    main(history, __doc__)
