"""Versions that score the same batches side by side, in one run of ``score``, each with what it is to give or to fail with."""

from __future__ import annotations

import sys
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import cloudpickle
import mlflow
import numpy as np
import polars as pl
import pytest
import yaml
from numpy.typing import NDArray
from parcels import put_batch, register_version

from flows.score import score
from tasks.base.project import Project
from tasks.batches.predictions import Manifest, Scored, read_manifest, read_parts
from tasks.decisions.promotion import enthrone
from tasks.models.registry import Registry
from tasks.store import DirectoryStore


class Gives(mlflow.pyfunc.PythonModel):  # type: ignore[misc]
    """A pyfunc model that gives what a function makes of its frame."""

    def __init__(self, output: Callable[[Any], Any]) -> None:
        self._output = output

    def predict(self, context, model_input, params=None):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201, ARG002  (MLflow reads hints)
        return self._output(model_input)


class Estimates:
    """A model of the flavour of scikit-learn that gives what a function makes of its frame."""

    def __init__(self, output: Callable[[Any], Any]) -> None:
        self._output = output

    def predict(self, rows: Any) -> Any:
        return self._output(rows)


@dataclass(frozen=True, eq=False)
class Case:
    """A version, and the scores that are right for it, or the whole of what it "failed to" do, in which it is version 7."""

    name: str
    reads: dict[str, str]
    model: Any
    expected: Any
    tags: dict[str, str]

    def __str__(self) -> str:
        return self.name


def case(name: str, reads: str, output: Any, expected: Any, make: Any = Gives, **tags: str) -> Case:
    """``reads`` are columns as in "x1: double, note: string?"; without ``make``, ``output`` is a fitted estimator."""
    columns = dict(part.split(": ") for part in reads.split(", "))
    return Case(name, columns, make(output) if make else output, expected, {"threshold": "0.5", **tags})


def itself(x: Any) -> Any:
    return x.iloc[:, 0]


def unfit(column: str, wanted: str, has: str) -> Case:
    sentence = f"version 7 reads the column '{column}' as {wanted}, and the batch has it as {has}"
    return case(f"{column} as {wanted}", f"{column}: {wanted}", itself, f"score: {sentence}")


@dataclass(frozen=True)
class Run:
    """Batches that all versions have scored; ``versions`` are those of the cases."""

    store: DirectoryStore
    versions: dict[Case, str]
    said: str

    def manifest(self, batch: str) -> Manifest:
        manifest = read_manifest(self.store, "parcels", batch)
        assert manifest is not None
        return manifest

    def of(self, one: Case, batch: str) -> Scored:
        (scored,) = (s for s in self.manifest(batch).scored if s.version == self.versions[one])
        return scored

    def scores(self, one: Case, batch: str) -> NDArray[Any]:
        scored = self.of(one, batch)
        assert scored.failure is None
        return read_parts(self.store, scored.parts)["score"].to_numpy()

    def gives(self, one: Case, batch: str) -> None:
        np.testing.assert_allclose(self.scores(one, batch), one.expected, rtol=1e-12, atol=0)

    def refuses(self, one: Case, batch: str) -> None:
        scored = self.of(one, batch)
        assert (scored.failure or "").replace(f"version {scored.version} ", "version 7 ") == f"failed to {one.expected}"
        assert not scored.parts


@contextmanager
def from_a_notebook(*modules: str) -> Iterator[None]:
    """Models are logged with the code of these modules, as workers need not have them."""
    for name in modules:
        cloudpickle.register_pickle_by_value(sys.modules[name])
    try:
        yield
    finally:
        for name in modules:
            cloudpickle.unregister_pickle_by_value(sys.modules[name])


def score_side_by_side(
    folder: Path, mlflow_uri: str, module: str, cases: Iterable[Case], batches: Mapping[str, list[pl.DataFrame]]
) -> Run:
    """Register a champion that reads ``x1`` and, as its challengers, all cases of a module; score the batches, given by their files."""
    content: dict[str, Any] = {
        "store": str(folder / "store"),
        "mlflow": mlflow_uri,
        "model": f"cases-{uuid.uuid4().hex[:8]}",
    }
    (folder / "parcels.yaml").write_text(yaml.safe_dump({**content, "maturity_days": 14}))
    project, store = Project(name="parcels", **content, maturity_days=14), DirectoryStore(folder / "store")
    champion = register_version(project, "x1")
    with from_a_notebook(__name__, module):
        versions = {c: register_version(project, "", model=c.model, reads=c.reads, tags=c.tags) for c in cases}
    since = date.fromisoformat(min(batches))
    enthrone(store, Registry(project), "parcels", version=champion, since=since, author="ada", reason="first champion")
    for batch, files in batches.items():
        for number, rows in enumerate(files):
            put_batch(store, project, batch, rows, str(number))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DETHRONE_PROJECTS", str(folder))
        return Run(store, versions, score("parcels", as_of=date(2024, 12, 1)))
