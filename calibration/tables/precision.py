"""Is the precision of a challenger proven not to be worse by more than the margin, where it is worse by just that?"""

from __future__ import annotations

import math

import numpy as np

from analysis.any_look.asymptotic import MIN_DISCORDANT
from analysis.any_look.precision import log_e_precision
from calibration.cells import Cell, Part, Table, agree, mean, share, sized
from calibration.records import WEEKS, Ints
from calibration.rules import ALPHA, Bools, asymptotic_reached, first_look
from calibration.weekly_tables import Floats, cell_shares, counts_of, differences, play_tables

__all__ = ["FALSE", "MARGIN", "PRECISION"]

MARGIN = 0.03
_CHAMPION = 0.8
_ROWS = 1000
_RUNS, _POWER_RUNS = 2000, 300
_Z = 1.6448536269514722

FALSE = "false passes within 52 weekly looks, precision worse by exactly the margin"
ONE_LOOK = "false passes at one look, in week 52"
PASSED = "passed within 52 weeks, precision equal"
WEEKS_UNTIL = "weeks until it passes, 52 where it does not"


def _shares(flagged: int, gain: float) -> Floats:
    """Each model flags ``flagged`` of 1000 rows, half of them the same; what it flags alone makes the difference."""
    both = alone = flagged / 2
    right = _CHAMPION + gain * flagged / alone
    positives = (20.0, alone * right, alone * _CHAMPION, both * _CHAMPION)
    wrong = (alone * (1 - right), alone * (1 - _CHAMPION), both * (1 - _CHAMPION))
    rest = _ROWS - sum(positives) - sum(wrong)
    return cell_shares(positives, (rest, *wrong))


def _proven(cells: Ints, margin: float) -> bool:
    """Whether the shipped e-process has reached 1/alpha; the grid alone lies above the refined minimum."""
    counts = counts_of(cells)
    return all(log_e_precision(counts, null_gain=-margin, refine=r) >= -math.log(ALPHA) for r in (False, True))


def _first_pass(cells: Ints, likely: Bools) -> Bools:
    """One run: the first look at which the e-process passes, asked at ``likely`` looks only; shape (weeks,)."""
    found = np.zeros(len(likely), dtype=bool)
    for week in np.flatnonzero(likely):
        if _proven(cells[week], MARGIN):
            found[week] = True
            break
    return found


def measure(rng: np.random.Generator, world: str, flagged: int, gain: float, runs: int) -> list[Cell]:
    """The e-process, the asymptotic sequence and an interval meant for one look, on the same years.

    A lead over the margin of less than 2 standard errors is taken to prove nothing, which is checked just below.
    """
    cells = play_tables(_shares(flagged, gain), _ROWS, runs, rng)
    value, error = differences("precision", cells)
    z = (value + MARGIN) / np.where(error > 0, error, np.inf)
    for run, week in np.argwhere((z > 1.8) & (z <= 2))[:60]:
        agree(f"precision at {counts_of(cells[run, week])}", False, _proven(cells[run, week], MARGIN))
    rows = np.arange(1, WEEKS + 1) * _ROWS
    discordant = cells[..., [1, 2, 5, 6]].sum(axis=-1)
    looks = {
        "e-process": np.array([_first_pass(c, likely) for c, likely in zip(cells, z > 2, strict=True)]),
        "asymptotic sequence": (discordant >= MIN_DISCORDANT) & asymptotic_reached(z, rows),
        "95% lower limit of one look": z > _Z,
    }
    if gain < 0:
        found = [share(FALSE, rule, world, looks[rule].any(axis=1)) for rule in looks]
        return [*found, share(ONE_LOOK, "95% lower limit of one look", world, z[:, -1] > _Z)]
    passed = [share(PASSED, rule, world, looks[rule].any(axis=1)) for rule in looks]
    return passed + [mean(WEEKS_UNTIL, rule, world, first_look(looks[rule])) for rule in looks]


def _parts(scale: float) -> list[Part]:
    found = []
    for flagged in (200, 40):
        world = f"{flagged} of {_ROWS} rows flagged a week"
        for gain, runs in ((0.0, _POWER_RUNS), (-MARGIN, _RUNS)):
            name = f"{world}, difference {gain:g}"
            found.append(Part(name, measure, (world, flagged, gain, sized(runs, scale))))
    return found


PRECISION = Table(
    "precision",
    "Non-inferiority of precision",
    f"""
A guardrail asks for proof that the challenger's precision is not worse by {MARGIN} or more. The champion's precision is {_CHAMPION};
half of the rows that a model flags are flagged by both. It errs if it passes, at any of 52 looks, a challenger that is worse
by exactly the margin. The price of the proof is the weeks that a challenger of equal precision waits for it.
""",
    _parts,
)
