"""Weeks that several versions have played, whatever they predict, with the raw rows beside the decision."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import polars as pl
from mlflow.pyfunc import PythonModel
from parcels import Echo, register_version
from weeks import found, look_on, play_rows, week

from analysis.verdict.judge import Assessment
from tasks.base.project import Project
from tasks.decisions import Decision, save_decision
from tasks.models.registry import Registry
from tasks.store import Store, open_store

__all__ = ["Gives", "Played", "cells", "play", "register_echo"]


@dataclass
class Played:
    """What some weeks left behind, and all their rows."""

    store: Store
    project: Project
    rows: pl.DataFrame
    look: Decision

    def against(self, version: str) -> Assessment:
        return next(a for a in self.look.judgement.assessments if a.evidence.challenger.version == version)

    def labelled(self, version: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Label, champion and challenger of every row that counts."""
        rows = self.rows.drop_nulls("label")
        return rows["label"].to_numpy(), rows["x1"].to_numpy(), rows[f"x{version}"].to_numpy()


P = TypeVar("P", bound=Played)


def play(
    kind: type[P],
    project: Project,
    versions: Sequence[str],
    weeks: Sequence[pl.DataFrame],
    register: Callable[..., str],
) -> P:
    """Register each version, which reads the column of its own, play the weeks, and record the decision after the last."""
    store, registry = open_store(project.store), Registry(project)
    for version in versions:
        register(project, f"x{version}")
    found(store, registry, project)
    for number, frame in enumerate(weeks):
        play_rows(store, registry, project, number, frame)
    taken = look_on(store, project, week(len(weeks) + 1))
    assert taken is not None
    save_decision(store, project.name, taken)
    return kind(store, project, pl.concat(weeks), taken)


def cells(line: str) -> list[str]:
    """The cells of one row of a markdown table."""
    return [c.strip() for c in re.split(r"(?<!\\)\|", line.strip())[1:-1]]


def register_echo(project: Project, column: str, model: Any = None, **options: Any) -> str:
    """Register a version that says what stands in its column, or this model; it has no threshold."""
    return register_version(project, column, model=Echo() if model is None else model, threshold=None, **options)


class Gives(PythonModel):  # type: ignore[misc]
    """A model whose output is what a function makes of its column."""

    def __init__(self, output: Callable[[Any], Any]) -> None:
        self._output = output

    def predict(self, context, model_input, params=None):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201, ARG002  (MLflow reads hints)
        return self._output(model_input.iloc[:, 0])
