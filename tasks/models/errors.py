"""The errors of model versions."""

from __future__ import annotations

from tasks.base.errors import DethroneError

__all__ = ["RegistryError", "ScoringError"]


class RegistryError(DethroneError):
    """MLflow does not answer, a model or version is not there, or a version cannot compete."""


class ScoringError(DethroneError):
    """A batch's column is not what a model reads, or the output of a model is not one prediction per row."""
