"""Eight weeks of two models whose labels come as a feed of its own kind brings them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import yaml
from parcels import decisions_frame, put_batch, put_frame, register_version

from flows.enthrone import enthrone
from flows.judge import judge
from flows.score import score
from tasks.base.project import Project
from tasks.decisions import decisions
from tasks.store import Store

__all__ = ["BETTER", "EQUAL", "FIRST", "LATER", "WEEKS", "Feed", "Spoil"]

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
Spoil = Callable[[pl.DataFrame], pl.DataFrame]


class Feed:
    """A project of two versions, to be played with labels as a feed brings them."""

    def __init__(self, project: Project, store: Store, folder: Path) -> None:
        self.project, self.store, self.folder = project, store, folder

    def settings(self, **changes: Any) -> None:
        p = self.project
        content = {"store": p.store, "mlflow": p.mlflow, "model": p.model, "maturity_days": 14}
        policy = {"n_resamples": 1000, **changes.pop("policy", {})}
        (self.folder / "parcels.yaml").write_text(yaml.safe_dump({**content, "policy": policy, **changes}))

    def play(
        self,
        counts: dict[tuple[int, ...], int],
        feed: Spoil,
        *,
        weeks: int = WEEKS,
        rows: Spoil = lambda frame: frame,
        **settings: Any,
    ) -> None:
        """Lay down the weeks and score them; ``rows`` spoils a batch, ``feed`` its labels."""
        for column in ("x1", "x2"):
            register_version(self.project, column)
        for week in range(weeks):
            day = FIRST + timedelta(weeks=week)
            frame = decisions_frame(counts, prefix=f"{day}-").with_columns(observed_at=pl.lit(day + timedelta(days=7)))
            put_batch(self.store, self.project, str(day), rows(frame).drop("label", "observed_at"))
            labels = feed(frame).drop("region", "x1", "x2", strict=False)
            put_frame(self.store, f"parcels/labels/{day}.parquet", labels)
        self.settings(**settings)
        enthrone("parcels", "1", author="test", as_of=FIRST)
        score("parcels", as_of=LATER)

    def verdict(self) -> tuple[str, str]:
        """The verdict on version 2 and its first reason, as recorded."""
        judge("parcels", as_of=LATER)
        (decision,) = decisions(self.store, self.project)
        (assessment,) = decision["judgement"]["assessments"]
        return assessment["verdict"], assessment["reasons"][0]
