"""The one root of every error that Dethrone raises on purpose: each says in a sentence what is wrong and what to do."""

__all__ = ["DethroneError"]


class DethroneError(Exception):
    """Something that a user can put right."""
