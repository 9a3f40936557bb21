"""What if all rows of a week share a shock, so that one model has a good week and then the other?"""

from __future__ import annotations

import numpy as np

from calibration.cells import Cell, Part, Table, mean, share, sized
from calibration.records import WEEKS, Record
from calibration.rules import (
    ALPHA,
    MIN_BATCHES,
    Bools,
    Rule,
    batch_unit,
    check,
    check_batches,
    e_process,
    first_look,
    mid_p_below,
    uneven,
)
from calibration.tables.power import PROMOTED, WEEKS_TO_A_PROMOTION

__all__ = ["FALSE", "SHOCKS", "gated"]

FALSE = "false promotions within 52 weekly looks"
_RUNS = 10_000


def gated(r: Record) -> Bools:
    """The shipped combination: rows prove it, in at least 4 batches, and the batches too where they are uneven."""
    found = e_process(3.0)(r) & (~uneven(r) | batch_unit(r))
    found[:, : MIN_BATCHES - 1] = False
    return found


RULES: dict[str, Rule] = {
    "e-process of rows": e_process(3.0),
    "e-process of batches": batch_unit,
    "rows, and batches where these are uneven": gated,
    "McNemar's mid-p < 0.05": mid_p_below(ALPHA),
}


def shocked(runs: int, disagreements: int, win_share: float, sd: float, rng: np.random.Generator) -> Record:
    """So many disagreements each week, won with a probability that is normal around ``win_share`` from week to week."""
    theta = np.clip(rng.normal(win_share, sd, size=(runs, WEEKS)), 0, 1)
    wins = rng.binomial(disagreements, theta)
    return Record(wins, disagreements - wins, np.full(WEEKS, 10 * disagreements))


def measure(
    rng: np.random.Generator, name: str, runs: int, disagreements: int, win_share: float, sd: float
) -> list[Cell]:
    """Every rule on the same years."""
    record = shocked(runs, disagreements, win_share, sd, rng)
    check(record, rng)
    check_batches(record, rng)
    looks = {rule: decide(record) for rule, decide in RULES.items()}
    if win_share == 0.5:
        return [share(FALSE, rule, name, found.any(axis=1)) for rule, found in looks.items()]
    promoted = [share(PROMOTED, rule, name, found.any(axis=1)) for rule, found in looks.items()]
    return promoted + [mean(WEEKS_TO_A_PROMOTION, rule, name, first_look(found)) for rule, found in looks.items()]


def _parts(scale: float) -> list[Part]:
    runs = sized(_RUNS, scale)
    found = []
    for win_share, spreads in ((0.5, (0.0, 0.02, 0.05, 0.1)), (0.6, (0.0, 0.05, 0.1))):
        for disagreements in (20, 100):
            for sd in spreads:
                won = "" if win_share == 0.5 else f", wins {win_share:.0%}"
                name = f"{disagreements} disagreements a week, shocks {sd:g}{won}"
                found.append(Part(name, measure, (name, runs, disagreements, win_share, sd)))
    return found


SHOCKS = Table(
    "shocks",
    "Shocks that a whole week shares",
    """
The share of disagreements that the challenger wins is drawn anew each week, normal around 1/2 (no gain) or 0.6 with the standard
deviation named as the shock. Tests whose unit is the row take 100 rows of one week for 100 independent ones. The shipped rule asks
the batches too where the win share is seen to vary (chi-square, p < 0.2) and waits for four batches; that gate is a test and misses
some shocks, so its bound is a tolerance that was found by simulation.
""",
    _parts,
)
