"""The base class of every error that Dethrone raises on purpose: one sentence that says what is wrong and what to do."""

from __future__ import annotations

import logging

__all__ = ["DamagedError", "DeletedError", "DethroneError", "first_line", "without_traceback"]


class DethroneError(Exception):
    """Something that a user can correct. ``traced`` is True where the traceback helps to correct it."""

    traced = False


class DamagedError(DethroneError):
    """A stored object differs from what was written, or cannot be read any more."""


class DeletedError(DamagedError):
    """A stored object that a manifest names was deleted."""


def first_line(error: BaseException) -> str:
    """The first line of another library's error, without a final "." or ":"; the name of its class if it has no text."""
    return next((line.strip().rstrip(".:") for line in str(error).splitlines() if line.strip()), type(error).__name__)


def without_traceback(record: logging.LogRecord) -> bool:
    """A filter for a logger: log a DethroneError as its sentence, and keep the traceback of every other error."""
    error = record.exc_info[1] if record.exc_info else None
    if isinstance(error, DethroneError) and not error.traced:
        record.msg, record.args = f"{type(error).__name__}: {error}", ()
        record.exc_info = record.exc_text = None
    return True
