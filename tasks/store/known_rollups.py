"""The roll-ups of a store during one run: which there are, what they hold, and writing one more."""

from __future__ import annotations

import hashlib
import logging
import threading
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from pathlib import PurePosixPath

from tasks.store.port import AlreadyThereError, NotThereError, Store
from tasks.store.rollups import DamagedRollupError, Rollup, StoredFrame, pack, unpack

__all__ = ["READERS", "KnownRollups", "rollup_folder"]

READERS = 8  # objects that are read at once
SMALL = 4 << 20  # bytes of a roll-up that the next one always takes in

log = logging.getLogger("dethrone")


def rollup_folder(project_name: str) -> str:
    """The folder of the roll-ups of a project."""
    return f"{project_name}/rollups"


class KnownRollups:
    """The roll-ups of the projects in a store, as they are when they are first asked about.

    ``read`` reads a create-only object that is in no roll-up. What is damaged, or of a project that was begun anew in the same place,
    counts for nothing.
    """

    def __init__(self, store: Store, read: Callable[[str], bytes]) -> None:
        self._store, self._read = store, read
        self._lock = threading.RLock()
        self._known: dict[str, dict[str, Rollup]] = {}

    def document(self, key: str) -> bytes | None:
        """The bytes of the object, if a roll-up has them."""
        return next((r.documents[key] for r in self._of(key).values() if key in r.documents), None)

    def frame(self, key: str) -> StoredFrame | None:
        """The frame in the object, if a roll-up has it."""
        return next((f for r in self._of(key).values() if (f := r.frame(key))), None)

    def __contains__(self, key: str) -> bool:
        return any(key in r.keys for r in self._of(key).values())

    def write(
        self,
        project_name: str,
        seen: Collection[str],
        frame: Callable[[str], StoredFrame],
        document: Callable[[str], bytes | None],
    ) -> None:
        """Write a roll-up of those objects that were ``seen`` and are in none, with what is in smaller ones, which are then removed.

        One of up to 4 MiB counts as small, so that there is a single one for years. Of more there are about log2(n) for n objects, and
        each object is copied as often. ``frame`` and ``document`` give what is to be copied.
        """
        known = self._of(f"{project_name}/")
        rolled = {k for r in known.values() for k in r.keys}
        new = {k for k in seen if k not in rolled}
        if not new:
            return
        taken_in, size = {}, len(new)
        for name, rollup in sorted(known.items(), key=lambda item: len(item[1].keys)):
            if rollup.size <= SMALL or len(rollup.keys) <= size:
                taken_in[name] = rollup
                size += len(rollup.keys)
        frames = {k: frame(k) for k in new if k.endswith(".parquet")}
        documents = {k: d for k in new - frames.keys() if (d := document(k)) is not None}
        data = pack(documents, frames, self._origin(project_name), list(taken_in.values()))
        try:
            self._store.create(f"{rollup_folder(project_name)}/{hashlib.sha256(data).hexdigest()}.zip", data)
        except AlreadyThereError:
            log.debug("another run wrote the same roll-up")
        for name in taken_in:
            self._store.delete(name)

    def remove(self, key: str) -> None:
        """Remove roll-ups with an object that somebody removed from the store, and that was created anew just now."""
        known = self._of(key)
        for name in [n for n, r in known.items() if key in r.keys]:
            self._store.delete(name)
            del known[name]

    def _of(self, key: str) -> dict[str, Rollup]:
        """The roll-ups, by key, of the project that the key is of."""
        project_name = key.partition("/")[0]
        with self._lock:
            if project_name not in self._known:
                names = [k for k in self._store.keys(rollup_folder(project_name)) if k.endswith(".zip")]
                with ThreadPoolExecutor(READERS) as pool:
                    read = list(pool.map(self._unpacked, names))
                origin = self._origin(project_name) if names else ""
                self._known[project_name] = {n: r for n, r in zip(names, read, strict=True) if r and r.origin == origin}
            return self._known[project_name]

    def _origin(self, project_name: str) -> str:
        """The digest of the first entry of the promotion log: a project that was begun anew in the same place has another one."""
        try:
            return hashlib.sha256(self._read(f"{project_name}/reigns/00000001.json")).hexdigest()
        except NotThereError:
            return ""

    def _unpacked(self, name: str) -> Rollup | None:
        try:
            data = self._store.read(name)
        except NotThereError:  # another run has taken it in
            return None
        try:
            return unpack(data, PurePosixPath(name).stem)
        except DamagedRollupError:
            log.warning("%s: %s is damaged, and what it sums up is read one by one; remove it", self._store.uri, name)
            return None
