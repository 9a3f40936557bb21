"""A challenger that is registered late and replayed on stored batches: whose labels may count, if its choice had seen some of them?"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from analysis.any_look.eprocess import log_e
from analysis.tables.metrics import Floats
from calibration.cells import Cell, Part, Table, agree, mean, share, sized
from calibration.records import WEEKS, Ints, Record
from calibration.rules import ALPHA, Bools, e_process, first_look, sampled_looks
from calibration.tables.power import WEEKS_TO_A_PROMOTION

__all__ = ["CHOSEN", "FRESH", "HAZARD", "LOSSES_FIRST", "REPLAYS", "UNSEEN", "World", "chosen", "counted", "year"]

CHOSEN = "no better, chosen by the labels seen: promoted within 52 weekly looks"
LOSSES_FIRST = "no better, labels of its losses come first: promoted within 52 weekly looks"
HAZARD = "no better, and batches without a seen label are unlike others: promoted within 52 weekly looks"
GAINED = "weeks sooner than without a replay"

NAIVE = "all after trained_through"
CLOSES_LATER = "closes later"
LATE_ROWS = "rows labelled later"
UNSEEN = "no label seen"
UNSEEN_SO_EARLY = "no label seen, none came so early before"
FRESH = "fresh only"

_RUNS, _GAIN_RUNS = 10_000, 3000
_PAST = 26
_AGES = 7 * np.arange(_PAST - 1, -1, -1) + 1  # days from the date of each past batch to the registration
_DISAGREE = 0.1


@dataclass(frozen=True, slots=True)
class World:
    """Median days until the label of a win, a loss and any other row (exponential, cut off at closing); None: all at closing."""

    name: str
    maturity: int
    win: float | None = None
    loss: float | None = None
    other: float | None = None
    positives: int = 100

    @property
    def weeks(self) -> int:
        """Weeks from the date of a batch to the first look after its closing."""
        return -(-(self.maturity - 1) // 7)

    @property
    def open(self) -> Bools:
        """Which past batches close after the registration."""
        return np.asarray(self.maturity > _AGES)

    def seen(self, median: float | None) -> Floats:
        """The share of such labels that the registration has seen, batch by batch."""
        if median is None:
            return np.asarray(~self.open, dtype=np.float64)
        days = np.minimum(_AGES, self.maturity)
        return np.asarray((1 - 0.5 ** (days / median)) / (1 - 0.5 ** (self.maturity / median)))


@dataclass(frozen=True, slots=True)
class Past:
    """Wins and losses of the chosen candidate by the labels seen at its registration, and by those that came later; (runs, weeks)."""

    won: Ints
    lost: Ints
    won_later: Ints
    lost_later: Ints


def chosen(
    rng: np.random.Generator, world: World, runs: int, candidates: int, *, gain: float = 0.0, newest: bool = False
) -> Past:
    """The best of the candidates by wins minus losses on all labels seen, or on those of batches that were still open."""
    shape = (runs, candidates, _PAST)
    differing = rng.binomial(world.positives, _DISAGREE, shape)
    wins = rng.binomial(differing, (1 + gain / _DISAGREE) / 2)
    won, lost = rng.binomial(wins, world.seen(world.win)), rng.binomial(differing - wins, world.seen(world.loss))
    ranked = (world.open if newest else np.ones(_PAST, dtype=bool)) * (won - lost)
    best = ranked.sum(axis=2).argmax(axis=1)
    w, l, won, lost = (x[np.arange(runs), best] for x in (wins, differing - wins, won, lost))
    return Past(won, lost, w - won, l - lost)


def counted(world: World, past: Past) -> Mapping[str, tuple[Ints, Ints]]:
    """Wins and losses of each past batch that each rule counts.

    Where the labels of other rows trickle in, some of the 2,000 of a batch have come by the next day, so no batch is unseen.
    """
    w, l = past.won + past.won_later, past.lost + past.lost_later
    unseen = (world.seen(world.other) == 0) & (past.won + past.lost == 0)
    return {
        NAIVE: (w, l),
        CLOSES_LATER: (w * world.open, l * world.open),
        LATE_ROWS: (past.won_later, past.lost_later),
        UNSEEN: (w * unseen, l * unseen),
        FRESH: (0 * w, 0 * l),
    }


def year(world: World, past: tuple[Ints, Ints], fresh: tuple[Ints, Ints]) -> Record:
    """What each of the 52 weekly looks after the registration adds: batches that have closed by then, those of the past first."""
    m = world.weeks

    def added(before: Ints, after: Ints) -> Ints:
        so_far = np.concatenate([before, after], axis=1).cumsum(axis=1)[:, _PAST - m : _PAST + WEEKS - m]
        return np.diff(so_far, axis=1, prepend=0)

    wins, losses = (added(b, a) for b, a in zip(past, fresh, strict=True))
    return Record(wins, losses, np.full(WEEKS, world.positives * (_PAST + 1)))


def _looks(
    rng: np.random.Generator, world: World, past: Mapping[str, tuple[Ints, Ints]], gain: float = 0.0
) -> dict[str, Bools]:
    """The looks at which each rule promotes; all share the batches after the registration, which no choice has seen."""
    differing = rng.binomial(world.positives, _DISAGREE, (len(past[FRESH][0]), WEEKS))
    wins = rng.binomial(differing, (1 + gain / _DISAGREE) / 2)
    found = {}
    for rule, batches in past.items():
        record = year(world, batches, (wins, differing - wins))
        found[rule] = e_process(3.0)(record)
        for run, week in sampled_looks(found[rule], rng, 20):
            pairs = record.outcomes(run, week)
            agree(f"e at {pairs}", bool(found[rule][run, week]), log_e(pairs) >= -math.log(ALPHA))
    return found


def measure(
    rng: np.random.Generator, quantity: str, world: World, candidates: int, newest: bool, runs: int
) -> list[Cell]:
    """Every rule on the same years of a candidate that is no better than the champion."""
    past = counted(world, chosen(rng, world, runs, candidates, newest=newest))
    looks = _looks(rng, world, past)
    name = f"{world.name}; best of {candidates}" + (", by open batches alone" if newest else "")
    return [share(quantity, rule, name, found.any(axis=1)) for rule, found in looks.items()]


def measure_gain(rng: np.random.Generator, world: World, runs: int) -> list[Cell]:
    """How many weeks sooner a challenger is promoted that is better by 0.05 and was the only candidate."""
    past = counted(world, chosen(rng, world, runs, 1, gain=0.05))
    looks = _looks(rng, world, past, gain=0.05)
    weeks = {rule: first_look(looks[rule]) for rule in (CLOSES_LATER, UNSEEN, FRESH)}
    found = [mean(WEEKS_TO_A_PROMOTION, rule, world.name, n) for rule, n in weeks.items()]
    return found + [mean(GAINED, rule, world.name, weeks[FRESH] - weeks[rule]) for rule in (CLOSES_LATER, UNSEEN)]


def measure_small(rng: np.random.Generator, world: World, runs: int) -> list[Cell]:
    """Batches so small that some are unseen only because they hold no loss; the second rule asks closed batches how early labels come."""
    past = chosen(rng, world, runs, 1)
    rules = counted(world, past)
    early = (past.lost * ~world.open).sum(axis=1)
    assert world.loss is not None
    first = rng.exponential(world.loss / math.log(2), runs) / np.maximum(early, 1)
    later_than = np.where(early > 0, first, np.inf)[:, None] > _AGES
    w, l = rules[UNSEEN]
    picked = {UNSEEN: (w, l), UNSEEN_SO_EARLY: (w * later_than, l * later_than), FRESH: rules[FRESH]}
    looks = _looks(rng, world, picked)
    return [share(HAZARD, rule, world.name, found.any(axis=1)) for rule, found in looks.items()]


def measure_rows(rng: np.random.Generator, world: World, candidates: int, win_share: float, runs: int) -> list[Cell]:
    """Each candidate wins so often in one half of all rows; the one is chosen whose half fills the open batches."""
    differing = rng.binomial(world.positives, _DISAGREE, (runs, candidates, _PAST))
    good = rng.binomial(differing, 0.5)
    best = ((2 * good - differing) * world.open).sum(axis=2).argmax(axis=1)
    good, differing = (x[np.arange(runs), best] for x in (good, differing))
    wins = rng.binomial(good, win_share) + rng.binomial(differing - good, 1 - win_share)
    nothing = np.zeros_like(wins)
    past = {UNSEEN: (wins * world.open, (differing - wins) * world.open), FRESH: (nothing, nothing)}
    looks = _looks(rng, world, past)
    name = f"{world.name}; best of {candidates} by the rows alone, wins {win_share:.0%} in half of them"
    return [share(HAZARD, rule, name, found.any(axis=1)) for rule, found in looks.items()]


_AT_90 = World("all labels at day 90", 90)
_TRICKLING = [World("median 3 days, closes at 14", 14, 3, 3, 3), World("median 20 days, closes at 90", 90, 20, 20, 20)]
WORLDS = (World("all labels at day 14", 14), _AT_90, *_TRICKLING)
_UNEVEN = [
    World("losses 1.5 days, wins 6, closes at 14", 14, 6, 1.5, 3),
    World("losses 10 days, wins 40, closes at 90", 90, 40, 10, 20),
]
SMALL = tuple(
    World(f"losses 2 days, all else at day 90; {n / 20:g} a week", 90, None, 2, None, positives=n)
    for n in (20, 50, 100)
)


def _parts(scale: float) -> list[Part]:
    runs = sized(_RUNS, scale)
    tasks = [(CHOSEN, w, k, False) for w in WORLDS for k in (1, 5, 20)] + [(CHOSEN, w, 20, True) for w in _TRICKLING]
    tasks += [(LOSSES_FIRST, w, k, False) for w in _UNEVEN for k in (1, 20)]
    parts = [Part(f"{w.name}, {k}, {newest}", measure, (q, w, k, newest, runs)) for q, w, k, newest in tasks]
    parts += [Part(f"gain, {w.name}", measure_gain, (w, sized(_GAIN_RUNS, scale))) for w in WORLDS]
    parts += [Part(w.name, measure_small, (w, runs)) for w in SMALL]
    return parts + [Part(f"rows, {p}", measure_rows, (_AT_90, 20, p, runs)) for p in (0.6, 0.75)]


REPLAYS = Table(
    "replays",
    "Replays of a challenger that was registered late",
    f"""
100 positives a week among 2,000 rows; each candidate disagrees with the champion on a tenth of the positives, independently of the
other candidates. After 26 weeks somebody ranks them by wins minus losses on every label seen by then (or only on those of batches
that are still open) and registers the best. It is replayed on the batches that a rule counts and judged at 52 weekly looks (E >= 20),
as these and the fresh ones close. Labels of a batch come all on one day, or trickle in.

"{NAIVE}" counts all 26 batches, "{CLOSES_LATER}" those that close after the registration, "{UNSEEN}" those of which no
label had been seen by then, "{FRESH}" none. "{LATE_ROWS}" counts single rows whose labels came after the registration. With
one candidate nothing is chosen. Labels come first where the champion alone was right, for instance, if its alerts are investigated.

Where batches without a seen label are unlike others, "{UNSEEN}" has no bound. In the first three such worlds a batch is so
small that it may have no seen label just because it holds no loss; "{UNSEEN_SO_EARLY}" also asks that no closed batch
had its first label at such an age. In the last two nobody saw a label: every candidate wins more in one half of all rows
and less in the other, 50% in all, and the one is registered whose better half fills the open batches.
""",
    _parts,
)
