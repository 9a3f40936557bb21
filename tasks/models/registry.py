"""The model registry: the versions that compete, and how a version scores rows."""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import yaml
from numpy.typing import NDArray

from analysis.kinds import KINDS, Task
from tasks.base.errors import DethroneError, first_line
from tasks.base.project import Project
from tasks.models.outputs import ScoringError, predictions_of

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
# with MLflow's own 7 retries of 120 seconds each it takes minutes until an error says that no server is there
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "30")

__all__ = ["ModelVersion", "Registry", "RegistryError", "Scorer", "ScoringError"]

RETIRED_TAG = "retired"
_WITH_PROBABILITIES = ("sklearn", "lightgbm", "xgboost", "catboost")  # pyfunc returns classes, not their probabilities
_NUMERIC = ("boolean", "integer", "long", "float", "double")


class RegistryError(DethroneError):
    """MLflow does not answer, a model or version is not there, or a version cannot compete."""


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """One version of the registered model, as it is in MLflow."""

    version: str
    run_id: str
    tags: dict[str, str]
    task: Task = "binary"

    @property
    def threshold(self) -> float | None:
        """The operating threshold: a row is flagged if its score is at least this. Raises RegistryError.

        None for the tasks multiclass and regression, where no row is flagged.
        """
        if not KINDS[self.task].decides:
            return None
        text = self.tags.get("threshold")
        if text is None:
            msg = f"version {self.version} has no tag 'threshold'; set it to the score from which a row is flagged"
            raise RegistryError(msg)
        try:
            value = float(text)
        except ValueError:
            value = -1.0
        if not 0 <= value <= 1:
            msg = f"version {self.version}: its tag 'threshold' is '{text}'; it must be a number from 0 to 1"
            raise RegistryError(msg)
        return value

    @property
    def trained_through(self) -> date | None:
        """The last day of the training data; None without the tag. Raises RegistryError if it is not a date."""
        text = self.tags.get("trained_through")
        if text is None:
            return None
        try:
            return date.fromisoformat(text)
        except ValueError:
            msg = f"version {self.version}: its tag 'trained_through' is '{text}'; it must be a date such as 2013-02-28"
            raise RegistryError(msg) from None


@dataclass(frozen=True, slots=True)
class Scorer:
    """A loaded model: call it with rows to get predictions. ``columns`` are those it reads, ``digest`` is of its artifacts."""

    version: str
    task: Task
    columns: tuple[str, ...]
    digest: str
    _predict: Callable[[Any], Any]
    _folder: Any = None
    _types: Mapping[str, str] = field(default_factory=dict)

    def __call__(self, rows: pl.DataFrame) -> NDArray[Any]:
        """One prediction per row: a score in [0, 1], the name of a class, or a finite number. Raises ScoringError."""
        for name, wanted in self._types.items():
            dtype = rows.schema[name]
            if wanted in _NUMERIC and not (dtype.is_numeric() or dtype in (pl.Boolean, pl.Null)):
                msg = f"version {self.version} reads the column '{name}' as {wanted}, and the batch has it as {dtype}; write it as numbers"
                raise ScoringError(msg)
        return predictions_of(
            self.task, self.version, self._predict(rows.select(self.columns).to_pandas()), rows.height
        )


