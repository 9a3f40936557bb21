"""Folders as jobs leave them, through the real flows: what is scored and judged of them, what waits, and what is told."""

from __future__ import annotations

import gzip
import logging
import os
import shutil
import uuid
from datetime import date, timedelta
from functools import partial
from io import BytesIO
from typing import Any

import polars as pl
import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake
from parcels import decisions_frame
from spoilt import BETTER, FIRST, LATER, NEXT, World

from flows.judge import judge
from flows.score import score
from tasks.batches.predictions import read_manifest
from tasks.batches.rows import BatchError
from tasks.labels.label_files import LabelError
from tasks.labels.tallying import close_batches

pytestmark = pytest.mark.usefixtures("prefect_server")

CLOSED = date.fromisoformat(NEXT) + timedelta(days=14)
ROWS = decisions_frame(BETTER, prefix=f"{NEXT}-")
UNLABELLED = ROWS.drop("label")
BATCH = f"parcels/batches/{NEXT}"

score_due = partial(score, "parcels", as_of=LATER)


def csv_of(frame: pl.DataFrame) -> bytes:
    return frame.write_csv().encode()


def lines_of(frame: pl.DataFrame) -> bytes:
    return frame.write_ndjson().encode()


def parquet_of(frame: pl.DataFrame) -> bytes:
    buffer = BytesIO()
    frame.write_parquet(buffer)
    return buffer.getvalue()


def lay(world: World, files: dict[str, bytes], folder: str = BATCH) -> None:
    shutil.rmtree(world.path(folder), ignore_errors=True)
    for name, data in files.items():
        world.store.write(f"{folder}/{name}", data)


def scored_rows(world: World, batch: str = NEXT) -> int:
    manifest = read_manifest(world.store, "parcels", batch)
    assert manifest is not None
    assert manifest.versions() == ["1", "2"]
    return manifest.rows


