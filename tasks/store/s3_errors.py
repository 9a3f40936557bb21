"""Errors of boto3 and of S3 servers: whether a write may have been stored in spite of one, and a sentence for each."""

from __future__ import annotations

import re
from typing import Literal

from botocore import exceptions
from urllib3.exceptions import HTTPError

from tasks.base.uris import public_text
from tasks.store.port import NotThereError, StoreError

__all__ = ["FAILURES", "Outcome", "reason", "status_of", "store_error", "write_outcome"]

FAILURES = (exceptions.BotoCoreError, exceptions.ClientError, HTTPError)

Outcome = Literal["refused", "conflict", "unknown"]

_NO_CREDENTIALS = (
    exceptions.NoCredentialsError,
    exceptions.PartialCredentialsError,
    exceptions.CredentialRetrievalError,
    exceptions.TokenRetrievalError,
    exceptions.SSOError,
    exceptions.LoginError,
)
_UNREACHABLE = (exceptions.EndpointConnectionError, exceptions.ProxyConnectionError)
_NEVER_SENT = (*_NO_CREDENTIALS, *_UNREACHABLE, exceptions.ConnectTimeoutError, exceptions.ParamValidationError)
_TIMEOUTS = (exceptions.ReadTimeoutError, exceptions.ConnectTimeoutError)
_INCOMPLETE = (
    exceptions.IncompleteReadError,
    exceptions.ResponseStreamingError,
    exceptions.FlexibleChecksumError,
    HTTPError,
)
_EXPIRED = ("ExpiredToken", "ExpiredTokenException", "InvalidToken", "TokenRefreshRequired")
_CHECKSUM = re.compile(
    "checksum|trailer|content-sha256", re.IGNORECASE
)  # what servers say that know no x-amz-checksum-...
_DAMAGED = ("BadDigest", "XAmzContentChecksumMismatch", "XAmzContentSHA256Mismatch")  # on its way, and no refusal
_PLAIN = "set AWS_REQUEST_CHECKSUM_CALCULATION=when_required"  # boto3 sends a CRC32 with every write since 1.36
_OTHER_REGION = ("PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException")


def status_of(error: Exception) -> tuple[int, str]:
    """The HTTP status and the S3 error code of the server's response; (0, '') if there was no response."""
    if not isinstance(error, exceptions.ClientError):
        return 0, ""
    return (
        int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)),
        str(error.response.get("Error", {}).get("Code", "")),
    )


def write_outcome(error: Exception) -> Outcome:
    """The outcome of a create-only write that was sent once and failed with ``error``.

    ``refused``: it was not stored and never will be. ``conflict`` (409, 412): an object has the key or is being written;
    it may be this write, if a proxy sent it twice. ``unknown``: it may have been stored, or may still be.
    """
    status, _ = status_of(error)
    if status in (409, 412):
        return "conflict"
    return "refused" if isinstance(error, _NEVER_SENT) or 300 <= status < 500 else "unknown"


def store_error(error: Exception, uri: str, key: str) -> StoreError:
    """The error as a sentence that says what to do; NotThereError if the server says that the object does not exist."""
    status, code = status_of(error)
    if status == 404 and code != "NoSuchBucket":
        return NotThereError(f"{uri}: there is no {key}")
    return StoreError(f"{uri}: {reason(error, key)}")


def reason(error: Exception, key: str) -> str:
    """What went wrong and what to do, without the URI of the store."""
    status, code = status_of(error)
    return _of_response(status, code, _message(error), key) if status else _without_response(error, key)


def _message(error: Exception) -> str:
    """The server's own words; "" if it said none."""
    assert isinstance(error, exceptions.ClientError)
    return " ".join(str(error.response.get("Error", {}).get("Message") or "").split()).rstrip(".")


def _of_response(status: int, code: str, message: str, key: str) -> str:
    """A sentence for an error that the server reported, with its code and its own words."""
    told = f"{code}: {message}" if message else code
    if code == "NoSuchBucket":
        return f"there is no such bucket ({told}); create it, or correct the store's URI or the endpoint (AWS_ENDPOINT_URL)"
    if code in _EXPIRED:
        return f"the credentials have expired ({told}); sign in again"
    if code == "RequestTimeTooSkewed":
        return f"this machine's clock and the server's are too far apart ({told}); set the clock"
    if code in _OTHER_REGION or 300 <= status < 400:
        return f"the bucket is in another region ({told}); set AWS_REGION to the bucket's"
    if special := _of_object(status, code, message, key):
        return special
    if status in (401, 403):
        return f"access to {key} was denied ({status} {told}); check the credentials and their policy (deployments/s3-policy.json)"
    if status in (429, 503):
        return f"the server is overloaded ({status} {told}) and did not serve {key}; run again later"
    if status >= 500:
        return f"the server failed ({status} {told}) on {key}; run again later"
    return f"the server refused the request for {key} ({status} {told}); check the store's URI and the endpoint"


def _of_object(status: int, code: str, message: str, key: str) -> str | None:
    """A sentence for an error of an archive, of KMS or of checksums; None for any other."""
    told = f"{status} {code}: {message}" if message else f"{status} {code}"
    if code == "InvalidObjectState":
        return (
            f"{key} is archived ({told}); restore it (aws s3api restore-object), and let no lifecycle rule move what is below the store's "
            "prefix to an archive"
        )
    if code.startswith("KMS.") or "kms:" in message:
        return (
            f"the KMS key cannot be used for {key} ({told}); enable it and allow kms:GenerateDataKey and kms:Decrypt, or correct "
            "kms_key in the store's URI"
        )
    if status in (400, 501) and _CHECKSUM.search(message) and code not in _DAMAGED:
        return f"the server refuses the checksum that boto3 sends with {key} ({told}); {_PLAIN}"
    if status == 501:
        return f"the server does not know what boto3 asks of it for {key} ({told}); if it takes no checksums, {_PLAIN}"
    return None


def _without_response(error: Exception, key: str) -> str:
    """A sentence for a response that did not arrive, or arrived incomplete."""
    endpoint = public_text(str(getattr(error, "kwargs", {}).get("endpoint_url", ""))).split("?")[0]
    if isinstance(error, _NO_CREDENTIALS):
        return (
            f"there are no credentials ({error}); set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, "
            "or give this machine a role"
        )
    if isinstance(error, _TIMEOUTS):
        return f"the server did not answer in time ({endpoint}); check the network, and run again"
    if isinstance(error, _UNREACHABLE):
        return f"the server cannot be reached ({endpoint}); check AWS_ENDPOINT_URL, and that it runs"
    if isinstance(error, exceptions.SSLError):
        return f"the server's certificate is not trusted, or it does not use TLS ({endpoint}); set AWS_CA_BUNDLE, or correct the endpoint"
    if isinstance(error, exceptions.ConnectionClosedError):
        return f"the connection was closed before the server answered ({endpoint}); run again"
    if isinstance(error, _INCOMPLETE):
        return f"{key} arrived incomplete or damaged in every attempt ({type(error).__name__}); run again"
    return f"{key}: {public_text(' '.join(str(error).split()))}"
