"""A store during one run: what cannot change is read once, roll-ups stand for what they sum up, and each can be lost."""

from __future__ import annotations

import io
import json
import logging
import math
from pathlib import Path

import polars as pl
import pytest
from weeks import WrappedStore

from tasks.store import (
    AlreadyThereError,
    DirectoryStore,
    KeptStore,
    NotThereError,
    Store,
    keeping,
    kept,
    known_rollups,
    look_anew,
)
from tasks.store.kept import as_it_is
from tasks.store.rollups import copy_faults


class CountingStore(WrappedStore):
    def __init__(self, inner: Store) -> None:
        super().__init__(inner)
        self.asked: list[str] = []

    def read(self, key: str) -> bytes:
        self.asked.append(key)
        return super().read(key)

    def keys(self, prefix: str) -> list[str]:
        self.asked.append(f"list {prefix}")
        return super().keys(prefix)

    def folders(self, prefix: str) -> list[str]:
        self.asked.append(f"list {prefix}")
        return super().folders(prefix)


@pytest.fixture
def disk(tmp_path: Path) -> DirectoryStore:
    return DirectoryStore(tmp_path)


@pytest.fixture
def counted(disk: DirectoryStore) -> CountingStore:
    return CountingStore(disk)


def tally(n: int) -> pl.DataFrame:
    return pl.DataFrame({"v1": [0, 1], "n": [n, 2 * n]})


def put(store: Store, week: int) -> tuple[str, str]:
    """A manifest and a tally."""
    buffer = io.BytesIO()
    tally(week).write_parquet(buffer)
    names = f"p/predictions/{week:04}/manifest.json", f"p/tallies/{week:04}.parquet"
    store.create(names[0], json.dumps(week).encode())
    store.create(names[1], buffer.getvalue())
    return names


def read(store: KeptStore, weeks: int) -> None:
    keys = [(f"p/predictions/{w:04}/manifest.json", f"p/tallies/{w:04}.parquet") for w in range(weeks)]
    store.prefetch(k for pair in keys for k in pair)
    for w, (manifest, key) in enumerate(keys):
        assert json.loads(store.read(manifest)) == w
        assert store.frame(key).frame.equals(tally(w))


def test_a_create_only_object_is_read_once_and_another_one_each_time(counted: CountingStore) -> None:
    manifest, _ = put(counted, 1)
    counted.write("p/reports/index.md", b"1")
    store = keeping(counted)
    assert keeping(store) is store
    for _ in range(3):
        assert store.read(manifest) == b"1"
        assert store.read("p/reports/index.md") == b"1"
    assert counted.asked.count(manifest) == 1
    assert counted.asked.count("p/reports/index.md") == 3


def test_what_the_run_creates_it_does_not_read_and_a_key_that_is_taken_is_said_to_be(counted: CountingStore) -> None:
    store = keeping(counted)
    put(store, 3)
    read_before = list(counted.asked)
    assert store.read("p/predictions/0003/manifest.json") == b"3"
    assert counted.asked == read_before
    with pytest.raises(AlreadyThereError):
        store.create("p/predictions/0003/manifest.json", b"4")


def test_a_listing_has_what_this_run_wrote_and_what_others_did_once_a_key_is_taken(counted: CountingStore) -> None:
    store = keeping(counted)
    put(store, 1)
    assert store.folders("p/predictions") == ["0001"]
    put(store, 2)
    assert store.folders("p/predictions/") == ["0001", "0002"]
    assert counted.asked.count("list p/predictions") == 1
    counted.create("p/predictions/0003/manifest.json", b"3")
    assert store.folders("p/predictions") == ["0001", "0002"]
    with pytest.raises(AlreadyThereError):
        store.create("p/predictions/0003/manifest.json", b"other")
    assert store.folders("p/predictions") == ["0001", "0002", "0003"]


def test_n_objects_are_in_one_small_rollup_and_a_new_run_reads_only_it(counted: CountingStore) -> None:
    weeks = 12
    for week in range(weeks):
        put(counted, week)
        store = keeping(counted)
        read(store, week + 1)
        store.roll_up("p")
        assert len(counted.keys("p/rollups")) == 1
    counted.asked.clear()
    read(keeping(counted), weeks)
    assert len([a for a in counted.asked if "rollups" in a]) == 2
    assert {a for a in counted.asked if "rollups" not in a} <= {"p/reigns/00000001.json"}


