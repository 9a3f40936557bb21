"""Rows apart by the hash of their ids, so that a batch of any size is joined in bounded memory: what has one id is in one bucket."""

from __future__ import annotations

import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

import polars as pl

__all__ = ["Buckets"]

_BUCKET_ROWS = 1 << 19  # rows of the batch in each bucket
_HELD_BYTES = 16 * 1024 * 1024  # that wait to be written
_BUCKET = "bucket"


class Buckets:
    """Frames with a column ``id``, in one bucket in memory, or in several in a temporary folder. Use it as a context manager.

    The ``rows`` of the batch are added before what is joined with them; no more than one of the folder's files is open at once.
    """

    def __init__(self, rows: int, *, bucket_rows: int = _BUCKET_ROWS) -> None:
        self.count = max(1, -(-rows // bucket_rows))
        self._held: dict[tuple[str, int], list[pl.DataFrame]] = {}
        self._held_bytes = 0
        self._written: dict[tuple[str, int], list[Path]] = {}
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._own: pl.DataFrame | None = None  # the ids of the rows, where there is one bucket

    def __enter__(self) -> Self:
        if self.count > 1:
            self._folder = tempfile.TemporaryDirectory(prefix="dethrone-")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._folder:
            self._folder.cleanup()

    def add_rows(self, frame: pl.DataFrame) -> None:
        """Add rows of the batch."""
        self._add("rows", frame)

    def add(self, name: str, frame: pl.DataFrame) -> None:
        """Add to the frames of this name; what has no id of the batch may be left out."""
        if self.count == 1:
            if self._own is None:
                self._own = self.rows(0).select("id")
            frame = frame.join(self._own, on="id", how="semi", maintain_order="left")
        self._add(name, frame)

    def rows(self, bucket: int) -> pl.DataFrame:
        """The rows of the batch in this bucket, in their order."""
        return pl.concat(self._frames("rows", bucket))

    def joined(self, name: str, bucket: int, rows: pl.DataFrame) -> pl.DataFrame | None:
        """What was added under this name with an id of ``rows``, the rows of the bucket; None if there is nothing."""
        frames = [f for f in self._frames(name, bucket) if f.height]
        if not frames:
            return None
        frame = pl.concat(frames, how="diagonal")
        return frame if self.count == 1 else frame.join(rows, on="id", how="semi")

    def _add(self, name: str, frame: pl.DataFrame) -> None:
        if self.count == 1:
            self._held.setdefault((name, 0), []).append(frame)
            return
        hashed = frame.with_columns((pl.col("id").hash() % self.count).cast(pl.UInt16).alias(_BUCKET))
        for (bucket,), rows in hashed.partition_by(_BUCKET, as_dict=True, include_key=False).items():
            self._held.setdefault((name, int(bucket)), []).append(rows)
        self._held_bytes += int(frame.estimated_size())
        if self._held_bytes > _HELD_BYTES:
            self._write()

    def _write(self) -> None:
        assert self._folder is not None
        for (name, bucket), frames in self._held.items():
            paths = self._written.setdefault((name, bucket), [])
            paths.append(Path(self._folder.name) / f"{name}-{bucket}-{len(paths)}.arrow")
            pl.concat(frames, how="diagonal").write_ipc(paths[-1], compression="uncompressed")
        self._held.clear()
        self._held_bytes = 0

    def _frames(self, name: str, bucket: int) -> list[pl.DataFrame]:
        written = [pl.read_ipc(path) for path in self._written.get((name, bucket), ())]
        return written + self._held.get((name, bucket), [])
