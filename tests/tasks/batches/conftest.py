"""What the tests of batches share."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import polars as pl
import pytest

from tasks.base.project import Project
from tasks.batches.staging import Staging
from tasks.store import Store
from tasks.tables.sources import ParquetSource


@pytest.fixture
def staging(project: Project, store: Store) -> Iterator[Staging]:
    with Staging(store, project.name, "b") as staging:
        yield staging


@pytest.fixture
def columns_read(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The columns of every read of a Parquet file, sorted."""
    read: list[list[str]] = []
    pieces = ParquetSource.pieces

    def noted(source: ParquetSource, columns: Sequence[str], first: int = 0) -> Iterator[pl.DataFrame]:
        read.append(sorted(columns))
        return pieces(source, columns, first)

    monkeypatch.setattr(ParquetSource, "pieces", noted)
    return read
