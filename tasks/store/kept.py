"""A store during one run: what cannot change is read once, and from roll-ups where there are some."""

from __future__ import annotations

import bisect
import hashlib
import io
import re
import threading
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path

import polars as pl

from tasks.base.errors import DamagedError
from tasks.store.known_rollups import READERS, KnownRollups, rollup_folder
from tasks.store.port import AlreadyThereError, NotThereError, Store, StoredObject
from tasks.store.rollups import StoredFrame

__all__ = ["KeptStore", "as_it_is", "keeping", "look_anew", "rollup_folder"]

_LARGEST = 1 << 20  # bytes of an object that is worth a copy
_MOST_PARTS = 32 << 20  # bytes of predictions that are remembered
_CREATE_ONLY = re.compile(
    r"[^/]+/(predictions/[^/]+/manifest\.json|(replays|tallies|contenders|versions|decisions|reigns|approvals)/.+)"
)
_ROLLED_UP = re.compile(
    r"[^/]+/(predictions/[^/]+/manifest\.json|(replays|tallies|contenders|versions|footers|approvals|decisions)/.+)"
)
_MANIFEST = re.compile(r"(?P<predictions>[^/]+/predictions)/(?P<batch>[^/]+)/manifest\.json")
_PART = re.compile(r"[^/]+/predictions/.+\.parquet")
_LOGS = re.compile(r"[^/]+/(reigns|approvals)")
_FILES = re.compile(r"[^/]+/(labels|batches(/[^/]+)?)")
_BATCHES = re.compile(r"[^/]+/batches(/.+)?")
_GROWING = re.compile(r"[^/]+/(predictions|replays|tallies|decisions)(/.*)?")


def keeping(store: Store) -> KeptStore:
    """The store, with a memory for one run; the same one if it has a memory already."""
    return store if isinstance(store, KeptStore) else KeptStore(store)


def as_it_is(store: Store) -> Store:
    """The store without a memory, for who has to see what others wrote since."""
    return store._store if isinstance(store, KeptStore) else store  # noqa: SLF001


def look_anew(store: Store) -> None:
    """Let whoever next asks for the promotion log, for denials or for files of batches see what others have written by then."""
    if isinstance(store, KeptStore):
        store.look_anew()


