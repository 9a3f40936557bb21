"""Which files below a folder hold rows, and why the others are passed over."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal

from tasks.base.errors import DethroneError
from tasks.store import Store, StoredObject, is_key

__all__ = ["FileKind", "PassedOver", "RowFile", "TableError", "is_parquet", "require_distinct", "sort_files"]

FileKind = Literal["parquet", "csv", "json", "unknown"]

_KINDS: dict[str, FileKind] = {
    ".parquet": "parquet", ".pq": "parquet", ".parq": "parquet", ".csv": "csv", ".csv.gz": "csv",
    ".jsonl": "json", ".ndjson": "json", ".jsonl.gz": "json", ".ndjson.gz": "json",
}  # fmt: skip
_MAGIC = b"PAR1"
_UNFINISHED = (".tmp", ".temp", ".part", ".partial", ".filepart", ".crdownload", ".inprogress", "._copying_", "~")
_CHECKSUMS = (".crc", ".md5", ".sha1", ".sha256")


class TableError(DethroneError):
    """The files of a folder cannot be read as one table."""


@dataclass(frozen=True, slots=True)
class PassedOver:
    """A file that is not read, and why; ``may_hold_rows`` where somebody may have meant it to be read."""

    key: str
    reason: str
    may_hold_rows: bool = False

    def __str__(self) -> str:
        return f"{self.key}: {self.reason}"


@dataclass(frozen=True, slots=True)
class RowFile:
    """A file of rows; its kind is unknown where only its first bytes tell whether it is Parquet."""

    key: str
    size: int
    kind: FileKind


def sort_files(folder: str, objects: Iterable[StoredObject]) -> tuple[list[RowFile], list[PassedOver]]:
    """Tell the files of rows below ``folder`` from those that are passed over, by their names."""
    files: list[RowFile] = []
    passed: list[PassedOver] = []
    first: dict[tuple[int, int], str] = {}
    for one in objects:
        over = _reason(folder, one)
        if over is None and one.identity in first:
            over = PassedOver(one.key, f"a link, or another name, of {first[one.identity]}")
        if over:
            passed.append(over)
            continue
        files.append(RowFile(one.key, one.size, _kind(one.key)[1]))
        if one.identity:
            first[one.identity] = one.key
    return files, passed


def require_distinct(files: Iterable[RowFile]) -> None:
    """Raise TableError if two files have the same name and are of different kinds, as they may hold the same rows."""
    named: dict[str, str] = {}
    for file in files:
        ending, kind = _kind(file.key)
        stem = file.key.removesuffix(ending)
        if kind != "unknown" and stem in named:
            msg = f"{named[stem]} and {file.key} have the same name and may hold the same rows; remove one of them, or rename it"
            raise TableError(msg)
        if kind != "unknown":
            named[stem] = file.key


def is_parquet(store: Store, file: RowFile) -> bool:
    """Whether the first bytes of a file say that it is Parquet, whatever its name."""
    return store.read_start(file.key, len(_MAGIC)) == _MAGIC


def _kind(key: str) -> tuple[str, FileKind]:
    name = PurePosixPath(key).name
    for ending, kind in _KINDS.items():
        if name.lower().endswith(ending):
            return name[-len(ending) :], kind
    return "", "unknown"


def _reason(folder: str, one: StoredObject) -> PassedOver | None:
    *folders, name = one.key.removeprefix(f"{folder}/").split("/")
    lower = name.lower()
    if lower.endswith(_CHECKSUMS):
        return PassedOver(one.key, "a checksum")
    if not is_key(one.key):
        return PassedOver(one.key, "hidden")
    if "_temporary" in folders or lower.endswith(_UNFINISHED):
        return PassedOver(one.key, "a temporary file of a write that is not finished", may_hold_rows=True)
    if any(f.startswith("_") and "=" not in f for f in folders):
        return PassedOver(one.key, "in a folder whose name begins with _", may_hold_rows=_kind(name)[1] != "unknown")
    if name.startswith("_") and _kind(name)[1] == "unknown":
        return PassedOver(one.key, "a marker")
    if not one.size and _kind(name)[1] == "unknown":
        return PassedOver(one.key, "empty")
    return None
