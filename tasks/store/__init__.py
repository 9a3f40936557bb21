"""The store of rows, predictions, tallies, decisions, reports and the promotion log: in a directory or in S3."""

from __future__ import annotations

from pathlib import Path

from tasks.store.directory import DirectoryStore
from tasks.store.kept import KeptStore, keeping, look_anew
from tasks.store.port import (
    AlreadyThereError,
    NotThereError,
    Store,
    StoredObject,
    StoreError,
    UnknownOutcomeError,
    UnsafeStoreError,
    is_key,
    key_parts,
)
from tasks.store.rollups import StoredFrame

__all__ = [
    "AlreadyThereError", "DirectoryStore", "KeptStore", "NotThereError", "Store", "StoreError", "StoredFrame", "StoredObject",
    "UnknownOutcomeError", "UnsafeStoreError", "is_key", "keeping", "key_parts", "look_anew", "open_store",
]  # fmt: skip


def open_store(uri: str) -> Store:
    """The store at ``uri``: a directory, which the first write creates, or ``s3://bucket/prefix``. Raises StoreError."""
    if uri.startswith("s3://"):
        from tasks.store.s3_store import S3Store

        return S3Store(uri)
    if "://" in uri:
        scheme = uri.split("://", 1)[0]
        msg = f"store: '{scheme}://' is not supported; name a directory or s3://bucket/prefix"
        raise StoreError(msg)
    return DirectoryStore(Path(uri))