def test_n_objects_are_in_about_log2_n_large_rollups_and_a_new_run_reads_only_these(
    counted: CountingStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(known_rollups, "SMALL", 0)
    weeks = 40
    for week in range(weeks):
        put(counted, week)
        store = keeping(counted)
        read(store, week + 1)
        store.roll_up("p")
        assert len(counted.keys("p/rollups")) <= math.log2(week + 1) + 2
    counted.asked.clear()
    read(keeping(counted), weeks)
    assert {a for a in counted.asked if "rollups" not in a} <= {"p/reigns/00000001.json"}
    assert len(counted.asked) <= math.log2(weeks) + 4


def test_a_second_rollup_of_nothing_new_is_not_written(disk: DirectoryStore) -> None:
    put(disk, 1)
    store = keeping(disk)
    for _ in range(2):
        read_one(store)
        store.roll_up("p")
    before = disk.keys("p/rollups")
    again = keeping(disk)
    read_one(again)
    again.roll_up("p")
    assert (disk.keys("p/rollups"), len(before)) == (before, 1)


def read_one(store: KeptStore) -> None:
    store.read("p/predictions/0001/manifest.json")


@pytest.mark.parametrize("harm", ["lost", "damaged", "of another content", "lost after it was listed"])
def test_a_rollup_can_be_lost_or_damaged(disk: DirectoryStore, harm: str, caplog: pytest.LogCaptureFixture) -> None:
    for week in range(5):
        put(disk, week)
    store = keeping(disk)
    read(store, 5)
    store.roll_up("p")
    (name,) = disk.keys("p/rollups")
    data = disk.read(name)
    late: Store = disk
    if harm == "lost":
        disk.delete(name)
    elif harm == "damaged":
        disk.write(name, data[:-20])
    elif harm == "of another content":
        disk.write(f"p/rollups/{'0' * 64}.zip", data)
        disk.delete(name)
    else:
        late = _Losing(disk)
    with caplog.at_level(logging.WARNING, logger="dethrone"):
        read(keeping(late), 5)
    warned = [r.getMessage() for r in caplog.records]
    assert [("rollups" in w and "remove it" in w) for w in warned] == [True] * (
        harm in ("damaged", "of another content")
    )


class _Losing(WrappedStore):
    """Another run takes a roll-up in between the listing and the reading."""

    def keys(self, prefix: str) -> list[str]:
        listed = super().keys(prefix)
        for key in listed if "rollups" in prefix else ():
            self.inner.delete(key)
        return listed


def test_a_few_objects_are_rolled_up_only_where_that_is_wanted(disk: DirectoryStore) -> None:
    put(disk, 0)
    put(disk, 1)
    store = keeping(disk)
    read(store, 2)
    store.roll_up("p", fewest=5)
    assert disk.keys("p/rollups") == []
    store.roll_up("p", fewest=4)
    assert len(disk.keys("p/rollups")) == 1


def test_files_of_batches_are_listed_once_until_the_run_looks_anew_and_labels_once(disk: DirectoryStore) -> None:
    store = keeping(disk)
    for name in ("batches/1/a", "batches/10/a", "labels/a"):
        disk.write(f"p/{name}", b"1")
    assert [o.key for o in store.objects("p/batches/")] == ["p/batches/1/a", "p/batches/10/a"]
    assert [o.key for o in store.objects("p/labels")] == ["p/labels/a"]
    disk.write("p/batches/1/b", b"1")
    disk.write("p/labels/b", b"1")
    assert [o.key for o in store.objects("p/batches/1")] == ["p/batches/1/a"]
    assert store.objects("p/batches/2") == []
    look_anew(store)
    look_anew(disk)
    assert [o.key for o in store.objects("p/batches/1/")] == ["p/batches/1/a", "p/batches/1/b"]
    assert [o.key for o in store.objects("p/labels/")] == ["p/labels/a"]


def test_files_of_predictions_that_were_read_last_are_remembered(
    counted: CountingStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept, "_MOST_PARTS", 10)
    store = keeping(counted)
    one, other = (f"p/predictions/1/{v}/part-0.parquet" for v in "12")
    for key in (one, other):
        counted.write(key, key[-14:-8].encode())
    for key in (one, one, other, other, one):
        assert store.read(key) == counted.inner.read(key)
    assert counted.asked == [one, other, one]
    store.write(one, b"2")
    assert store.read(one) == b"2"


def test_a_manifest_that_the_listing_does_not_have_is_not_asked_for(counted: CountingStore) -> None:
    store = keeping(counted)
    put(counted, 1)
    assert store.folders("p/predictions") == ["0001"]
    put(counted, 2)
    counted.asked.clear()
    with pytest.raises(NotThereError):
        store.read("p/predictions/0002/manifest.json")
    assert counted.asked == []
    with pytest.raises(AlreadyThereError):
        store.create("p/predictions/0002/manifest.json", b"other")
    assert store.read("p/predictions/0002/manifest.json") == b"2"


def test_large_objects_are_not_copied(disk: DirectoryStore) -> None:
    big = b" " * (1 << 21) + b"1"
    disk.create("p/predictions/big/manifest.json", big)
    store = keeping(disk)
    assert store.read("p/predictions/big/manifest.json") == big
    store.roll_up("p")
    assert disk.keys("p/rollups") == []


def test_what_does_not_exist_stays_unknown(disk: DirectoryStore) -> None:
    store = keeping(disk)
    store.prefetch(["p/tallies/x.parquet"])
    with pytest.raises(NotThereError):
        store.frame("p/tallies/x.parquet")
    store.create("p/tallies/x.parquet", b"not Parquet")
    assert store.read("p/tallies/x.parquet") == b"not Parquet"


def test_a_log_is_listed_anew_once_this_run_has_written_to_it_or_wants_to_know(counted: CountingStore) -> None:
    store = keeping(counted)
    counted.create("p/reigns/00000001.json", b"1")
    assert store.keys("p/reigns") == store.keys("p/reigns/") == ["p/reigns/00000001.json"]
    counted.create("p/reigns/00000002.json", b"2")
    assert len(store.keys("p/reigns")) == 1
    store.write("p/mlflow/x", b"")
    assert len(store.keys("p/reigns")) == 1
    store.look_anew()
    assert len(store.keys("p/reigns")) == 2
    counted.create("p/reigns/00000003.json", b"3")
    assert len(as_it_is(store).keys("p/reigns")) == 3
    store.create("p/reigns/00000004.json", b"4")
    assert len(store.keys("p/reigns")) == 4
    assert as_it_is(counted) is counted


def test_what_was_noted_is_known_to_later_runs_until_its_rollup_is_lost(disk: DirectoryStore) -> None:
    first = keeping(disk)
    assert first.noted("p/footers/x") is None
    first.note("p/footers/x", b"1")
    assert first.noted("p/footers/x") == b"1"
    first.roll_up("p")
    assert keeping(disk).noted("p/footers/x") == b"1"
    assert disk.keys("p/footers") == []
    for name in disk.keys("p/rollups"):
        assert copy_faults(disk, name) == []
        disk.delete(name)
    assert keeping(disk).noted("p/footers/x") is None


def test_what_was_removed_and_is_created_anew_is_not_taken_from_a_rollup(disk: DirectoryStore) -> None:
    manifest, _ = put(disk, 1)
    store = keeping(disk)
    read_one(store)
    store.roll_up("p")
    disk.delete(manifest)
    again = keeping(disk)
    assert again.read(manifest) == b"1"
    again.create(manifest, b"2")
    assert again.read(manifest) == b"2"
    assert disk.keys("p/rollups") == []
    assert keeping(disk).read(manifest) == b"2"


def test_rollups_of_a_project_that_was_begun_anew_in_the_same_place_count_for_nothing(disk: DirectoryStore) -> None:
    disk.create("p/reigns/00000001.json", b"one")
    manifest, _ = put(disk, 1)
    store = keeping(disk)
    read_one(store)
    store.roll_up("p")
    for key in ("p/reigns/00000001.json", manifest):
        disk.delete(key)
    disk.create("p/reigns/00000001.json", b"another")
    with pytest.raises(NotThereError):
        read_one(keeping(disk))
