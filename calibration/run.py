"""Run the parts of all tables, on as many processes as asked for; the numbers do not depend on how many."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass

from calibration.cells import Cell, Part, Table, generator

__all__ = ["measure_tables"]

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True, slots=True)
class _Job:
    table: str
    part: Part

    def __call__(self) -> list[Cell]:
        return self.part.measure(generator(self.table, self.part.name), *self.part.arguments)


def measure_tables(tables: Sequence[Table], *, scale: float, workers: int, progress: Progress) -> dict[str, list[Cell]]:
    """The cells of every table, in the order of its parts. ``progress`` is told (done, of, what) after each part."""
    jobs = [_Job(t.name, p) for t in tables for p in t.parts(scale)]
    found: dict[int, list[Cell]] = {}
    for i, cells in _in_turn(jobs) if workers == 1 else _side_by_side(jobs, workers):
        found[i] = cells
        progress(len(found), len(jobs), f"{jobs[i].table}: {jobs[i].part.name}")
    return {t.name: [c for i, j in enumerate(jobs) if j.table == t.name for c in found[i]] for t in tables}


def _in_turn(jobs: Sequence[_Job]) -> Iterator[tuple[int, list[Cell]]]:
    return ((i, job()) for i, job in enumerate(jobs))


def _side_by_side(jobs: Sequence[_Job], workers: int) -> Iterator[tuple[int, list[Cell]]]:
    """Last ones first, for they are the longest, and no process idles at the end.

    Processes are spawned, as a fork would copy the locks of libraries that run threads, and each keeps to one thread.
    """
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        futures = {pool.submit(job): i for i, job in reversed(list(enumerate(jobs)))}
        try:
            for future in as_completed(futures):
                yield futures[future], future.result()
        finally:
            pool.shutdown(cancel_futures=True)
