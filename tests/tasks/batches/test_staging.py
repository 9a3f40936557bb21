"""Parts are held back until their batch is scored, and written while it is scored once there are many."""

from __future__ import annotations

import threading

import polars as pl
import pytest
from weeks import WrappedStore, everything

from tasks.base.project import Project
from tasks.batches.predictions import read_parts
from tasks.batches.staging import Staging
from tasks.store import Store, StoreError


def rows(*ids: str) -> pl.DataFrame:
    return pl.DataFrame({"id": ids, "decision": [len(i) % 2 for i in ids]})


def test_what_is_staged_reaches_the_store_only_when_it_is_uploaded(
    store: Store, project: Project, staging: Staging
) -> None:
    parts = [staging.add("1", n, rows(*ids)) for n, ids in enumerate(["abc", "de"])]
    assert everything(store, project) == {}
    staging.upload(parts)
    assert store.keys("parcels") == sorted(p.key for p in parts)
    assert read_parts(store, tuple(parts))["id"].to_list() == list("abcde")


def test_parts_come_in_their_order_beyond_the_tenth(store: Store, staging: Staging) -> None:
    parts = [staging.add("1", n, rows(str(n))) for n in range(12)]
    staging.upload(parts)
    assert store.keys("parcels") == [p.key for p in parts]


def test_other_bytes_get_another_key_and_the_same_bytes_the_same(staging: Staging) -> None:
    one, same, other = (staging.add("1", 0, rows(*ids)) for ids in ("ab", "ab", "ac"))
    assert one == same
    assert one.key != other.key
    assert one.sha256[:12] in one.key


class SlowStore(WrappedStore):
    """A store whose writes wait until they are let go."""

    def __init__(self, inner: Store) -> None:
        super().__init__(inner)
        self.begun = threading.Semaphore(0)
        self.go = threading.Event()

    def write(self, key: str, data: bytes) -> None:
        self.begun.release()
        self.go.wait()
        super().write(key, data)


def test_beyond_its_bound_parts_are_written_while_others_are_still_made(store: Store, project: Project) -> None:
    """What is held back when the last part is made is written only if the manifest names it."""
    with Staging(store, project.name, "b", hold=1) as staging:
        early = staging.add("1", 0, rows("a"))
        staging.add("1", 1, rows("b"))
        staging.upload([early])
        assert len(everything(store, project)) == 2


def test_a_slow_store_holds_the_models_up_and_does_not_fill_the_memory(store: Store, project: Project) -> None:
    slow = SlowStore(store)
    with Staging(slow, project.name, "b", hold=0) as staging:
        parts = [staging.add("1", n, rows(str(n))) for n in range(16)]
        more = threading.Thread(target=lambda: parts.append(staging.add("1", 16, rows("last"))))
        more.start()
        for _ in range(8):
            assert slow.begun.acquire(timeout=60)
        more.join(timeout=0.2)
        assert more.is_alive()
        assert not slow.begun.acquire(blocking=False)
        slow.go.set()
        more.join()
        staging.upload(parts)
    assert read_parts(store, tuple(parts)).height == 17


class FullStore(WrappedStore):
    def write(self, key: str, data: bytes) -> None:
        msg = f"{self.uri}: {key} cannot be written ({len(data)} bytes): the disk is full"
        raise StoreError(msg)


def add_many(staging: Staging) -> None:
    for n in range(17):
        staging.add("1", n, rows(str(n)))


def test_a_store_that_fails_is_told_before_the_last_part_is_made(store: Store, project: Project) -> None:
    with (
        Staging(FullStore(store), project.name, "b", hold=0) as staging,
        pytest.raises(StoreError, match="disk is full"),
    ):
        add_many(staging)


def test_a_store_that_fails_with_the_last_part_is_told_too(store: Store, project: Project) -> None:
    with Staging(FullStore(store), project.name, "b") as staging:
        part = staging.add("1", 0, rows("a"))
        with pytest.raises(StoreError, match="disk is full"):
            staging.upload([part])