class KeptStore:
    """A store that remembers, for one run, the create-only objects that were read or written, and listings.

    To this run, folders that only grow are as they were when it first listed them, with what it wrote itself. It sees what others wrote
    in between once a ``create`` finds a key taken. Logs and files of batches are listed anew after ``look_anew``, and logs also after
    this run has written to them; labels are listed once.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = threading.RLock()
        self._bytes: dict[str, bytes] = {}
        self._frames: dict[str, StoredFrame] = {}
        self._parts: dict[str, bytes] = {}  # the one that was read last comes last
        self._listings: dict[tuple[str, str], list[str]] = {}
        self._rollups = KnownRollups(store, self.read)
        self._large: set[str] = set()
        self._objects: dict[str, list[StoredObject]] = {}
        self._absent: set[str] = set()  # for the next who asks; the one after asks the store

    @property
    def uri(self) -> str:
        return self._store.uri

    def read(self, key: str) -> bytes:
        if _PART.fullmatch(key):
            return self._part(key)
        if not _CREATE_ONLY.fullmatch(key):
            return self._store.read(key)
        if key in self._absent or self._lacks_manifest(key):
            self._absent.discard(key)
            msg = f"{self.uri}: there is no {key}"
            raise NotThereError(msg)
        data = self.noted(key)
        if data is None:
            data = self._store.read(key)
            self._bytes[key] = data
        return data

    def frame(self, key: str) -> StoredFrame:
        """The frame in a create-only Parquet object. Raises NotThereError, and DamagedError if it is none."""
        known = self._frames.get(key) or self._rollups.frame(key)
        if known:
            self._frames[key] = known
            return known
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

    def prefetch(self, keys: Iterable[str]) -> set[str]:
        """Read what is not known of these create-only objects, several at once; returns those that do not exist."""
        missing = [k for k in keys if not self._knows(k)]
        absent = set()

        def read(key: str) -> None:
            try:
                self.read(key)
            except NotThereError:
                absent.add(key)

        with ThreadPoolExecutor(READERS) as pool:
            list(pool.map(read, missing))
        self._absent |= absent
        return absent

    def note(self, key: str, data: bytes) -> None:
        """Remember something that can be found out again, and is no object: later runs know it from roll-ups alone."""
        self._bytes[key] = data

    def noted(self, key: str) -> bytes | None:
        """What was noted under this key, by this run or one before; None if nothing was, or its roll-up is lost."""
        known = self._bytes.get(key)
        return self._rollups.document(key) if known is None and _ROLLED_UP.fullmatch(key) else known

    def roll_up(self, project_name: str, *, fewest: int = 1) -> None:
        """Write a roll-up of what this run has read and written, and no roll-up has; nothing if these are less than ``fewest`` objects."""
        seen = {*self._bytes, *self._frames} - self._large
        worth = [k for k in seen if _ROLLED_UP.fullmatch(k) and len(self._bytes.get(k, b"")) <= _LARGEST]
        if sum(k not in self._rollups for k in worth) >= fewest:
            self._rollups.write(project_name, worth, self.frame, self.noted)

    def look_anew(self) -> None:
        """Forget the listings of logs and of batches."""
        with self._lock:
            self._listings = {at: listed for at, listed in self._listings.items() if not _LOGS.fullmatch(at[1])}
            self._objects = {at: listed for at, listed in self._objects.items() if not _BATCHES.fullmatch(at)}

    def write(self, key: str, data: bytes) -> None:
        self._store.write(key, data)
        self._parts.pop(key, None)
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
        self._rollups.remove(key)
        with self._lock:
            self._bytes[key] = data
        self._list_written(key)

    def delete(self, key: str) -> None:
        self._store.delete(key)
        for known in (self._bytes, self._frames, self._parts):
            known.pop(key, None)
        self._forget_listings(key)

    def keys(self, prefix: str) -> list[str]:
        return self._listed("keys", prefix)

    def folders(self, prefix: str) -> list[str]:
        return self._listed("folders", prefix)

    def objects(self, prefix: str) -> list[StoredObject]:
        folder = prefix.removesuffix("/")
        if not _FILES.fullmatch(folder):
            return self._store.objects(prefix)
        if folder not in self._objects:
            above = self._objects.get(folder.rpartition("/")[0])
            inside = above and [o for o in above if o.key.startswith(f"{folder}/")]
            self._objects[folder] = self._store.objects(prefix) if inside is None else inside
        return self._objects[folder]

    def read_start(self, key: str, size: int) -> bytes:
        return self._store.read_start(key, size)

    def local(self, key: str) -> AbstractContextManager[Path]:
        return self._store.local(key)

    def _part(self, key: str) -> bytes:
        """A file of predictions: those that were read last are remembered."""
        with self._lock:
            data = self._parts.pop(key, None)
        if data is None:
            data = self._store.read(key)
        with self._lock:
            self._parts[key] = data
            size = sum(map(len, self._parts.values()))
            while size > _MOST_PARTS:
                size -= len(self._parts.pop(next(iter(self._parts))))
        return data

    def _lacks_manifest(self, key: str) -> bool:
        """Whether the listing of the scored batches says that there is no such manifest."""
        match = _MANIFEST.fullmatch(key)
        listed = match and self._listings.get(("folders", match["predictions"]))
        return listed is not None and match is not None and match["batch"] not in listed

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
        """Add the key to what was listed; a log is to be listed again."""
        with self._lock:
            for at in [at for at in self._listings if _LOGS.fullmatch(at[1]) and key.startswith(f"{at[1]}/")]:
                del self._listings[at]
            for (what, prefix), listed in self._listings.items():
                if key.startswith(f"{prefix}/"):
                    name = key if what == "keys" else key.removeprefix(f"{prefix}/").partition("/")[0]
                    if name not in listed and (what == "keys" or key != f"{prefix}/{name}"):
                        bisect.insort(listed, name)

    def _forget_listings(self, key: str) -> None:
        with self._lock:
            self._listings = {at: listed for at, listed in self._listings.items() if not key.startswith(f"{at[1]}/")}

    def _knows(self, key: str) -> bool:
        return key in self._bytes or key in self._frames or key in self._rollups
