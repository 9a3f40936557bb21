"""How soon does a rule promote a challenger that is better?"""

from __future__ import annotations

import numpy as np

from analysis.any_look.eprocess import prior_for
from calibration.cells import Cell, Part, Table, mean, share, sized
from calibration.records import WEEKS, World, constant, play
from calibration.rules import (
    ALPHA,
    Rule,
    asymptotic,
    batch_unit,
    check,
    check_asymptotic,
    check_batches,
    e_process,
    first_look,
    group_sequential,
    mid_p_below,
    two_sided_below,
)

__all__ = ["POWER", "PROMOTED", "TUNED", "WEEKS_TO_A_PROMOTION"]

PROMOTED = "promoted within 52 weeks"
WEEKS_TO_A_PROMOTION = "weeks to a promotion, 52 where there is none"
TUNED = "e-process, prior for the true gain"

_RUNS = 10_000

_BETTER = [
    constant(20, 0.1, 0.05),
    constant(20, 0.2, 0.05),
    constant(20, 0.1, 0.02),
    constant(20, 0.2, 0.1),
    constant(100, 0.1, 0.02),
    constant(100, 0.2, 0.02),
    constant(100, 0.1, 0.05),
    constant(100, 0.2, 0.05),
    constant(1000, 0.2, 0.02),
]


def measure(rng: np.random.Generator, world: World, runs: int) -> list[Cell]:
    """Every rule on the same years, and the weeks that it needs."""
    record = play(world, runs, rng)
    check(record, rng)
    check_batches(record, rng, size=20)
    check_asymptotic(record, rng)
    weeks = np.arange(1.0, WEEKS + 1)
    rules: dict[str, Rule] = {
        "e-process": e_process(3.0),
        TUNED: e_process(prior_for(world.win_share[0])),
        "e-process of batches": batch_unit,
        "asymptotic sequence": asymptotic,
        "O'Brien-Fleming, information in disagreements": group_sequential("obrien-fleming", weeks),
        "Pocock, information in disagreements": group_sequential("pocock", weeks),
        "McNemar's mid-p < 0.05": mid_p_below(ALPHA),
        "McNemar's two-sided mid-p < 0.05": two_sided_below(ALPHA),
        "higher recall so far": lambda r: r.won > r.lost,
    }
    cells = []
    for name, rule in rules.items():
        looks = rule(record)
        cells.append(share(PROMOTED, name, world.name, looks.any(axis=1)))
        cells.append(mean(WEEKS_TO_A_PROMOTION, name, world.name, first_look(looks)))
    return cells


def _parts(scale: float) -> list[Part]:
    return [Part(w.name, measure, (w, sized(_RUNS, scale))) for w in _BETTER]


POWER = Table(
    "power",
    "Weeks to the promotion of a better challenger",
    """
A challenger with a higher recall is compared with the champion every week for a year, by the rules whose errors are in
[looks](looks.md). Rules that err more often are sooner; this is by how much. "Prior for the true gain" has the prior that
`prior_for` gives for the true share of wins: what a project gains by planning.
""",
    _parts,
)
