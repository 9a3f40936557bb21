"""A project that is spoilt in one point at a time: what is done to it, which flow is called, and what the flow says."""

from __future__ import annotations

import re
import shutil
import sys
import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import yaml
from parcels import decisions_frame, put_batch, put_labels, register_version, sigmoid_model

from analysis.policy import Policy
from tasks.base.errors import DethroneError
from tasks.base.project import Project
from tasks.batches.scoring import score_batch
from tasks.decisions.promotion import enthrone
from tasks.models.registry import Registry
from tasks.reigns.projections import repair_projections
from tasks.store import DirectoryStore

FIRST = date(2024, 1, 7)
LATER = date(2024, 3, 1)
NEXT = "2024-02-18"  # a sound batch that is not scored yet
BETTER = {(1, 0, 1): 30, (1, 1, 0): 5, (1, 1, 1): 20, (0, 0, 0): 100, (0, 1, 1): 5}
NO_THRESHOLD, WORD_FOR_A_THRESHOLD, NO_SIGNATURE = "3", "4", "5"

NEVER = threading.Event()
NAN, INFINITE, ABOVE_ONE, TOO_FEW, WORDS, RAISES, ENDS, HANGS = (float(-n) for n in range(101, 109))


class Dictated(type(sigmoid_model("x"))):  # type: ignore[misc]
    """Scores as its parent does until a row tells it what to do instead."""

    def predict_proba(self, rows: Any) -> Any:
        told = float(rows.iloc[0, 0])
        scores = np.asarray(super().predict_proba(rows.abs()))
        if told in (NAN, INFINITE, ABOVE_ONE):
            scores[0] = {NAN: np.nan, INFINITE: np.inf, ABOVE_ONE: 1.5}[told]
            return scores
        if told == TOO_FEW:
            return scores[1:]
        if told == WORDS:
            return np.full(scores.shape, "late")
        if told == RAISES:
            msg = "the feature server is down\nsee its log"
            raise RuntimeError(msg)
        if told == ENDS:
            sys.exit(1)
        if told == HANGS:
            NEVER.wait()
        return super().predict_proba(rows)


def dictated(column: str) -> Any:
    model = Dictated()
    model.__dict__.update(sigmoid_model(column).__dict__)
    return model


def telling(code: float, column: str = "x2") -> pl.DataFrame:
    """A small batch whose first row tells the model that reads ``column`` what to do."""
    frame = decisions_frame({(1, 1, 1): 5}, prefix="t").drop("label")
    return frame.with_columns(pl.Series(column, [code, 1.0, 1.0, 1.0, 1.0]))


@dataclass(frozen=True)
class World:
    """A project file of its own, and a copy of a store in which version 1 leads and six weeks are scored and not closed."""

    project: Project
    folder: Path

    @property
    def store(self) -> DirectoryStore:
        return DirectoryStore(Path(self.project.store))

    @property
    def registry(self) -> Registry:
        return Registry(self.project)

    def settings(self, **changes: Any) -> None:
        """Write the project file, with these keys changed."""
        p = self.project
        content = {"store": p.store, "mlflow": p.mlflow, "model": p.model, "maturity_days": 14, "segments": ["region"]}
        policy = {"n_resamples": 1000}
        self.file.write_text(yaml.safe_dump({**content, "policy": policy, **changes}))

    @property
    def file(self) -> Path:
        return self.folder / "parcels.yaml"

    def put(self, frame: pl.DataFrame, batch: str = NEXT, name: str = "rows") -> None:
        put_batch(self.store, self.project, batch, frame, name)

    def only_labels(self, frame: pl.DataFrame) -> None:
        """These labels in place of all others."""
        for key in self.store.keys("parcels/labels"):
            self.store.delete(key)
        buffer = self.path("parcels/labels/all.parquet")
        frame.write_parquet(buffer)

    def path(self, key: str) -> Path:
        return Path(self.project.store) / key

    def cut(self, pattern: str) -> None:
        """Take away the end of the first file of this kind, as a copy that broke off does."""
        path = min(Path(self.project.store).glob(pattern))
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])

    def files(self) -> dict[str, bytes]:
        """Every file of the store, hidden ones too."""
        root = Path(self.project.store)
        return {p.relative_to(root).as_posix(): p.read_bytes() for p in root.rglob("*") if p.is_file()}


@dataclass(frozen=True)
class Row:
    """What is done to the world, the flow that is called on it, and the whole of what the flow says."""

    name: str
    spoil: Callable[[World], object]
    flow: Callable[[], object]
    error: type[DethroneError]
    sentence: str

    def refuses(self, world: World) -> None:
        """Hold the flow to the sentence, and the store to what it was."""
        self.spoil(world)
        before = world.files()
        with pytest.raises(DethroneError) as caught:
            self.flow()
        said = str(caught.value)
        assert caught.type is self.error
        assert re.fullmatch(self.sentence, said), said
        assert world.files() == before


def make_template(folder: Path, mlflow_uri: str) -> Project:
    """The store that every world is a copy of. Versions 3 to 5 are retired, and unfit to lead."""
    project = Project(
        name="parcels", store=str(folder / "store"), mlflow=mlflow_uri, model=f"spoilt-{uuid.uuid4().hex[:8]}",
        segments=("region",), maturity_days=14, policy=Policy(n_resamples=1000),
    )  # fmt: skip
    for column in ("x1", "x2"):
        register_version(project, column, model=dictated(column))
    for threshold in (None, "high"):
        register_version(project, "x1", threshold=threshold, tags={"retired": "true"})
    register_version(project, "x1", signed=False, tags={"retired": "true"})
    store, registry = DirectoryStore(Path(project.store)), Registry(project)
    reign = enthrone(store, registry, project.name, version="1", since=FIRST, author="ada", reason="first champion")
    for week in range(7):
        day = FIRST + timedelta(weeks=week)
        frame = decisions_frame(BETTER, prefix=f"{day}-")
        put_batch(store, project, str(day), frame.drop("label"))
        put_labels(store, project, frame["id"].to_list(), frame["label"].to_list(), day, name=str(day))
        if week < 6:
            score_batch(store, registry, project, reign, str(day), day)
    repair_projections(store, registry, project.name)
    return project


def make_world(template: Project, folder: Path) -> World:
    shutil.copytree(template.store, folder / "store")
    (folder / "projects").mkdir()
    world = World(template.model_copy(update={"store": str(folder / "store")}), folder / "projects")
    world.settings()
    return world


def nothing(_: World) -> None:
    """The call itself is what is wrong."""


def bytes_in(key: str, data: bytes = b"no such thing") -> Callable[[World], object]:
    return lambda world: world.store.write(key, data)


def cut(pattern: str) -> Callable[[World], object]:
    return lambda world: world.cut(pattern)
