"""Ids match as text, so numbers that are not whole are refused."""

from __future__ import annotations

from datetime import date, timedelta

import polars as pl
import pytest
from parcels import put_batch, put_labels, register_version

from tasks.base.project import Project
from tasks.batches.rows import BatchError
from tasks.batches.scoring import score_batch
from tasks.decisions.promotion import enthrone
from tasks.labels.tallying import LabelError, close_batches
from tasks.models.registry import Registry
from tasks.reigns import head
from tasks.store import Store

DAY = date(2024, 1, 7)


def test_ids_that_are_fractions_are_refused_on_both_sides(store: Store, registry: Registry, project: Project) -> None:
    """A null makes pandas turn integers into floats, and 7.0 is not the 7 of the other file."""
    first = register_version(project, "x1")
    enthrone(store, registry, project.name, version=first, since=DAY, author="test", reason="test")
    put_batch(store, project, str(DAY), pl.DataFrame({"id": [7.0], "region": ["north"], "x1": [1.0]}))
    with pytest.raises(BatchError, match=r"column 'id' is Float64; ids are integers or text"):
        score_batch(store, registry, project, head(store, project.name), str(DAY), DAY)
    put_batch(store, project, str(DAY), pl.DataFrame({"id": [7], "region": ["north"], "x1": [1.0]}))
    score_batch(store, registry, project, head(store, project.name), str(DAY), DAY)
    put_labels(store, project, [7.0], [1], DAY)
    with pytest.raises(LabelError, match=r"column 'id' is Float64; ids are integers or text"):
        close_batches(store, project, DAY + timedelta(days=project.maturity_days))
