"""The ids of scored batches and how they are compared: as whole numbers where they are, and else as text."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import polars as pl

from analysis.tables.record import digest
from tasks.batches.predictions import Manifest, read_parts
from tasks.store import Store, keeping

__all__ = ["BatchIds", "IdRange", "as_key", "is_whole", "key_type"]

_MOST_BYTES = 64 * 1024 * 1024  # ids that are kept in memory from one batch of a run to the next
_WHOLE = (pl.Int8, pl.Int16, pl.Int32, pl.Int64, pl.UInt8, pl.UInt16, pl.UInt32)


def is_whole(dtype: pl.DataType) -> bool:
    """Whether these ids are numbers that 64 bits with a sign hold."""
    return dtype in _WHOLE


def key_type(dtype: pl.DataType) -> pl.DataType:
    """The type in which ids of this type are compared with others."""
    return pl.Int64() if is_whole(dtype) else pl.String()


def as_key(ids: pl.Series, key: pl.DataType) -> pl.Series:
    """The ids in the type in which they are compared; null for text that no whole number is written as, such as '007'."""
    if key != pl.Int64:
        return ids.cast(pl.String)
    if is_whole(ids.dtype):
        return ids.cast(pl.Int64)
    text = ids.cast(pl.String)
    number = text.cast(pl.Int64, strict=False)
    return number.set(number.cast(pl.String) != text, None)


@dataclass(frozen=True, slots=True)
class IdRange:
    """The least and the greatest of some ids, as whole numbers or as text; None if there are no ids."""

    least: Any
    greatest: Any

    @classmethod
    def of(cls, ids: pl.Series) -> IdRange:
        keys = as_key(ids, key_type(ids.dtype))
        return cls(keys.min(), keys.max())

    def meets(self, other: IdRange | None) -> bool:
        """Whether an id can be in both; None is a range that is not known."""
        if other is None:
            return True
        if self.least is None or other.least is None:
            return False
        if type(self.least) is not type(other.least):
            return True
        return bool(self.least <= other.greatest and other.least <= self.greatest)

    def __or__(self, other: IdRange) -> IdRange:
        """The range of both; they are of one type."""
        least = [v for v in (self.least, other.least) if v is not None]
        greatest = [v for v in (self.greatest, other.greatest) if v is not None]
        return IdRange(min(least, default=None), max(greatest, default=None))


class BatchIds:
    """The ids of scored batches, as they are in their files. Every method raises DamagedError and DeletedError.

    Their ranges are remembered from run to run, so that files whose ids cannot meet are not read.
    """

    def __init__(self, store: Store, *, most_bytes: int = _MOST_BYTES) -> None:
        self._store, self._most_bytes = keeping(store), most_bytes
        self._kept: dict[str, list[pl.Series]] = {}  # the one that was read last comes last
        self._sizes: dict[str, int] = {}
        self._ranges: dict[str, IdRange] = {}

    def parts(self, manifest: Manifest) -> Iterator[pl.Series]:
        """The ids of the batch's rows in their order, file by file."""
        batch = manifest.batch
        kept = self._kept.pop(batch, None)
        if kept is not None:
            self._kept[batch] = kept
            yield from kept
            return
        found, size, known = [], 0, IdRange(None, None)
        for part in manifest.parts:
            ids = read_parts(self._store, (part,))["id"]
            known, size = known | IdRange.of(ids), size + int(ids.estimated_size())
            if size <= self._most_bytes:
                found.append(ids)
            yield ids
        self._ranges[batch] = known
        self._store.note(_range_key(manifest), json.dumps([known.least, known.greatest]).encode())
        if size <= self._most_bytes:
            self._keep(batch, found, size)

    def range(self, manifest: Manifest) -> IdRange:
        """The least and the greatest id of the batch."""
        if manifest.batch not in self._ranges:
            noted = self._store.noted(_range_key(manifest))
            if noted is not None:
                self._ranges[manifest.batch] = IdRange(*json.loads(noted))
                return self._ranges[manifest.batch]
            for _ in self.parts(manifest):
                pass
        return self._ranges[manifest.batch]

    def meeting(self, manifest: Manifest, others: Iterable[Manifest]) -> list[Manifest]:
        """Those of the other batches that can have an id of this one. The files of every batch are read at most once in a run."""
        own = self.range(manifest)
        return [m for m in others if own.meets(self.range(m))]

    def _keep(self, batch: str, found: list[pl.Series], size: int) -> None:
        self._kept[batch], self._sizes[batch] = found, size
        while sum(self._sizes[b] for b in self._kept) > self._most_bytes:
            del self._kept[next(iter(self._kept))]


def _range_key(manifest: Manifest) -> str:
    """Under which the range of the ids is remembered: these files have no other."""
    project_name = manifest.parts[0].key.partition("/")[0]
    return f"{project_name}/footers/ids-{digest([p.sha256 for p in manifest.parts])}"