class Registry:
    """The versions of a project's registered model in MLflow."""

    def __init__(self, project: Project) -> None:
        import mlflow

        logging.getLogger("mlflow").setLevel(logging.WARNING)
        mlflow.set_tracking_uri(project.mlflow)  # loading from a models:/ URI needs the global setting
        self.model = project.model
        self._uri = project.mlflow
        self._task = project.task
        with self._mlflow_errors(self._missing(None)):
            self._client = mlflow.MlflowClient(project.mlflow)

    @contextlib.contextmanager
    def _mlflow_errors(self, missing: str) -> Iterator[None]:
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
                f"MLflow at {self._uri} does not answer as it should; start it, or correct 'mlflow' in the project file "
                f"({first_line(error)})"
            )
            raise RegistryError(msg) from error

    def _missing(self, version: str | None) -> str:
        if version is None:
            return f"the registry holds no model '{self.model}'; register it, or correct 'model' in the project file"
        return f"the registry holds no version {version} of the model '{self.model}'; register it, or name another one"

    def versions(self) -> list[ModelVersion]:
        """All versions but those tagged ``retired``, oldest first. Raises RegistryError if there is none."""
        with self._mlflow_errors(self._missing(None)):
            registered = self._client.search_model_versions(f"name = '{self.model}'")
        if not registered:
            msg = f"the registry holds no version of a model '{self.model}'; register one, or correct 'model' in the project file"
            raise RegistryError(msg)
        versions = [ModelVersion(str(v.version), v.run_id or "", dict(v.tags), self._task) for v in registered]
        live = [v for v in versions if v.tags.get(RETIRED_TAG, "").lower() not in ("true", "1", "yes")]
        return sorted(live, key=lambda v: int(v.version))

    def version(self, number: str) -> ModelVersion:
        """One version, retired or not. Raises RegistryError."""
        with self._mlflow_errors(self._missing(number)):
            v = self._client.get_model_version(self.model, number)
        return ModelVersion(str(v.version), v.run_id or "", dict(v.tags), self._task)

    def load(self, number: str) -> Scorer:
        """Load a version for scoring. Raises RegistryError.

        Of a binary model with ``predict_proba`` the scores are the probabilities of the class 1. Of every other model the
        predictions are those of ``predict``, of its sklearn flavour or else of pyfunc.
        """
        import mlflow

        folder = tempfile.TemporaryDirectory(
            prefix="dethrone-"
        )  # lives as long as the scorer, which may read files from it
        with self._mlflow_errors(self._missing(number)):
            uri = f"models:/{self.model}/{number}"
            path = Path(mlflow.artifacts.download_artifacts(artifact_uri=uri, dst_path=folder.name))
        description = yaml.safe_load((path / "MLmodel").read_text(encoding="utf-8"))
        if not description.get("signature") or not description["signature"].get("inputs"):
            msg = f"version {number} has no signature; log it with one that names the columns it reads"
            raise RegistryError(msg)
        inputs = json.loads(description["signature"]["inputs"])
        types = {str(c["name"]): str(c.get("type")) for c in inputs if "name" in c}
        if not types:
            msg = f"version {number}: its signature names no columns; log it with a data frame as input"
            raise RegistryError(msg)
        predict: Callable[[Any], Any]
        flavour = next((f for f in _WITH_PROBABILITIES if f in description["flavors"]), None)
        model: Any = getattr(mlflow, flavour).load_model(str(path)) if flavour else None
        if KINDS[self._task].decides and hasattr(model, "predict_proba"):
            predict = _probability_of_one(number, model)
        elif flavour == "sklearn":
            predict = model.predict
        else:
            predict = mlflow.pyfunc.load_model(str(path)).predict
        return Scorer(number, self._task, tuple(types), _content_digest(path, description), predict, folder, types)

    def aliases(self) -> dict[str, str]:
        """Alias to version. Raises RegistryError."""
        with self._mlflow_errors(self._missing(None)):
            return {a: str(v) for a, v in self._client.get_registered_model(self.model).aliases.items()}

    def set_alias(self, alias: str, version: str | None) -> None:
        """Point the alias at a version; None removes the alias. Raises RegistryError."""
        with self._mlflow_errors(self._missing(version)):
            if version is None:
                self._client.delete_registered_model_alias(self.model, alias)
            else:
                self._client.set_registered_model_alias(self.model, alias, version)

    def set_tags(self, version: str, tags: dict[str, str]) -> None:
        """Add or replace these tags of a version. Raises RegistryError."""
        with self._mlflow_errors(self._missing(version)):
            for key, value in tags.items():
                self._client.set_model_version_tag(self.model, version, key, value)

    def log_report(self, run_id: str, folder: Path, artifact_path: str) -> None:
        """Log the files of a report to the run that made the model. Raises RegistryError."""
        with self._mlflow_errors(
            f"the registry holds no run {run_id}, which made a version of the model '{self.model}'"
        ):
            self._client.log_artifacts(run_id, str(folder), artifact_path)


def _probability_of_one(number: str, model: Any) -> Callable[[Any], Any]:
    """The column of ``predict_proba`` of the class 1. Raises RegistryError if the model does not have the classes 0 and 1."""
    classes = [str(c).removesuffix(".0") for c in getattr(model, "classes_", [0, 1])]
    wanted = next((i for i, c in enumerate(classes) if c in ("1", "True")), None)
    if wanted is None or len(classes) != 2:
        msg = f"version {number} has the classes {', '.join(classes)}; register a binary model with the classes 0 and 1"
        raise RegistryError(msg)
    return lambda rows: np.asarray(model.predict_proba(rows))[:, wanted]


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
