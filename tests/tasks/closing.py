"""Six rows that two versions decide on, the day on which their batch closes, and how it is closed."""

from __future__ import annotations

from datetime import date, timedelta

import polars as pl
from weeks import BEGIN

from analysis.evidence.pair_counts import confusion
from tasks.base.project import Project
from tasks.labels.tally_files import ClosedBatch
from tasks.labels.tallying import close_batches
from tasks.store import Store

__all__ = ["DAY", "DEADLINE", "IDS", "ROWS", "close", "labelled"]

DEADLINE = BEGIN + timedelta(days=14)
DAY = timedelta(days=1)
IDS = ["a", "b", "c", "d", "e", "f"]
ROWS = pl.DataFrame(
    {
        "id": IDS,
        "region": ["north", "north", "north", "south", "south", None],
        "x1": [1.0, 1.0, -1.0, -1.0, 1.0, -1.0],
        "x2": [1.0, -1.0, 1.0, -1.0, 1.0, -1.0],
    }
)


def close(store: Store, project: Project, as_of: date = DEADLINE) -> ClosedBatch:
    (batch,) = close_batches(store, project, as_of).batches
    return batch


def labelled(batch: ClosedBatch) -> list[int]:
    """tp, fp, fn, tn of the champion."""
    c = confusion(batch.tally.frame, "1")
    return [c.tp, c.fp, c.fn, c.tn]
