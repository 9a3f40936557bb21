"""The integrity of models: a version is refused if its artifacts changed after it first scored."""

from __future__ import annotations

import contextlib
import json

from analysis.tables.record import canonical_json
from tasks.base.errors import DethroneError
from tasks.models.registry import Artifacts
from tasks.store import AlreadyThereError, NotThereError, Store

__all__ = ["ChangedModelError", "keep_digest", "kept_digest", "require_same"]


class ChangedModelError(DethroneError):
    """The artifacts of a version changed after it first scored."""


def keep_digest(store: Store, project_name: str, artifacts: Artifacts) -> None:
    """Store the digest of a version's artifacts, once. Raises ChangedModelError if a different one is stored."""
    number = artifacts.version.version
    if kept_digest(store, project_name, number) is None:
        with contextlib.suppress(AlreadyThereError):
            store.create(_key(project_name, number), canonical_json({"version": number, "artifacts": artifacts.digest}))
    require_same(store, project_name, artifacts)


def require_same(store: Store, project_name: str, artifacts: Artifacts) -> None:
    """Raise ChangedModelError if the artifacts are not those with which the version first scored."""
    stored = kept_digest(store, project_name, artifacts.version.version)
    if stored is not None and stored != artifacts.digest:
        msg = (
            f"the artifacts of version {artifacts.version.version} were changed after it first scored (SHA-256 {artifacts.digest[:12]}, "
            f"then {stored[:12]}); restore them, or register the changed model as a new version"
        )
        raise ChangedModelError(msg)


def kept_digest(store: Store, project_name: str, version: str) -> str | None:
    """The digest of the artifacts with which the version first scored; None if it has not scored."""
    try:
        kept: str = json.loads(store.read(_key(project_name, version)))["artifacts"]
    except NotThereError:
        return None
    return kept


def _key(project_name: str, version: str) -> str:
    return f"{project_name}/versions/{version}.json"
