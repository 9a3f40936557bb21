"""A test of the server before the first commit: some servers with an S3 API ignore the condition and overwrite objects."""

from __future__ import annotations

from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from tasks.store.port import UnsafeStoreError
from tasks.store.s3_errors import status_of
from tasks.store.s3_settings import S3Settings

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

__all__ = ["PROBE", "require_create_only"]

PROBE = ".create-only"
_NOTICE = (
    b"Dethrone tries to create this object before it commits anything here: a server that lets it twice is not safe.\n"
)
_INSTEAD = "use AWS S3, or a server that supports create-only writes, such as MinIO, Ceph or SeaweedFS"


def require_create_only(client: S3Client, settings: S3Settings) -> None:
    """Create one hidden object twice: the server must refuse one of the two. Raises UnsafeStoreError if it does not.

    The object stays, so each later probe is a single request, which is refused. ``client`` may retry, as a repeated
    request does no harm. Raises boto3's errors if the server does not answer, or refuses the write for another reason.
    """
    uri = settings.uri
    write = {"Bucket": settings.bucket, "Key": settings.root + PROBE, "Body": _NOTICE, **settings.encryption}
    for _ in range(2):
        try:
            client.put_object(**write, IfNoneMatch="*")
        except ClientError as error:
            status, code = status_of(error)
            if status in (409, 412):
                return
            if status == 501 or code == "NotImplemented":
                client.put_object(**write)  # if that is refused too, it is not for the condition: of the checksum, say
                msg = f"{uri}: the server does not support create-only writes ({status} {code}), so two runs could both promote; {_INSTEAD}"
                raise UnsafeStoreError(msg) from error
            raise
    msg = f"{uri}: the server overwrites existing objects in spite of If-None-Match, so two runs could both promote; {_INSTEAD}"
    raise UnsafeStoreError(msg)
