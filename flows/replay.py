"""Let challengers that came late, or that failed, score the past batches of the reign, so that they need not wait for evidence.

**Requires:** scored batches (``flows.score``) whose rows are still there. docs/replay.md says which of them count as evidence.
"""

from __future__ import annotations

from datetime import date

from prefect import flow

from tasks.base.project import load_project
from tasks.command import as_state, main, not_after, run_seconds, today
from tasks.models.registry import Registry
from tasks.replay_steps import replay_all
from tasks.runner import versions_of
from tasks.steps import head_step, repair_projections_step
from tasks.store import keeping, open_store


@flow(name="replay", flow_run_name="replay {project}", validate_parameters=True, timeout_seconds=run_seconds())
@as_state
def replay(project: str, version: str | None = None, *, as_of: date | None = None) -> str:
    """Replay what ``score`` would replay, at once; returns a summary in a few sentences.

    Args:
        project: Name of a file in deployments/.
        version: The version to replay; by default all that compete.
        as_of: The day to use as today; a model that is new counts as found on it.
    """
    settings = load_project(project)
    latest = not_after(as_of, today(settings.timezone))
    if settings.replay == "none":  # which only says that score replays nothing by itself
        settings = settings.model_copy(update={"replay": "reign"})
    store = keeping(open_store(settings.store))
    head_step(store, project)  # raises LogError if there is no champion
    registry = Registry(settings)
    repair_projections_step(store, registry, project)
    others = [v.version for v in registry.versions() if version not in (None, v.version)]
    if version is not None:
        registry.version(version)  # raises RegistryError if there is none
    with versions_of(store, registry, settings) as versions:
        said = replay_all(versions, latest, others)
    return (
        " ".join(said)
        or "Nothing to replay: every version that competes has scored the batches of the reign that it may."
    )


if __name__ == "__main__":
    main(replay, __doc__)
