"""A store during one run: what cannot change is read once, and from roll-ups where there are some."""

from __future__ import annotations

import bisect
import hashlib
import io
import logging
import re
import threading
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path, PurePosixPath

import polars as pl

from tasks.base.errors import DamagedError
from tasks.store.port import AlreadyThereError, NotThereError, Store, StoredObject
from tasks.store.rollups import DamagedRollupError, Rollup, StoredFrame, pack, unpack

__all__ = ["KeptStore", "as_it_is", "keeping", "rollup_folder"]

_READERS = 8  # objects that are read at once
_LARGEST = 1 << 20  # bytes of an object that is worth a copy
_CREATE_ONLY = re.compile(
    r"[^/]+/(predictions/[^/]+/manifest\.json|(replays|tallies|contenders|versions|decisions|reigns)/.+)"
)
_ROLLED_UP = re.compile(
    r"[^/]+/(predictions/[^/]+/manifest\.json|(replays|tallies|contenders|versions|footers)/.+|decisions/batches/.+)"
)
_LOGS = re.compile(r"[^/]+/(reigns|approvals)")
_LABELS = re.compile(r"[^/]+/labels/?")
_GROWING = re.compile(r"[^/]+/(predictions|replays|tallies|decisions)(/.*)?")

log = logging.getLogger("dethrone")


def rollup_folder(project_name: str) -> str:
    """The folder of the roll-ups of a project."""
    return f"{project_name}/rollups"


def keeping(store: Store) -> KeptStore:
    """The store, with a memory for one run; the same one if it has a memory already."""
    return store if isinstance(store, KeptStore) else KeptStore(store)


def as_it_is(store: Store) -> Store:
    """The store without a memory, for who has to see what others wrote since."""
    return store._store if isinstance(store, KeptStore) else store  # noqa: SLF001


