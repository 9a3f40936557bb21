"""The batches that a decision rests on, in bounded space: those that came first lie in runs, which are objects of their own.

A run has ``RUN`` entries of a basis, in their order. Its name is the digest of its bytes, so looks that share their first batches share
the runs too, and a record that names a run names every file in it.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from analysis.tables.record import canonical_json
from tasks.base.errors import DamagedError
from tasks.store import AlreadyThereError, KeptStore, NotThereError, Store

__all__ = ["RUN", "entries_of", "in_runs", "keep_runs", "number_of_batches"]

RUN = 64

Entry = Mapping[str, Any]


def in_runs(entries: Sequence[Entry]) -> tuple[list[Entry], dict[str, bytes]]:
    """The entries with each whole run replaced by its digest, and the bytes of the runs by digest."""
    whole = len(entries) - len(entries) % RUN
    runs = {}
    named = []
    for start in range(0, whole, RUN):
        data = canonical_json(list(entries[start : start + RUN]))
        digest = hashlib.sha256(data).hexdigest()
        runs[digest] = data
        named.append({"run": digest, "batches": RUN})
    return [*named, *entries[whole:]], runs


def keep_runs(store: Store, project_name: str, runs: Mapping[str, bytes]) -> None:
    """Write the runs that are not there."""
    there = set(store.keys(f"{project_name}/decisions")) if runs else set()
    for digest, data in runs.items():
        if (key := _key(project_name, digest)) not in there:
            with contextlib.suppress(AlreadyThereError):
                store.create(key, data)


def number_of_batches(named: Sequence[Entry]) -> int:
    """How many entries these are with those in runs."""
    return sum(e["batches"] if "run" in e else 1 for e in named)


def entries_of(store: Store, project_name: str, named: Sequence[Entry]) -> list[Entry]:
    """All entries, with those in runs. Raises DamagedError if a run is missing, or is not the one that was named."""
    if isinstance(store, KeptStore):
        store.prefetch(_key(project_name, e["run"]) for e in named if "run" in e)
    return [e for one in named for e in (_run(store, project_name, one["run"]) if "run" in one else [one])]


def _run(store: Store, project_name: str, digest: str) -> list[Entry]:
    key = _key(project_name, digest)
    try:
        data = store.read(key)
    except NotThereError:
        msg = f"{store.uri}: {key} is missing; restore it from a backup"
        raise DamagedError(msg) from None
    if hashlib.sha256(data).hexdigest() != digest:
        msg = f"{store.uri}: {key} was changed; restore it from a backup"
        raise DamagedError(msg)
    entries: list[Entry] = json.loads(data)
    return entries


def _key(project_name: str, digest: str) -> str:
    return f"{project_name}/decisions/batches/{digest}.json"
