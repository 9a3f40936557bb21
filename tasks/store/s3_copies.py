"""Copies of objects on the disk, of a bounded size together, so that an object that is read twice is fetched once."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import threading
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Copies"]

MOST_BYTES = 2 << 30  # of copies that nobody reads


@dataclass
class _Copy:
    path: Path
    etag: str
    size: int
    readers: int = 0


class Copies:
    """Copies that live as long as this object. ``fetch`` writes an object to a path and returns its ETag.

    It is given the ETag of the copy that is already there, or "", and writes nothing if the object still has it. It is asked again only
    once there is a ``doubt``.
    """

    def __init__(self, fetch: Callable[[str, Path, str], str]) -> None:
        self._fetch = fetch
        self._copies: dict[str, _Copy] = {}  # the one that was read last comes last
        self._sure: set[str] = set()  # keys of copies that were fetched, or compared, since there was a doubt
        self._lock = threading.Lock()
        self._folder: Path | None = None
        self._number = 0

    @contextlib.contextmanager
    def copy(self, key: str) -> Iterator[Path]:
        """A copy of the object as it is, or as it was at some time since there was a doubt about it."""
        with self._lock:
            one = self._current(key)
            one.readers += 1
        try:
            yield one.path
        finally:
            with self._lock:
                one.readers -= 1
                self._make_room()

    def doubt(self, key: str | None = None) -> None:
        """From now on the object, by default every one, may have changed."""
        with self._lock:
            self._sure = self._sure - {key} if key else set()

    def _current(self, key: str) -> _Copy:
        kept = self._copies.pop(key, None)
        if kept and key in self._sure:
            self._copies[key] = kept
            return kept
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="dethrone-"))
            weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        self._number += 1
        path = self._folder / str(self._number)
        etag = ""
        try:
            etag = self._fetch(key, path, kept.etag if kept else "")
        finally:
            if kept and etag != kept.etag and not kept.readers:
                kept.path.unlink(missing_ok=True)
            if not etag:
                path.unlink(missing_ok=True)
        if kept is None or etag != kept.etag:
            kept = _Copy(path, etag, path.stat().st_size)
        self._copies[key] = kept
        self._sure.add(key)
        return kept

    def _make_room(self) -> None:
        size = sum(c.size for c in self._copies.values())
        for key, one in list(self._copies.items()):
            if size <= MOST_BYTES:
                return
            if not one.readers:
                del self._copies[key]
                one.path.unlink(missing_ok=True)
                size -= one.size
