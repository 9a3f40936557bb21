"""A store in a bucket of S3, or of a server with the S3 API. boto3's configuration sets endpoint, region and credentials."""

from __future__ import annotations

import contextlib
import functools
import secrets
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import UTC
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import boto3
from botocore.config import Config

from tasks.base.uris import public_text
from tasks.store.port import (
    AlreadyThereError,
    NotThereError,
    StoredObject,
    StoreError,
    UnknownOutcomeError,
    is_key,
    key_parts,
)
from tasks.store.s3_copies import Copies
from tasks.store.s3_errors import FAILURES, reason, status_of, store_error, write_outcome
from tasks.store.s3_probe import require_create_only
from tasks.store.s3_settings import read_s3_uri

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import GetObjectOutputTypeDef

__all__ = ["S3Store"]

MARK = "dethrone-write"  # metadata: the call of create that wrote the object
ATTEMPTS = 5
PAUSES = (0.1, 0.2, 0.4, 0.8)  # seconds, before each repetition

_NEW_CLIENT = threading.Lock()  # boto3's default session is not thread-safe; its clients are

T = TypeVar("T")


class S3Store:
    """A store below ``s3://bucket/prefix``; see ``read_s3_uri``.

    ``timeout`` is the time in seconds to wait for the server; ``session`` is by default boto3's own. boto3 repeats reads,
    listings and plain writes. A create-only write is sent once, and after a failure the store reads whose object has the key.
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
        self._probed = False

    @property
    def uri(self) -> str:
        return self._settings.uri

    def read(self, key: str) -> bytes:
        return self._get(key, lambda answer: answer["Body"].read())

    def write(self, key: str, data: bytes) -> None:
        name = self._name(key)
        with self._store_errors(key):
            self._client.put_object(
                Bucket=self._settings.bucket,
                Key=name,
                Body=data,
                **self._settings.encryption,
            )
        self._copies.doubt(key)

    def create(self, key: str, data: bytes) -> None:
        name = self._name(key)
        with self._store_errors(key):
            if not self._probed:
                require_create_only(self._client, self._settings)
                self._probed = True
        mark = secrets.token_hex(16)
        for pause in (*PAUSES, None):
            try:
                self._client_without_retries.put_object(
                    Bucket=self._settings.bucket,
                    Key=name,
                    Body=data,
                    IfNoneMatch="*",
                    Metadata={MARK: mark},
                    **self._settings.encryption,
                )
            except FAILURES as error:
                if self._was_stored(key, data, mark, error):
                    return
            else:
                return
            if pause is not None:
                self._sleep(pause)
        msg = f"{self.uri}: {key} was not written: the server reports a conflict, but nothing is there; run again"
        raise StoreError(msg)

    def delete(self, key: str) -> None:
        name = self._name(key)
        with self._store_errors(key):
            self._client.delete_object(Bucket=self._settings.bucket, Key=name)
        self._copies.doubt(key)

    def keys(self, prefix: str) -> list[str]:
        return [o.key for o in self.objects(prefix) if is_key(o.key)]

    def folders(self, prefix: str) -> list[str]:
        folder = self._name(prefix.removesuffix("/")) + "/"
        with self._store_errors(prefix):
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self._settings.bucket, Prefix=folder, Delimiter="/"
            )
            found = [p["Prefix"] for page in pages for p in page.get("CommonPrefixes", ())]
        return sorted(n for f in found if is_key(n := f.removeprefix(folder).removesuffix("/")))

    def objects(self, prefix: str) -> list[StoredObject]:
        folder = self._name(prefix.removesuffix("/")) + "/"
        self._copies.doubt()  # who lists wants to know what is new
        with self._store_errors(prefix):
            pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self._settings.bucket, Prefix=folder)
            items = [item for page in pages for item in page.get("Contents", ()) if not item["Key"].endswith("/")]
        found = (
            StoredObject(
                i["Key"].removeprefix(self._settings.root),
                i["Size"],
                i["LastModified"].astimezone(UTC),
                etag=i.get("ETag", "").strip('"'),
            )
            for i in items
        )
        return sorted(found, key=lambda o: o.key)

    def read_start(self, key: str, size: int) -> bytes:
        """The rest of the body is not fetched: not every server answers a range of an empty object."""
        return self._get(key, lambda answer: answer["Body"].read(size))

    def local(self, key: str) -> AbstractContextManager[Path]:
        """A copy on the disk, as the object was at some time since this store last listed objects.

        So only boto3 talks to the server, and none of the libraries that read the files.
        """
        key_parts(key)
        return self._local(key)

    @contextlib.contextmanager
    def _local(self, key: str) -> Iterator[Path]:
        with contextlib.ExitStack() as stack:
            with self._disk_errors():
                path = stack.enter_context(self._copies.copy(key))
            yield path

    def _get(self, key: str, read: Callable[[GetObjectOutputTypeDef], T], unless: str = "") -> T:
        """The result of ``read`` on the object. An incomplete body is requested again, as boto3 repeats requests, not bodies.

        Raises _UnchangedError if the object has the ETag ``unless``.
        """
        condition: dict[str, Any] = {"IfNoneMatch": unless} if unless else {}
        name = self._name(key)
        for pause in (*PAUSES, None):
            try:
                answer = self._client.get_object(Bucket=self._settings.bucket, Key=name, **condition)
            except FAILURES as error:
                if status_of(error)[0] == 304:
                    raise _UnchangedError from error
                if status_of(error)[0] == 403 and self._is_absent(name):
                    msg = f"{self.uri}: there is no {key}"  # S3 answers 403 for it where the whole bucket may not be listed
                    raise NotThereError(msg) from error
                raise store_error(error, self.uri, key) from error
            try:
                with contextlib.closing(answer["Body"]):
                    return read(answer)
            except FAILURES as error:
                if pause is None:
                    raise store_error(error, self.uri, key) from error
                self._sleep(pause)
        raise AssertionError

    def _fetch(self, key: str, path: Path, etag: str) -> str:
        def save(answer: GetObjectOutputTypeDef) -> str:
            with path.open("wb") as file:
                for chunk in answer["Body"].iter_chunks(1 << 20):
                    file.write(chunk)
            return answer["ETag"]

        try:
            return self._get(key, save, unless=etag)
        except _UnchangedError:
            return etag

    def _was_stored(self, key: str, data: bytes, mark: str, error: Exception) -> bool:
        """Whether the create-only write that failed with ``error`` was stored; False if it was not and may be repeated.

        Raises AlreadyThereError if the object is another writer's, UnknownOutcomeError if the outcome is unknown,
        StoreError if the write was refused.
        """
        outcome = write_outcome(error)
        if outcome == "refused":
            raise store_error(error, self.uri, key) from error
        doubt = f"{self.uri}: {key} may have been written ({reason(error, key)})"
        try:
            ours = self._get(key, lambda a: a["Metadata"].get(MARK) == mark and a["Body"].read() == data)
        except NotThereError:
            if outcome == "unknown":
                msg = f"{doubt}; it is not there yet; run again, which first reads what is there"
                raise UnknownOutcomeError(msg) from error
            return False
        except StoreError as unread:
            msg = f"{doubt}; what is there cannot be read either; run again, which first reads what is there: {unread}"
            raise UnknownOutcomeError(msg) from error
        if not ours:
            msg = f"{self.uri}: {key} is already there"
            raise AlreadyThereError(msg) from None
        return True

    def _is_absent(self, name: str) -> bool:
        """Whether a listing shows that no object has this name."""
        try:
            page = self._client.list_objects_v2(Bucket=self._settings.bucket, Prefix=name, MaxKeys=1)
        except FAILURES:
            return False
        return name not in (item["Key"] for item in page.get("Contents", ()))

    def _name(self, key: str) -> str:
        return self._settings.root + "/".join(key_parts(key))

    @contextlib.contextmanager
    def _store_errors(self, key: str) -> Iterator[None]:
        try:
            yield
        except FAILURES as error:
            raise store_error(error, self.uri, key) from error

    @contextlib.contextmanager
    def _disk_errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            place = tempfile.gettempdir()
            msg = f"{self.uri}: a temporary copy cannot be written to {place} ({error.strerror}); make room, or point TMPDIR elsewhere"
            raise StoreError(msg) from error

    @functools.cached_property
    def _copies(self) -> Copies:
        return Copies(self._fetch)

    @functools.cached_property
    def _client(self) -> S3Client:
        return self._new_client(ATTEMPTS)

    @functools.cached_property
    def _client_without_retries(self) -> S3Client:
        return self._new_client(1)

    def _new_client(self, attempts: int) -> S3Client:
        config = Config(
            connect_timeout=min(self._timeout, 10),
            read_timeout=self._timeout,
            retries={"mode": "standard", "total_max_attempts": attempts},
        )
        try:
            with _NEW_CLIENT:
                return (self._session or boto3).client("s3", config=config)
        except (*FAILURES, ValueError) as error:  # ValueError: the endpoint is not a URL
            said = public_text(str(error))
            msg = f"{self.uri}: boto3 cannot create an S3 client from its configuration ({said}); correct the AWS_ variables or its file"
            raise StoreError(msg) from error


class _UnchangedError(Exception):
    """The object still has the ETag that the reader knows."""
