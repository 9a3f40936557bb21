"""What has come: batches that are due, those that wait, and changes of scored ones, on every kind of store."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import polars as pl
from parcels import put_batch

from tasks.base.completeness import Complete
from tasks.base.project import Project
from tasks.batches.arrivals import changed_since, look_at_batches, require_whole
from tasks.batches.failures import score_summary
from tasks.batches.predictions import BatchFile, Manifest, commit_manifest
from tasks.batches.rows import batch_date, is_dated
from tasks.store import Store

DAY = date(2024, 1, 31)
SOON = datetime.now(UTC)
ROWS = pl.DataFrame({"id": ["a"], "x1": [1.0]})


def scored(store: Store, project: Project, batch: str, **files: int) -> Manifest:
    named = tuple(BatchFile(n.replace("__", "."), size) for n, size in files.items())
    made = Manifest(
        batch, batch_date(batch) if is_dated(batch) else DAY, 1, "1", 1, ("id",), "d", (), (), named or None
    )
    commit_manifest(store, project.name, made)
    return made


def test_what_is_dated_up_to_the_day_and_has_rows_is_due(store: Store, project: Project) -> None:
    for batch in ("2024-01-07", "date=2024-01-14", "week=2024-W04", "2024-W03", "2024-02-07", "undated", "2024-01-21"):
        put_batch(store, project, batch, ROWS)
    scored(store, project, "2024-01-21")
    store.write("parcels/batches/2024-01-28/_SUCCESS", b"")
    store.write("parcels/batches/2024-01-29/readme", b"text")
    store.write("parcels/batches/2024-01-30/000000_0", b"PAR1 and so on")
    seen = look_at_batches(store, project, DAY, SOON)
    assert seen.unscored == ("2024-01-07", "2024-01-30", "2024-W03", "date=2024-01-14", "week=2024-W04")
    assert seen.unreadable == (
        "Batch 2024-01-28 has no file of rows: it has _SUCCESS (a marker).",
        "Batch 2024-01-29 has no file of rows: it has readme (its type is not known).",
    )
    assert (seen.waiting, seen.changed) == ({}, ())
    assert batch_date("week=2024-W04") == date(2024, 1, 28)


def test_rows_that_are_of_no_batch_are_told(store: Store, project: Project) -> None:
    put_batch(store, project, "year=2024/month=01/day=07", ROWS)
    for name in ("2024-01-07.csv", "_temporary/0/date=2024-01-07/part-0.parquet", "_SUCCESS", "readme"):
        store.write(f"parcels/batches/{name}", b"" if name == "_SUCCESS" else b"text")
    seen = look_at_batches(store, project, DAY, SOON)
    assert seen.unscored == ()
    assert seen.unreadable == (
        "2 files below parcels/batches/ of no batch (first: parcels/batches/2024-01-07.csv): put rows into a folder named by their date.",
        "Batch year=2024 is not scored, as it is a whole year: name its folders by the day, such as date=2024-01-07.",
    )


def test_those_that_are_not_whole_wait_each_with_its_reason(store: Store, project: Project) -> None:
    for batch in ("2024-01-07", "2024-01-14", "2024-01-21"):
        put_batch(store, project, batch, ROWS)
    store.write("parcels/batches/2024-01-14/_DONE", b"")
    by_marker = project.model_copy(update={"complete": Complete(marker="_DONE")})
    seen = look_at_batches(store, by_marker, DAY, SOON)
    assert seen.unscored == ("2024-01-14",)
    assert score_summary([], arrivals=seen) == (
        "Scored: nothing new. Not whole yet: 2024-01-07, 2024-01-21 (its folder has no file _DONE)."
    )
    by_time = project.model_copy(update={"complete": Complete(quiet_minutes=30)})
    seen = look_at_batches(store, by_time, DAY, SOON)
    assert seen.waiting["2024-01-14"].endswith("came or changed less than 30 minutes ago")
    later = datetime.now(UTC) + timedelta(minutes=31)
    assert look_at_batches(store, by_time, DAY, later).unscored == ("2024-01-07", "2024-01-14", "2024-01-21")
    require_whole(store, by_time, "2024-01-07", later)
    require_whole(store, by_time, "no such batch", SOON)


def test_changes_of_scored_batches_are_told_where_their_files_are_known(store: Store, project: Project) -> None:
    for batch in ("2024-01-07", "2024-01-14", "old"):
        put_batch(store, project, batch, ROWS)
        put_batch(store, project, batch, ROWS, name="more")
    size = len(store.read("parcels/batches/2024-01-07/rows.parquet"))
    all_known = scored(store, project, "2024-01-07", rows__parquet=size, more__parquet=size)
    one_came = scored(store, project, "2024-01-14", rows__parquet=size + 1, gone__csv=7)
    unknown = scored(store, project, "old")
    removed = scored(store, project, "removed", rows__parquet=size)
    sentences = (
        "Batch 2024-01-14 has 1 file that came after it was scored (first: more.parquet): give new rows another batch id.",
        "Batch 2024-01-14 lacks 1 file that it was scored with (first: gone.csv).",
        "Batch 2024-01-14 has 1 file whose size changed after it was scored (first: rows.parquet): give new rows another batch id.",
    )
    assert changed_since(store, project.name, [all_known, one_came, unknown, removed]) == sentences
    assert look_at_batches(store, project, DAY, SOON).changed == sentences


def test_of_a_table_its_log_tells_what_is_new(store: Store, project: Project) -> None:
    for batch, log in (
        ("2024-01-07", "_delta_log/00000000000000000001.json"),
        ("2024-01-14", "metadata/v9.metadata.json"),
    ):
        store.write(f"parcels/batches/{batch}/{log}", b"1234567")
        store.write(f"parcels/batches/{batch}/part-0.parquet", b"dropped")
    delta = scored(store, project, "2024-01-07", **{"_delta_log/00000000000000000001__json": 7, "part-1__parquet": 7})
    iceberg = scored(store, project, "2024-01-14", **{"metadata/v9__metadata__json": 7})
    assert changed_since(store, project.name, [delta, iceberg]) == ()
    store.write("parcels/batches/2024-01-14/metadata/v8.metadata.json", b"older")
    store.write("parcels/batches/2024-01-14/metadata/v10.metadata.json", b"newer")
    store.write("parcels/batches/2024-01-07/_delta_log/00000000000000000002.json", b"newer")
    assert [s.split("(")[1] for s in changed_since(store, project.name, [delta, iceberg])] == [
        "first: _delta_log/00000000000000000002.json): give new rows another batch id.",
        "first: metadata/v10.metadata.json): give new rows another batch id.",
    ]
