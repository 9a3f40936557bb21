"""Eight weeks of two models whose labels come as a feed of its own kind brings them."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Callable, Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml
from parcels import decisions_frame, put_batch, put_frame, register_version

from flows.enthrone import enthrone
from flows.judge import judge
from flows.score import score
from tasks.base.project import Project
from tasks.decisions import all_records
from tasks.store import Store, open_store

__all__ = ["BETTER", "EQUAL", "FIRST", "LATER", "WEEKS", "Counts", "Feed", "Scored", "Spoil"]

FIRST, LATER = date(2024, 1, 7), date(2024, 6, 1)
WEEKS = 8
EQUAL = {
    (1, 0, 1): 20,
    (1, 1, 0): 20,
    (1, 1, 1): 20,
    (1, 0, 0): 10,
    (0, 0, 1): 10,
    (0, 1, 0): 10,
    (0, 0, 0): 200,
    (0, 1, 1): 10,
}
BETTER = {**EQUAL, (1, 0, 1): 32, (1, 1, 0): 8, (0, 0, 1): 8, (0, 1, 0): 12}
Counts = Mapping[tuple[int, ...], int]
Spoil = Callable[[pl.DataFrame], pl.DataFrame]


def as_it_is(frame: pl.DataFrame) -> pl.DataFrame:
    return frame


def in_week(counts: Counts, week: int) -> tuple[date, pl.DataFrame]:
    """The day of the batch, and its rows with their labels, which are observed a week later."""
    day = FIRST + timedelta(weeks=week)
    return day, decisions_frame(counts, prefix=f"{day}-").with_columns(observed_at=pl.lit(day + timedelta(days=7)))


class Scored:
    """Weeks of two versions, scored by the flows once; whoever plays them with labels of its own gets a copy of the store."""

    def __init__(self, mlflow_uri: str, new_folder: Callable[[str], Path]) -> None:
        self._mlflow_uri, self._new_folder = mlflow_uri, new_folder
        self._made: dict[tuple[Any, ...], Project] = {}

    def __call__(self, counts: Counts, weeks: int) -> Project:
        """The project whose store holds them: the same one every time."""
        key = (*counts.items(), weeks)
        if key not in self._made:
            folder = self._new_folder("scored")
            project = Project(
                name="parcels", store=str(folder / "store"), mlflow=self._mlflow_uri, model=f"scored-{uuid.uuid4().hex[:8]}",
                maturity_days=14,
            )  # fmt: skip
            with pytest.MonkeyPatch.context() as patch:
                patch.setenv("DETHRONE_PROJECTS", str(folder))
                feed = Feed(project, open_store(project.store), folder, self)
                feed.settings()
                feed.score(counts, weeks, as_it_is)
            self._made[key] = project
        return self._made[key]


class Feed:
    """A project of two versions, to be played with labels as a feed brings them."""

    def __init__(self, project: Project, store: Store, folder: Path, scored: Scored) -> None:
        self.project, self.store, self.folder, self.scored = project, store, folder, scored

    def settings(self, **changes: Any) -> None:
        p = self.project
        content = {"store": p.store, "mlflow": p.mlflow, "model": p.model, "maturity_days": 14}
        policy = {"n_resamples": 1000, **changes.pop("policy", {})}
        (self.folder / "parcels.yaml").write_text(yaml.safe_dump({**content, "policy": policy, **changes}))

    def play(
        self,
        counts: Counts,
        feed: Spoil,
        *,
        weeks: int = WEEKS,
        rows: Spoil = as_it_is,
        **settings: Any,
    ) -> None:
        """Weeks that are scored, and their labels; ``rows`` spoils a batch, ``feed`` its labels."""
        if rows is as_it_is:
            ready = self.scored(counts, weeks)
            shutil.copytree(ready.store, self.project.store)
            self.project = self.project.model_copy(update={"model": ready.model})
            self.settings(**settings)
        else:
            self.settings(**settings)
            self.score(counts, weeks, rows)
        for week in range(weeks):
            day, frame = in_week(counts, week)
            put_frame(self.store, f"parcels/labels/{day}.parquet", feed(frame).drop("region", "x1", "x2", strict=False))

    def score(self, counts: Counts, weeks: int, rows: Spoil) -> None:
        """Lay down the weeks and score them."""
        for column in ("x1", "x2"):
            register_version(self.project, column)
        for week in range(weeks):
            day, frame = in_week(counts, week)
            put_batch(self.store, self.project, str(day), rows(frame).drop("label", "observed_at"))
        enthrone("parcels", "1", author="test", as_of=FIRST)
        score("parcels", as_of=LATER)

    def verdict(self) -> tuple[str, str]:
        """The verdict on version 2 and its first reason, as recorded."""
        judge("parcels", as_of=LATER)
        (decision,) = all_records(self.store, self.project.name)
        (assessment,) = decision["judgement"]["assessments"]
        return assessment["verdict"], assessment["reasons"][0]
