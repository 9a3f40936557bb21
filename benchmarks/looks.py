"""What a look costs by the number of batches that are closed already: one new batch is closed, and four versions are judged.

    python -m benchmarks.looks [ROUNDS [WEEKS ...]]      3 rounds with 10, 200 and 1000 weeks unless you say

Each look is a process of its own on a copy of the store, and what is measured begins after its imports. The record's size is told too.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from datetime import timedelta
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"

from benchmarks.measuring import measured, project_in
from benchmarks.years import begin, date_of, look, play

ROWS = 2_000


def _one(folder: Path, week: int) -> dict[str, float]:
    import analysis.verdict.judge  # noqa: F401
    import tasks.labels.tallying  # noqa: F401
    from tasks.decisions import all_records
    from tasks.store import open_store

    project = project_in(folder)
    result: dict[str, float] = {}
    with measured(result, "look"):
        look(project, date_of(week) + timedelta(days=7))
    newest = max((folder / "store" / project.name / "decisions").glob("*.json"), key=lambda p: p.stat().st_mtime)
    result["record"] = newest.stat().st_size
    assert all_records(open_store(project.store), project.name)[-1]["id"] == newest.stem
    return result


def main(rounds: int, weeks: list[int]) -> None:
    found: dict[int, list[dict[str, float]]] = {n: [] for n in weeks}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "played"
        folder.mkdir()
        project = begin(folder)
        done = 0
        for number in sorted(weeks):
            play(folder, project, range(done, number + 1), ROWS)  # the last one is scored, and not closed yet
            done = number + 1
            shutil.copytree(folder / "store", Path(name) / str(number) / "store")
        for _ in range(rounds):
            for number, results in found.items():
                copy = Path(name) / "copy"
                shutil.rmtree(copy, ignore_errors=True)
                shutil.copytree(Path(name) / str(number), copy)
                look(
                    project_in(copy), date_of(number) + timedelta(days=6)
                )  # nothing new: files of a copy are other files
                (copy / "store" / project.name / "labels" / "next.parquet").write_bytes(_labels(number))
                command = [sys.executable, "-m", "benchmarks.looks", "--one", str(copy), str(number)]
                said = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)  # noqa: S603
                results.append(json.loads(said.stdout.splitlines()[-1]))
    print(f"a look with one new batch of {ROWS:,} rows, four versions: median of {rounds}, seconds")
    cpu = {n: statistics.median(r["look cpu"] for r in results) for n, results in found.items()}
    for n, results in found.items():
        wall = statistics.median(r["look wall"] for r in results)
        print(
            f"  {n:5} closed batches  CPU {cpu[n]:6.2f}  wall {wall:6.2f}  record {results[0]['record'] / 1000:6.0f} kB"
        )
    print(f"  {max(weeks)} beside {min(weeks)}: {cpu[max(weeks)] / cpu[min(weeks)]:.2f} x the CPU")


def _labels(week: int) -> bytes:
    """The labels of the newest batch, which the week after it would bring."""
    import io

    import numpy as np
    import polars as pl

    ids = np.arange(week * ROWS, (week + 1) * ROWS)
    y = (np.random.default_rng(week).random(ROWS) < 0.1).astype(np.int64)
    buffer = io.BytesIO()
    pl.DataFrame({"id": ids, "label": y, "observed_at": [date_of(week + 1)] * ROWS}).write_parquet(buffer)
    return buffer.getvalue()


if __name__ == "__main__":
    if "--one" in sys.argv:
        print(json.dumps(_one(Path(sys.argv[2]), int(sys.argv[3]))))
    else:
        numbers = [int(a) for a in sys.argv[1:]]
        main(numbers[0] if numbers else 3, numbers[1:] or [10, 200, 1000])
