"""The integrity of models: a version is what it was when it first scored, or it is refused."""

from __future__ import annotations

import json

from analysis.tables.record import canonical_json
from tasks.base.errors import DethroneError
from tasks.base.project import Project
from tasks.models.registry import Registry, Scorer
from tasks.store import AlreadyThereError, NotThereError, Store

__all__ = ["ChangedModelError", "keep_digest", "load_checked"]


class ChangedModelError(DethroneError):
    """The artifacts of a version are not those that it first scored with."""


def load_checked(store: Store, registry: Registry, project: Project, version: str) -> Scorer:
    """Load a version for scoring. Raises ChangedModelError if its artifacts differ from those on record, RegistryError."""
    scorer = registry.load(version)
    _require_same(store, project, scorer)
    return scorer


def keep_digest(store: Store, project: Project, scorer: Scorer) -> None:
    """Put the digest of a version's artifacts on record, once; raises ChangedModelError if another one is there."""
    try:
        store.create(
            _key(project, scorer.version), canonical_json({"version": scorer.version, "artifacts": scorer.digest})
        )
    except AlreadyThereError:
        _require_same(store, project, scorer)


def _require_same(store: Store, project: Project, scorer: Scorer) -> None:
    try:
        recorded = json.loads(store.read(_key(project, scorer.version)))["artifacts"]
    except NotThereError:
        return
    if recorded != scorer.digest:
        msg = (
            f"the artifacts of version {scorer.version} were changed after it first scored (SHA-256 {scorer.digest[:12]}, on record "
            f"{recorded[:12]}); restore them, or register what they are now as a version of its own"
        )
        raise ChangedModelError(msg)


def _key(project: Project, version: str) -> str:
    return f"{project.name}/versions/{version}.json"
