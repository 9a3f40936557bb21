"""Play a season: batch after batch on a simulated calendar, score, close, judge, promote; then tell how it went.

**Requires:** batches whose ids are dates, with labels that say when each was observed. For the demo: ``python -m
demo``.
"""

from __future__ import annotations

from prefect import flow

from flows.enthrone import enthrone
from flows.judge import judge
from flows.score import score
from tasks.base.project import load_project
from tasks.command import main
from tasks.steps import season_days_step, season_report_step


@flow(name="season", flow_run_name="season of {project}", validate_parameters=True)
def season(project: str, *, first: str = "1") -> str:
    """Play the season from where it stands; returns the season's report as markdown.

    Args:
        project: Name of a file in deployments/.
        first: Version that leads when the season begins.
    """
    settings = load_project(project)
    days = season_days_step(settings)

    if days:  # else it was played to its end before
        enthrone(project, first, author="season", as_of=days[0])
    for day in days:
        score(project, as_of=day)
        print(f"{day}  {judge(project, as_of=day)}", flush=True)

    return season_report_step(settings)


if __name__ == "__main__":
    main(season, __doc__)
