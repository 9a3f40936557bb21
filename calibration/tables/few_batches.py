"""Evidence that lies in few batches, rows that stand several times, thresholds that are tuned again: what the gates are for."""

from __future__ import annotations

import math

import numpy as np

from analysis.policy.budget import allowance
from analysis.tables.metrics import Floats
from calibration.cells import Cell, Part, Table, share, sized
from calibration.records import WEEKS, Ints, Record
from calibration.rules import ALPHA, Bools, e_process, reached_at
from calibration.tables.shocks import gated

__all__ = ["FALSE", "FEW_BATCHES", "GATED", "REIGN", "RETUNED"]

FALSE = "false promotions within 52 weekly looks"
RETUNED = "false promotions in two years of new thresholds"
GATED = "rows, and batches where these are uneven or few"
REIGN = "alpha of a reign, by wave"
_ROWS = "e-process of rows"
_RUNS = 10_000


def _measured(name: str, record: Record) -> list[Cell]:
    return [
        share(FALSE, rule, name, decide(record).any(axis=1))
        for rule, decide in ((_ROWS, e_process(3.0)), (GATED, gated))
    ]


def measure_one_large(rng: np.random.Generator, name: str, runs: int, part: float, sd: float) -> list[Cell]:
    """One batch, at a week of its own, has this part of the year's disagreements; each week has a shock."""
    sizes = np.full((runs, WEEKS), 20)
    large = round(20 * WEEKS * part / (1 - part))
    sizes[np.arange(runs), rng.integers(0, WEEKS, runs)] = large
    return _measured(name, _drawn(rng, sizes, sd))


def measure_shocks(rng: np.random.Generator, name: str, runs: int, disagreements: int, sd: float) -> list[Cell]:
    return _measured(name, _drawn(rng, np.full((runs, WEEKS), disagreements), sd))


def measure_copies(rng: np.random.Generator, name: str, runs: int, copies: int) -> list[Cell]:
    """Every row stands that often, under other ids."""
    wins = rng.binomial(10, 0.5, size=(runs, WEEKS))
    return _measured(name, Record(copies * wins, copies * (10 - wins), np.full(WEEKS, 100 * copies)))


def _drawn(rng: np.random.Generator, sizes: Ints, sd: float) -> Record:
    wins = rng.binomial(sizes, np.clip(rng.normal(0.5, sd, size=sizes.shape), 0, 1))
    return Record(wins, sizes - wins, np.full(WEEKS, int(10 * sizes.max())))


def measure_retuned(rng: np.random.Generator, name: str, runs: int, weeks_each: int) -> list[Cell]:
    """Equal models; a new contender as soon as the last one has waited so many weeks, for two years."""
    contenders = 2 * WEEKS // weeks_each
    wins = rng.binomial(10, 0.5, size=(runs, contenders, weeks_each)).cumsum(axis=2)
    losses = 10 * np.arange(1, weeks_each + 1) - wins
    own: Floats = np.array(
        [allowance("reign", ALPHA, wave=j, order=j, promotions=0).alpha for j in range(1, contenders + 1)]
    )
    by_wave: Bools = reached_at(wins, losses, -np.log(own)[:, None])
    each_at_alpha: Bools = reached_at(wins, losses, -math.log(ALPHA))
    return [
        share(RETUNED, "alpha for each", name, each_at_alpha.any(axis=(1, 2))),
        share(RETUNED, REIGN, name, by_wave.any(axis=(1, 2))),
    ]


def _parts(scale: float) -> list[Part]:
    runs = sized(_RUNS, scale)
    found = []
    for part, sd in ((0.9, 0.05), (0.9, 0.1), (0.5, 0.05), (0.5, 0.1)):
        name = f"one batch has {part:.0%} of the rows, shocks {sd:g}"
        found.append(Part(name, measure_one_large, (name, runs, part, sd)))
    for disagreements in (5, 10):
        name = f"{disagreements} disagreements a week, shocks 0.2"
        found.append(Part(name, measure_shocks, (name, runs, disagreements, 0.2)))
    for copies in (1, 2, 4, 10):
        name = f"each row {copies} times, 10 disagreements a week"
        found.append(Part(name, measure_copies, (name, runs, copies)))
    for weeks_each in (4, 8):
        name = f"a new threshold every {weeks_each} weeks"
        found.append(Part(name, measure_retuned, (name, runs, weeks_each)))
    return found


FEW_BATCHES = Table(
    "few_batches",
    "Few batches, copied rows, thresholds tuned again",
    """
Worlds in which rows say more than they know: one batch with most of the year's rows and shocks that all rows of a week share; small
weeks with large shocks; rows that stand several times under other ids. The shipped rule asks the batches too where the win share
varies at p < 0.2, or where the disagreements are worth fewer than four equal batches. Below them, a data scientist who registers
the equal model with a new threshold after every WAIT: 10 disagreements a week, two years, and each contender's alpha is that of its
wave.
""",
    _parts,
)
