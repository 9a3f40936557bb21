"""What a command costs before and while it does its work, beside importing Prefect alone.

    python -m benchmarks.commands [ROUNDS]      5 rounds unless you say; a minute

On a project of six closed batches with two versions and one decision, made here. Rounds are interleaved; a table of medians is printed.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path

import numpy as np
import polars as pl

from benchmarks.measuring import DAY, make_rows, project_in, register

BATCHES, ROWS = 6, 2_000
ROOT = Path(__file__).resolve().parent.parent
COMMANDS = {
    "`import prefect`": ["-c", "import prefect"],
    "`flows.judge --help`": ["-m", "flows.judge", "--help"],
    "`flows.history`": ["-m", "flows.history", "scoring"],
    "`flows.judge --dry-run`": ["-m", "flows.judge", "scoring", "--dry-run"],
}


def main(rounds: int) -> None:
    with tempfile.TemporaryDirectory(prefix="dethrone-") as name:
        folder = Path(name)
        _prepare(folder)
        found: dict[str, list[tuple[float, float]]] = {command: [] for command in COMMANDS}
        for _ in range(rounds + 1):
            for command, words in COMMANDS.items():
                found[command].append(_seconds(words, folder))
    print(f"{BATCHES} closed batches of {ROWS:,} rows: medians of {rounds} rounds\n")
    print("| command | CPU s | wall s |\n| --- | ---: | ---: |")
    for command, seconds in found.items():
        cpu, wall = (statistics.median(s) for s in zip(*seconds[1:], strict=True))  # the first round warms the disk
        print(f"| {command} | {cpu:.2f} | {wall:.2f} |")


def _prepare(folder: Path) -> None:
    """A project whose batches are scored and closed, with a decision on record; by plain functions, as Prefect is not measured here."""
    from tasks.batches.scoring import score_batch
    from tasks.decisions import decide, save_decision
    from tasks.decisions.promotion import enthrone
    from tasks.labels.tallying import close_batches
    from tasks.models.registry import Registry
    from tasks.reigns import head
    from tasks.store import open_store

    rows = make_rows(50_000, 5)
    register(folder, rows, ("lr", "lr"))
    project = project_in(folder)
    (folder / "scoring.yaml").write_text(
        f"store: {project.store}\nmlflow: {project.mlflow}\nmodel: {project.model}\nmaturity_days: {project.maturity_days}\n"
    )
    store, registry = open_store(project.store), Registry(project)
    enthrone(store, registry, "scoring", version="1", since=DAY, author="benchmark", reason="it is the first")
    labels = folder / "store/scoring/labels"
    labels.mkdir(parents=True)
    for number in range(BATCHES):
        day = DAY + timedelta(weeks=number)
        batch = folder / "store/scoring/batches" / str(day)
        batch.mkdir(parents=True)
        of_batch = rows.slice(number * ROWS, ROWS)
        of_batch.write_parquet(batch / "rows.parquet")
        label = np.random.default_rng(number).integers(0, 2, ROWS)
        observed = pl.lit(day + timedelta(days=2)).cast(pl.Datetime("us", "UTC"))
        of_batch.select("id", label=pl.Series(label), observed_at=observed).write_parquet(labels / f"{day}.parquet")
        score_batch(store, registry, project, head(store, "scoring"), str(day), day)
    end = DAY + timedelta(weeks=BATCHES + 2)
    decision = decide(store, project, head(store, "scoring"), close_batches(store, project, end), end)
    assert decision is not None
    save_decision(store, "scoring", decision)


def _seconds(words: list[str], folder: Path) -> tuple[float, float]:
    """CPU and wall seconds of a Python with these words."""
    environment = os.environ | {"DETHRONE_PROJECTS": str(folder)}
    wall = time.perf_counter()
    child = subprocess.Popen([sys.executable, *words], cwd=ROOT, env=environment, stdout=subprocess.DEVNULL)  # noqa: S603
    _, status, used = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    assert child.returncode == 0, words
    return used.ru_utime + used.ru_stime, time.perf_counter() - wall


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
