"""A test up to a declared horizon: does it spend no more than it was given, looked at with every batch?"""

from __future__ import annotations

import math

import numpy as np
from scipy import stats

from analysis.any_look.group_sequential import Spending, boundaries, spent
from analysis.policy import Horizon
from analysis.policy.planned import planned_look
from calibration.cells import Cell, Part, Table, agree, share, sized
from calibration.records import Record, constant, play
from calibration.rules import ALPHA

__all__ = ["FALSE", "HORIZON"]

FALSE = "false promotions up to the declared horizon"
_RUNS = 3000
_SPENDING: dict[str, Spending] = {"O'Brien-Fleming": "obrien-fleming", "Pocock": "pocock"}

# (positives a week, share of disagreements, disagreements planned)
_PLANS = [(20, 0.2, 20), (100, 0.1, 50), (1000, 0.1, 500), (2000, 0.1, 240)]


def measure(rng: np.random.Generator, plan: tuple[int, float, int], runs: int) -> list[Cell]:
    """Boundaries at the information that each run really had."""
    positives, discordance, planned = plan
    record = play(constant(positives, discordance), runs, rng)
    world = f"{planned} disagreements planned, about {math.ceil(planned / positives / discordance)} looks"
    crossed: dict[str, list[bool]] = {name: [] for name in _SPENDING}
    for run in range(runs):
        for name, spending in _SPENDING.items():
            crossed[name].append(_crosses(record, run, planned, spending))
    for run in range(min(runs, 4)):
        for name, spending in _SPENDING.items():
            agree(f"{name}, run {run}", crossed[name][run], _shipped(record, run, planned, spending))
    return [share(FALSE, name, world, found) for name, found in crossed.items()]


def _crosses(record: Record, run: int, planned: int, spending: Spending) -> bool:
    """Whether z crosses a boundary up to the end of the plan.

    Beyond a boundary lies at most what has been spent by then, so none is below the quantile of that; the boundaries
    themselves, a tenth of a second, are asked for only where z exceeds such a quantile.
    """
    d = record.won[run] + record.lost[run]
    last = int(np.argmax(d >= planned))
    looks = np.flatnonzero(np.diff(d, prepend=0)[: last + 1])
    z = (record.won[run] - record.lost[run])[looks] / np.sqrt(d[looks])
    fractions = [float(x) for x in d[looks] / planned]
    if np.all(stats.norm.sf(z) > [spent(min(f, 1.0), alpha=ALPHA, spending=spending) + 1e-6 for f in fractions]):
        return False
    return bool((z >= boundaries(fractions, alpha=ALPHA, spending=spending)).any())


def _shipped(record: Record, run: int, planned: int, spending: Spending) -> bool:
    """The shipped look after each batch, until the plan is over."""
    horizon = Horizon(disagreements=planned, spending=spending)
    for week in range(record.won.shape[1]):
        look = planned_look(record.batches(run, week), horizon, alpha=ALPHA)
        if look and (look.crossed or look.over):
            return look.crossed
    return False


def _parts(scale: float) -> list[Part]:
    return [Part(f"{plan[2]} disagreements", measure, (plan, sized(_RUNS, scale))) for plan in _PLANS]


HORIZON = Table(
    "horizon",
    "Tests up to a declared horizon",
    """
A policy may declare a horizon in disagreements and test up to it group-sequentially, one look a week, by spending 0.05. The information
at the looks is what really came, also where the last week brings more than was planned (of 240, about 400); the last look spends what is
left. The boundaries are those of a normal walk, which few disagreements are not quite.
""",
    _parts,
)
