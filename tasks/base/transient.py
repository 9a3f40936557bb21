"""Which errors may pass by themselves: a server that is overloaded or restarts, a connection that broke, a database that is locked."""

from __future__ import annotations

import re
import socket
import sqlite3
import ssl
from collections.abc import Iterator

__all__ = ["may_pass"]

_OVERLOADED = (408, 425, 429)  # HTTP: a request that took too long, came too early, or was one too many
_THROTTLED = (
    "SlowDown",
    "Throttling",
    "ThrottlingException",
    "RequestLimitExceeded",
    "RequestTimeout",
    "InternalError",
)
_REFUSED = re.compile(
    "authentication failed|does not exist|no pg_hba.conf entry|permission denied"
)  # what PostgreSQL says of settings


def may_pass(error: BaseException) -> bool:
    """Whether to do the same again later may help, by the error and whatever it was raised from.

    True for HTTP 5xx, 408, 425 and 429, for throttling, for connections that were refused, reset or timed out, and for a database that is
    locked or restarts. False for everything else, and where the cause is one that a person has to correct: an unknown host, a certificate,
    a missing table.
    """
    passes: bool | None = None
    for one in _chain(error):
        cause = _cause(one)
        if cause is not None:
            return cause
        of_library = _OF_LIBRARY.get(type(one).__module__.partition(".")[0])
        if passes is None and of_library:  # the last error counts, and not one that was dealt with before
            passes = of_library(one)
    return passes is True


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error and those that it came from, as a traceback shows them: ``raise ... from None`` ends it, but for httpx's own library."""
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        yield current
        hidden = current.__suppress_context__ and type(current).__module__ != "httpcore"
        current = current.__cause__ or (None if hidden else current.__context__)


def _cause(error: BaseException) -> bool | None:
    """Whether this passes, if the error is what libraries wrap in their own; else None."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return False
    if isinstance(error, socket.gaierror):
        return error.errno == socket.EAI_AGAIN
    if isinstance(error, sqlite3.OperationalError):
        return "locked" in str(error) or "busy" in str(error)
    if isinstance(error, ConnectionError) and not isinstance(
        error, BrokenPipeError
    ):  # a pipe is to a process of this machine
        return True
    return _of_database(error) if type(error).__module__ == "sqlalchemy.exc" else None


def _of_database(error: BaseException) -> bool | None:
    from sqlalchemy import exc

    if isinstance(error, exc.OperationalError) and not isinstance(
        error.orig, sqlite3.Error
    ):  # SQLite's own error comes next
        return not _REFUSED.search(str(error.orig))
    return True if isinstance(error, exc.TimeoutError) else None  # no connection was left


def _of_botocore(error: BaseException) -> bool | None:
    from botocore import exceptions

    if isinstance(error, exceptions.ClientError):
        status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
        return _status(status) or error.response.get("Error", {}).get("Code") in _THROTTLED
    broken = (
        exceptions.ConnectionError,
        exceptions.HTTPClientError,
        exceptions.IncompleteReadError,
        exceptions.FlexibleChecksumError,
    )
    return isinstance(error, broken) or None


def _of_requests(error: BaseException) -> bool | None:
    from requests import exceptions

    if isinstance(error, exceptions.HTTPError) and error.response is not None:
        return _status(error.response.status_code)
    broken = (exceptions.ConnectionError, exceptions.Timeout, exceptions.ChunkedEncodingError, exceptions.RetryError)
    return isinstance(error, broken) or None


def _of_urllib3(error: BaseException) -> bool | None:
    from urllib3 import exceptions

    return isinstance(error, (exceptions.TimeoutError, exceptions.NewConnectionError, exceptions.ProtocolError)) or None


def _of_mlflow(error: BaseException) -> bool | None:
    """MLflow gives its own errors on this machine the code of an internal error: only of a server's answer does it say something."""
    from mlflow.exceptions import MlflowException, RestException

    if isinstance(error, RestException):
        return _status(error.get_http_status_code())
    return (isinstance(error, MlflowException) and error.get_http_status_code() in (429, 503, 504)) or None


def _of_httpx(error: BaseException) -> bool | None:
    import httpx

    if isinstance(error, httpx.HTTPStatusError):
        return _status(error.response.status_code)
    return isinstance(error, (httpx.TimeoutException, httpx.NetworkError, httpx.RemoteProtocolError)) or None


def _status(status: int) -> bool:
    return status in _OVERLOADED or (status >= 500 and status != 501)


_OF_LIBRARY = {
    "botocore": _of_botocore,
    "requests": _of_requests,
    "urllib3": _of_urllib3,
    "mlflow": _of_mlflow,
    "httpx": _of_httpx,
    "prefect": _of_httpx,  # its errors of HTTP are httpx's
}
