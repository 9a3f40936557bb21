"""Weeks that several versions have played, whatever they predict, with the raw rows beside the decision."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import polars as pl
from weeks import found, look_on, play_rows, week

from analysis.judge import Assessment
from tasks.decisions import Look, record
from tasks.project import Project
from tasks.registry import Registry
from tasks.store import Store, open_store

__all__ = ["Played", "cells", "play"]


@dataclass
class Played:
    """What some weeks left behind, and all their rows."""

    store: Store
    project: Project
    rows: pl.DataFrame
    look: Look

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
    record(store, project, taken)
    return kind(store, project, pl.concat(weeks), taken)


def cells(line: str) -> list[str]:
    """The cells of one row of a markdown table."""
    return [c.strip() for c in re.split(r"(?<!\\)\|", line.strip())[1:-1]]
