"""What closing a batch costs: CPU, wall and memory, beside a bare polars scan, join and group-by of the same files.

Run ``python -m benchmarks.closing``: five minutes, 3 GB of disk, 2 GB of memory; sizes are options. The bare query reads the ids, the
decisions and the labels, and counts rows by label and decisions. It knows nothing of duplicate ids, several labels of one id, labels
that came early or late, neighbouring batches, digests of files or scores.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from benchmarks.measuring import DAY, measured

MATURITY = 14
PART_ROWS = 131_072


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=5_000_000, help="rows of the batch whose CPU is measured")
    parser.add_argument("--versions", type=int, default=3)
    parser.add_argument("--files", type=int, default=20, help="label files of that batch")
    parser.add_argument("--text", action="store_true", help="ids are text and no whole numbers")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--memory", type=int, nargs="*", default=[2_000_000, 20_000_000], help="rows of batches")
    parser.add_argument("--backlog", type=int, nargs="*", default=[100, 200, 400], help="batches, of a label file each")
    parser.add_argument("--backlog-rows", type=int, default=1000, help="rows of each batch of the backlog")
    parser.add_argument("--scattered", action="store_true", help="ids of the backlog are in no order")
    parser.add_argument("--alone", nargs=3, metavar=("WAY", "FOLDER", "BATCHES"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.alone:
        way, folder, batches = given.alone
        _alone(way, Path(folder), int(batches))
        return
    if given.rounds:
        _compare(given)
    for rows in given.memory:
        _peaks(rows, given)
    for batches in given.backlog:
        _backlog(batches, given)


def _compare(given: argparse.Namespace) -> None:
    """Time all ways by turns in this process, so that what else the machine does falls on each alike."""
    with tempfile.TemporaryDirectory(prefix="dethrone-closing-") as folder:
        root = Path(folder)
        build(root, given.rows, versions=given.versions, files=given.files, text=given.text)
        ways: dict[str, Callable[[], Any]] = {
            "bare polars": lambda: bare(root),
            "tally": lambda: tally(root),
            "tally and scores": lambda: close(root, 1),
        }
        rounds: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
        for number in range(given.rounds + 1):
            for name, way in ways.items():
                result: dict[str, float] = {}
                with measured(result, name):
                    way()
                if number:  # the first round imports and fills the page cache
                    rounds[name].append((result[f"{name} cpu"], result[f"{name} wall"]))
    print(
        f"{given.rows:,} rows x {given.versions} versions, {given.files} label files, median of {given.rounds} rounds"
    )
    own = statistics.median(cpu for cpu, _ in rounds["bare polars"])
    for name, seconds in rounds.items():
        cpu, wall = (statistics.median(s) for s in zip(*seconds, strict=True))
        print(f"  {name:<18} {cpu:7.2f} CPU s ({cpu / own:.1f} x)  {wall:7.2f} s", flush=True)


def _peaks(rows: int, given: argparse.Namespace) -> None:
    """Print the peak memory of each way, each in a process of its own."""
    with tempfile.TemporaryDirectory(prefix="dethrone-closing-") as folder:
        build(Path(folder), rows, versions=given.versions, files=max(1, rows // 1_000_000), text=given.text)
        peaks = {way: _peak(way, folder) for way in ("imports", "bare", "tally", "close")}
    print(
        f"{rows:,} rows, peak memory in MB: " + ", ".join(f"{way} {mb:,.0f}" for way, mb in peaks.items()), flush=True
    )


def _peak(way: str, folder: str) -> float:
    command = [sys.executable, "-m", "benchmarks.closing", "--alone", way, folder, "1"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603
    return float(done.stdout)


def _alone(way: str, folder: Path, batches: int) -> None:
    from tasks.labels import tallying  # noqa: F401

    if way == "bare":
        bare(folder)
    elif way == "tally":
        tally(folder)
    elif way == "close":
        close(folder, batches)
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    print(int(status.partition("VmHWM:")[2].split()[0]) / 1024)


def _backlog(batches: int, given: argparse.Namespace) -> None:
    """Print what it costs to close so many batches in one run, and one more beside all of their label files."""
    with tempfile.TemporaryDirectory(prefix="dethrone-closing-") as folder:
        root = Path(folder)
        build(
            root,
            given.backlog_rows,
            versions=given.versions,
            batches=batches,
            text=given.text,
            scattered=given.scattered,
        )
        result: dict[str, float] = {}
        with measured(result, "all"):
            close(root, batches, keep=True)
        last = root / "p" / "tallies" / f"{DAY + timedelta(days=batches - 1)}.parquet"
        last.unlink()
        with measured(result, "one"):
            close(root, batches)
    print(
        f"{batches} batches of {given.backlog_rows:,} rows x {batches} label files: {result['all cpu']:.2f} CPU s, "
        f"{1000 * result['all cpu'] / batches:.1f} ms a batch; the last one alone {result['one cpu']:.2f} CPU s",
        flush=True,
    )


def build(
    root: Path,
    rows: int,
    *,
    versions: int = 3,
    files: int = 1,
    batches: int = 1,
    text: bool = False,
    scattered: bool = False,
) -> None:
    """A store with scored batches, one a day, of so many rows each, and ``files`` label files for each."""
    from analysis.evidence import Contender
    from tasks.batches.predictions import Manifest, Scored, commit_manifest
    from tasks.batches.staging import Staging
    from tasks.store import DirectoryStore

    store, rng = DirectoryStore(root), np.random.default_rng(1)
    (root / "p" / "labels").mkdir(parents=True)
    names = rng.permutation(rows * batches) if scattered else np.arange(rows * batches)
    for number in range(batches):
        day = DAY + timedelta(days=number)
        ids = pl.Series("id", names[number * rows : (number + 1) * rows])
        ids = ids.cast(pl.String).str.zfill(12) if text else ids
        label = rng.random(rows) < 0.1
        parts, scored = [], []
        with Staging(store, "p", str(day)) as staging:
            starts = range(0, rows, PART_ROWS)
            parts = [staging.add("rows", i, ids[a : a + PART_ROWS].to_frame()) for i, a in enumerate(starts)]
            for version in map(str, range(1, versions + 1)):
                own = []
                for i, a in enumerate(starts):
                    score = 0.8 * rng.random(len(ids[a : a + PART_ROWS])) + 0.2 * label[a : a + PART_ROWS]
                    frame = pl.DataFrame({"score": score, "decision": (score > 0.5).astype(np.int8)})
                    own.append(staging.add(version, i, frame))
                scored.append(Scored(version, Contender(version, f"d{version}", 0.5, None), tuple(own), None))
            staging.upload([*parts, *(p for s in scored for p in s.parts)])
        manifest = Manifest(str(day), day, 1, "1", rows, ("id",), "x", tuple(parts), tuple(scored))
        commit_manifest(store, "p", manifest)
        seen = pl.Series("observed_at", [day + timedelta(days=7)]).new_from_index(0, rows)
        labels = pl.DataFrame([ids, pl.Series("label", label.astype(np.int64)), seen])
        for i, of_file in enumerate(np.array_split(np.arange(rows), files)):
            labels[of_file].write_parquet(root / "p" / "labels" / f"{day}-{i:04}.parquet")


def _project(root: Path) -> Any:
    from tasks.base.project import Project

    return Project(name="p", store=str(root), mlflow="sqlite:///none", model="p", maturity_days=MATURITY)


def close(root: Path, batches: int, *, keep: bool = False) -> Any:
    """Close all batches, as the flow ``judge`` does."""
    from tasks.labels.tallying import close_batches
    from tasks.store import DirectoryStore

    return close_batches(DirectoryStore(root), _project(root), _closing(batches), keep=keep)


def _closing(batches: int) -> date:
    return DAY + timedelta(days=batches - 1 + MATURITY)


def tally(root: Path) -> pl.DataFrame:
    """Only the counts of the one batch, without sums of scores."""
    from tasks.batches.predictions import manifests
    from tasks.labels.batch_labels import label_rows
    from tasks.labels.label_files import LabelFiles
    from tasks.store import DirectoryStore

    store, project = DirectoryStore(root), _project(root)
    scored = manifests(store, "p")
    files = LabelFiles(store, project)
    return label_rows(store, project, files, scored[0], scored, _closing(1), strict=True).counted()


def bare(root: Path) -> pl.DataFrame:
    """The counts by polars alone."""
    predictions = root / "p" / "predictions" / str(DAY)
    versions = sorted(f.name for f in predictions.iterdir() if f.name.isdigit())
    columns = [
        pl.scan_parquet(predictions / "rows/*.parquet"),
        *(pl.scan_parquet(predictions / v / "*.parquet").select(pl.col("decision").alias(v)) for v in versions),
    ]
    labels = pl.scan_parquet(root / "p" / "labels" / "*.parquet").select("id", "label")
    joined = pl.concat(columns, how="horizontal").join(labels, on="id", how="left")
    return joined.group_by("label", *versions).len().collect()


if __name__ == "__main__":
    main()
