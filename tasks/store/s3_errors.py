"""Errors of boto3 and of S3 servers: whether a write may have been stored in spite of one, and a sentence for each."""

from __future__ import annotations

from typing import Literal

from botocore import exceptions
from urllib3.exceptions import HTTPError

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
    return _of_response(status, code, key) if status else _without_response(error, key)


def _of_response(status: int, code: str, key: str) -> str:
    """A sentence for an error that the server reported."""
    if code == "NoSuchBucket":
        return "there is no such bucket; create it, or correct the store's URI or the endpoint (AWS_ENDPOINT_URL)"
    if code in _EXPIRED:
        return f"the credentials have expired ({code}); sign in again"
    if code == "RequestTimeTooSkewed":
        return "this machine's clock and the server's are too far apart; set the clock"
    if code in _OTHER_REGION or 300 <= status < 400:
        return f"the bucket is in another region ({code}); set AWS_REGION to the bucket's"
    if status in (401, 403):
        return f"access to {key} was denied ({status} {code}); check the credentials and their policy (deployments/s3-policy.json)"
    if status in (429, 503):
        return f"the server is overloaded ({status} {code}) and did not serve {key}; run again later"
    if status >= 500:
        return f"the server failed ({status} {code}) on {key}; run again later"
    return f"the server refused the request for {key} ({status} {code}); check the store's URI and the endpoint"


def _without_response(error: Exception, key: str) -> str:
    """A sentence for a response that did not arrive, or arrived incomplete."""
    endpoint = str(getattr(error, "kwargs", {}).get("endpoint_url", "")).split("?")[0]
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
    return f"{key}: {' '.join(str(error).split())}"
