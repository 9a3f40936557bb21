"""The one root of every error that Dethrone raises on purpose: each says in a sentence what is wrong and what to do."""

__all__ = ["DethroneError", "first_line"]


class DethroneError(Exception):
    """Something that a user can put right."""


def first_line(error: BaseException) -> str:
    """What another library's error says, without the pages that follow: ours are one sentence, on one line."""
    return next((line.strip().rstrip(".:") for line in str(error).splitlines() if line.strip()), type(error).__name__)
