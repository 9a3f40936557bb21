"""What went wrong between boto3 and an S3 server: whether a write may have landed all the same, and one sentence for it."""

from __future__ import annotations

from typing import Literal

from botocore import exceptions
from urllib3.exceptions import HTTPError

from tasks.store.port import NotThereError, StoreError

__all__ = ["FAILURES", "Ending", "ending", "explain", "reason", "status_of"]

FAILURES = (exceptions.BotoCoreError, exceptions.ClientError, HTTPError)

Ending = Literal["refused", "conflict", "unknown"]

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
_BROKEN_OFF = (
    exceptions.IncompleteReadError,
    exceptions.ResponseStreamingError,
    exceptions.FlexibleChecksumError,
    HTTPError,
)
_EXPIRED = ("ExpiredToken", "ExpiredTokenException", "InvalidToken", "TokenRefreshRequired")
_ELSEWHERE = ("PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException")


def status_of(error: Exception) -> tuple[int, str]:
    """The HTTP status and the S3 error code of an answer; (0, '') where none came."""
    if not isinstance(error, exceptions.ClientError):
        return 0, ""
    return (
        int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)),
        str(error.response.get("Error", {}).get("Code", "")),
    )


def ending(error: Exception) -> Ending:
    """How a create-only write that was sent once, and failed like this, ended.

    ``refused``: it has not landed and never will. ``conflict`` (409, 412): something has the key, or is about to; maybe
    this very write, which something on its way sent twice. ``unknown``: it may have landed, or may still.
    """
    status, _ = status_of(error)
    if status in (409, 412):
        return "conflict"
    return "refused" if isinstance(error, _NEVER_SENT) or 300 <= status < 500 else "unknown"


def explain(error: Exception, uri: str, key: str) -> StoreError:
    """The error as a sentence that says what to do; NotThereError for a 404 that is the object's."""
    status, code = status_of(error)
    if status == 404 and code != "NoSuchBucket":
        return NotThereError(f"{uri}: there is no {key}")
    return StoreError(f"{uri}: {reason(error, key)}")


def reason(error: Exception, key: str) -> str:
    """What went wrong and what to do about it, without the store's name."""
    status, code = status_of(error)
    return _of_answer(status, code, key) if status else _of_silence(error, key)


def _of_answer(status: int, code: str, key: str) -> str:
    """A sentence for an answer of the server."""
    if code == "NoSuchBucket":
        return "there is no such bucket; create it, or correct the store's URI or the endpoint (AWS_ENDPOINT_URL)"
    if code in _EXPIRED:
        return f"the credentials have expired ({code}); sign in again"
    if code == "RequestTimeTooSkewed":
        return "this machine's clock and the server's are too far apart; set the clock"
    if code in _ELSEWHERE or 300 <= status < 400:
        return f"the bucket is in another region ({code}); set AWS_REGION to the bucket's"
    if status in (401, 403):
        return f"access to {key} was denied ({status} {code}); check the credentials and their policy (deployments/s3-policy.json)"
    if status in (429, 503):
        return f"the server is overloaded ({status} {code}) and did not serve {key}; run again later"
    if status >= 500:
        return f"the server failed ({status} {code}) at {key}; run again later"
    return f"the server refused what was asked of {key} ({status} {code})"


def _of_silence(error: Exception, key: str) -> str:
    """A sentence for an answer that did not come, or not whole."""
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
        return f"the server's certificate is not trusted, or it speaks no TLS ({endpoint}); set AWS_CA_BUNDLE"
    if isinstance(error, exceptions.ConnectionClosedError):
        return f"the connection broke off before an answer came ({endpoint}); run again"
    if isinstance(error, _BROKEN_OFF):
        return f"{key} came broken off or damaged, several times ({type(error).__name__}); run again"
    return f"{key}: {' '.join(str(error).split())}"
