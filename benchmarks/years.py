"""Stores of several years for benchmarks: weekly batches that four versions have scored, with labels after a week, closed and judged."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from analysis.tables.record import canonical_json
from benchmarks.measuring import make_rows, project_in, register
from tasks.base.project import Project

COLUMNS, VERSIONS = 5, ("lr", "lr", "lr", "lr")
FIRST = date(2004, 1, 4)  # so that a thousand weeks are past


def date_of(week: int) -> date:
    return FIRST + timedelta(weeks=week)


def begin(folder: Path) -> Project:
    """A project in an empty folder: its models, and its first reign."""
    from tasks.decisions.promotion import enthrone
    from tasks.models.registry import Registry
    from tasks.store import open_store

    register(folder, make_rows(50_000, COLUMNS), VERSIONS)
    project = project_in(folder)
    store, registry = open_store(project.store), Registry(project)
    enthrone(store, registry, project.name, version="1", since=FIRST, author="benchmark", reason="it is the first")
    return project


def put_week(folder: Path, project: Project, week: int, rows: int) -> None:
    """The rows of a week, and the labels of the week before, which has as many."""
    put_rows(folder / "store" / project.name / "batches" / str(date_of(week)), week, rows)
    if week:
        put_labels(folder, project, week - 1, rows)


def put_rows(batch: Path, week: int, rows: int) -> None:
    """Write the rows of a week into the folder of its batch."""
    batch.mkdir(parents=True)
    make_rows(rows, COLUMNS).with_columns(id=_ids(week, rows)).write_parquet(batch / "rows.parquet")


def put_labels(folder: Path, project: Project, week: int, rows: int) -> None:
    """The labels of a week, which come a week later."""
    import polars as pl

    labels = folder / "store" / project.name / "labels" / f"{date_of(week + 1)}.parquet"
    labels.parent.mkdir(exist_ok=True)
    y = (np.random.default_rng(week).random(rows) < 0.1).astype(np.int64)
    frame = pl.DataFrame({"id": _ids(week, rows), "label": y, "observed_at": [date_of(week + 1)] * rows})
    frame.write_parquet(labels)


def _ids(week: int, rows: int) -> Any:
    return np.arange(rows) + week * 10_000_000


def play(folder: Path, project: Project, weeks: range, rows: int) -> None:
    """Score these weeks as they come, each of so many rows; then close and judge all that is due."""
    from tasks.batches.scoring import score_with
    from tasks.models.registry import Registry
    from tasks.models.versions import Versions
    from tasks.reigns import head
    from tasks.store import open_store

    store, registry = open_store(project.store), Registry(project)
    with Versions(store, registry, project) as versions:
        for week in weeks:
            put_week(folder, project, week, rows)
            score_with(versions, head(store, project.name), str(date_of(week)), date_of(week))
    look(project, date_of(weeks.stop - 1) + timedelta(days=6))


def fill_decisions(project: Project, weeks: range) -> None:
    """Record a decision in each of these weeks: the one that there is, under other ids, so that there are as many objects."""
    from tasks.decisions.decision_log import append_entry, decision_ids, read_record, record_key
    from tasks.store import keeping, open_store

    store = keeping(open_store(project.store))
    (newest,) = decision_ids(store, project.name)
    record = read_record(store, project.name, newest)
    for week in weeks:
        name = f"{date_of(week) + timedelta(days=6)}-{newest[-12:]}"
        data = canonical_json({**record, "id": name})
        store.create(record_key(project.name, name), data)
        append_entry(store, project.name, name, data, new=True)


def look(project: Project, day: date) -> None:
    """Close what is due, and record the decision, as the flow ``judge`` does."""
    from tasks.decisions import decide, save_decision
    from tasks.labels.tallying import close_batches
    from tasks.reigns import head
    from tasks.store import keeping, open_store

    store = keeping(open_store(project.store))
    decision = decide(store, project, head(store, project.name), close_batches(store, project, day), day)
    if decision:
        save_decision(store, project.name, decision)
    store.roll_up(project.name)
