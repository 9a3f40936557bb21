"""The steps of replaying as Prefect tasks: who came and left, what there is to replay, and one batch after the other."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Collection, Sequence
from datetime import date

from prefect import task
from prefect.logging import get_run_logger

from tasks.batches.failures import came_and_left, replay_sentences
from tasks.batches.predictions import Manifest, read_manifest, replayed_versions, scored_batches
from tasks.batches.progress import Progress
from tasks.batches.replaying import Due, due_replays, keep_claims, replay_batch
from tasks.batches.rows import BatchError
from tasks.models.registry import Registry
from tasks.models.version import ModelVersion
from tasks.models.versions import Versions
from tasks.patience import PATIENT, quoted
from tasks.reigns import head
from tasks.store import Store, look_anew

__all__ = ["replay_all", "versions_step"]


@task(name="look at versions", task_run_name="look at versions", **PATIENT)
def versions_step(store: Store, registry: Registry, project_name: str) -> str:
    """Log which versions came and left since the newest batch was scored; returns it as a sentence."""
    batches = scored_batches(store, project_name)
    newest = read_manifest(store, project_name, batches[-1]) if batches else None
    replayed = replayed_versions(store, project_name, batches[-1]) if batches else []
    said = came_and_left(newest, replayed, [v.version for v in registry.versions()])
    if said:
        get_run_logger().info(said)
    return said


def replay_all(versions: Versions, today: date, left_out: Collection[str] = ()) -> list[str]:
    """Replay what there is to replay in the reign in force, newest batch first; returns the result in sentences.

    A version that fails on a batch is not asked again in this run; a batch whose rows are gone or changed is passed over and told.
    """
    due, claims = look_for_replays_step(versions, today, left_out)
    done: dict[str, list[str]] = {}
    failed, gone = dict(due.unfit), []
    for number, (manifest, wanted) in enumerate(due.batches, start=1):
        fit = [v for v in wanted if v.version not in failed]
        if not fit:
            continue
        position = f"{number} of {len(due.batches)}"
        results = replay_step(versions, quoted(manifest), fit, today, manifest.batch, position)
        if isinstance(results, str):
            gone.append(results)
            continue
        failed |= {v: f"{why} (batch {manifest.batch})" for v, why in results.items() if why}
        for version in (v for v, why in results.items() if not why):
            done.setdefault(version, []).append(manifest.batch)
    more = f", and {len(gone) - 1} more" if len(gone) > 1 else ""
    not_there = [f"Nothing is replayed on {gone[0]}{more}."] if gone else []
    return [*claims, *replay_sentences(done, failed), *not_there]


@task(name="look for replays", task_run_name="look for replays", **PATIENT)
def look_for_replays_step(versions: Versions, today: date, left_out: Collection[str]) -> tuple[Due, list[str]]:
    """Log on how many batches which versions are to be replayed; returns that, and a sentence for each claim that does not count."""
    claims = keep_claims(versions, today)
    due = due_replays(versions, head(versions.store, versions.project.name), left_out)
    wanted = Counter(v.version for _, of_batch in due.batches for v in of_batch)
    for version, batches in wanted.items():
        get_run_logger().info("version %s is to be replayed on %d batches", version, batches)
    for said in (*claims, *replay_sentences({}, due.unfit)):
        get_run_logger().warning(said)
    return due, claims


@task(task_run_name="replay {batch} ({position})", **PATIENT)
def replay_step(
    versions: Versions, manifest: Manifest, wanted: Sequence[ModelVersion], today: date, batch: str, position: str
) -> dict[str, str | None] | str:
    """Replay versions on a batch; logs those that failed, and returns why, by version, or why its rows cannot be used."""
    look_anew(versions.store)  # whoever replays years may have listed the rows hours ago
    versions.progress = Progress(batch, get_run_logger().info, time.monotonic)
    try:
        results = replay_batch(versions, manifest, wanted, today)
    except BatchError as error:
        get_run_logger().warning(str(error))
        return str(error)
    done = [v for v, why in results.items() if not why]
    if done:
        get_run_logger().info("batch %s (%s): replayed by versions %s", batch, position, ", ".join(done))
    for version, why in results.items():
        if why:
            get_run_logger().warning("batch %s: version %s %s, and is not replayed any further", batch, version, why)
    return results
