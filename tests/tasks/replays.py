"""Replaying everything that is due, as the flows do, without Prefect."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from weeks import look_on

from analysis.evidence import Evidence
from tasks.base.project import Project
from tasks.batches.predictions import Manifest
from tasks.batches.replaying import due_replays, keep_claims, replay_batch
from tasks.batches.rows import BatchError
from tasks.decisions import Decision, save_decision
from tasks.models.registry import Registry
from tasks.models.version import ModelVersion
from tasks.models.versions import Versions
from tasks.reigns import head
from tasks.store import Store

__all__ = ["NeedsFile", "against", "replay_due", "taken"]


class NeedsFile:
    """A model that fails as long as a file is missing, as one whose library is not installed does."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)

    def predict(self, rows: Any) -> Any:
        if not Path(self.path).exists():
            msg = "the dictionary is not installed"
            raise RuntimeError(msg)
        return np.full(len(rows), 0.75)


def replay_due(
    store: Store, registry: Registry, project: Project, today: date
) -> dict[str, dict[str, str | None] | str]:
    """Of each batch, why each version failed that was replayed on it, None where it did not; or why its rows cannot be used."""
    with Versions(store, registry, project) as versions:
        keep_claims(versions, today)
        due = due_replays(versions, head(store, project.name))
        return {m.batch: _results(versions, m, wanted, today) for m, wanted in due.batches}


def _results(
    versions: Versions, manifest: Manifest, wanted: Sequence[ModelVersion], today: date
) -> dict[str, str | None] | str:
    try:
        return replay_batch(versions, manifest, wanted, today)
    except BatchError as error:
        return str(error)


def taken(store: Store, project: Project, day: date) -> Decision:
    """The recorded decision of a look at the reign in force."""
    look = look_on(store, project, day)
    assert look is not None
    save_decision(store, project.name, look)
    return look


def against(look: Decision, version: str) -> Evidence:
    """The evidence on one challenger."""
    return next(e for e in look.evidence if e.challenger.version == version)
