"""What a look costs by the number of batches that are closed already: one new batch is closed, and four versions are judged.

    python -m benchmarks.looks [ROUNDS [WEEKS ...]]      3 rounds with 10, 200 and 1000 weeks unless you say

Each look is a process of its own, one week after the other, and what is measured begins after its imports. The record's size is told too.
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
from benchmarks.years import begin, date_of, look, play, put_labels, put_rows

ROWS = 2_000  # of the weeks before
NEW = (2_000, 500_000)  # of the new one


def _one(folder: Path, week: int) -> dict[str, float]:
    import scipy.optimize
    import scipy.special
    import scipy.stats  # noqa: F401  which a judgement imports where it first needs them

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
    found: dict[tuple[int, int], list[dict[str, float]]] = {(n, rows): [] for rows in NEW for n in weeks}
    with tempfile.TemporaryDirectory() as name:
        played = Path(name) / "played"
        played.mkdir()
        project = begin(played)
        done = 0
        for number in sorted(weeks):
            play(played, project, range(done, number), ROWS)
            put_labels(played, project, number - 1, ROWS)
            done = number
            for rows in NEW:
                shutil.copytree(played, Path(name) / f"{number}-{rows}")
        for turn in range(1 + rounds):  # the first look of a copy reads what it takes for other label files
            for (number, rows), results in found.items():
                folder, week = Path(name) / f"{number}-{rows}", number + turn
                _score_new(folder, week, rows)
                put_labels(folder, project, week, rows)
                command = [sys.executable, "-m", "benchmarks.looks", "--one", str(folder), str(week)]
                said = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)  # noqa: S603
                if turn:
                    results.append(json.loads(said.stdout.splitlines()[-1]))
    print(f"a look with one new batch, four versions: median of {rounds}, seconds")
    for rows in NEW:
        cpu = {n: statistics.median(r["look cpu"] for r in found[n, rows]) for n in weeks}
        for n in weeks:
            wall = statistics.median(r["look wall"] for r in found[n, rows])
            kilobytes = found[n, rows][0]["record"] / 1000
            print(
                f"  {n:5} closed, {rows:9,} new rows  CPU {cpu[n]:6.2f}  wall {wall:6.2f}  record {kilobytes:4.0f} kB"
            )
        print(f"  {max(weeks)} beside {min(weeks)}: {cpu[max(weeks)] / cpu[min(weeks)]:.2f} x the CPU")


def _score_new(folder: Path, week: int, rows: int) -> None:
    """Score a week of so many rows, whose labels have not come."""
    from tasks.batches.scoring import score_with
    from tasks.models.registry import Registry
    from tasks.models.versions import Versions
    from tasks.reigns import head
    from tasks.store import open_store

    project = project_in(folder)
    batch = folder / "store" / project.name / "batches" / str(date_of(week))
    put_rows(batch, week, rows)
    store, registry = open_store(project.store), Registry(project)
    with Versions(store, registry, project) as versions:
        score_with(versions, head(store, project.name), str(date_of(week)), date_of(week))


if __name__ == "__main__":
    if "--one" in sys.argv:
        print(json.dumps(_one(Path(sys.argv[2]), int(sys.argv[3]))))
    else:
        numbers = [int(a) for a in sys.argv[1:]]
        main(numbers[0] if numbers else 3, numbers[1:] or [10, 200, 1000])
