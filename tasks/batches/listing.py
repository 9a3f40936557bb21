"""The folders of batches in the store, from one listing of it."""

from __future__ import annotations

from tasks.batches.rows import BatchError
from tasks.store import Store, StoredObject
from tasks.tables.files import is_parquet, sort_files
from tasks.tables.opening import log_entry

__all__ = ["batch_folders", "batches_in", "holds_rows"]


def batch_folders(store: Store, project_name: str) -> tuple[dict[str, list[StoredObject]], list[StoredObject]]:
    """The objects below each folder of ``batches/``, by the folder's name, and those that lie in no folder of a batch.

    Raises BatchError if ``batches/`` is itself a table, as the files of its folders tell nothing of those that it dropped.
    """
    prefix = f"{project_name}/batches/"
    folders: dict[str, list[StoredObject]] = {}
    strays: list[StoredObject] = []
    for one in store.objects(prefix):
        if (log_entry(one.key) or ("", 0))[0] == prefix.removesuffix("/"):
            msg = f"{prefix} is itself a Delta or Iceberg table; write a table, or files, below {prefix}<batch>/ for every batch"
            raise BatchError(msg)
        batch, _, below = one.key.removeprefix(prefix).partition("/")
        if below and not batch.startswith((".", "_")):
            folders.setdefault(batch, []).append(one)
        else:
            strays.append(one)
    return folders, strays


def batches_in(store: Store, project_name: str) -> list[str]:
    """The ids of all batches in the store, scored or not, sorted: the folders with a file that can be read, by its name."""
    folders, _ = batch_folders(store, project_name)
    return sorted(b for b, objects in folders.items() if holds_rows(store, f"{project_name}/batches/{b}", objects))


def holds_rows(store: Store, folder: str, objects: list[StoredObject]) -> bool:
    """Whether a file below the folder is one of rows; only where no name says so, the files' first bytes are read."""
    files, _ = sort_files(folder, objects)
    return any(f.kind != "unknown" for f in files) or any(is_parquet(store, f) for f in files)
