"""Labels that go missing or come late: whom does that promote, and whose judgement does it call invalid without a reason?"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy import special

from analysis.any_look.eprocess import log_e_array
from analysis.any_look.label_selection import Split, log_e_audit, log_e_selection, log_ratios
from analysis.policy.budget import allowance
from analysis.tables.metrics import Floats
from calibration.cells import Cell, Part, Table, agree, share, sized
from calibration.records import WEEKS
from calibration.rules import ALPHA

__all__ = ["FALSE", "INVALID", "LABEL_DROPS", "PROMOTED", "SHIPPED"]

FALSE = "equal models: promoted within 52 weekly looks"
PROMOTED = "a better challenger (+0.05): promoted within 52 weekly looks"
INVALID = "called invalid at one of 52 looks"
SHIPPED = "the shipped checks of labels"
_UNCHECKED = "E of the rows with a label alone"
_RUNS = 400
_POSITIVES = 100
_LATE_WEEKS = 2
_CELLS = (
    "positives of the challenger alone",
    "of the champion alone",
    "negatives of the challenger alone",
    "of the champion alone",
)
_LOG_BETS = math.log(9)


@dataclass(frozen=True, slots=True)
class World:
    """The share of rows labelled in time in each of ``_CELLS``; the others ``come`` two weeks after closing, or never."""

    name: str
    in_time: tuple[float, float, float, float]
    come: bool
    gain: float = 0.0


def _worlds() -> list[World]:
    found = [World(f"at random, {x:.0%}", (x,) * 4, come=True) for x in (0.9, 0.5)]
    found += [World(f"positives {x:.0%}, negatives all", (x, x, 1, 1), come=True, gain=0.05) for x in (0.9, 0.7, 0.5)]
    found += [
        World(f"champion's true alerts {x:.0%}, others 95%", (0.95, x, 0.95, 0.95), come=True) for x in (0.8, 0.6, 0.3)
    ]
    found += [World("gaps that compensate between classes", (0.9, 0.6, 0.94, 1.0), come=True)]
    return found + [
        World(f"champion's true alerts {x:.0%}, others 95%, the rest never", (0.95, x, 0.95, 0.95), come=False)
        for x in (0.8, 0.6, 0.3)
    ]


def _after(splits: list[Split], sign: int) -> Floats:
    """The log e-value of one class and direction after each week."""
    return np.asarray(special.logsumexp(np.cumsum([log_ratios(s, sign) for s in splits], axis=0), axis=1) - _LOG_BETS)


def _one_year(rng: np.random.Generator, world: World, positives: int) -> tuple[Floats, Floats, Floats]:
    """Log E of the gain in recall, of selection and of the audit after each week; a tenth of the positives are disagreements."""
    differing = rng.binomial(positives, 0.1, WEEKS)
    won = rng.binomial(differing, (1 + world.gain / 0.1) / 2)
    wrong = rng.binomial(19 * positives, 0.01, WEEKS)
    cleared = rng.binomial(wrong, 0.5)
    rows = np.stack([won, differing - won, wrong - cleared, cleared], axis=1)
    known = rng.binomial(rows, world.in_time)
    gone = rows - known
    missing = np.stack([gone[:, 1] + gone[:, 3], gone[:, 0] + gone[:, 2]], axis=1)  # champion alone, challenger alone
    by_class = {"1": (1, 0), "0": (3, 2)}
    selection: Mapping[str, list[Split]] = {
        y: [(int(m[0]), int(m[1]), int(k[c]), int(k[h])) for m, k in zip(missing, known, strict=True)]
        for y, (c, h) in by_class.items()
    }
    late: Mapping[str, list[Split]] = {
        y: [(int(g[c]), int(g[h]), int(k[c]), int(k[h])) for g, k in zip(gone, known, strict=True)]
        for y, (c, h) in by_class.items()
    }
    selected = np.logaddexp(
        *(np.minimum(*(_after(s, sign) for s in selection.values())) for sign in (1, -1))
    ) - math.log(2)
    audit = np.zeros(WEEKS)
    if world.come:
        each = [_after(s, sign)[:-_LATE_WEEKS] for s in late.values() for sign in (1, -1)]
        audit[_LATE_WEEKS:] = special.logsumexp(each, axis=0) - math.log(4)
    week = int(rng.integers(WEEKS))
    agree(
        "selection",
        round(float(selected[week]), 9),
        round(log_e_selection({y: s[: week + 1] for y, s in selection.items()}), 9),
    )
    if world.come and week >= _LATE_WEEKS:
        seen = {y: s[: week + 1 - _LATE_WEEKS] for y, s in late.items()}
        agree("audit", round(float(audit[week]), 9), round(log_e_audit(seen), 9))
    wins, losses = known[:, 0].cumsum(), known[:, 1].cumsum()
    return log_e_array(wins, losses, 0), selected, audit


def measure(rng: np.random.Generator, world: World, positives: int, runs: int) -> list[Cell]:
    """The shipped rule waits while any evidence points at selection, and until the late labels of four batches were looked at."""
    threshold = -math.log(allowance("reign", ALPHA, wave=1, order=1, promotions=0).alpha)
    unchecked, shipped, invalid = (np.zeros(runs, dtype=bool) for _ in range(3))
    for run in range(runs):
        e, selected, audit = _one_year(rng, world, positives)
        unchecked[run] = (e >= threshold)[3:].any()
        allowed = (e >= threshold) & (selected <= 0) & (audit <= math.log(2))
        shipped[run] = allowed[3 + _LATE_WEEKS :].any()
        invalid[run] = (np.maximum(selected, audit) >= math.log(20)).any()
    name = f"{world.name}, {positives} positives a week"
    promoted = PROMOTED if world.gain else FALSE
    rule = SHIPPED if world.come else f"{SHIPPED}, where the rest never comes"
    found = [share(promoted, _UNCHECKED, name, unchecked), share(promoted, rule, name, shipped)]
    return [
        *found,
        share(INVALID, SHIPPED if _harmless(world) else "where labels do follow the decisions", name, invalid),
    ]


def _harmless(world: World) -> bool:
    a, b, c, d = world.in_time
    return a == b and c == d


def _parts(scale: float) -> list[Part]:
    runs = sized(_RUNS, scale)
    return [Part(world.name, measure, (world, _POSITIVES, runs)) for world in _worlds()]


LABEL_DROPS = Table(
    "label_drops",
    "Labels that drop out",
    f"""
100 positives a week among 2,000 rows; the models disagree on a tenth of the positives and a hundredth of the negatives. Of each kind
of disagreement the share named is labelled when the batch closes; the rest come two weeks later, or never. "{_UNCHECKED}" is what a test
of the labelled rows would do. The shipped rule promotes nobody while an e-process points at labels that follow the decisions
(E above 1, or above 2 for those that came late), nor before the late labels of four batches were looked at, and calls the judgement
invalid from E = 20 on. Positives that are late whatever the models say are no reason for either. The other conditions of a promotion
(guardrails, batches, tests of one look) are left out here: they only make promotions rarer. "Never" is what the data can hardly tell:
it stands here as a warning, and has no bound.
""",
    _parts,
)
