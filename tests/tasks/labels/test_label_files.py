"""Label files are read once for all batches of a run, and in pieces of bounded memory where they do not fit."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

import polars as pl
import pytest
from parcels import put_frame
from weeks import BETTER, WrappedStore, found, play_week, week

from tasks.base.project import Columns, Project
from tasks.labels.label_files import LabelFiles
from tasks.labels.row_ids import IdRange
from tasks.labels.tallying import close_batches
from tasks.models.registry import Registry
from tasks.store import Store, keeping
from tasks.tables.sources import ParquetSource

WEEKS = 4


@pytest.fixture
def labels_read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The key of each label file that is read, as often as it is."""
    read: list[str] = []
    pieces = ParquetSource.pieces

    def noted(source: ParquetSource, columns: Sequence[str], first: int = 0) -> Iterator[pl.DataFrame]:
        if "/labels/" in source.key:
            read.append(source.key)
        return pieces(source, columns, first)

    monkeypatch.setattr(ParquetSource, "pieces", noted)
    return read


def test_a_backlog_of_batches_reads_each_file_once(
    store: Store, registry: Registry, project: Project, two: None, labels_read: list[str]
) -> None:
    found(store, registry, project)
    for n in range(WEEKS):
        play_week(store, registry, project, n, BETTER)
    closed = close_batches(store, project, week(WEEKS + 1))
    assert len(closed.batches) == WEEKS
    assert sorted(labels_read) == store.keys(f"{project.name}/labels")


@pytest.mark.parametrize("period", [None, "week"])
def test_what_does_not_fit_into_memory_is_read_again_and_is_the_same(
    store: Store, make_project: Callable[..., Project], labels_read: list[str], period: str | None
) -> None:
    project = make_project(columns=Columns(period=period))
    ids = [f"p{n}" for n in range(50)]
    for n in range(3):
        frame = pl.DataFrame({"id": ids, "label": [(i + n) % 2 for i in range(50)], "observed_at": [week(n)] * 50})
        frame = frame.with_columns(week=pl.lit(str(week(n))))
        put_frame(store, f"{project.name}/labels/{n}.parquet", frame)
    most, fits = LabelFiles(store, project, most_bytes=0), LabelFiles(store, project)
    for n in range(3):
        one, other = (pl.concat(f.of(IdRange("p0", "p9"), batch=str(week(n)), dated=week(n))) for f in (most, fits))
        assert one.sort("id", "observed_at").equals(other.sort("id", "observed_at"))
        assert one.height == (50 if period else 150)
    assert most.observed_between(week(0), week(1)).sort().equals(fits.observed_between(week(0), week(1)).sort())
    assert most.example_of_an_id() == fits.example_of_an_id() == "p0"
    assert most.periods_of(pl.Series("id", ids)) == fits.periods_of(pl.Series("id", ids))
    assert len(labels_read) > 3 * 3


def test_a_later_run_does_not_open_files_whose_footers_exclude_the_ids(store: Store, project: Project) -> None:
    for n in range(5):
        frame = pl.DataFrame({"id": [10 * n, 10 * n + 1], "label": [0, 1], "observed_at": [week(n)] * 2})
        put_frame(store, f"{project.name}/labels/{n}.parquet", frame)
    opened: list[str] = []

    class Noting(WrappedStore):
        def local(self, key: str) -> AbstractContextManager[Path]:
            opened.append(key)
            return super().local(key)

    def ids_between(least: int, greatest: int) -> list[int]:
        opened.clear()
        run = keeping(Noting(store))
        found = pl.concat(LabelFiles(run, project).of(IdRange(least, greatest), batch="b", dated=week(0)))
        run.roll_up(project.name)
        return sorted(found["id"].to_list())

    assert ids_between(20, 25) == [20, 21]
    assert len(set(opened)) == 5
    assert ids_between(30, 31) == [30, 31]
    assert set(opened) == {f"{project.name}/labels/3.parquet"}
    changed = pl.DataFrame({"id": [0, 30, 31], "label": [0, 1, 1], "observed_at": [week(9)] * 3})
    put_frame(store, f"{project.name}/labels/0.parquet", changed)
    assert ids_between(30, 31) == [0, 30, 30, 31, 31]
    for key in store.keys(f"{project.name}/rollups"):
        store.delete(key)
    assert ids_between(30, 31) == [0, 30, 30, 31, 31]
    assert len(set(opened)) == 5
