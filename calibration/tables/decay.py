"""The alarm on the champion's own level: how often it is false in a year, and how long it takes to tell of a fall."""

from __future__ import annotations

import math

import numpy as np

from analysis.any_look.decay import FIRST_BATCHES, Share, alarm, lower_level
from analysis.verdict.watch import FALSE_ALARMS
from calibration.cells import Cell, Part, Table, mean, share, sized
from calibration.records import WEEKS

__all__ = ["DECAY", "FALSE", "SHIPPED"]

FALSE = "false alarms within a year"
SHIPPED = "against the first batches"
_FLOOR = "against a floor 0.1 below"
_RUNS = 400
_FALLS_AFTER = 10
_RECALL = 0.6


def _alarms(
    rng: np.random.Generator, positives: int, shock: float, fall: float, runs: int, floor: float | None
) -> np.ndarray:
    """The week after the first batches in which the alarm rang, from 1 on, 0 if it did not; shape (runs,)."""
    days = np.datetime64("2024-01-07") + 7 * np.arange(FIRST_BATCHES + WEEKS)
    true = np.full(len(days), _RECALL)
    true[FIRST_BATCHES + _FALLS_AFTER :] -= fall
    weeks = np.zeros(runs, dtype=np.int64)
    for run in range(runs):
        n = rng.poisson(positives, len(days))
        found = rng.binomial(n, np.clip(true + rng.normal(0, shock, len(days)), 0, 1))
        recall = Share(found.astype(np.float64), n.astype(np.float64), days)
        level = lower_level(recall.of(slice(FIRST_BATCHES))) if floor is None else floor
        rang = alarm(recall, level, begins=FIRST_BATCHES, threshold=-math.log(FALSE_ALARMS))
        if rang and rang.reached is not None:
            weeks[run] = rang.reached - FIRST_BATCHES + 1
    return weeks


def measure(rng: np.random.Generator, positives: int, shock: float, runs: int) -> list[Cell]:
    world = f"{positives} positives a week, shocks {shock:g}"
    cells = []
    for rule, floor in ((SHIPPED, None), (_FLOOR, _RECALL - 0.1)):
        cells.append(share(FALSE, rule, world, _alarms(rng, positives, shock, 0.0, runs, floor) > 0))
        for fall in (0.1, 0.2):
            weeks = _alarms(rng, positives, shock, fall, runs // 4, floor)
            late = weeks[(weeks == 0) | (weeks > _FALLS_AFTER)]
            waited = np.where(late == 0, WEEKS, late) - _FALLS_AFTER
            cells.append(
                mean(f"weeks until a fall by {fall:g} is told, {WEEKS - _FALLS_AFTER} at most", rule, world, waited)
            )
    return cells


def _parts(scale: float) -> list[Part]:
    runs = sized(_RUNS, scale)
    return [
        Part(f"{positives}, {shock:g}", measure, (positives, shock, runs))
        for positives in (20, 100, 1000, 10_000)
        for shock in (0.0, 0.05, 0.1)
    ]


DECAY = Table(
    "decay",
    "The alarm on the champion itself",
    f"""
A champion finds {_RECALL:.0%} of the positives, by chance alone or with shocks: each week has its own recall, which varies with
the standard deviation named. The first {FIRST_BATCHES} weeks say what it had; then a year is watched, at each weekly look. In the
worlds of the times to tell, its recall falls for good after {_FALLS_AFTER} weeks of it.
""",
    _parts,
)
