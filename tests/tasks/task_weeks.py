"""Weeks of rows whose labels are classes or numbers, played by four versions: 2 is better than the champion, 3 as good, 4 worse."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from played import Played, play, register_echo

from analysis.policy import Policy
from tasks.base.project import Project

__all__ = ["ANIMALS", "NAMES", "PRICES", "ROWS", "WEEKS", "TaskWeeks"]

WEEKS, ROWS = 4, 750
NAMES = np.array(["bird", "cat", "dog"])
RIGHT = {"1": 0.7, "2": 0.8, "3": 0.7, "4": 0.6}
ERRS = {"1": 2.0, "2": 1.5, "3": 2.0, "4": 2.6}


def animals(number: int) -> pl.DataFrame:
    """One week of rows: what each version will name stands in its column, half of the time as all others name it."""
    rng, n = np.random.default_rng(8 + number), ROWS
    y = rng.choice(3, n, p=[0.5, 0.3, 0.2])
    shared = rng.random(n) < 0.5
    common = np.where(rng.random(n) < 0.7, y, (y + rng.integers(1, 3, n)) % 3)
    columns = {}
    for version, right in RIGHT.items():
        own = np.where(rng.random(n) < right, y, (y + rng.integers(1, 3, n)) % 3)
        columns[f"x{version}"] = NAMES[np.where(shared, common, own)]
    return _week(number, columns, NAMES[y], rng)


def prices(number: int) -> pl.DataFrame:
    """One week of rows: what each version will predict stands in its column, with an error beside the one that all share."""
    rng, n = np.random.default_rng(20 + number), ROWS
    y = rng.gamma(3, 4, n)
    shared = rng.normal(0, 1, n)
    columns = {f"x{v}": y + shared + rng.normal(0, sd, n) for v, sd in ERRS.items()}
    return _week(number, columns, y, rng)


def _week(number: int, columns: Mapping[str, np.ndarray], y: np.ndarray, rng: np.random.Generator) -> pl.DataFrame:
    """One row in twenty never gets its label."""
    seen = pl.Series("label", y).to_frame().select(pl.when(pl.Series(rng.random(ROWS) < 0.95)).then(pl.col("label")))
    region = rng.choice(["north", "south"], ROWS)
    ids = [f"{number}-{i}" for i in range(ROWS)]
    return pl.DataFrame({"id": ids, "region": region, **columns, "label": seen["label"]})


@dataclass(frozen=True)
class TaskWeeks:
    """A project of one task, and how to make its weeks."""

    name: str
    policy: Policy
    week: Callable[[int], pl.DataFrame]
    example: Any

    def played(self, folder: Path, mlflow_uri: str, kind: type[Played] = Played) -> Any:
        project = Project(
            name=self.name, store=str(folder / "store"), mlflow=mlflow_uri, model=f"{self.name}-{uuid.uuid4().hex[:8]}",
            task=self.policy.task, segments=("region",), maturity_days=14, policy=self.policy,
        )  # fmt: skip
        register = partial(register_echo, example=self.example)
        return play(kind, project, list(RIGHT), [self.week(number) for number in range(WEEKS)], register)


ANIMALS = TaskWeeks("animals", Policy(task="multiclass", error_budget="family", n_resamples=1000), animals, "cat")
PRICES = TaskWeeks(
    "prices",
    Policy(
        task="regression", min_gain=0.1, guardrails={"absolute_error": 0.1}, error_budget="family", n_resamples=1000
    ),
    prices,
    0.5,
)
