"""The chunks of a batch that are on their way to its versions: written once for all of them, and bounded by their bytes."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping

import pyarrow as pa

from tasks.models.worker.wire import write_table

__all__ = ["Chunk", "InFlight"]


class Chunk:
    """The converted columns of some rows in one file, which is closed when the last of its ``readers`` has released it."""

    def __init__(self, number: int, rows: int, file: int, size: int, nulls: Mapping[str, int], owner: InFlight) -> None:
        self.number, self.rows, self.file, self.nulls = number, rows, file, nulls
        self._size, self._owner = size, owner
        self._readers = 0

    def shared_by(self, readers: int) -> None:
        """Set how many will release the chunk."""
        self._readers = readers
        if readers == 0:
            self._close()

    def release(self) -> None:
        """A reader has no more use for the chunk."""
        with self._owner.lock:
            self._readers -= 1
            last = self._readers == 0
        if last:
            self._close()

    def _close(self) -> None:
        os.close(self.file)
        self._owner.landed(self._size)


class InFlight:
    """The chunks that are not released yet, at most so many bytes of them, or one that is larger alone."""

    def __init__(self, most_bytes: int) -> None:
        self._most, self._bytes = most_bytes, 0
        self.lock = threading.RLock()
        self._fewer = threading.Condition(self.lock)

    def chunk(self, number: int, table: pa.Table) -> Chunk:
        """Write these columns to a file in memory, as soon as there is room."""
        size = table.nbytes
        with self._fewer:
            self._fewer.wait_for(lambda: self._bytes == 0 or self._bytes + size <= self._most)
            self._bytes += size
        nulls = {name: table[name].null_count for name in table.column_names}
        return Chunk(number, table.num_rows, write_table("rows", table), size, nulls, self)

    def landed(self, size: int) -> None:
        """So many bytes are not in flight any more."""
        with self._fewer:
            self._bytes -= size
            self._fewer.notify_all()
