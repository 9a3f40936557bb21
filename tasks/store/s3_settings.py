"""The URI of an S3 store: bucket, prefix and encryption. Everything else is boto3's own configuration."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from tasks.base.uris import public_uri
from tasks.store.port import StoreError, key_parts

__all__ = ["S3Settings", "read_s3_uri"]

_BUCKET = re.compile(r"[A-Za-z0-9._-]+")
_FORM = "s3://BUCKET/PREFIX or s3://BUCKET/PREFIX?sse=aws:kms&kms_key=KEY"
_ENCRYPTIONS = ("AES256", "aws:kms", "aws:kms:dsse")


@dataclass(frozen=True, slots=True)
class S3Settings:
    """``root`` is the prefix of every key. ``encryption`` holds arguments of every write; empty: the bucket's default."""

    bucket: str
    root: str
    encryption: dict[str, Any] = field(default_factory=dict)

    @property
    def uri(self) -> str:
        return f"s3://{self.bucket}/{self.root}".removesuffix("/")


def read_s3_uri(uri: str) -> S3Settings:
    """Parse ``s3://bucket/prefix``, or with the encryption of new objects ``?sse=...&kms_key=...``. Raises StoreError."""
    path, _, query = uri.removeprefix("s3://").partition("?")
    bucket, _, prefix = path.partition("/")
    shown = public_uri(uri)
    prefix = prefix.removesuffix("/")
    if not _BUCKET.fullmatch(bucket):
        msg = f"store: '{shown}' names no bucket; write {_FORM}, and give credentials as boto3 takes them"
        raise StoreError(msg)
    if prefix:
        key_parts(prefix)
    options = dict(parse_qsl(query, keep_blank_values=True))
    unknown = sorted(options.keys() - {"sse", "kms_key"})
    if unknown or (query and not options):
        msg = f"store: '{shown}' has the unknown setting {', '.join(unknown) or query}; write {_FORM}"
        raise StoreError(msg)
    sse, kms_key = options.get("sse"), options.get("kms_key")
    if sse is not None and sse not in _ENCRYPTIONS:
        msg = f"store: '{shown}' asks for the encryption '{sse}'; write one of {', '.join(_ENCRYPTIONS)}"
        raise StoreError(msg)
    if kms_key is not None and (not kms_key or not (sse or "").startswith("aws:kms")):
        msg = f"store: '{shown}' has a kms_key without sse=aws:kms, or an empty one; write {_FORM}"
        raise StoreError(msg)
    encryption = {"ServerSideEncryption": sse, "SSEKMSKeyId": kms_key}
    return S3Settings(bucket, f"{prefix}/" if prefix else "", {k: v for k, v in encryption.items() if v})
