"""The model registry: the versions that compete, and how a version scores rows."""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tasks.base.errors import first_line
from tasks.base.project import Project
from tasks.base.uris import public_text, public_uri
from tasks.models.errors import RegistryError
from tasks.models.signature import Signature, read_signature
from tasks.models.version import ModelVersion

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ["MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT"] = "true"  # as the URL may hold a password
# with MLflow's own 7 retries of 120 seconds each it takes minutes until an error says that no server is there
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "30")

__all__ = ["Artifacts", "Registry"]

RETIRED_TAG = "retired"
_BEGIN, _END = "<!-- dethrone -->", "<!-- /dethrone -->"
_DESCRIBED = re.compile(f"{_BEGIN}.*?{_END}", re.DOTALL)
_NO = ("false", "0", "no")  # what a tag says that is set and does not hold
_REGISTRY = os.environ.get("MLFLOW_REGISTRY_URI", "")  # before MLflow sets it for processes that it starts
_UNITY = "databricks-uc"


@dataclass(frozen=True, slots=True)
class Artifacts:
    """The files of a version on this machine, which are removed with this object; ``digest`` is of what is in them."""

    version: ModelVersion
    folder: Path
    signature: Signature
    digest: str
    _temporary: Any = None


class Registry:
    """The versions of a project's registered model in MLflow; ``client`` is MLflow's own, to be used within ``errors``."""

    def __init__(self, project: Project) -> None:
        import mlflow

        logging.getLogger("mlflow").setLevel(logging.WARNING)
        self.project = project
        self.model = project.model
        self.shown = public_uri(project.mlflow)
        self._tracking, self._registry = _addresses(project)
        self._task = project.task
        self._use()
        with self.errors(self._missing(None)):
            self.client = mlflow.MlflowClient(self._tracking, self._registry or None)

    def _use(self) -> None:
        """Point MLflow itself at this registry, as loading from a models:/ URI needs it."""
        import mlflow

        mlflow.set_tracking_uri(self._tracking)
        mlflow.set_registry_uri(self._registry)  # "": MLflow's own choice

    def public(self, text: str) -> str:
        """A text of MLflow's without the credentials that its address may hold."""
        return public_text(text, self._tracking, self._registry)

    @contextlib.contextmanager
    def errors(self, missing: str) -> Iterator[None]:
        """Turn MLflow's errors into RegistryError: with the message ``missing`` if what is asked for does not exist."""
        from mlflow.exceptions import MlflowException
        from mlflow.tracking.registry import UnsupportedModelRegistryStoreURIException

        try:
            yield
        except MlflowException as error:
            known = not isinstance(error, UnsupportedModelRegistryStoreURIException)
            if known and error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                raise RegistryError(missing) from error
            msg = (
                f"MLflow at {self.shown} does not answer as it should; start it, or correct 'mlflow' in the project file "
                f"({self.public(first_line(error))})"
            )
            raise RegistryError(msg) from error

    def _missing(self, version: str | None) -> str:
        if version is None:
            return f"the registry holds no model '{self.model}'; register it, or correct 'model' in the project file"
        return f"the registry holds no version {version} of the model '{self.model}'; register it, or name another one"

    def versions(self) -> list[ModelVersion]:
        """The versions that compete, as ``challengers`` in the project file has it, oldest first. Raises RegistryError if there is none."""
        with self.errors(self._missing(None)):
            registered = self.client.search_model_versions(f"name = '{self.model}'")
        if not registered:
            msg = f"the registry holds no version of a model '{self.model}'; register one, or correct 'model' in the project file"
            raise RegistryError(msg)
        versions = [ModelVersion(str(v.version), v.run_id or "", dict(v.tags), self._task) for v in registered]
        live = [v for v in versions if v.tags.get(RETIRED_TAG, "").lower() not in ("true", "1", "yes")]
        return sorted(self._chosen(live), key=lambda v: int(v.version))

    def _chosen(self, live: list[ModelVersion]) -> list[ModelVersion]:
        kind, _, name = self.project.challengers.partition(":")
        if kind == "all":
            return live
        aliases = self.aliases()
        led = {aliases.get("champion"), aliases.get("previous")}
        if kind == "alias":
            return [v for v in live if v.version in {*led, aliases.get(name)}]
        return [v for v in live if v.version in led or v.tags.get(name, "false").lower() not in _NO]

    def author(self, version: ModelVersion) -> str | None:
        """The user who logged the model of the version, as MLflow recorded it; None if it did not."""
        with self.errors(self._missing(version.version)):
            run = self.client.get_run(version.run_id) if version.run_id else None
        return run.info.user_id or run.data.tags.get("mlflow.user") if run else None

    def version(self, number: str) -> ModelVersion:
        """One version, retired or not. Raises RegistryError."""
        with self.errors(self._missing(number)):
            v = self.client.get_model_version(self.model, number)
        return ModelVersion(str(v.version), v.run_id or "", dict(v.tags), self._task)

    def download(self, version: ModelVersion) -> Artifacts:
        """Download the files of a version; none of its code is imported. Raises RegistryError."""
        import mlflow

        number = version.version
        temporary = tempfile.TemporaryDirectory(prefix="dethrone-")  # lives as long as a model may read files from it
        self._use()  # on a worker, a project with another one may have come meanwhile
        with self.errors(self._missing(number)):
            uri = f"models:/{self.model}/{number}"
            folder = Path(mlflow.artifacts.download_artifacts(artifact_uri=uri, dst_path=temporary.name))
        description = yaml.safe_load((folder / "MLmodel").read_text(encoding="utf-8"))
        signature = read_signature(number, description)
        return Artifacts(version, folder, signature, _content_digest(folder, description), temporary)

    def aliases(self) -> dict[str, str]:
        """Alias to version. Raises RegistryError."""
        with self.errors(self._missing(None)):
            return {a: str(v) for a, v in self.client.get_registered_model(self.model).aliases.items()}

    def set_alias(self, alias: str, version: str | None) -> None:
        """Point the alias at a version; None removes the alias. Raises RegistryError."""
        with self.errors(self._missing(version)):
            if version is None:
                self.client.delete_registered_model_alias(self.model, alias)
            else:
                self.client.set_registered_model_alias(self.model, alias, version)

    def describe(self, version: str, text: str) -> bool:
        """Put this text into the description of a version, below what others wrote; False if it is there. Raises RegistryError."""
        with self.errors(self._missing(version)):
            current = self.client.get_model_version(self.model, version).description or ""
            others = _DESCRIBED.sub("", current).rstrip()
            described = f"{others}\n\n{_BEGIN}\n{text}\n{_END}".lstrip("\n")
            if described == current:
                return False
            self.client.update_model_version(self.model, version, described)
        return True

    def set_tags(self, version: str, tags: dict[str, str]) -> None:
        """Add or replace these tags of a version. Raises RegistryError."""
        with self.errors(self._missing(version)):
            for key, value in tags.items():
                self.client.set_model_version_tag(self.model, version, key, value)

    def log_report(self, run_id: str, folder: Path, artifact_path: str) -> None:
        """Log the files of a report to the run that made the model. Raises RegistryError."""
        with self.errors(f"the registry holds no run {run_id}, which made a version of the model '{self.model}'"):
            self.client.log_artifacts(run_id, str(folder), artifact_path)


def _addresses(project: Project) -> tuple[str, str]:
    """The tracking URI and the registry URI, "" for MLflow's choice. Unity Catalog is a registry, and its runs are those of Databricks."""
    if project.mlflow.partition("://")[0] == _UNITY:
        return project.mlflow.replace(_UNITY, "databricks", 1), project.mlflow
    return project.mlflow, _REGISTRY


def _content_digest(path: Path, description: dict[str, Any]) -> str:
    """SHA-256 of all files that determine how the model behaves.

    Of ``MLmodel`` only the flavours and the signature count, as run, time and id differ between two registrations of one
    model.
    """
    total = hashlib.sha256()
    for file in sorted(p for p in path.rglob("*") if p.is_file()):
        name = file.relative_to(path).as_posix()
        if name == "registered_model_meta":
            continue
        total.update(name.encode() + b"\0")
        if name == "MLmodel":
            lasting = {k: description.get(k) for k in ("flavors", "signature")}
            total.update(hashlib.sha256(json.dumps(lasting, sort_keys=True).encode()).digest())
        else:
            with file.open("rb") as content:
                total.update(hashlib.file_digest(content, "sha256").digest())
    return total.hexdigest()
