"""A store in a directory of a local file system."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from tasks.store.port import (
    AlreadyThereError,
    NotThereError,
    StoredObject,
    StoreError,
    UnknownOutcomeError,
    is_key,
    key_parts,
)

__all__ = ["DirectoryStore"]


class DirectoryStore:
    """A store in a directory of a local file system that has hard links. Links to files and folders are followed."""

    def __init__(self, root: Path) -> None:
        self._root = root.absolute()

    @property
    def uri(self) -> str:
        return str(self._root)

    def read(self, key: str) -> bytes:
        with self._reading(key) as path:
            return path.read_bytes()

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
        return [o.key for o in self.objects(prefix) if is_key(o.key) and o.identity]

    def folders(self, prefix: str) -> list[str]:
        folder = self._path(prefix.removesuffix("/"))
        try:
            with os.scandir(folder) as entries:
                names = [e.name for e in entries if e.is_dir() and is_key(e.name)]
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            raise self._store_error(error, f"{prefix} cannot be listed") from error
        return sorted(n for n in names if any(is_key(e.name) for e in _files(folder / n)))

    def objects(self, prefix: str) -> list[StoredObject]:
        """A link that leads nowhere has no identity, and no bytes."""
        folder = self._path(prefix.removesuffix("/"))
        try:
            found = [self._object(Path(e.path)) for e in _files(folder)] if folder.is_dir() else []
        except OSError as error:
            raise self._store_error(error, f"{prefix} cannot be listed") from error
        return sorted((o for o in found if o), key=lambda o: o.key)

    def read_start(self, key: str, size: int) -> bytes:
        with self._reading(key) as path, path.open("rb") as file:
            return file.read(size)

    @contextlib.contextmanager
    def local(self, key: str) -> Iterator[Path]:
        path = self._path(key)
        with self._reading(key):
            path.open("rb").close()
        yield path

    def _object(self, path: Path) -> StoredObject | None:
        key = path.relative_to(self._root).as_posix()
        try:
            found, identity = path.stat(), True
        except FileNotFoundError:
            if not path.is_symlink():  # removed since the folder was listed
                return None
            found, identity = path.lstat(), False
        if not stat.S_ISREG(found.st_mode) and identity:
            return None
        # a copy keeps the time at which its original was written, so the time at which it came counts too
        changed = datetime.fromtimestamp(max(found.st_mtime, found.st_ctime), UTC)
        if not identity:
            return StoredObject(key, 0, changed)
        return StoredObject(key, found.st_size, changed, (found.st_dev, found.st_ino))

    @contextlib.contextmanager
    def _reading(self, key: str) -> Iterator[Path]:
        try:
            yield self._path(key)
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
            msg = f"{self.uri}: there is no {key}"
            raise NotThereError(msg) from None
        except OSError as error:
            raise self._store_error(error, f"{key} cannot be read") from error

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


def _files(folder: Path | str, above: tuple[tuple[int, int], ...] = ()) -> Iterator[os.DirEntry[str]]:
    """The entries below the folder that are no folders. A link to a folder is followed, but not into a folder that it lies in."""
    try:
        found = Path(folder).stat()
        if (found.st_dev, found.st_ino) in above:
            return
        with os.scandir(folder) as entries:
            listed = list(entries)
    except FileNotFoundError:  # removed since the folder above it was listed
        return
    for entry in listed:
        if entry.is_dir():
            yield from _files(entry.path, (*above, (found.st_dev, found.st_ino)))
        else:
            yield entry


def _sync(folder: Path) -> None:
    """Sync the folder, so that its entries survive a power failure."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