class KeptStore:
    """A store that remembers, for one run, the create-only objects that were read or written, and the listings of folders that only grow.

    To this run, these folders are as they were when it first listed them, with what it wrote itself. It sees what others wrote in
    between once a ``create`` finds a key taken. Logs are listed anew after each write of this run; labels are listed once.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = threading.RLock()
        self._bytes: dict[str, bytes] = {}
        self._frames: dict[str, StoredFrame] = {}
        self._listings: dict[tuple[str, str], list[str]] = {}
        self._rollups: dict[str, dict[str, Rollup]] = {}
        self._large: set[str] = set()
        self._objects: dict[str, list[StoredObject]] = {}
        self._absent: set[str] = set()  # for the next who asks; the one after asks the store

    @property
    def uri(self) -> str:
        return self._store.uri

    def read(self, key: str) -> bytes:
        if not _CREATE_ONLY.fullmatch(key):
            return self._store.read(key)
        if key in self._absent:
            self._absent.discard(key)
            msg = f"{self.uri}: there is no {key}"
            raise NotThereError(msg)
        data = self._bytes.get(key)
        if data is None:
            data = self._rolled_up(key)
        if data is None:
            data = self._store.read(key)
            self._bytes[key] = data
        return data

    def frame(self, key: str) -> StoredFrame:
        """The frame in a create-only Parquet object. Raises NotThereError, and DamagedError if it is none."""
        known = self._frames.get(key)
        if known:
            return known
        for rollup in self._rollups_of(key).values():
            found = rollup.frame(key)
            if found:
                self._frames[key] = found
                return found
        data = self.read(key)
        try:
            frame = pl.read_parquet(io.BytesIO(data))
        except pl.exceptions.PolarsError as error:
            msg = f"{self.uri}: {key} cannot be read as a tally; restore it from a backup"
            raise DamagedError(msg) from error
        if len(data) > _LARGEST:
            self._large.add(key)
        self._frames[key] = StoredFrame(frame, hashlib.sha256(data).hexdigest())
        self._bytes.pop(key, None)
        return self._frames[key]

    def prefetch(self, keys: Iterable[str]) -> None:
        """Read what is not known of these create-only objects, several at once; those that do not exist are left out."""
        missing = [k for k in keys if not self._knows(k)]

        def read(key: str) -> None:
            try:
                self.read(key)
            except NotThereError:
                self._absent.add(key)

        with ThreadPoolExecutor(_READERS) as pool:
            list(pool.map(read, missing))

    def note(self, key: str, data: bytes) -> None:
        """Remember something that can be found out again, and is no object: later runs know it from roll-ups alone."""
        self._bytes[key] = data

    def noted(self, key: str) -> bytes | None:
        """What was noted under this key, by this run or one before; None if nothing was, or its roll-up is lost."""
        known = self._bytes.get(key)
        return self._rolled_up(key) if known is None else known

    def roll_up(self, project_name: str) -> None:
        """Write a roll-up of what this run has read and written, and no roll-up has.

        It takes in smaller ones, so that of n objects there are about log2(n) roll-ups, and each is copied as often.
        """
        known = self._rollups_of(f"{project_name}/")
        rolled = {k for r in known.values() for k in r.keys}
        seen = {*self._bytes, *self._frames} - rolled - self._large
        new = {k for k in seen if _ROLLED_UP.fullmatch(k) and len(self._bytes.get(k, b"")) <= _LARGEST}
        if not new:
            return
        taken_in = []
        for name, rollup in sorted(known.items(), key=lambda item: len(item[1].keys)):
            if len(rollup.keys - new) > len(new):
                break
            taken_in.append(name)
            new |= rollup.keys
        frames = {k: self.frame(k) for k in new if k.endswith(".parquet")}
        documents = {k: d for k in new - frames.keys() if (d := self.noted(k)) is not None}
        data = pack(documents, frames, self._origin(project_name))
        try:
            self._store.create(_key(project_name, data), data)
        except AlreadyThereError:
            log.debug("another run wrote the same roll-up")
        for name in taken_in:
            self._store.delete(name)

    def write(self, key: str, data: bytes) -> None:
        self._store.write(key, data)
        self._list_written(key)

    def create(self, key: str, data: bytes) -> None:
        if not _CREATE_ONLY.fullmatch(key):
            self._store.create(key, data)
            self._list_written(key)
            return
        if key in self._bytes:
            self._forget_listings(key)
            msg = f"{self.uri}: {key} is already there"
            raise AlreadyThereError(msg)
        self._absent.discard(key)
        try:
            self._store.create(key, data)
        except AlreadyThereError:
            self._forget_listings(key)
            raise
        self._remove_rollups_of(key)
        with self._lock:
            self._bytes[key] = data
        self._list_written(key)

    def delete(self, key: str) -> None:
        self._store.delete(key)
        self._bytes.pop(key, None)
        self._frames.pop(key, None)
        self._forget_listings(key)

    def keys(self, prefix: str) -> list[str]:
        return self._listed("keys", prefix)

    def folders(self, prefix: str) -> list[str]:
        return self._listed("folders", prefix)

    def objects(self, prefix: str) -> list[StoredObject]:
        if not _LABELS.fullmatch(prefix):
            return self._store.objects(prefix)
        if prefix not in self._objects:
            self._objects[prefix] = self._store.objects(prefix)
        return self._objects[prefix]

    def read_start(self, key: str, size: int) -> bytes:
        return self._store.read_start(key, size)

    def local(self, key: str) -> AbstractContextManager[Path]:
        return self._store.local(key)

    def _listed(self, what: str, prefix: str) -> list[str]:
        ask = self._store.keys if what == "keys" else self._store.folders
        if not (_GROWING.fullmatch(prefix.removesuffix("/")) or _LOGS.fullmatch(prefix.removesuffix("/"))):
            return ask(prefix)
        at = (what, prefix.removesuffix("/"))
        if at in self._listings:
            return list(self._listings[at])
        above = next((p for w, p in self._listings if what == w == "keys" and at[1].startswith(f"{p}/")), None)
        if above is not None:
            return [k for k in self._listings["keys", above] if k.startswith(f"{at[1]}/")]
        self._listings[at] = ask(prefix)
        return list(self._listings[at])

    def _list_written(self, key: str) -> None:
        """Add the key to what was listed; logs are to be listed again."""
        with self._lock:
            self._listings = {at: listed for at, listed in self._listings.items() if not _LOGS.fullmatch(at[1])}
            for (what, prefix), listed in self._listings.items():
                if key.startswith(f"{prefix}/"):
                    name = key if what == "keys" else key.removeprefix(f"{prefix}/").partition("/")[0]
                    if name not in listed and (what == "keys" or key != f"{prefix}/{name}"):
                        bisect.insort(listed, name)

    def _forget_listings(self, key: str) -> None:
        with self._lock:
            self._listings = {at: listed for at, listed in self._listings.items() if not key.startswith(f"{at[1]}/")}

    def _knows(self, key: str) -> bool:
        return key in self._bytes or key in self._frames or any(key in r.keys for r in self._rollups_of(key).values())

    def _rolled_up(self, key: str) -> bytes | None:
        return next((r.documents[key] for r in self._rollups_of(key).values() if key in r.documents), None)

    def _rollups_of(self, key: str) -> dict[str, Rollup]:
        """The roll-ups, by key, of the project that the key is of; nothing that is damaged."""
        project_name = key.partition("/")[0]
        with self._lock:
            if project_name not in self._rollups:
                names = [k for k in self._store.keys(rollup_folder(project_name)) if k.endswith(".zip")]
                with ThreadPoolExecutor(_READERS) as pool:
                    read = list(pool.map(self._unpacked, names))
                origin = self._origin(project_name) if names else ""
                self._rollups[project_name] = {
                    n: r for n, r in zip(names, read, strict=True) if r and r.origin == origin
                }
            return self._rollups[project_name]

    def _origin(self, project_name: str) -> str:
        """The digest of the first entry of the promotion log: a project that was begun anew in the same place has another one."""
        key = f"{project_name}/reigns/00000001.json"
        try:
            if key not in self._bytes:
                self._bytes[key] = self._store.read(key)
        except NotThereError:
            return ""
        return hashlib.sha256(self._bytes[key]).hexdigest()

    def _remove_rollups_of(self, key: str) -> None:
        """Remove roll-ups with an object that somebody removed from the store, and that was created anew just now."""
        known = self._rollups_of(key)
        for name in [n for n, r in known.items() if key in r.keys]:
            self._store.delete(name)
            del known[name]

    def _unpacked(self, name: str) -> Rollup | None:
        try:
            data = self._store.read(name)
        except NotThereError:  # another run has taken it in
            return None
        try:
            return unpack(data, PurePosixPath(name).stem)
        except DamagedRollupError:
            log.warning("%s: %s is damaged, and what it sums up is read one by one; remove it", self.uri, name)
            return None


def _key(project_name: str, data: bytes) -> str:
    return f"{rollup_folder(project_name)}/{hashlib.sha256(data).hexdigest()}.zip"
