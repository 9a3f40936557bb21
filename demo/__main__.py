"""Lay out the flights, train and register the four models: ``python -m demo``."""

from __future__ import annotations

import time
from pathlib import Path

from demo.flights import flights, lay_out
from demo.models import register
from tasks.base.project import load_project
from tasks.store import open_store


def main() -> None:
    start = time.perf_counter()
    project = load_project("flights")
    Path(project.store).parent.mkdir(parents=True, exist_ok=True)
    rows = flights()
    dates = lay_out(open_store(project.store), project, rows)
    print(
        f"{rows.height:,} flights; {len(dates)} weekly batches from {dates[0]} to {dates[-1]}, labels {project.maturity_days} days later"
    )
    register(project, rows)
    print(f"registered in MLflow: {project.model}, versions 1 to 4 ({time.perf_counter() - start:.0f} s)")


if __name__ == "__main__":
    main()
