"""Projections of the promotion log: copies that other systems read. Written after each commit, repaired by every later run."""

from __future__ import annotations

import functools
from collections.abc import Callable

from tasks.models.errors import RegistryError
from tasks.models.registry import Registry
from tasks.reigns.approvals import denials
from tasks.reigns.history import history_page
from tasks.reigns.promotion_log import Reign, reigns
from tasks.store import NotThereError, Store
from tasks.store.kept import as_it_is

__all__ = ["repair_projections"]


def repair_projections(store: Store, registry: Registry, project_name: str) -> list[str]:
    """Write every projection that differs from the log; returns a line for each.

    ``live_model_run`` holds the champion's run id, ``live_model_run_history`` the run ids of its predecessors, newest
    first, one per line. ``reports/index.md`` shows the reigns. MLflow gets the aliases ``champion`` and ``previous`` and, on
    every version that has led, the tags ``dethrone.reign`` and ``dethrone.decision``. The line of an alias says that it was
    moved by hand if it pointed to another version than the right one and the one before the last reign. Raises LogError,
    RegistryError.
    """
    corrected: list[str] = []
    entries = reigns(store, project_name)
    while entries:
        written = _write(store, registry, project_name, entries)
        corrected += written
        after = reigns(as_it_is(store) if written else store, project_name)
        if len(after) == len(entries):  # else somebody has committed a reign in the meantime
            break
        entries = after
    return corrected


def _write(store: Store, registry: Registry, project_name: str, entries: list[Reign]) -> list[str]:
    corrected = []
    prefix = f"{project_name}/mlflow/{project_name}"
    page = history_page(project_name, registry.model, entries, denials(store, project_name))
    champion, *before = reversed(entries)
    for key, content in (
        (f"{prefix}/live_model_run", champion.run_id),
        (f"{prefix}/live_model_run_history", "\n".join(r.run_id for r in before)),
        (f"{project_name}/reports/index.md", page),
    ):
        if _text(store, key) != content:
            store.write(key, content.encode())
            corrected.append(key.rpartition("/")[2])
    aliases = registry.aliases()
    line = [*(r.version for r in reversed(entries)), None, None]
    for alias, version, earlier in (("champion", line[0], line[1]), ("previous", line[1], line[2])):
        current = aliases.get(alias)
        if current != version:
            by_hand = "" if current in (earlier, None) else " (it had been moved by hand)"
            change = f"alias {alias}: {current or 'none'} -> {version or 'none'}{by_hand}"
            corrected += _attempt(functools.partial(registry.set_alias, alias, version), change)
    latest = {r.version: r for r in entries}
    for version, reign in latest.items():
        tags = {"dethrone.reign": str(reign.number), "dethrone.decision": reign.decision or reign.kind}
        corrected += _attempt(functools.partial(_tag, registry, version, tags), f"tags of version {version}")
    return corrected


def _tag(registry: Registry, version: str, tags: dict[str, str]) -> bool:
    """Set the tags of a version; False if they are set already."""
    current = registry.version(version).tags
    if all(current.get(k) == v for k, v in tags.items()):
        return False
    registry.set_tags(version, tags)
    return True


def _attempt(apply: Callable[[], bool | None], change: str) -> list[str]:
    """Apply one change and report it; an error is reported too, as a deleted version must not stop scoring or promotion."""
    try:
        return [] if apply() is False else [change]
    except RegistryError as error:
        return [f"{change}: not possible, {error}"]


def _text(store: Store, key: str) -> str | None:
    try:
        return store.read(key).decode(errors="replace")
    except NotThereError:
        return None
