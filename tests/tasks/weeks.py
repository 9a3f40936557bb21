"""What the tests of this room share: weeks of parcels whose every decision is dictated, and stores that watch or interfere."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import polars as pl
from parcels import decisions_frame, put_batch, put_labels

from tasks.base.project import Project
from tasks.batches.predictions import Manifest, read_parts
from tasks.batches.scoring import score_batch
from tasks.decisions import Decision, decide, save_decision
from tasks.decisions.promotion import enthrone
from tasks.labels.tallying import close_batches
from tasks.models.registry import Registry
from tasks.reigns import Reign, head, reigns
from tasks.store import Store, StoredObject

__all__ = [
    "BEGIN", "BETTER", "EQUAL", "WORSE", "InterferingStore", "SpyStore", "WrappedStore", "everything", "found", "judged", "look_on",
    "play_rows", "play_week", "predictions", "score_rows", "some_parcels", "week",
]  # fmt: skip

BEGIN = date(2024, 1, 7)

# Counts of one week by (label, decision of version 1, decision of version 2).
BETTER = {(1, 1, 1): 60, (1, 0, 1): 30, (1, 1, 0): 3, (1, 0, 0): 7, (0, 0, 0): 190, (0, 1, 0): 6, (0, 0, 1): 4}
WORSE = {(label, new, old): n for (label, old, new), n in BETTER.items()}
EQUAL = {(1, 1, 1): 60, (1, 0, 1): 10, (1, 1, 0): 10, (1, 0, 0): 20, (0, 0, 0): 180, (0, 1, 0): 10, (0, 0, 1): 10}


def week(number: int) -> date:
    """The date of the batch of week 0, 1, ..."""
    return BEGIN + timedelta(weeks=number)


def found(store: Store, registry: Registry, project: Project, version: str = "1", since: date = BEGIN) -> Reign:
    """The first reign."""
    return enthrone(store, registry, project.name, version=version, since=since, author="ada", reason="first champion")


def everything(store: Store, project: Project) -> dict[str, bytes]:
    """Every object of the project with its bytes, but for roll-ups, which are copies: two of these are equal if nothing changed."""
    return {key: store.read(key) for key in store.keys(project.name) if "/rollups/" not in key}


def score_rows(store: Store, registry: Registry, project: Project, frame: pl.DataFrame, day: date = BEGIN) -> Manifest:
    """Lay these rows down as the batch of the day and score it under the reign in force."""
    put_batch(store, project, str(day), frame)
    return score_batch(store, registry, project, head(store, project.name), str(day), day)


def play_week(
    store: Store, registry: Registry, project: Project, number: int, counts: Mapping[tuple[int, ...], int]
) -> Manifest:
    """Score a week of dictated decisions, whose labels are seen a week later."""
    return play_rows(store, registry, project, number, decisions_frame(counts, prefix=f"{week(number)}-"))


def play_rows(store: Store, registry: Registry, project: Project, number: int, frame: pl.DataFrame) -> Manifest:
    """Score these rows as those of a week; what stands in ``label`` is seen a week later."""
    day = week(number)
    put_labels(store, project, frame["id"].to_list(), frame["label"], week(number + 1), name=str(day))
    return score_rows(store, registry, project, frame.drop("label"), day)


def judged(
    store: Store, registry: Registry, project: Project, counts: Mapping[tuple[int, ...], int], weeks: int = 4
) -> Decision:
    """The recorded decision when that many weeks of these counts have closed, all scored in the reign in force."""
    if not reigns(store, project.name):
        found(store, registry, project)
    for number in range(weeks):
        play_week(store, registry, project, number, counts)
    taken = look_on(store, project, week(weeks + 1))
    assert taken is not None
    save_decision(store, project.name, taken)
    return taken


def look_on(store: Store, project: Project, day: date) -> Decision | None:
    """A look at the reign in force."""
    return decide(store, project, head(store, project.name), close_batches(store, project, day), day)


def some_parcels(n: int = 10, **columns: list[Any]) -> pl.DataFrame:
    """Rows with ids, regions and two features; keywords replace columns or add them."""
    defaults: dict[str, list[Any]] = {
        "id": [f"p{i}" for i in range(n)],
        "region": [("north", "south")[i % 2] for i in range(n)],
        "x1": [float(i) - n / 2 for i in range(n)],
        "x2": [n / 2 - float(i) for i in range(n)],
    }
    return pl.DataFrame({**defaults, **columns})


def predictions(store: Store, manifest: Manifest, version: str) -> pl.DataFrame:
    (parts,) = (s.parts for s in manifest.scored if s.version == version)
    return read_parts(store, parts)


class WrappedStore:
    """A store that passes everything on; to be changed in one point."""

    def __init__(self, inner: Store) -> None:
        self.inner = inner

    @property
    def uri(self) -> str:
        return self.inner.uri

    def read(self, key: str) -> bytes:
        return self.inner.read(key)

    def write(self, key: str, data: bytes) -> None:
        self.inner.write(key, data)

    def create(self, key: str, data: bytes) -> None:
        self.inner.create(key, data)

    def delete(self, key: str) -> None:
        self.inner.delete(key)

    def keys(self, prefix: str) -> list[str]:
        return self.inner.keys(prefix)

    def folders(self, prefix: str) -> list[str]:
        return self.inner.folders(prefix)

    def objects(self, prefix: str) -> list[StoredObject]:
        return self.inner.objects(prefix)

    def read_start(self, key: str, size: int) -> bytes:
        return self.inner.read_start(key, size)

    def local(self, key: str) -> AbstractContextManager[Path]:
        return self.inner.local(key)


class SpyStore(WrappedStore):
    """Notes every key written."""

    def __init__(self, inner: Store) -> None:
        super().__init__(inner)
        self.written: list[str] = []

    def write(self, key: str, data: bytes) -> None:
        self.written.append(key)
        super().write(key, data)

    def create(self, key: str, data: bytes) -> None:
        super().create(key, data)
        self.written.append(key)


class InterferingStore(WrappedStore):
    """Lets somebody else act once, just before the first object below ``prefix`` is created or written."""

    def __init__(self, inner: Store, prefix: str, act: Callable[[], object]) -> None:
        super().__init__(inner)
        self._prefix = prefix
        self._act: Callable[[], object] | None = act

    def write(self, key: str, data: bytes) -> None:
        self._interfere(key)
        super().write(key, data)

    def create(self, key: str, data: bytes) -> None:
        self._interfere(key)
        super().create(key, data)

    def _interfere(self, key: str) -> None:
        if self._act and key.startswith(self._prefix):
            act, self._act = self._act, None
            act()
