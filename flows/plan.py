"""Simulate a project's own policy at its own volumes: how often it promotes an equal challenger, how soon a better one.

**Requires:** closed batches with labels, or ``--rows``, ``--prevalence``, ``--recall`` and ``--fpr``.
"""

from __future__ import annotations

from prefect import flow

from tasks.base.project import load_project
from tasks.command import last_complete_day, main, run_seconds
from tasks.plan import Question
from tasks.plan.plan_volumes import Volumes
from tasks.steps import plan_step
from tasks.store import open_store


@flow(name="plan", flow_run_name="plan {project}", validate_parameters=True, timeout_seconds=run_seconds())
def plan(
    project: str,
    *,
    batches: int = 52,
    runs: int = 200,
    gains: list[float] | None = None,
    challengers: int = 1,
    seed: int = 1,
    rows: float | None = None,
    prevalence: float | None = None,
    recall: float | None = None,
    fpr: float | None = None,
    disagreement: float | None = None,
) -> str:
    """Simulate the policy and write ``reports/plan/``; returns the plan in a sentence or two.

    Args:
        project: Name of a file in deployments/.
        batches: Number of closed batches in each simulated run; 52 are a year of weeks.
        runs: Simulated challengers per gain.
        gains: True gains of the challenger; by default 0, the smallest gain that matters, and two larger ones.
        challengers: Number of equally good challengers that are judged together.
        seed: The same seed gives the same report.
        rows: Labelled rows per batch, by default the mean of the closed batches.
        prevalence: Share of positives, by default that in the closed batches.
        recall: The champion's recall, by default that in the closed batches.
        fpr: The champion's false positive rate, by default that in the closed batches.
        disagreement: Share of the positives on which champion and challenger differ, by default the median over challengers.
    """
    settings = load_project(project)
    volumes = Volumes(rows, prevalence, recall, fpr, disagreement)
    question = Question(batches, runs, tuple(gains) if gains is not None else None, challengers, seed, volumes)
    return plan_step(open_store(settings.store), settings, question, last_complete_day(settings.timezone))


if __name__ == "__main__":
    main(plan, __doc__)
