"""A store in a bucket of S3, or of a server that speaks S3. Endpoint, region, credentials and proxies are boto3's own settings."""

from __future__ import annotations

import contextlib
import functools
import secrets
import shutil
import tempfile
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import boto3
import polars as pl
from botocore.config import Config
from polars.io.plugins import register_io_source

from tasks.store.port import AlreadyThereError, NotThereError, StoreError, UnknownOutcomeError, key_parts
from tasks.store.s3_errors import FAILURES, ending, explain, reason, status_of
from tasks.store.s3_probe import require_create_only
from tasks.store.s3_settings import read_s3_uri

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import GetObjectOutputTypeDef

__all__ = ["S3Store"]

MARK = "dethrone-write"  # metadata: which call of create wrote the object
ATTEMPTS = 5
PAUSES = (0.1, 0.2, 0.4, 0.8)  # seconds, before what may be tried again is

_CONNECTING = threading.Lock()  # boto3's default session is for one thread at a time, its clients are for all

T = TypeVar("T")


class S3Store:
    """A store below ``s3://bucket/prefix``; see ``read_s3_uri``.

    ``timeout`` is how long, in seconds, the server may keep silent; ``session`` is boto3's default one if not given.
    boto3 repeats reads, listings and plain writes; a create-only write is sent once, and after any failure the store
    looks whose object is there.
    """

    def __init__(
        self,
        uri: str,
        *,
        session: boto3.Session | None = None,
        timeout: float = 60,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._settings = read_s3_uri(uri)
        self._session = session
        self._timeout = timeout
        self._sleep = sleep
        self._safe = False

    @property
    def uri(self) -> str:
        return self._settings.uri

    def read(self, key: str) -> bytes:
        return self._get(key, lambda answer: answer["Body"].read())

    def write(self, key: str, data: bytes) -> None:
        name = self._name(key)
        with self._explained(key):
            self._client.put_object(
                Bucket=self._settings.bucket,
                Key=name,
                Body=data,
                **self._settings.encryption,
            )

    def create(self, key: str, data: bytes) -> None:
        name = self._name(key)
        with self._explained(key):
            if not self._safe:
                require_create_only(self._client, self._settings)
                self._safe = True
        mark = secrets.token_hex(16)
        for pause in (*PAUSES, None):
            try:
                self._client_that_sends_once.put_object(
                    Bucket=self._settings.bucket,
                    Key=name,
                    Body=data,
                    IfNoneMatch="*",
                    Metadata={MARK: mark},
                    **self._settings.encryption,
                )
            except FAILURES as error:
                if self._is_ours(key, data, mark, error):
                    return
            else:
                return
            if pause is not None:
                self._sleep(pause)
        msg = f"{self.uri}: {key} was not written: the server reports a conflict, but nothing is there; run again"
        raise StoreError(msg)

    def delete(self, key: str) -> None:
        name = self._name(key)
        with self._explained(key):
            self._client.delete_object(Bucket=self._settings.bucket, Key=name)

    def keys(self, prefix: str) -> list[str]:
        folder = self._name(prefix.removesuffix("/")) + "/"
        with self._explained(prefix):
            pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self._settings.bucket, Prefix=folder)
            names = [found["Key"] for page in pages for found in page.get("Contents", ())]
        return sorted(k for k in (n.removeprefix(self._settings.root) for n in names) if _is_key(k))

    def scan_parquet(self, keys: Sequence[str]) -> pl.LazyFrame:
        """Copies of the objects are fetched now, and live as long as the frame: boto3 alone talks to the server."""
        for key in keys:
            key_parts(key)
        with self._kept():
            folder = Path(tempfile.mkdtemp(prefix="dethrone-"))
        copies = [folder / f"{number}.parquet" for number, _ in enumerate(keys)]

        def rows(
            with_columns: list[str] | None, predicate: pl.Expr | None, n_rows: int | None, batch_size: int | None
        ) -> Iterator[pl.DataFrame]:
            frame = pl.scan_parquet(copies, glob=False)
            frame = frame if n_rows is None else frame.head(n_rows)
            frame = frame if predicate is None else frame.filter(predicate)
            frame = frame if with_columns is None else frame.select(with_columns)
            yield from frame.collect_batches(chunk_size=batch_size, maintain_order=True)

        weakref.finalize(rows, shutil.rmtree, folder, ignore_errors=True)
        with self._kept():
            for key, copy in zip(keys, copies, strict=True):
                self._get(key, functools.partial(_save, copy))
        return register_io_source(rows, schema=lambda: pl.scan_parquet(copies, glob=False).collect_schema())

    def _get(self, key: str, take: Callable[[GetObjectOutputTypeDef], T]) -> T:
        """What ``take`` makes of the object. A body that breaks off is asked for anew: boto3 repeats requests, not bodies."""
        name = self._name(key)
        for pause in (*PAUSES, None):
            try:
                answer = self._client.get_object(Bucket=self._settings.bucket, Key=name)
            except FAILURES as error:
                if status_of(error)[0] == 403 and self._lists_nothing(name):
                    msg = f"{self.uri}: there is no {key}"  # said so to whom S3 does not let list the whole bucket
                    raise NotThereError(msg) from error
                raise explain(error, self.uri, key) from error
            try:
                with contextlib.closing(answer["Body"]):
                    return take(answer)
            except FAILURES as error:
                if pause is None:
                    raise explain(error, self.uri, key) from error
                self._sleep(pause)
        raise AssertionError

    def _is_ours(self, key: str, data: bytes, mark: str, error: Exception) -> bool:
        """Whether the create-only write that failed with ``error`` landed; False if it did not and may be tried again.

        Raises AlreadyThereError if the object is another's, UnknownOutcomeError if nobody can say, StoreError if the
        write was refused.
        """
        end = ending(error)
        if end == "refused":
            raise explain(error, self.uri, key) from error
        doubt = f"{self.uri}: {key} may have been written ({reason(error, key)})"
        try:
            ours = self._get(key, lambda a: a["Metadata"].get(MARK) == mark and a["Body"].read() == data)
        except NotThereError:
            if end == "unknown":
                msg = f"{doubt}; nothing is there yet; run again, which looks first"
                raise UnknownOutcomeError(msg) from error
            return False
        except StoreError as unread:
            msg = f"{doubt}; what is there cannot be read either; run again, which looks first: {unread}"
            raise UnknownOutcomeError(msg) from error
        if not ours:
            msg = f"{self.uri}: {key} is already there"
            raise AlreadyThereError(msg) from None
        return True

    def _lists_nothing(self, name: str) -> bool:
        """Whether the server, asked for a list, shows that no object has this name."""
        try:
            page = self._client.list_objects_v2(Bucket=self._settings.bucket, Prefix=name, MaxKeys=1)
        except FAILURES:
            return False
        return name not in (found["Key"] for found in page.get("Contents", ()))

    def _name(self, key: str) -> str:
        return self._settings.root + "/".join(key_parts(key))

    @contextlib.contextmanager
    def _explained(self, key: str) -> Iterator[None]:
        try:
            yield
        except FAILURES as error:
            raise explain(error, self.uri, key) from error

    @contextlib.contextmanager
    def _kept(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            place = tempfile.gettempdir()
            msg = f"{self.uri}: a copy cannot be kept in {place} ({error.strerror}); make room, or set TMPDIR to another place"
            raise StoreError(msg) from error

    @functools.cached_property
    def _client(self) -> S3Client:
        return self._connected(ATTEMPTS)

    @functools.cached_property
    def _client_that_sends_once(self) -> S3Client:
        return self._connected(1)

    def _connected(self, attempts: int) -> S3Client:
        config = Config(
            connect_timeout=min(self._timeout, 10),
            read_timeout=self._timeout,
            retries={"mode": "standard", "total_max_attempts": attempts},
        )
        try:
            with _CONNECTING:
                return (self._session or boto3).client("s3", config=config)
        except (*FAILURES, ValueError) as error:  # ValueError: an endpoint that is no URL
            msg = f"{self.uri}: boto3 cannot create an S3 client from its configuration ({error}); correct the AWS_ variables or its file"
            raise StoreError(msg) from error


def _save(copy: Path, answer: GetObjectOutputTypeDef) -> None:
    with copy.open("wb") as file:
        for chunk in answer["Body"].iter_chunks(1 << 20):
            file.write(chunk)


def _is_key(name: str) -> bool:
    """Whether an object of the bucket is one of the store's: not a hidden one, not a folder's mark of another tool."""
    try:
        key_parts(name)
    except StoreError:
        return False
    return True
