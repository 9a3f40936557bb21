"""Rows apart by the hash of their ids, so that a batch of any size is joined in bounded memory: what has one id is in one bucket."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import polars as pl

from tasks.base.errors import DethroneError, first_line

__all__ = ["Buckets", "TemporaryFolderError"]

_BUCKET_ROWS = 1 << 19  # rows of the batch in each bucket
_HELD_ROWS = 1 << 16  # that wait to be joined
_HELD_BYTES = 16 * 1024 * 1024  # that wait to be written
_BUCKET = "bucket"


class TemporaryFolderError(DethroneError):
    """There is no room for temporary files."""


class Buckets:
    """Frames with a column ``id``, in one bucket in memory, or in several in a temporary folder. Use it as a context manager.

    The ``rows`` of the batch are added before what is joined with them; no more than one of the folder's files is open at once.
    What adds or reads raises TemporaryFolderError.
    """

    def __init__(self, rows: int) -> None:
        self.count = max(1, -(-rows // _BUCKET_ROWS))
        self._held: dict[tuple[str, int], list[pl.DataFrame]] = {}
        self._held_bytes = 0
        self._written: dict[tuple[str, int], list[Path]] = {}
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._waiting: dict[str, list[pl.DataFrame]] = {}  # small frames are joined together

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
        waiting = self._waiting.setdefault(name, [])
        waiting.append(frame)
        if sum(f.height for f in waiting) >= _HELD_ROWS:
            self._add_waiting(name)

    @property
    def ids(self) -> pl.Series | None:
        """The ids of all rows, if they are in memory."""
        return pl.concat(self._held["rows", 0])["id"] if self.count == 1 else None

    def __iter__(self) -> Iterator[tuple[int, pl.DataFrame]]:
        """The number of each bucket that has rows of the batch, and these, in their order."""
        for bucket in range(self.count):
            if frames := self._frames("rows", bucket):
                yield bucket, pl.concat(frames)

    def joined(self, name: str, bucket: int, rows: pl.DataFrame) -> pl.DataFrame | None:
        """What was added under this name with an id of ``rows``, the rows of the bucket; None if there is nothing."""
        self._add_waiting(name)
        frames = [f for f in self._frames(name, bucket) if f.height]
        if not frames:
            return None
        frame = pl.concat(frames, how="diagonal")
        return frame if self.count == 1 else frame.join(rows, on="id", how="semi")

    def _add_waiting(self, name: str) -> None:
        if waiting := self._waiting.pop(name, None):
            frame = pl.concat(waiting, how="diagonal")
            if (ids := self.ids) is not None:
                frame = frame.join(ids.to_frame(), on="id", how="semi", maintain_order="left")
            self._add(name, frame)

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
            try:
                pl.concat(frames, how="diagonal").write_ipc(paths[-1], compression="uncompressed")
            except (OSError, pl.exceptions.PolarsError) as error:
                msg = f"{paths[-1]} cannot be written ({first_line(error)}); make room there, or name another folder with TMPDIR"
                raise TemporaryFolderError(msg) from error
        self._held.clear()
        self._held_bytes = 0

    def _frames(self, name: str, bucket: int) -> list[pl.DataFrame]:
        written = [pl.read_ipc(path) for path in self._written.get((name, bucket), ())]
        return written + self._held.get((name, bucket), [])
