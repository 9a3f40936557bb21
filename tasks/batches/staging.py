"""The predictions of a batch on their way into the store."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterable
from concurrent.futures import ALL_COMPLETED, FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from io import BytesIO
from typing import Self

import polars as pl

from tasks.batches.predictions import Part
from tasks.store import Store

__all__ = ["Staging"]

_UPLOADS = 8  # parts that are on their way to the store at once
_HOLD = 32 * 1024 * 1024  # bytes of parts that are held back until the batch is scored


class Staging:
    """The parts of a batch on their way to the store. Use it as a context manager, which waits for what is being written.

    They are held back until ``upload`` names those of the manifest, so that a batch that fails leaves nothing in the store; but once
    there are more than ``hold`` bytes, they are written while the models still predict, and memory stays bounded.
    """

    def __init__(self, store: Store, project_name: str, batch: str, *, hold: int = _HOLD) -> None:
        self._store, self._prefix, self._hold = store, f"{project_name}/predictions/{batch}", hold
        self._held: dict[str, bytes] = {}
        self._held_bytes = 0
        self._writes: set[Future[None]] = set()
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(_UPLOADS)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)

    def add(self, file_set: str, number: int, frame: pl.DataFrame) -> Part:
        """Stage one file of a file set: ``rows``, or a version. Raises StoreError if the store failed with an earlier one.

        Its key contains its digest, so two runs never write different bytes under one key, and the same bytes under the same.
        """
        buffer = BytesIO()
        frame.write_parquet(buffer)
        data = buffer.getvalue()
        sha256 = hashlib.sha256(data).hexdigest()
        part = Part(f"{self._prefix}/{file_set}/part-{number:05}-{sha256[:12]}.parquet", sha256, frame.height)
        with self._lock:
            self._held_bytes += len(data)
            self._held[part.key] = data
            if self._held_bytes > self._hold:
                self._write(*self._held)
        return part

    def upload(self, parts: Iterable[Part]) -> None:
        """Write those of these parts that are still held back, and wait until all are written."""
        with self._lock:
            self._write(*(part.key for part in parts if part.key in self._held))
            self._wait(ALL_COMPLETED)

    def _write(self, *keys: str) -> None:
        for key in keys:
            if len(self._writes) >= 2 * _UPLOADS:  # a slow store holds the models up, and does not fill the memory
                self._wait(FIRST_COMPLETED)
            self._writes.add(self._pool.submit(self._store.write, key, self._held.pop(key)))

    def _wait(self, until: str) -> None:
        done, self._writes = wait(self._writes, return_when=until)
        for write in done:
            write.result()
