"""The steps of scoring as Prefect tasks: what has come, each batch, and the table of what it cost."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import date, datetime

from prefect import task
from prefect.artifacts import create_table_artifact
from prefect.logging import get_run_logger

from tasks.base.errors import DethroneError
from tasks.base.project import Project
from tasks.batches.arrivals import Arrivals, look_at_batches
from tasks.batches.failures import notes, passed_over_sentence
from tasks.batches.predictions import Manifest
from tasks.batches.progress import Progress, VersionCost, cost_table
from tasks.batches.scoring import score_with
from tasks.events import no_batch_came, tell
from tasks.models.versions import Versions
from tasks.models.workers import ClusterError
from tasks.patience import PATIENT, artifact_key, log_passed_over, quoted
from tasks.reigns import head
from tasks.store import Store, look_anew
from tasks.tables.opening import passed_over

__all__ = ["look_step", "passed_over_step", "score_all", "score_step", "show_scored"]


@task(name="look at batches", task_run_name="look at batches", **PATIENT)
def look_step(store: Store, project: Project, as_of: date, moment: datetime) -> Arrivals:
    """Look at what has come; logs batches that are not whole, cannot be read or are overdue, and rows that came after their batch."""
    arrivals = look_at_batches(store, project, as_of, moment)
    for batch, why in arrivals.waiting.items():
        get_run_logger().info("batch %s is not whole yet: %s", batch, why)
    for said in (*arrivals.unreadable, *arrivals.changed):
        get_run_logger().warning(said)
    if arrivals.overdue:
        get_run_logger().warning("no new batch has come; going by those before, one was due by %s", arrivals.overdue)
        champion = head(store, project.name).version
        tell(project, [no_batch_came(project, champion, arrivals.overdue, as_of)], again=False)
    return arrivals


@task(task_run_name="name files of {what} that are not read", **PATIENT)
def passed_over_step(store: Store, folder: str, what: str) -> str:
    """Log each file below the folder that is not read; returns a sentence on those that may hold rows, empty if none does."""
    passed = passed_over(store, folder)
    log_passed_over(what, passed)
    return passed_over_sentence(what, passed)


@task(task_run_name="score {batch}", **PATIENT)
def score_step(versions: Versions, batch: str, day: date, today: date, costs: dict[str, list[VersionCost]]) -> Manifest:
    """Score a batch under the reign in force; logs how far it is, and failures of challengers.

    What each version cost is added to ``costs`` if this run scored the batch.
    """
    versions.progress = Progress(batch, get_run_logger().info, time.monotonic)
    manifest = score_with(versions, head(versions.store, versions.project.name), batch, day, today, costs)
    failures = [f"version {s.version} {s.failure}" for s in manifest.scored if s.failure]
    get_run_logger().info(
        "batch %s: %d rows scored by versions %s", batch, manifest.rows, ", ".join(manifest.versions())
    )
    for failure in (*failures, *notes([manifest])):
        get_run_logger().warning("batch %s: %s", batch, failure)
    return manifest


def show_scored(project: Project, scored: Sequence[Manifest], costs: Mapping[str, Sequence[VersionCost]]) -> None:
    """Show what each version did on the batches that this run has scored, if any, as a table on Prefect's pages."""
    if scored:
        said = (
            f"{sum(m.rows for m in scored):,} rows of {project.name}, batches {scored[0].batch} to {scored[-1].batch}"
        )
        create_table_artifact(cost_table(scored, costs), key=artifact_key(project, "scored"), description=said)


def score_all(
    versions: Versions, batches: Mapping[str, date], today: date, costs: dict[str, list[VersionCost]]
) -> tuple[list[Manifest], list[DethroneError]]:
    """Score these batches, which have these dates, each under the reign that is in force by then; and why others were not scored."""
    scored: list[Manifest] = []
    faults: list[DethroneError] = []
    for number, (batch, day) in enumerate(batches.items()):
        if number:  # the one before may have taken hours
            look_anew(versions.store)
        try:
            scored.append(score_step(versions, batch, day, today, quoted(costs)))
        except ClusterError:  # of no batch
            raise
        except DethroneError as error:  # the other batches are scored all the same
            faults.append(error)
    return scored, faults
