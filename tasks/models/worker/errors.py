"""What a model cannot do, in a sentence that goes on behind "version 3"."""

from __future__ import annotations

__all__ = ["ModelError"]


class ModelError(Exception):
    """A model cannot be loaded, cannot take its input, or its output is not one prediction per row."""
