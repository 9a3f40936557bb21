"""A store in a directory of a local file system."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
from collections.abc import Iterator, Sequence
from pathlib import Path

import polars as pl

from tasks.store.port import AlreadyThereError, NotThereError, StoreError, UnknownOutcomeError, key_parts

__all__ = ["DirectoryStore"]


class DirectoryStore:
    """A store in a directory of a local file system that has hard links."""

    def __init__(self, root: Path) -> None:
        self._root = root.absolute()

    @property
    def uri(self) -> str:
        return str(self._root)

    def read(self, key: str) -> bytes:
        path = self._path(key)
        try:
            return path.read_bytes()
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
            msg = f"{self.uri}: there is no {key}"
            raise NotThereError(msg) from None
        except OSError as error:
            raise self._store_error(error, f"{key} cannot be read") from error

    def write(self, key: str, data: bytes) -> None:
        try:
            with self._staged(key, data) as (staged, path):
                staged.replace(path)
                _sync(path.parent)
        except OSError as error:
            raise self._store_error(error, f"{key} cannot be written") from error

    def create(self, key: str, data: bytes) -> None:
        linked = False
        try:
            with self._staged(key, data) as (staged, path):
                try:
                    os.link(staged, path)  # atomic: fails if the path exists
                except FileExistsError:
                    msg = f"{self.uri}: {key} is already there"
                    raise AlreadyThereError(msg) from None
                linked = True
                _sync(path.parent)
        except OSError as error:
            if linked:
                msg = f"{self.uri}: {key} was written, but may not survive a power failure: {error.strerror}; run again"
                raise UnknownOutcomeError(msg) from error
            raise self._store_error(error, f"{key} cannot be written") from error

    def delete(self, key: str) -> None:
        path = self._path(key)
        try:
            path.unlink(missing_ok=True)
        except NotADirectoryError:
            return
        except OSError as error:
            raise self._store_error(error, f"{key} cannot be removed") from error

    def keys(self, prefix: str) -> list[str]:
        folder = self._path(prefix.removesuffix("/"))
        files = (p.relative_to(self._root) for p in folder.rglob("*") if p.is_file())
        return sorted(p.as_posix() for p in files if not any(part.startswith(".") for part in p.parts))

    def scan_parquet(self, keys: Sequence[str]) -> pl.LazyFrame:
        return pl.scan_parquet([self._path(k) for k in keys], glob=False)

    def _path(self, key: str) -> Path:
        return self._root.joinpath(*key_parts(key))

    @contextlib.contextmanager
    def _staged(self, key: str, data: bytes) -> Iterator[tuple[Path, Path]]:
        """A hidden, synced copy of ``data`` in the folder of its key, and the final path. The copy is removed at the end."""
        path = self._path(key)
        path.parent.mkdir(parents=True, exist_ok=True)
        staged = path.parent / f".{path.name}.{secrets.token_hex(6)}"
        try:
            with staged.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            yield staged, path
        finally:
            with contextlib.suppress(
                OSError
            ):  # a copy that stays is hidden; this error must not replace that of the write
                staged.unlink(missing_ok=True)

    def _store_error(self, error: OSError, what: str) -> StoreError:
        return StoreError(f"{self.uri}: {what}: {_REASONS.get(error.errno or 0, error.strerror)}")


_REASONS = {
    errno.ENOSPC: "the disk is full; make room and run again",
    errno.EDQUOT: "the disk quota is used up; make room and run again",
    errno.EROFS: "the file system is read-only; name a directory that can be written to",
    errno.EACCES: "permission was denied; change the permissions or name another directory",
    errno.EPERM: "the file system does not allow it, or has no hard links; name a directory on a local disk",
    errno.EOPNOTSUPP: "the file system has no hard links; name a directory on a local disk",
    errno.EEXIST: "a file is in the place of a folder; remove it or name another directory",
    errno.ENOTDIR: "a file is in the place of a folder; remove it or name another directory",
    errno.EISDIR: "a folder has this name; remove it or name another directory",
}


def _sync(folder: Path) -> None:
    """Sync the folder, so that its entries survive a power failure."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
