"""Chunks: bounded in rows and bytes, cut by the rows and not by the files, and memory that does not grow with the rows."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from parcels import put_frame

from tasks.store import Store, open_store
from tasks.tables.opening import open_table
from tasks.tables.sources import CHUNK_BYTES, CHUNK_ROWS

ROOT = Path(__file__).resolve().parents[3]
FOLDER = "p/batches/b"

PEAK = """
import resource, sys
from tasks.store import open_store
from tasks.tables.opening import open_table
table = open_table(open_store(sys.argv[1]), sys.argv[2], parent="p/batches", ids=["id"])
print(sum(c.height for c in table.chunks(table.columns)), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(str(tmp_path / "store"))


def chunks(store: Store, folder: str) -> list[pl.DataFrame]:
    table = open_table(store, folder, parent="p/batches")
    return list(table.chunks(table.columns))


def test_wide_rows_make_smaller_chunks_and_how_the_files_are_cut_does_not_matter(store: Store) -> None:
    rng = np.random.default_rng(7)
    frame = pl.DataFrame({"id": range(9_000), "text": ["x" * int(n) for n in rng.integers(0, 20_000, 9_000)]})
    put_frame(store, "p/batches/one/rows.parquet", frame)
    for number, begin in enumerate((0, 1, 7, 1_000, 8_888)):
        end = (1, 7, 1_000, 8_888, 9_000)[number]
        put_frame(store, f"p/batches/many/{number}.parquet", frame.slice(begin, end - begin))
    whole, parts = chunks(store, "p/batches/one"), chunks(store, "p/batches/many")
    assert [c.height for c in whole] == [c.height for c in parts]
    assert pl.concat(whole).equals(frame)
    assert pl.concat(parts).equals(frame)
    assert len(whole) > 2
    assert all(c.height % 8 == 0 for c in whole[:-1])
    assert all(c.estimated_size() < 1.3 * CHUNK_BYTES for c in whole)


def test_many_columns_of_numbers_make_smaller_chunks(store: Store) -> None:
    frame = pl.DataFrame({f"x{i}": np.zeros(CHUNK_ROWS) for i in range(64)})
    put_frame(store, f"{FOLDER}/rows.parquet", frame)
    assert [c.height for c in chunks(store, FOLDER)] == [CHUNK_BYTES // 512] * 2


def test_a_row_beyond_the_size_of_a_chunk_is_read(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.tables.table.CHUNK_BYTES", 1_000)
    put_frame(store, f"{FOLDER}/rows.parquet", pl.DataFrame({"text": ["x" * 2_000] * 20}))
    assert [c.height for c in chunks(store, FOLDER)] == [8, 8, 4]


@pytest.mark.parametrize("kind", ["parquet", "csv", "jsonl"])
@pytest.mark.slow
def test_the_peak_of_memory_does_not_grow_with_the_rows(store: Store, kind: str, tmp_path: Path) -> None:
    """Also where all of them are one row group."""
    peaks = []
    for rows in (1_000_000, 4_000_000):
        folder = tmp_path / "store" / "p/batches" / str(rows)
        folder.mkdir(parents=True)
        frame = pl.select(pl.int_range(rows).alias("id"), x=pl.int_range(rows) * 0.37)
        path = folder / f"rows.{kind}"
        if kind == "parquet":
            frame.with_columns(y=pl.col("x") + 1, z=pl.col("x") + 2).write_parquet(path, row_group_size=rows)
        elif kind == "csv":
            frame.write_csv(path)
        else:
            frame.write_ndjson(path)
        done = subprocess.run(
            [sys.executable, "-c", PEAK, store.uri, f"p/batches/{rows}"],
            capture_output=True,
            text=True,
            check=True,
            cwd=ROOT,
        )
        read, peak = map(int, done.stdout.split())
        assert read == rows
        peaks.append(peak)
    assert peaks[1] <= 1.2 * peaks[0]
