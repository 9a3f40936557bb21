"""What has come into the store: batches to be scored, batches that are not whole yet, and rows that came after their batch."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from tasks.base.completeness import Complete
from tasks.base.project import Project
from tasks.batches.listing import batch_folders, holds_rows
from tasks.batches.predictions import Manifest, manifests
from tasks.batches.rows import BatchError, batch_date, is_dated
from tasks.store import Store, StoredObject
from tasks.tables.files import is_parquet, sort_files
from tasks.tables.opening import lake_roots, log_entry

__all__ = ["Arrivals", "changed_since", "look_at_batches", "overdue_since", "require_whole"]

_GAPS, _FEWEST_GAPS, _PATIENCE = 8, 3, 3
_YEAR = re.compile(r"[A-Za-z_]+=\d{4}")


@dataclass(frozen=True, slots=True)
class Arrivals:
    """The unscored batches to be scored, why others wait, and a sentence for each thing that somebody should know.

    ``overdue`` is the day by which a batch should have come, if none has.
    """

    unscored: tuple[str, ...]
    waiting: Mapping[str, str]
    unreadable: tuple[str, ...]
    changed: tuple[str, ...]
    overdue: date | None


def look_at_batches(store: Store, project: Project, as_of: date, now: datetime) -> Arrivals:
    """Look at all batches that are dated by their id, on or before ``as_of``, from one listing of their files."""
    folders, strays = batch_folders(store, project.name)
    scored = {m.batch: m for m in manifests(store, project.name)}
    unscored, waiting = [], {}
    unreadable = [
        *_of_no_batch(store, f"{project.name}/batches", strays),
        *(_of_a_year(b) for b in folders if _YEAR.fullmatch(b)),
    ]
    for batch, objects in sorted(folders.items()):
        if batch in scored or not is_dated(batch) or batch_date(batch) > as_of:
            continue
        folder = f"{project.name}/batches/{batch}"
        why = _not_whole(project.complete, folder, objects, now)
        if why:
            waiting[batch] = why
        elif holds_rows(store, folder, objects):
            unscored.append(batch)
        else:
            unreadable.append(_nothing_to_read(batch, folder, objects))
    there = [scored[b] for b in sorted(scored) if b in folders]
    changed = _changes(store, project.name, folders, there)
    days = [batch_date(b) for b in (*scored, *unscored) if is_dated(b)]
    return Arrivals(tuple(unscored), waiting, tuple(unreadable), changed, overdue_since(days, as_of))


def overdue_since(days: Iterable[date], as_of: date) -> date | None:
    """The day by which a batch was due, going by the ``days`` of those that came; None if it is not over yet, or cannot be told.

    That is the longest of the last 8 gaps between batches after the newest one; it takes 3 gaps. Once 3 more such gaps have passed, no
    batch is waited for any more: the project rests.
    """
    recent = sorted(set(days))[-_GAPS - 1 :]
    if len(recent) <= _FEWEST_GAPS:
        return None
    longest = max(after - before for before, after in itertools.pairwise(recent))
    due = recent[-1] + longest
    return due if due < as_of <= due + _PATIENCE * longest else None


def require_whole(store: Store, project: Project, batch: str, now: datetime) -> None:
    """Raise BatchError if the batch is not whole yet."""
    folder = f"{project.name}/batches/{batch}"
    objects = store.objects(folder) if project.complete else []
    why = _not_whole(project.complete, folder, objects, now)
    if objects and why:
        msg = f"batch {batch}: it is not whole yet: {why}; wait, or correct 'complete' in the project file"
        raise BatchError(msg)


def changed_since(store: Store, project_name: str, scored: Iterable[Manifest]) -> tuple[str, ...]:
    """A sentence for each way in which the files of scored batches are not those that were scored."""
    return _changes(store, project_name, batch_folders(store, project_name)[0], scored)


def _not_whole(complete: Complete | None, folder: str, objects: Sequence[StoredObject], now: datetime) -> str:
    if complete is None:
        return ""
    if complete.marker is not None:
        there = f"{folder}/{complete.marker}" in (o.key for o in objects)
        return "" if there else f"its folder has no file {complete.marker}"
    assert complete.quiet_minutes is not None
    newest = max(objects, key=lambda o: (o.changed, o.key), default=None)
    if newest is None or now - newest.changed >= timedelta(minutes=complete.quiet_minutes):
        return ""
    name = newest.key.removeprefix(f"{folder}/")
    return f"{name} came or changed less than {complete.quiet_minutes:g} minutes ago"


def _of_no_batch(store: Store, folder: str, strays: Sequence[StoredObject]) -> list[str]:
    """A sentence on the files of rows that lie beside the folders of batches, or in one of a write that is not finished."""
    files, passed = sort_files(folder, strays)
    names = [f.key for f in files if f.kind != "unknown" or is_parquet(store, f)]
    names += [p.key for p in passed if p.may_hold_rows]
    if not names:
        return []
    return [
        f"{_files(names).capitalize()} below {folder}/ of no batch (first: {min(names)}): put rows into a folder named by their date."
    ]


def _of_a_year(batch: str) -> str:
    """Of folders by year, month and day the first is no batch, as it has rows to come."""
    return f"Batch {batch} is not scored, as it is a whole year: name its folders by the day, such as date={batch[-4:]}-01-07."


def _nothing_to_read(batch: str, folder: str, objects: Sequence[StoredObject]) -> str:
    files, passed = sort_files(folder, objects)
    first, reason = (passed[0].key, passed[0].reason) if passed else (files[0].key, "its type is not known")
    more = f" and {len(objects) - 1} more" if len(objects) > 1 else ""
    return f"Batch {batch} has no file of rows: it has {first.removeprefix(f'{folder}/')} ({reason}){more}."


def _changes(
    store: Store, project_name: str, folders: Mapping[str, Sequence[StoredObject]], scored: Iterable[Manifest]
) -> tuple[str, ...]:
    """Rows that were removed as a whole are not missed: they were only needed for scoring."""
    sentences = []
    for manifest in scored:
        objects = folders.get(manifest.batch, ())
        if manifest.files is not None and objects:
            folder = f"{project_name}/batches/{manifest.batch}"
            sentences += _changes_of(store, folder, objects, manifest.batch, {f.name: f.size for f in manifest.files})
    return tuple(sentences)


def _changes_of(
    store: Store, folder: str, objects: Sequence[StoredObject], batch: str, scored: Mapping[str, int]
) -> list[str]:
    roots = [f"{r}/" for r in lake_roots(objects)]
    sizes = {o.key.removeprefix(f"{folder}/"): o.size for o in objects}
    files, _ = sort_files(folder, [o for o in objects if not o.key.startswith(tuple(roots))])
    rows = {f.key.removeprefix(f"{folder}/"): f for f in files}
    came = [n for n, f in rows.items() if n not in scored and (f.kind != "unknown" or is_parquet(store, f))]
    # a Delta or Iceberg table drops and rewrites files, so that not they count, but what is new in its log
    log = {n: entry for n in sizes if (entry := log_entry(f"{folder}/{n}"))}
    known = {entry for n, entry in log.items() if n in scored}
    came += [n for n, (root, version) in log.items() if all(root != r or version > v for r, v in known)]
    inside = tuple(r.removeprefix(f"{folder}/") for r in roots)
    gone = [n for n in scored if n not in sizes and not n.startswith(inside) and f"{folder}/" not in roots]
    resized = [n for n, size in scored.items() if sizes.get(n, size) != size]
    cure = "give new rows another batch id"
    told = (
        (came, f"has {_files(came)} that came after it was scored", f": {cure}"),
        (gone, f"lacks {_files(gone)} that it was scored with", ""),
        (resized, f"has {_files(resized)} whose size changed after it was scored", f": {cure}"),
    )
    return [f"Batch {batch} {what} (first: {min(names)}){then}." for names, what, then in told if names]


def _files(names: Sequence[str]) -> str:
    return "1 file" if len(names) == 1 else f"{len(names)} files"
