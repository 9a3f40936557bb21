"""Projections of the promotion log: what other systems read to know who leads. Written after the commit, healed by any later run."""

from __future__ import annotations

import functools
from collections.abc import Callable

from tasks.base.project import Project
from tasks.models.registry import Registry, RegistryError
from tasks.reigns.approvals import denials
from tasks.reigns.history import history_page
from tasks.reigns.promotion_log import Reign, reigns
from tasks.store import NotThereError, Store

__all__ = ["project_log"]


def project_log(store: Store, registry: Registry, project: Project) -> list[str]:
    """Write what is not as the log says, until the log's head has not moved meanwhile; returns what had to be put right.

    ``live_model_run`` holds the champion's run id; ``live_model_run_history`` those of its predecessors, newest
    first, one a line. ``reports/index.md`` shows the reigns. MLflow gets the aliases ``champion`` and ``previous`` and,
    on every version that ever led, the tags ``dethrone.reign`` and ``dethrone.decision``. An alias that points neither
    where it should nor where it did before the last reign was moved by hand, and that is said.
    """
    corrected: list[str] = []
    entries = reigns(store, project)
    while entries:
        corrected += _write(store, registry, project, entries)
        after = reigns(store, project)
        if len(after) == len(entries):
            break
        entries = after
    return corrected


def _write(store: Store, registry: Registry, project: Project, entries: list[Reign]) -> list[str]:
    corrected = []
    prefix = f"{project.name}/mlflow/{project.name}"
    champion, *before = reversed(entries)
    for key, content in (
        (f"{prefix}/live_model_run", champion.run_id),
        (f"{prefix}/live_model_run_history", "\n".join(r.run_id for r in before)),
        (f"{project.name}/reports/index.md", history_page(project, entries, denials(store, project))),
    ):
        if _text(store, key) != content:
            store.write(key, content.encode())
            corrected.append(key.rpartition("/")[2])
    aliases = registry.aliases()
    line = [*(r.version for r in reversed(entries)), None, None]
    for alias, version, earlier in (("champion", line[0], line[1]), ("previous", line[1], line[2])):
        there = aliases.get(alias)
        if there != version:
            by_hand = "" if there in (earlier, None) else " (it had been moved by hand)"
            said = f"alias {alias}: {there or 'none'} -> {version or 'none'}{by_hand}"
            corrected += _attempt(functools.partial(registry.set_alias, alias, version), said)
    latest = {r.version: r for r in entries}
    for version, reign in latest.items():
        tags = {"dethrone.reign": str(reign.number), "dethrone.decision": reign.decision or reign.kind}
        corrected += _attempt(functools.partial(_tag, registry, version, tags), f"tags of version {version}")
    return corrected


def _tag(registry: Registry, version: str, tags: dict[str, str]) -> bool:
    """Set the tags; False where they are there already."""
    present = registry.version(version).tags
    if all(present.get(k) == v for k, v in tags.items()):
        return False
    registry.set_tags(version, tags)
    return True


def _attempt(change: Callable[[], bool | None], said: str) -> list[str]:
    """Make one change; a version that somebody deleted from the registry stops neither scoring nor promotion, and is reported."""
    try:
        return [] if change() is False else [said]
    except RegistryError as error:
        return [f"{said}: not possible, {error}"]


def _text(store: Store, key: str) -> str | None:
    try:
        return store.read(key).decode(errors="replace")
    except NotThereError:
        return None
