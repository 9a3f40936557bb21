"""What every store promises, whatever it is made of; and what a store in a directory promises besides.

Another store joins by one more entry of the fixture ``store_uri``.
"""

from __future__ import annotations

import errno
import os
import re
import stat
import tempfile
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from racers import payload, race, race_for_keys, write_as_nobody

from tasks.store import AlreadyThereError, NotThereError, Store, StoreError, UnknownOutcomeError, open_store

NO_KEYS = ["../x", "/x", "a/../b", "..", ".hidden", "a/.hidden", "."]

PROCESSES, RACES = 8, 10


@pytest.fixture
def store(store_uri: str) -> Store:
    return open_store(store_uri)


class TestEveryStore:
    @pytest.mark.parametrize("data", [b"", b"\x00\xff", b"text\n", bytes(3_000_000)])
    def test_what_is_written_is_read_back_to_the_byte(self, store: Store, data: bytes) -> None:
        store.write("a/b.bin", data)
        assert store.read("a/b.bin") == data

    def test_the_last_write_of_a_key_wins(self, store: Store) -> None:
        for data in (b"first, and longer", b"second"):
            store.write("a", data)
        assert store.read("a") == b"second"

    def test_what_is_created_is_read_back_by_whoever_opens_the_store(self, store: Store, store_uri: str) -> None:
        store.create("a/b", b"data")
        assert open_store(store_uri).read("a/b") == b"data"

    @pytest.mark.parametrize("before", ["write", "create"])
    def test_create_refuses_a_taken_key_and_changes_nothing(self, store: Store, before: str) -> None:
        getattr(store, before)("a/b", b"first")
        with pytest.raises(AlreadyThereError, match=re.escape("a/b is already there")):
            store.create("a/b", b"second")
        assert store.read("a/b") == b"first"
        assert store.keys("a") == ["a/b"]

    def test_create_refuses_a_taken_key_even_for_the_same_bytes(self, store: Store) -> None:
        store.create("a", b"same")
        with pytest.raises(AlreadyThereError):
            store.create("a", b"same")

    def test_reading_what_is_not_there_says_which_key_of_which_store(self, store: Store) -> None:
        with pytest.raises(NotThereError, match=re.escape(f"{store.uri}: there is no a/b")):
            store.read("a/b")

    def test_a_folder_and_what_lies_below_an_object_are_not_objects(self, store: Store) -> None:
        store.write("folder/object", b"data")
        for key in ("folder", "folder/object/below"):
            with pytest.raises(NotThereError):
                store.read(key)

    def test_a_deleted_object_is_gone_and_its_key_free(self, store: Store) -> None:
        store.write("a", b"old")
        store.delete("a")
        with pytest.raises(NotThereError):
            store.read("a")
        store.create("a", b"new")
        assert store.read("a") == b"new"

    def test_deleting_what_is_not_there_is_no_error(self, store: Store) -> None:
        store.delete("folder/a")
        store.write("folder/b", b"")
        store.delete("folder/a")
        assert store.keys("folder") == ["folder/b"]

    def test_keys_are_whole_and_sorted_and_lie_below_the_folder_alone(self, store: Store) -> None:
        for key in ("p/b/2", "p/b/10", "p/a.json", "p/b.json", "q/b/1", "p/b2/x", "pp/b/1"):
            store.write(key, b"")
        assert store.keys("p") == ["p/a.json", "p/b.json", "p/b/10", "p/b/2", "p/b2/x"]
        assert store.keys("p/b") == store.keys("p/b/") == ["p/b/10", "p/b/2"]

    def test_the_folders_of_a_folder_are_those_that_hold_a_key(self, store: Store) -> None:
        for key in ("p/b/2", "p/a/x/y", "p/c.json", "q/d/1"):
            store.write(key, b"1")
        assert store.folders("p") == store.folders("p/") == ["a", "b"]
        assert store.folders("p/a") == ["x"]
        assert store.folders("p/c.json") == store.folders("nothing/here") == []

    def test_below_a_folder_that_is_not_there_are_no_keys(self, store: Store) -> None:
        assert store.keys("nothing/here") == []

    @pytest.mark.parametrize("key", ["", *NO_KEYS])
    def test_what_is_no_key_is_refused_by_every_operation(self, store: Store, key: str) -> None:
        operations: list[Callable[[], object]] = [
            lambda: store.read(key),
            lambda: store.write(key, b"data"),
            lambda: store.create(key, b"data"),
            lambda: store.delete(key),
            lambda: store.keys(key),
            lambda: store.folders(key),
            lambda: store.objects(key),
            lambda: store.read_start(key, 4),
            lambda: store.local(key).__enter__(),
        ]
        for operation in operations:
            with pytest.raises(StoreError, match=re.escape(f"{key!r} is not a key: keys are relative")):
                operation()

    def test_an_object_is_a_local_file_for_whoever_reads_it(self, store: Store) -> None:
        store.write("rows/[1]*.csv", b"first")
        store.write("rows/1x.csv", b"another")
        with store.local("rows/[1]*.csv") as path, store.local("rows/[1]*.csv") as again:
            assert path.read_bytes() == again.read_bytes() == b"first"
        store.write("rows/[1]*.csv", b"second, which is longer")
        with store.local("rows/[1]*.csv") as path:
            assert path.read_bytes() == b"second, which is longer"

    def test_the_start_of_an_object_is_all_of_a_short_one(self, store: Store) -> None:
        for data in (b"", b"PAR", b"PAR1 and more"):
            store.write("a", data)
            assert store.read_start("a", 4) == data[:4]

    def test_what_is_not_there_has_no_start_and_no_local_file(self, store: Store) -> None:
        with pytest.raises(NotThereError, match="there is no a/b"):
            store.read_start("a/b", 4)
        with pytest.raises(NotThereError, match="there is no a/b"), store.local("a/b"):
            pass

    def test_a_listing_tells_sizes_and_when_objects_came(self, store: Store) -> None:
        before = datetime.now(UTC) - timedelta(seconds=10)  # a server's clock may differ, and tells seconds
        store.write("a/2", b"12")
        store.write("a/1/x", b"1")
        listed = store.objects("a")
        assert [(o.key, o.size) for o in listed] == [("a/1/x", 1), ("a/2", 2)]
        assert all(before <= o.changed <= datetime.now(UTC) + timedelta(seconds=10) for o in listed)
        assert store.objects("nothing/here") == []

    def test_the_uri_opens_the_same_store(self, store: Store) -> None:
        store.write("a", b"data")
        assert open_store(store.uri).read("a") == b"data"

    def test_of_many_processes_that_create_a_key_one_wins_and_its_bytes_stay(
        self, store: Store, store_uri: str
    ) -> None:
        keys = [f"races/{n}" for n in range(RACES)]
        wins = race(race_for_keys, PROCESSES, store_uri, keys)
        for key in keys:
            winners = [number for number, won in wins if key in won]
            assert len(winners) == 1
            assert store.read(key) == payload(winners[0])
        assert store.keys("races") == sorted(keys)

    def test_a_reader_sees_the_old_object_or_the_new_one_and_never_a_part(self, store: Store) -> None:
        versions = [bytes([n]) * (1_000_000 + n) for n in range(12)]
        store.write("folder/object", versions[0])
        written, torn = threading.Event(), []

        def watch() -> None:
            while not written.is_set():
                if store.keys("folder") != ["folder/object"]:
                    torn.append("keys")
                seen = store.read("folder/object")
                if seen not in versions:
                    torn.append(f"{len(seen)} bytes")

        watcher = threading.Thread(target=watch)
        watcher.start()
        for data in versions:
            store.write("folder/object", data)
        written.set()
        watcher.join()
        assert torn == []


