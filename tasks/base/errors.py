"""The one root of every error that Dethrone raises on purpose: each says in a sentence what is wrong and what to do."""

from __future__ import annotations

import logging

__all__ = ["DamagedError", "DeletedError", "DethroneError", "first_line", "sentence_alone"]


class DethroneError(Exception):
    """Something that a user can put right; ``traced`` where they need the traceback for it."""

    traced = False


class DamagedError(DethroneError):
    """A stored object is not what the manifest says it is."""


class DeletedError(DamagedError):
    """A stored object that the manifest names is not there any more."""


def first_line(error: BaseException) -> str:
    """What another library's error says, without the pages that follow: ours are one sentence, on one line."""
    return next((line.strip().rstrip(".:") for line in str(error).splitlines() if line.strip()), type(error).__name__)


def sentence_alone(record: logging.LogRecord) -> bool:
    """A filter for a logger: a DethroneError is logged as its sentence, without the traceback that no user can use."""
    error = record.exc_info[1] if record.exc_info else None
    if isinstance(error, DethroneError) and not error.traced:
        record.msg, record.args = f"{type(error).__name__}: {error}", ()
        record.exc_info = record.exc_text = None
    return True
