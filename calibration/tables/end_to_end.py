"""The whole policy, guardrails and gates included, against what people do by hand."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import date, timedelta

import numpy as np

from analysis.any_look.eprocess import log_e_array
from analysis.any_look.precision import log_e_precision
from analysis.evidence import Contender, Evidence, PairedBatch
from analysis.policy import Policy
from analysis.verdict.judge import Verdict, judge
from calibration.cells import Cell, Part, Table, agree, mean, share, sized
from calibration.records import Ints
from calibration.rules import ALPHA, Bools, first_look, mid_p, reached
from calibration.tables.power import PROMOTED, WEEKS_TO_A_PROMOTION
from calibration.weekly_tables import cell_shares, counts_of, differences, play_tables

__all__ = ["BY_HAND", "END_TO_END", "FALSE", "POINTS", "SHIPPED"]

SHIPPED = "the policy"
POINTS = "higher recall, precision and accuracy within their margins"
BY_HAND = "McNemar's mid-p < 0.05, and 95% lower limits within the margins"
FALSE = "promotions within 52 weekly looks that should not be"

_MARGINS: Mapping[str, float] = {"accuracy": 0.005, "precision": 0.03}
_POLICY = Policy(guardrails=dict(_MARGINS), n_resamples=2000)
_Z = 1.6448536269514722
_RUNS, _POWER_RUNS = 2000, 400

# of 1000 rows 50 are positive: expected rows that (neither, challenger alone, champion alone, both) flag, by label
_EQUAL = ((17.5, 2.5, 2.5, 27.5), (937.0, 3.0, 3.0, 7.0))
_MORE = (16.0, 4.0, 1.0, 29.0)  # recall 0.66 against 0.60
_TRUTHS: Mapping[str, tuple[tuple[float, ...], tuple[float, ...]]] = {
    "all equal": _EQUAL,
    "recall +0.06, precision worse by exactly the margin": (
        _MORE,
        (950 - 3 - 7 - (33 / 0.72 - 40), 33 / 0.72 - 40, 3, 7),
    ),
    "recall +0.06, precision -0.06": (_MORE, (950 - 3 - 7 - (33 / 0.69 - 40), 33 / 0.69 - 40, 3, 7)),
    "recall +0.06, as many false alarms": (_MORE, _EQUAL[1]),
    "recall +0.03, as many false alarms": ((16.75, 3.25, 1.75, 28.25), _EQUAL[1]),
}
_BETTER = [name for name in _TRUTHS if "false alarms" in name]


def evidence(weekly: Ints) -> Evidence:
    """The evidence of one run's weeks; ``weekly`` has shape (weeks, 8)."""
    monday = date(2026, 1, 5)
    batches = tuple(
        PairedBatch(str(week), monday + timedelta(weeks=week), counts_of(cells), {})
        for week, cells in enumerate(weekly)
    )
    return Evidence(Contender("1", "champion", 0.5, None), Contender("2", "challenger", 0.5, None), batches)


def promotes(weekly: Ints) -> bool:
    """What the shipped judgement says on one run's weeks."""
    (assessment,) = judge([evidence(weekly)], _POLICY, seed=0).assessments
    return assessment.verdict is Verdict.PROMOTE


def measure(rng: np.random.Generator, truth: str, rows: int, runs: int) -> list[Cell]:
    """The three rules on the same years."""
    world = f"{truth}, {rows} rows a week"
    cells = play_tables(cell_shares(*_TRUTHS[truth]), rows, runs, rng)
    looks = {POINTS: _points(cells), BY_HAND: _by_hand(cells), SHIPPED: _shipped(cells, rng)}
    if truth not in _BETTER:
        return [share(FALSE, rule, world, found.any(axis=1)) for rule, found in looks.items()]
    promoted = [share(PROMOTED, rule, world, found.any(axis=1)) for rule, found in looks.items()]
    return promoted + [mean(WEEKS_TO_A_PROMOTION, rule, world, first_look(found)) for rule, found in looks.items()]


def _points(cells: Ints) -> Bools:
    found = cells[..., 5] > cells[..., 6]
    found &= differences("accuracy", cells)[0] >= -_MARGINS["accuracy"]
    return np.asarray(found & (differences("precision", cells)[0] >= -_MARGINS["precision"]))


def _by_hand(cells: Ints) -> Bools:
    found = mid_p(cells[..., 5], cells[..., 6]) < ALPHA
    for name, margin in _MARGINS.items():
        value, error = differences(name, cells)
        found &= value - _Z * error > -margin
    return found


def _shipped(cells: Ints, rng: np.random.Generator) -> Bools:
    """The first look at which the shipped judgement promotes.

    It is asked where its conditions on recall, accuracy and precision hold by themselves; that it does not promote
    elsewhere is checked on sampled looks.
    """
    candidates = _candidates(cells)
    weekly = np.diff(cells, axis=1, prepend=0)
    found = np.zeros(candidates.shape, dtype=bool)
    for run in range(len(cells)):
        for week in np.flatnonzero(candidates[run]):
            if _precision_held(cells[run, week]) and promotes(weekly[run, : week + 1]):
                found[run, week] = True
                break
    elsewhere = np.argwhere(~candidates[:, _POLICY.min_batches - 1 :]) + np.array([0, _POLICY.min_batches - 1])
    for run, week in elsewhere[rng.choice(len(elsewhere), min(5, len(elsewhere)), replace=False)]:
        agree(f"the policy, run {run}, week {week}", False, promotes(weekly[run, : week + 1]))
    return found


def _candidates(cells: Ints) -> Bools:
    """Enough batches, recall and accuracy proven, and precision two standard errors above its margin."""
    found = reached(cells[..., 5], cells[..., 6])
    found[:, : _POLICY.min_batches - 1] = False
    w, l = (cells[found][:, pair].sum(axis=-1) for pair in ([5, 2], [6, 1]))
    ties = cells[found].sum(axis=-1) - w - l
    held = log_e_array(w, l, ties, null_gain=-_MARGINS["accuracy"]) >= -math.log(ALPHA) - 1e-3
    value, error = differences("precision", cells[found])
    found[found] = held & (value + _MARGINS["precision"] > 2 * error)
    return found


def _precision_held(cells: Ints) -> bool:
    """Necessary for the guardrail, and quicker than the whole judgement."""
    return log_e_precision(counts_of(cells), null_gain=-_MARGINS["precision"], refine=False) >= -math.log(ALPHA)


def _parts(scale: float) -> list[Part]:
    return [
        Part(f"{truth}, {rows} rows", measure, (truth, rows, sized(_POWER_RUNS if truth in _BETTER else _RUNS, scale)))
        for truth in reversed(list(_TRUTHS))
        for rows in (1000, 5000)
    ]


END_TO_END = Table(
    "end_to_end",
    "The policy with its guardrails",
    """
One row in twenty is positive, the champion finds 60% of them at a precision of 0.75. The policy is the default one: recall proven
better; accuracy proven not worse by 0.005 and precision not by 0.03; four batches; batches as units where they vary; McNemar's test
and the bootstrap interval at the same look. The shipped `judge` decides every promotion of it.
""",
    _parts,
)