class TestDirectory:
    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        return tmp_path / "store"

    @pytest.fixture
    def store(self, folder: Path) -> Store:
        return open_store(str(folder))

    def test_an_escaping_key_touches_nothing_outside(self, store: Store, folder: Path) -> None:
        store.write("a", b"inside")
        (folder.parent / "x").write_bytes(b"outside")
        for key in ("../x", f"{folder.parent}/x"):
            for operation in (store.read, store.delete, store.keys):
                with pytest.raises(StoreError):
                    operation(key)
        assert (folder.parent / "x").read_bytes() == b"outside"

    def test_a_copy_that_a_crash_left_half_written_is_never_seen(self, store: Store, folder: Path) -> None:
        store.write("a/whole", b"data")
        (folder / "a" / ".half.0123456789ab").write_bytes(b"da")
        assert store.keys("a") == ["a/whole"]

    def test_what_other_tools_keep_in_hidden_folders_is_no_object(self, store: Store, folder: Path) -> None:
        store.write("a/rows.parquet", b"data")
        (folder / "a" / ".ipynb_checkpoints").mkdir()
        (folder / "a" / ".ipynb_checkpoints" / "rows-checkpoint.parquet").write_bytes(b"old")
        assert store.keys("a") == ["a/rows.parquet"]
        assert [o.key for o in store.objects("a")] == ["a/.ipynb_checkpoints/rows-checkpoint.parquet", "a/rows.parquet"]

    def test_links_are_followed_and_a_loop_of_them_ends(self, store: Store, folder: Path, tmp_path: Path) -> None:
        store.write("a/rows.parquet", b"data")
        elsewhere = tmp_path / "elsewhere"
        elsewhere.mkdir()
        (elsewhere / "more.parquet").write_bytes(b"more")
        (folder / "a" / "linked").symlink_to(elsewhere)
        (folder / "a" / "loop").symlink_to(folder / "a")
        (folder / "a" / "same.parquet").symlink_to("rows.parquet")
        (folder / "a" / "gone.parquet").symlink_to("nowhere.parquet")
        listed = {o.key: (o.size, o.identity) for o in store.objects("a")}
        assert store.keys("a") == ["a/linked/more.parquet", "a/rows.parquet", "a/same.parquet"]
        assert listed["a/same.parquet"] == listed["a/rows.parquet"]
        assert listed["a/gone.parquet"] == (0, None)

    def test_a_copy_that_keeps_an_old_time_came_now(self, store: Store, folder: Path) -> None:
        store.write("a/rows", b"data")
        os.utime(folder / "a" / "rows", (0, 0))
        (listed,) = store.objects("a")
        assert datetime.now(UTC) - listed.changed < timedelta(minutes=1)

    @pytest.mark.parametrize("act", ["write", "create"])
    def test_a_write_leaves_one_file_behind(self, store: Store, folder: Path, act: str) -> None:
        getattr(store, act)("a/b", b"data")
        assert [p.name for p in (folder / "a").iterdir()] == ["b"]

    @pytest.mark.parametrize("act", ["write", "create"])
    def test_a_write_that_fails_leaves_nothing_behind(self, store: Store, folder: Path, act: str) -> None:
        """A folder lies where the object should go."""
        store.write("a/b/c", b"data")
        with pytest.raises(StoreError, match=r"a/b (cannot be written: a folder has this name|is already there)"):
            getattr(store, act)("a/b", b"data")
        assert [p.name for p in (folder / "a").iterdir()] == ["b"]
        assert store.read("a/b/c") == b"data"

    @pytest.mark.parametrize("act", ["write", "create"])
    def test_a_full_disk_has_a_sentence_and_leaves_nothing(
        self, store: Store, folder: Path, monkeypatch: pytest.MonkeyPatch, act: str
    ) -> None:
        def full(_: int) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(
            StoreError, match=f"{folder}: a/b cannot be written: the disk is full; make room and run again"
        ):
            getattr(store, act)("a/b", b"data")
        assert list((folder / "a").iterdir()) == []

    @pytest.mark.parametrize(
        ("number", "sentence"),
        [
            (errno.EROFS, "the file system is read-only; name a directory that can be written to"),
            (errno.EACCES, "permission was denied; change the permissions or name another directory"),
            (errno.EPERM, "the file system does not allow it, or has no hard links"),
            (errno.EIO, "Input/output error"),
        ],
    )
    def test_what_the_file_system_refuses_was_not_created(
        self, store: Store, folder: Path, monkeypatch: pytest.MonkeyPatch, number: int, sentence: str
    ) -> None:
        def refuse(*_: object) -> None:
            raise OSError(number, os.strerror(number))

        monkeypatch.setattr(os, "link", refuse)
        with pytest.raises(StoreError, match=f"{folder}: a/b cannot be written: {sentence}") as caught:
            store.create("a/b", b"data")
        assert type(caught.value) is StoreError
        assert list((folder / "a").iterdir()) == []

    def test_an_entry_that_cannot_be_made_durable_is_an_unknown_outcome(
        self, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail_on_folders(descriptor: int) -> None:
            if stat.S_ISDIR(os.fstat(descriptor).st_mode):
                raise OSError(errno.EIO, os.strerror(errno.EIO))

        monkeypatch.setattr(os, "fsync", fail_on_folders)
        with pytest.raises(
            UnknownOutcomeError, match=r"a/b was written, but may not survive a power failure: Input/output"
        ):
            store.create("a/b", b"data")
        with pytest.raises(AlreadyThereError):
            store.create("a/b", b"data")

    def test_a_directory_that_may_not_be_written_to_has_a_sentence(self) -> None:
        """Asked by somebody who is not root, as root may write anywhere."""
        with tempfile.TemporaryDirectory() as place:
            Path(place).chmod(0o555)
            said = race(write_as_nobody, 1, place)
        (sentence,) = said
        assert sentence.startswith(
            f"{place}/store: a/b cannot be written: permission was denied; change the permissions"
        )

    def test_opening_a_store_does_not_need_its_directory(self, store: Store, folder: Path) -> None:
        assert store.keys("a") == []
        store.write("a/b", b"data")
        assert (folder / "a" / "b").read_bytes() == b"data"

    def test_the_store_stays_where_it_was_opened(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        store = open_store("relative")
        (tmp_path / "elsewhere").mkdir()
        monkeypatch.chdir(tmp_path / "elsewhere")
        store.write("a", b"data")
        assert (tmp_path / "relative" / "a").read_bytes() == b"data"


def test_a_scheme_that_nobody_knows_is_refused_with_a_sentence() -> None:
    with pytest.raises(StoreError, match=r"'ftp://' is not supported; name a directory or s3://bucket"):
        open_store("ftp://host/folder")
