"""The files of a store as pyiceberg wants them: by where they lay when the table was written, also if it was moved since."""

from __future__ import annotations

import pyarrow as pa
from pyiceberg.io import FileIO, InputFile, InputStream, OutputFile

from tasks.store import NotThereError, Store

__all__ = ["StoreFiles"]


class StoreFiles(FileIO):
    """What lay below ``location`` lies below ``root`` of the store. Nothing can be written."""

    def __init__(self, store: Store, root: str, location: str) -> None:
        super().__init__()
        self._store, self._root, self._location = store, root, location.rstrip("/")

    def key(self, location: str) -> str:
        """The key of the file that the table's metadata calls by this location; the location itself if it lay elsewhere."""
        below = location.removeprefix(f"{self._location}/")
        return location if below == location else f"{self._root}/{below}"

    def new_input(self, location: str) -> InputFile:
        return _StoredFile(self._store, self.key(location), location)

    def new_output(self, location: str) -> OutputFile:
        raise NotImplementedError(location)

    def delete(self, location: str | InputFile | OutputFile) -> None:
        raise NotImplementedError(location)


class _StoredFile(InputFile):
    def __init__(self, store: Store, key: str, location: str) -> None:
        super().__init__(location)
        self._store, self._key = store, key

    def __len__(self) -> int:
        with self._store.local(self._key) as path:
            return path.stat().st_size

    def exists(self) -> bool:
        try:
            self._store.read_start(self._key, 1)
        except NotThereError:
            return False
        return True

    def open(self, seekable: bool = True) -> InputStream:  # noqa: ARG002  the library's own signature
        with self._store.local(self._key) as path:
            return pa.OSFile(str(path))  # type: ignore[no-any-return]  # a file that is open can be read after its copy is gone
