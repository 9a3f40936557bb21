"""Processes of a test's own, forked from one that has done the imports; it is started once, whichever test asks first."""

from __future__ import annotations

import multiprocessing
from multiprocessing.context import ForkServerContext

__all__ = ["context"]

_IMPORTED = [
    "mlflow.sklearn",
    "mlflow.store.model_registry.sqlalchemy_store",
    "mlflow.store.tracking.sqlalchemy_store",
    "pytest",
    "sklearn.linear_model",
    "tasks.reports.publish",
    "tasks.store.s3_store",
    "tasks.batches.scoring",
]


def context(*more: str) -> ForkServerContext:
    """Whoever asks first says what ``more`` is imported once; later processes import what they lack."""
    found = multiprocessing.get_context("forkserver")
    found.set_forkserver_preload([*_IMPORTED, *more])
    return found