def warned(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [r.getMessage() for r in caplog.records if r.levelname == "WARNING" and r.name.startswith("prefect.")]


class TestRows:
    def test_files_of_every_kind_and_width_are_scored_as_one_batch(self, world: World) -> None:
        thirds = [UNLABELLED[n::4] for n in range(4)]
        lay(world, {
            "part-00000": parquet_of(thirds[0].with_columns(pl.col("x1").cast(pl.Float32), note=pl.lit(1))),
            "a/part-1.csv.gz": gzip.compress(csv_of(thirds[1].select("x2", "region", "x1", "id"))),
            "b/part-2.jsonl": lines_of(thirds[2].with_columns(pl.col("x1").cast(pl.Int64), note=pl.lit("x"))),
            "c/part-3.parquet": parquet_of(thirds[3]),
            "_SUCCESS": b"",
        })  # fmt: skip
        assert score_due() == f"Scored: {NEXT}."
        assert scored_rows(world) == UNLABELLED.height
        (batch,) = (b for b in close_batches(world.store, world.project, CLOSED).batches if b.manifest.batch == NEXT)
        counts = batch.tally.frame.filter(pl.col("label").is_not_null()).select("label", "v1", "v2", "n")
        assert {(r[0], r[1], r[2]): r[3] for r in counts.iter_rows()} == BETTER

    def test_a_partition_is_a_segment_and_the_folder_of_a_batch_may_be_one(self, world: World) -> None:
        plain = UNLABELLED.drop("region")
        shutil.rmtree(world.path(BATCH))
        batch = f"date={NEXT}"
        for region in ("north", "south"):
            rows = parquet_of(plain.with_columns(id=region + pl.col("id")))
            lay(world, {"rows.parquet": rows}, f"parcels/batches/{batch}/region={region}")
        assert score_due() == f"Scored: {batch}."
        assert scored_rows(world, batch) == 2 * plain.height
        manifest = read_manifest(world.store, "parcels", batch)
        assert manifest is not None
        assert manifest.date == date.fromisoformat(NEXT)
        assert [f.name for f in manifest.files or ()] == ["region=north/rows.parquet", "region=south/rows.parquet"]

    def test_a_delta_table_is_scored_as_it_is_now(self, world: World) -> None:
        shutil.rmtree(world.path(BATCH))
        write_deltalake(world.path(BATCH), UNLABELLED.to_arrow())
        DeltaTable(world.path(BATCH)).delete(f"id = '{UNLABELLED['id'][0]}'")
        assert score_due() == f"Scored: {NEXT}."
        assert scored_rows(world) == UNLABELLED.height - 1
        assert score_due() == "Scored: nothing new."
        write_deltalake(world.path(BATCH), UNLABELLED.to_arrow(), mode="append")
        assert score_due() == (
            f"Scored: nothing new. Batch {NEXT} has 1 file that came after it was scored "
            f"(first: _delta_log/{2:020}.json): give new rows another batch id."
        )

    def test_a_folder_of_batches_that_is_one_table_is_refused(self, world: World) -> None:
        write_deltalake(
            world.path("parcels/batches"), UNLABELLED.with_columns(date=pl.lit(NEXT)).to_arrow(), partition_by=["date"]
        )
        with pytest.raises(
            BatchError, match=r"parcels/batches/ is itself a Delta or Iceberg table; write a table, or files, below"
        ):
            score_due()

    def test_uuids_of_16_bytes_join_with_labels_that_have_them_as_text(self, world: World) -> None:
        ids = [uuid.UUID(int=n) for n in range(UNLABELLED.height)]
        others = {c: UNLABELLED.to_arrow()[c] for c in ("region", "x1", "x2")}
        raw = pa.table({**others, "id": pa.array([i.bytes for i in ids], pa.binary(16))})
        lay(world, {"rows.parquet": parquet_of(pl.DataFrame(pl.from_arrow(raw)))})
        score_due()
        labels = pl.DataFrame(
            {"id": [str(i) for i in ids], "label": ROWS["label"], "observed_at": date.fromisoformat(NEXT)}
        )
        lay(world, {"uuids.csv": csv_of(labels)}, "parcels/labels")
        (batch,) = (b for b in close_batches(world.store, world.project, CLOSED).batches if b.manifest.batch == NEXT)
        assert batch.silent is None
        assert batch.tally.frame["label"].null_count() == 0

    def test_what_is_not_read_is_told_in_the_log_and_what_may_hold_rows_in_the_sentence(
        self, world: World, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.INFO, "prefect.task_runs")
        for name in ("rows.xlsx", "_SUCCESS", "_temporary/0/part-1.parquet"):
            world.store.write(f"{BATCH}/{name}", b"something")
        said = score_due()
        assert said == (
            f"Scored: {NEXT}. Not read of batch {NEXT}: {BATCH}/_temporary/0/part-1.parquet: a temporary file of a write that is "
            f"not finished; {BATCH}/rows.xlsx: its type is not known: rows are Parquet (.parquet), CSV (.csv) or JSON Lines (.jsonl)."
        )
        logged = [r.getMessage() for r in caplog.records if "not read of" in r.getMessage()]
        assert len(logged) == 3
        assert f"not read of batch {NEXT}: {BATCH}/_SUCCESS: a marker" in logged

    def test_a_folder_without_rows_is_told_and_fails_nothing(self, world: World) -> None:
        world.store.write("parcels/batches/2024-02-25/rows.xlsx", b"PK")
        said = f"Scored: {NEXT}. Batch 2024-02-25 has no file of rows: it has rows.xlsx (its type is not known)."
        assert score_due() == said


class TestWhole:
    def test_a_batch_without_its_marker_waits_and_is_refused_by_name(self, world: World) -> None:
        world.settings(complete={"marker": "_SUCCESS"})
        assert score_due() == f"Scored: nothing new. Not whole yet: {NEXT} (its folder has no file _SUCCESS)."
        sentence = f"batch {NEXT}: it is not whole yet: its folder has no file _SUCCESS; wait, or correct 'complete' in the project file"
        with pytest.raises(BatchError, match=sentence):
            score("parcels", batch=NEXT)
        assert score("parcels", batch=str(FIRST)).startswith(f"Left alone, because it was scored before: {FIRST}.")
        world.store.write(f"{BATCH}/_SUCCESS", b"")
        assert score_due() == f"Scored: {NEXT}."

    def test_a_batch_waits_until_nothing_has_changed_for_a_while(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        world.settings(complete={"quiet_minutes": 30})
        world.put(UNLABELLED)
        assert (
            score_due()
            == f"Scored: nothing new. Not whole yet: {NEXT} (rows.parquet came or changed less than 30 minutes ago)."
        )
        with pytest.raises(BatchError, match=r"rows.parquet came or changed less than 30 minutes ago"):
            score("parcels", batch=NEXT)
        (listed,) = world.store.objects(BATCH)
        monkeypatch.setattr("flows.score.now", lambda: listed.changed + timedelta(minutes=30))
        assert score_due() == f"Scored: {NEXT}."


class TestAfterScoring:
    def test_files_that_came_went_or_changed_are_told_by_every_score_and_by_a_dry_run(
        self, world: World, caplog: pytest.LogCaptureFixture
    ) -> None:
        lay(world, {"a.csv": csv_of(UNLABELLED[:80]), "b.csv": csv_of(UNLABELLED[80:])})
        assert score_due() == f"Scored: {NEXT}."
        world.store.write(f"{BATCH}/more/c.csv", csv_of(UNLABELLED[:3]))
        world.store.write(f"{BATCH}/more/d", parquet_of(UNLABELLED[:3]))
        world.store.write(f"{BATCH}/notes.txt", b"nothing to count")
        world.store.write(f"{BATCH}/a.csv", csv_of(UNLABELLED[:79]))
        world.store.delete(f"{BATCH}/b.csv")
        told = [
            f"Batch {NEXT} has 2 files that came after it was scored (first: more/c.csv): give new rows another batch id.",
            f"Batch {NEXT} lacks 1 file that it was scored with (first: b.csv).",
            f"Batch {NEXT} has 1 file whose size changed after it was scored (first: a.csv): give new rows another batch id.",
        ]
        for _ in range(2):
            assert score_due() == " ".join(["Scored: nothing new.", *told])
        caplog.clear()
        judge("parcels", as_of=CLOSED, dry_run=True)
        assert set(told) <= set(caplog.messages)

    def test_rows_that_were_removed_as_a_whole_and_copies_with_other_times_are_no_change(self, world: World) -> None:
        lay(world, {"a.csv": csv_of(UNLABELLED)})
        score_due()
        os.utime(world.path(f"{BATCH}/a.csv"), (0, 0))
        assert score_due() == "Scored: nothing new."
        shutil.rmtree(world.path(BATCH))
        assert score_due() == "Scored: nothing new."


class TestLabels:
    def test_labels_of_every_kind_are_read_and_the_rest_is_named(
        self, world: World, caplog: pytest.LogCaptureFixture
    ) -> None:
        score_due()
        labels = ROWS.select("id", "label", observed_at=pl.lit(date.fromisoformat(NEXT)))
        lay(world, {
            f"week={NEXT}/a.csv": csv_of(labels[0::4].with_columns(pl.col("observed_at").cast(pl.Datetime("us")).dt.to_string("iso"))),
            f"week={NEXT}/b.jsonl": lines_of(labels[1::4].with_columns(observed_at=pl.lit(f"{NEXT}T10:00:00Z"))),
            f"week={NEXT}/c.pq": parquet_of(labels[2::4].with_columns(pl.col("label").cast(pl.Int8), note=pl.lit(1))),
            f"week={NEXT}/d.parquet": parquet_of(labels[3::4].with_columns(pl.col("label").cast(pl.Float64), note=pl.lit("x"))),
            "old.xlsx": b"PK",
        }, "parcels/labels")  # fmt: skip
        world.settings(columns={"period": "week"})
        caplog.clear()
        judge("parcels", as_of=CLOSED)
        unknown = "its type is not known: rows are Parquet (.parquet), CSV (.csv) or JSON Lines (.jsonl)"
        named = [w for w in warned(caplog) if "old.xlsx" in w]
        assert named == [f"not read of the labels: parcels/labels/old.xlsx: {unknown}"]
        tally = pl.read_parquet(world.path(f"parcels/tallies/{NEXT}.parquet"))
        counts = tally.filter(pl.col("label").is_not_null()).select("label", "v1", "v2", "n")
        assert {(r[0], r[1], r[2]): r[3] for r in counts.iter_rows()} == BETTER

    @pytest.mark.parametrize("times", [["2024-02-20", "20.02.2024"], ["2024-02-30"], ["2024-02-20T25:00"]])
    def test_a_time_that_is_not_written_as_iso_does_is_refused_with_an_example(
        self, world: World, times: list[Any]
    ) -> None:
        text = "id,label,observed_at\n" + "".join(f"a{n},1,{t}\n" for n, t in enumerate(times))
        lay(world, {"all.csv": text.encode()}, "parcels/labels")
        sentence = rf"parcels/labels/all.csv: the column 'observed_at' holds '{times[-1]}', which is no date or time; write 2024-01-31, "
        with pytest.raises(LabelError, match=sentence):
            judge("parcels", as_of=CLOSED)

    def test_whole_numbers_of_any_width_and_their_text_are_one_id(self, world: World) -> None:
        lay(world, {"rows.parquet": parquet_of(UNLABELLED.with_columns(id=pl.int_range(pl.len(), dtype=pl.Int32)))})
        score_due()
        labels = pl.DataFrame({"id": range(ROWS.height), "label": ROWS["label"], "observed_at": [NEXT] * ROWS.height})
        lay(world, {"a.csv": csv_of(labels[:100]), "b.jsonl": lines_of(labels[100:])}, "parcels/labels")
        (batch,) = (b for b in close_batches(world.store, world.project, CLOSED).batches if b.manifest.batch == NEXT)
        assert batch.tally.frame["label"].null_count() == 0
