"""Play a season: batch after batch on a simulated calendar, score, close, judge, promote; then report how it went.

**Requires:** batches whose ids are dates, with labels that say when each was observed, and models: ``python -m demo``
makes those of the demo.
"""

from __future__ import annotations

from datetime import date

from prefect import flow, task
from prefect.cache_policies import NO_CACHE

from demo.season_report import remaining_days, write_season_report
from flows.enthrone import enthrone
from flows.judge import judge
from flows.score import score
from tasks.base.project import Project, load_project
from tasks.command import main
from tasks.store import open_store


@flow(name="season", flow_run_name="season of {project}", validate_parameters=True)
def season(project: str, *, first: str = "1") -> str:
    """Play the season from where it stands; returns the season's report as markdown.

    Args:
        project: Name of a file in deployments/.
        first: Version that leads when the season begins.
    """
    settings = load_project(project)
    days = days_step(settings)

    if days:  # else it was played to its end before
        enthrone(project, first, author="season", as_of=days[0])
    for day in days:
        score(project, as_of=day)
        print(f"{day}  {judge(project, as_of=day)}", flush=True)

    return report_step(settings)


@task(name="days of the season", task_run_name="days of the season", cache_policy=NO_CACHE)
def days_step(project: Project) -> list[date]:
    return remaining_days(open_store(project.store), project)


@task(name="report the season", task_run_name="report the season", cache_policy=NO_CACHE)
def report_step(project: Project) -> str:
    return write_season_report(open_store(project.store), project)


if __name__ == "__main__":
    main(season, __doc__)
