"""Projections of the promotion log: copies that other systems read.

They are written after each commit, and repaired by later runs: the pointers by ``score``, the page of the reigns by ``judge``.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable

from tasks.models.errors import RegistryError
from tasks.models.registry import Registry
from tasks.reigns.approvals import denials
from tasks.reigns.history import history_page
from tasks.reigns.promotion_log import Reign, reigns
from tasks.store import NotThereError, Store
from tasks.store.kept import as_it_is

__all__ = ["repair_projections"]


def repair_projections(
    store: Store, registry: Registry, project_name: str, *, pointers: bool = True, page: bool = True
) -> list[str]:
    """Write every projection that differs from the log; returns a line for each.

    Without ``pointers`` the two files of run ids are looked at only if the page of the reigns is wrong, and without ``page`` that is not.

    ``live_model_run`` holds the champion's run id, ``live_model_run_history`` the run ids of its predecessors, newest
    first, one per line. ``reports/index.md`` shows the reigns. MLflow gets the aliases ``champion`` and ``previous`` and, on
    every version that has led, the tags ``dethrone.reign`` and ``dethrone.decision``. The line of an alias says that it was
    moved by hand if it pointed to another version than the right one and the one before the last reign. Raises LogError,
    RegistryError.
    """
    corrected: list[str] = []
    entries = reigns(store, project_name)
    while entries and (changes := _changes(store, registry, project_name, entries, pointers, page)):
        if len(after := reigns(as_it_is(store), project_name)) == len(entries):
            corrected += [line for change, apply in changes for line in _attempt(apply, change)]
            after = reigns(as_it_is(store), project_name)
            if len(after) == len(entries):  # else somebody has committed a reign in the meantime
                break
        entries = after
    return corrected


def _changes(
    store: Store, registry: Registry, project_name: str, entries: list[Reign], pointers: bool, page: bool
) -> list[tuple[str, Callable[[], None]]]:
    """A line for each projection that differs, and what puts it right."""
    changes: list[tuple[str, Callable[[], None]]] = []
    prefix = f"{project_name}/mlflow/{project_name}"
    champion, *before = reversed(entries)
    index, shown = f"{project_name}/reports/index.md", ""
    if page:
        shown = history_page(project_name, registry.model, entries, denials(store, project_name))
    stale = page and _text(store, index) != shown
    if pointers or stale:  # the page is written last: where it is right, a crash has left no pointer wrong
        known = {o.key: o.etag for o in store.objects(prefix)}
        runs = {"live_model_run": champion.run_id, "live_model_run_history": "\n".join(r.run_id for r in before)}
        for name, content in runs.items():
            key = f"{prefix}/{name}"
            # of two equal files the listing tells it, in one request for both
            if known.get(key) != _md5(content) and _text(store, key) != content:
                changes.append((name, functools.partial(store.write, key, content.encode())))
    if stale:
        changes.append(("index.md", functools.partial(store.write, index, shown.encode())))
    aliases = registry.aliases()
    line = [*(r.version for r in reversed(entries)), None, None]
    for alias, version, earlier in (("champion", line[0], line[1]), ("previous", line[1], line[2])):
        current = aliases.get(alias)
        if current != version:
            by_hand = "" if current in (earlier, None) else " (it had been moved by hand)"
            change = f"alias {alias}: {current or 'none'} -> {version or 'none'}{by_hand}"
            changes.append((change, functools.partial(registry.set_alias, alias, version)))
    latest = {r.version: r for r in entries}
    for version, reign in latest.items():
        tags = {"dethrone.reign": str(reign.number), "dethrone.decision": reign.decision or reign.kind}
        if not _has_tags(registry, version, tags):
            changes.append((f"tags of version {version}", functools.partial(_tag, registry, version, tags)))
    return changes


def _has_tags(registry: Registry, version: str, tags: dict[str, str]) -> bool:
    try:
        current = registry.version(version).tags
    except RegistryError:  # which is told where the tags are set
        return False
    return all(current.get(k) == v for k, v in tags.items())


def _tag(registry: Registry, version: str, tags: dict[str, str]) -> None:
    registry.set_tags(registry.version(version).version, tags)


def _attempt(apply: Callable[[], None], change: str) -> list[str]:
    """Apply one change and report it; an error is reported too, as a deleted version must not stop scoring or promotion."""
    try:
        apply()
    except RegistryError as error:
        return [f"{change}: not possible, {error}"]
    return [change]


def _md5(content: str) -> str:
    return hashlib.md5(content.encode(), usedforsecurity=False).hexdigest()


def _text(store: Store, key: str) -> str | None:
    try:
        return store.read(key).decode(errors="replace")
    except NotThereError:
        return None
