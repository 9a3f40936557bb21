"""Print who led, since when, by which decision, and who answers for it.

**Requires:** a champion (``flows.enthrone``).
"""

from __future__ import annotations

from prefect import flow

from tasks import reading
from tasks.command import main


@flow(name="history", flow_run_name="history of {project}", validate_parameters=True)
def history(project: str) -> str:
    """The reigns, oldest first, one per line, and how challengers scored that were replayed; reports/index.md has the same table.

    Args:
        project: Name of a file in deployments/.
    """
    return reading.history(project)


if __name__ == "__main__":
    main(history, __doc__)
