"""Projects that are larger than any model server of a test could score: closed batches made in memory, with the decision on them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import numpy as np
import polars as pl

from analysis.evidence import BatchTally, Contender
from analysis.policy import Policy
from tasks.base.project import Project
from tasks.batches.predictions import Manifest, Scored
from tasks.decisions import Decision, decide
from tasks.labels.tally_files import Closed, ClosedBatch
from tasks.reigns import Reign, head
from tasks.reigns.promotion_log import commit, reign_after
from tasks.store import Store

__all__ = ["FIRST", "Large", "lead"]

FIRST = date(2001, 1, 7)


@dataclass(frozen=True)
class Large:
    """How large a project is. Every version but the first, which leads, is right a little more often than the one before it.

    ``rows`` are those of a batch; ``without`` are failure and note of the last version, in every third batch; ``reasons`` is the number of
    reasons for which rows are left out; ``waiting`` the number of batches that are not closed.
    """

    batches: int = 4
    versions: int = 2
    segments: int = 2
    rows: int = 400
    failure: str | None = None
    note: str | None = None
    reasons: int = 0
    waiting: int = 0

    def closed(self) -> Closed:
        """All batches, one a day."""
        rng = np.random.default_rng(20010107)
        numbers = range(self.batches)
        closed = tuple(self._batch(number, self._frame(rng)) for number in numbers)
        return Closed(closed, tuple(self._manifest(self.batches + n) for n in range(self.waiting)))

    def project(self, store: str, *, mlflow: str = "sqlite:///none.db", **policy: Any) -> Project:
        """The project, of whose versions its registry knows nothing."""
        return Project(
            name="large", store=store, mlflow=mlflow, model="large", segments=("shop",), maturity_days=1,
            policy=Policy(**{"n_resamples": 1000, **policy}),
        )  # fmt: skip

    def decision(self, store: Store, project: Project, closed: Closed) -> Decision:
        """The decision on all closed batches; version 1 leads since the day before the first."""
        lead(store, project)
        day = FIRST + timedelta(days=self.batches + self.waiting + 1)
        taken = decide(store, project, head(store, project.name), closed, day)
        assert taken is not None
        return taken

    def _frame(self, rng: np.random.Generator) -> pl.DataFrame:
        """The tally of one batch: each row has the label and the decisions of all versions, many of which are alike."""
        n = self.rows
        label = rng.random(n) < 0.4
        common = rng.random(n) < 0.85
        right = rng.random(n) < 0.7
        columns = {}
        for number in range(self.versions):
            own = rng.random(n) < 0.6 + 0.01 * number
            columns[f"v{number + 1}"] = (np.where(common, right, own) == label).astype(np.int8)
        rows = pl.DataFrame(
            {
                "excluded": pl.Series([None] * n, dtype=pl.String),
                "segment.shop": [f"shop {s:04}" for s in rng.integers(0, self.segments, n)],
                "label": label.astype(np.int8),
                **columns,
            }
        )
        left_out = [f"reason {i} for which a row is left out" for i in range(self.reasons)]
        more = rows.head(self.reasons).with_columns(excluded=pl.Series(left_out, dtype=pl.String))
        keys = rows.columns
        return (
            pl.concat([rows, more]).group_by(keys).agg(pl.len().cast(pl.Int64).alias("n")).sort(keys, nulls_last=True)
        )

    def _manifest(self, number: int) -> Manifest:
        day = FIRST + timedelta(days=number)
        scored = [Scored(v, _contender(v), (), None) for v in map(str, range(1, self.versions + 1))]
        if number % 3 == 2 or number == self.batches - 1:
            last = scored[-1]
            scored[-1] = Scored(last.version, last.contender, (), self.failure, self.note)
        return Manifest(str(day), day, 1, "1", self.rows, ("id",), "0" * 64, (), tuple(scored))

    def _batch(self, number: int, frame: pl.DataFrame) -> ClosedBatch:
        manifest = self._manifest(number)
        files = {
            f"large/{name}": hashlib.sha256(f"{number} {name}".encode()).hexdigest()
            for name in (f"predictions/{manifest.batch}/manifest.json", f"tallies/{manifest.batch}.parquet")
        }
        return ClosedBatch(manifest, BatchTally(manifest.batch, manifest.date, frame, manifest.contenders()), files)


def lead(store: Store, project: Project) -> Reign:
    """The first reign, of version 1, which no registry knows."""
    first = reign_after(
        None, version="1", run_id="", since=FIRST - timedelta(days=1), kind="enthronement", decision=None, author="ada",
        reason="first champion",
    )  # fmt: skip
    return commit(store, project.name, first)


def _contender(version: str) -> Contender:
    return Contender(version, hashlib.sha256(version.encode()).hexdigest(), 0.5, None)
