"""The integrity of models: a version is refused if its artifacts changed after it first scored."""

from __future__ import annotations

import json

from analysis.tables.record import canonical_json
from tasks.base.errors import DethroneError
from tasks.models.registry import Registry, Scorer
from tasks.store import AlreadyThereError, NotThereError, Store

__all__ = ["ChangedModelError", "keep_digest", "load_checked"]


class ChangedModelError(DethroneError):
    """The artifacts of a version changed after it first scored."""


def load_checked(store: Store, registry: Registry, project_name: str, version: str) -> Scorer:
    """Load a version for scoring. Raises ChangedModelError if its artifacts differ from the stored digest, RegistryError."""
    scorer = registry.load(version)
    _require_same(store, project_name, scorer)
    return scorer


def keep_digest(store: Store, project_name: str, scorer: Scorer) -> None:
    """Store the digest of a version's artifacts, once. Raises ChangedModelError if a different one is stored."""
    key = _key(project_name, scorer.version)
    try:
        store.create(key, canonical_json({"version": scorer.version, "artifacts": scorer.digest}))
    except AlreadyThereError:
        _require_same(store, project_name, scorer)


def _require_same(store: Store, project_name: str, scorer: Scorer) -> None:
    try:
        stored = json.loads(store.read(_key(project_name, scorer.version)))["artifacts"]
    except NotThereError:
        return
    if stored != scorer.digest:
        msg = (
            f"the artifacts of version {scorer.version} were changed after it first scored (SHA-256 {scorer.digest[:12]}, "
            f"then {stored[:12]}); restore them, or register the changed model as a new version"
        )
        raise ChangedModelError(msg)


def _key(project_name: str, version: str) -> str:
    return f"{project_name}/versions/{version}.json"
