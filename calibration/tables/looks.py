"""How often is a challenger that is no better promoted within a year of weekly looks?"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from analysis.one_look.bootstrap import Bootstrap, bootstrap
from calibration.cells import Cell, Part, Table, agree, share, sized
from calibration.records import WEEKS, Record, World, constant, play
from calibration.rules import (
    ALPHA,
    Bools,
    Rule,
    asymptotic,
    batch_unit,
    check,
    check_asymptotic,
    check_batches,
    e_process,
    group_sequential,
    mid_p_below,
    positives_only,
    two_sided_below,
)

__all__ = ["FALSE", "LOOKS"]

FALSE = "false promotions within 52 weekly looks"
_HAZARD = "promotions of a challenger that was better and then turned worse, equal over the 20 weeks"

_RUNS, _BOOTSTRAP_RUNS, _RESAMPLES = 20_000, 1500, 2000

_WEEK = np.arange(WEEKS)
_SEASONAL = tuple(int(n) for n in np.round(100 * (1 + 0.8 * np.sin(2 * np.pi * _WEEK / 26))))
_RISING = tuple(float(x) for x in np.linspace(0.05, 0.30, WEEKS))
_EVEN = (0.5,) * WEEKS

_EQUAL = [constant(5, 0.1), constant(20, 0.1), constant(100, 0.1), constant(100, 0.2), constant(1000, 0.1)]
_OTHER_NULLS = [
    World("base rate in seasons, ever more disagreement", _SEASONAL, _RISING, _EVEN),
    World("ever less disagreement", (100,) * WEEKS, _RISING[::-1], _EVEN),
    World("worse: wins 45% of disagreements", (100,) * WEEKS, (0.1,) * WEEKS, (0.45,) * WEEKS),
    World("worse and better in turn, never ahead", (100,) * WEEKS, (0.1,) * WEEKS, (0.4, 0.6) * (WEEKS // 2)),
]
_TURNS = World("wins 60%, after 10 weeks 40%", (100,) * 20, (0.1,) * 20, (0.6,) * 10 + (0.4,) * 10)


def _rules(world: World) -> Mapping[str, Rule]:
    weeks = np.arange(1.0, len(world.positives) + 1)
    disagreements = np.cumsum(np.array(world.positives) * np.array(world.discordance))
    rules: dict[str, Rule] = {
        "higher recall so far": lambda r: r.won > r.lost,
        "higher recall in a week": lambda r: r.wins > r.losses,
        "higher recall four weeks running": _four_weeks_running,
        "McNemar's mid-p < 0.05 on one week": lambda r: mid_p_below(ALPHA)(_each_week_alone(r)),
        "McNemar's mid-p < 0.05": mid_p_below(ALPHA),
        "McNemar's two-sided mid-p < 0.05": two_sided_below(ALPHA),
        "McNemar's mid-p < 0.05 / 52": mid_p_below(ALPHA / WEEKS),
        "e-process": e_process(3.0),
        "e-process, prior 1": e_process(1.0),
        "e-process, prior 10": e_process(10.0),
        "e-process of batches": batch_unit,
        "asymptotic sequence": asymptotic,
        "O'Brien-Fleming, information in disagreements": group_sequential("obrien-fleming", disagreements),
        "Pocock, information in disagreements": group_sequential("pocock", disagreements),
    }
    if not np.allclose(disagreements / disagreements[-1], weeks / weeks[-1]):
        rules["O'Brien-Fleming, information in weeks"] = group_sequential("obrien-fleming", weeks)
        rules["Pocock, information in weeks"] = group_sequential("pocock", weeks)
    return rules


def _four_weeks_running(r: Record) -> Bools:
    ahead = r.wins > r.losses
    running = ahead.copy()
    for back in (1, 2, 3):
        running[:, back:] &= ahead[:, :-back]
        running[:, :back] = False
    return running


def _each_week_alone(r: Record) -> Record:
    """Weeks as if each were the only one: what was so far is what is this week."""
    first = [np.diff(x, axis=1, prepend=0) for x in (r.wins, r.losses)]
    return Record(first[0], first[1], r.positives)


def measure(rng: np.random.Generator, world: World, runs: int, quantity: str) -> list[Cell]:
    """Every rule on the same years."""
    record = play(world, runs, rng)
    check(record, rng)
    check_batches(record, rng, size=20)
    check_asymptotic(record, rng)
    return [share(quantity, name, world.name, rule(record).any(axis=1)) for name, rule in _rules(world).items()]


def measure_bootstrap(rng: np.random.Generator, world: World, runs: int) -> list[Cell]:
    """The two rules of a bootstrap, asked for the likeliest looks of a year first.

    A lead below 1.3 standard deviations is taken to satisfy neither, which is checked at the looks just below.
    """
    record = play(world, runs, rng)
    w, l, n = record.won, record.lost, record.n
    z = (w - l) / np.sqrt(np.maximum(w + l - (w - l) ** 2 / n, 0.5))
    for run, week in np.argwhere((z > 1.0) & (z <= 1.3))[:100]:
        agree(f"bootstrap at {record.outcomes(run, week)}", (False, False), _bootstrap_rules(record, run, week, rng))
    interval, probability = np.zeros(runs, dtype=bool), np.zeros(runs, dtype=bool)
    for run in range(runs):
        for week in sorted(np.flatnonzero(z[run] > 1.3), key=lambda t: -z[run, t]):
            above, likely = _bootstrap_rules(record, run, int(week), rng)
            interval[run] |= above
            probability[run] |= likely
            if interval[run]:
                break
    rules = {"bootstrap's 95% interval > 0": interval, "bootstrap's P(better) >= 0.95": interval | probability}
    return [share(FALSE, name, world.name, promoted) for name, promoted in rules.items()]


def _bootstrap_rules(record: Record, run: int, week: int, rng: np.random.Generator) -> tuple[bool, bool]:
    counts = positives_only(record.outcomes(run, week))
    found = bootstrap(counts, ["recall"], rng=rng, confidence_level=0.95, n_resamples=_RESAMPLES, method="multinomial")[
        "recall"
    ]
    assert isinstance(found, Bootstrap)
    return found.interval.low > 0, found.share_above_zero >= 0.95


def _parts(scale: float) -> list[Part]:
    runs = sized(_RUNS, scale)
    nulls = [Part(w.name, measure, (w, runs, FALSE)) for w in (*_EQUAL, *_OTHER_NULLS)]
    hazard = Part(_TURNS.name, measure, (_TURNS, runs, _HAZARD))
    slow = [
        Part(f"bootstrap, {w.name}", measure_bootstrap, (w, sized(_BOOTSTRAP_RUNS, scale, at_least=10))) for w in _EQUAL
    ]
    return [*slow, *nulls, hazard]


LOOKS = Table(
    "looks",
    "False promotions in a year of weekly looks",
    """
Two models of equal recall (or a challenger that is worse) are compared every week for a year on all labels so far; a rule errs in
a year if it would promote at any of the 52 looks. All rows are independent; shocks that a week shares are in
[shocks](shocks.md). The e-processes promote at E >= 20, the asymptotic sequence (one-sided at 0.05, from 20 disagreements on) when
it lies above 0. The group-sequential boundaries spend 0.05 over the planned horizon; they need to be told how many disagreements
that horizon holds. The last quantity is a hazard of any cumulative evidence and no error of a test: the challenger was truly ahead
when it was promoted.
""",
    _parts,
)
