"""Measure the error rates of all shipped rules and write docs/calibration: ``python -m calibration``.

Exits with 1, naming the cells, where a rule breaks its promise.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from calibration.all_tables import TABLES
from calibration.bounds import Bound
from calibration.cells import Table
from calibration.pages import write_index, write_table
from calibration.promises import BOUNDS
from calibration.readme import readme_tables
from calibration.run import measure_tables

__all__ = ["calibrate", "main"]

_FOLDER = Path(__file__).resolve().parent.parent / "docs" / "calibration"
_QUICK = 0.03


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m calibration", description=__doc__)
    parser.add_argument("--only", metavar="NAME", choices=[t.name for t in TABLES], help="measure this table alone")
    parser.add_argument("--quick", action="store_true", help="a thirtieth of the runs, in a minute; needs --out")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="where to write; docs/calibration by default")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, metavar="N", help="processes; one a core")
    parser.add_argument(
        "--readme", action="store_true", help="measure nothing, print README's tables from the CSV files"
    )
    given = parser.parse_args(arguments)
    if given.quick and not given.out:
        parser.error("--quick measures too little to be kept: name another folder with --out")
    folder = given.out or _FOLDER
    if given.readme:
        if not all((folder / f"{name}.csv").is_file() for name in ("looks", "power")):
            parser.error(f"{folder} holds no looks.csv and power.csv yet: run python -m calibration first")
        print(readme_tables(folder))
        return 0
    tables = [t for t in TABLES if given.only in (None, t.name)]
    scale = _QUICK if given.quick else 1.0
    return calibrate(tables, BOUNDS, folder, index=TABLES, scale=scale, workers=given.workers)


def calibrate(
    tables: Sequence[Table],
    bounds: Sequence[Bound],
    folder: Path,
    *,
    index: Sequence[Table],
    scale: float,
    workers: int,
) -> int:
    """Measure, write and judge; 1 if a bound is broken, else 0. The index is of all that lies in the folder."""
    found = measure_tables(tables, scale=scale, workers=workers, progress=_progress_line())
    verdicts = [v for t in tables for v in write_table(folder, t, found[t.name], bounds)]
    write_index(folder, index, bounds)
    broken = [v for v in verdicts if not v.holds]
    for verdict in broken:
        print(f"BROKEN {verdict}", file=sys.stderr)
    print(f"{len(verdicts) - len(broken)} of {len(verdicts)} promises hold; see {folder / 'index.md'}", file=sys.stderr)
    return 1 if broken else 0


def _progress_line() -> Callable[[int, int, str], None]:
    start, live = time.monotonic(), sys.stderr.isatty()

    def show(done: int, of: int, what: str) -> None:
        bar = "#" * (30 * done // of)
        line = f"[{bar:<30}] {done}/{of} {time.monotonic() - start:5.0f} s  {what}"
        print(
            f"\r{line[:118]:<118}" if live else line,
            end="" if live and done < of else "\n",
            file=sys.stderr,
            flush=True,
        )

    return show


if __name__ == "__main__":
    sys.exit(main())
