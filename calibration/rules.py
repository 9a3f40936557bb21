"""Rules of promotion over whole years at once: True at each look at which the rule would promote.

The e-values, boundaries and half-widths are those of ``analysis``. What is vectorised here because the shipped function
takes one table at a time is compared with it on sampled looks, close calls among them, whenever it is used.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray
from scipy import special

from analysis.any_look.asymptotic import MIN_DISCORDANT, log_e_asymptotic, rho_squared
from analysis.any_look.batch_unit import effective_batches, log_e_batch_unit, log_e_cosh, overdispersion, scale_free
from analysis.any_look.eprocess import log_e, log_e_array
from analysis.any_look.group_sequential import Spending, boundaries
from analysis.any_look.process import AsymptoticProcess
from analysis.one_look.mcnemar import mcnemar
from analysis.tables.counts import PairedCounts, PairedOutcomes, Undefined
from analysis.tables.metrics import Difference, Floats, difference
from analysis.verdict.process_choice import LOOKS_UNTIL_TIGHTEST
from analysis.verdict.proof import UNEVEN_LEVEL
from calibration.cells import agree
from calibration.records import Ints, Record

__all__ = [
    "ALPHA",
    "MIN_BATCHES",
    "Bools",
    "Rule",
    "asymptotic",
    "asymptotic_reached",
    "batch_unit",
    "batches_reached",
    "check",
    "check_asymptotic",
    "check_batches",
    "e_process",
    "first_look",
    "group_sequential",
    "mid_p",
    "mid_p_below",
    "positives_only",
    "reached",
    "reached_at",
    "sampled_looks",
    "two_sided_below",
    "uneven",
]

ALPHA = 0.05
MIN_BATCHES = 4

Bools = NDArray[np.bool_]
Rule = Callable[[Record], Bools]


def reached(w: Ints, l: Ints, *, prior: float = 3.0, alpha: float = ALPHA) -> Bools:
    """Whether E against "no gain" has reached 1/alpha.

    A mixture lies below its best bet, D times the Kullback-Leibler divergence of the win share from 1/2, and that below
    log 2 times (w - l)^2 / D, as the binary entropy of p is at least 4 p (1 - p). So E is asked only at looks
    with w > l and (w - l)^2 >= log2(1/alpha) D.
    """
    possible = (w > l) & ((w - l) ** 2 >= -math.log2(alpha) * (w + l))
    found = np.zeros(w.shape, dtype=bool)
    found[possible] = log_e_array(w[possible], l[possible], 0, prior=prior) >= -math.log(alpha)
    return found


def e_process(prior: float) -> Rule:
    return lambda r: reached(r.won, r.lost, prior=prior)


def mid_p(w: Ints, l: Ints) -> Floats:
    """McNemar's one-sided mid-p."""
    d = w + l
    log_here = special.gammaln(d + 1) - special.gammaln(w + 1) - special.gammaln(l + 1) - d * math.log(2)
    return np.asarray(special.bdtrc(w, d, 0.5) + np.exp(log_here) / 2, dtype=np.float64)


def mid_p_below(level: float) -> Rule:
    return lambda r: mid_p(r.won, r.lost) < level


def two_sided_below(level: float) -> Rule:
    """Two-sided mid-p, and better: where w > l the two-sided mid-p is twice the one-sided."""
    return lambda r: (r.won > r.lost) & (2 * mid_p(r.won, r.lost) < level)


def asymptotic(r: Record) -> Bools:
    """The asymptotic e-value of the gain has reached 1/alpha, from 20 disagreements on."""
    gain = (r.won - r.lost) / r.n
    sd = np.sqrt((r.won + r.lost) / r.n - gain**2)
    enough = (r.won + r.lost >= MIN_DISCORDANT) & (sd > 0)
    z = gain * np.sqrt(r.n) / np.where(enough, sd, np.inf)
    return np.asarray(enough & asymptotic_reached(z, r.n))


def asymptotic_reached(z: Floats, n: Ints) -> Bools:
    """Whether an estimate z standard errors above its null, after ``n`` rows at each look, has reached 1/alpha."""
    rho2 = rho_squared(2 * ALPHA, LOOKS_UNTIL_TIGHTEST * float(n[0]))
    return np.asarray(log_e_asymptotic(z, n, rho2=rho2) >= -math.log(ALPHA))


def batch_unit(r: Record) -> Bools:
    """The e-process of batches has reached 1/alpha: one symmetric number a week, (w - l) / sqrt(D), free of scale."""
    return batches_reached((r.wins - r.losses) / np.sqrt(np.maximum(r.wins + r.losses, 1)))


def batches_reached(x: Floats) -> Bools:
    """Whether one number a week, made free of scale, has reached 1/alpha, week by week."""
    return np.asarray(log_e_cosh(scale_free(x)) >= -math.log(ALPHA))


def uneven(r: Record) -> Bools:
    """Batches have to carry the proof: the chi-square of ``overdispersion`` from cumulative sums, p < 0.2, or few effective weeks."""
    d = r.wins + r.losses
    informative = (d > 0).cumsum(axis=1)
    square = (r.wins**2 / np.maximum(d, 1)).cumsum(axis=1)
    p = (r.won + 0.5) / (r.won + r.lost + 1)
    statistic = (square - 2 * p * r.won + p**2 * (r.won + r.lost)) / (p * (1 - p))
    varies = (informative > 1) & (special.chdtrc(np.maximum(informative - 1, 1), statistic) < UNEVEN_LEVEL)
    effective = d.cumsum(axis=1) ** 2 / np.maximum((d**2).cumsum(axis=1), 1)
    few = effective <= MIN_BATCHES - 1
    few[:, : MIN_BATCHES - 1] = False
    return np.asarray(varies | few)


def reached_at(wins: Ints, losses: Ints, threshold: Floats | float) -> Bools:
    """Whether log E of rows has reached the threshold, which may differ along an axis."""
    return np.asarray(log_e_array(wins, losses, 0) >= threshold)


@functools.cache
def _boundaries(fractions: tuple[float, ...], spending: Spending) -> Floats:
    return np.array(boundaries(fractions, alpha=ALPHA, spending=spending))


def group_sequential(spending: Spending, information: Ints | Floats) -> Rule:
    """(w - l) / sqrt(D) above its boundary; ``information`` so far, week by week, of which the last is what was planned."""
    limits = _boundaries(tuple(float(x) for x in information / information[-1]), spending)
    return lambda r: (r.won - r.lost) / np.sqrt(np.maximum(r.won + r.lost, 1)) >= limits


def first_look(looks: Bools) -> Ints:
    """The number of looks until the first promotion; all of them where there is none."""
    return np.asarray(np.where(looks.any(axis=1), looks.argmax(axis=1) + 1, looks.shape[1]))


def positives_only(pairs: PairedOutcomes) -> PairedCounts:
    """The table of a record that says which of the models were right on the positives, and nothing on negatives."""
    return PairedCounts((0, 0, 0, 0, pairs.ties, pairs.wins, pairs.losses, 0))


def sampled_looks(looks: Bools, rng: np.random.Generator, size: int) -> list[tuple[int, int]]:
    """(run, week) of ``size`` looks: half of them where the decision changes from one week to the next, if there are any."""
    close = np.argwhere(looks[:, 1:] != looks[:, :-1]) + np.array([0, 1])
    picked = [close[i] for i in rng.choice(len(close), min(size // 2, len(close)), replace=False)] if len(close) else []
    rest = size - len(picked)
    anywhere = np.column_stack([rng.integers(n, size=rest) for n in looks.shape])
    return [(int(run), int(week)) for run, week in (*picked, *anywhere)]


_SHIPPED: Mapping[str, Callable[[PairedOutcomes], bool]] = {
    "e": lambda p: log_e(p) >= -math.log(ALPHA),
    "mid-p": lambda p: mcnemar(p).p_value < ALPHA,
    "two-sided": lambda p: p.wins > p.losses and mcnemar(p, alternative="two-sided").p_value < ALPHA,
}


def check(r: Record, rng: np.random.Generator, *, size: int = 60) -> None:
    """Compare the vectorised tests with the shipped ones on sampled looks of this record."""
    for name, rule in (("e", e_process(3.0)), ("mid-p", mid_p_below(ALPHA)), ("two-sided", two_sided_below(ALPHA))):
        looks = rule(r)
        for run, week in sampled_looks(looks, rng, size):
            agree(f"{name} at {r.outcomes(run, week)}", bool(looks[run, week]), _SHIPPED[name](r.outcomes(run, week)))


def check_batches(r: Record, rng: np.random.Generator, *, size: int = 40) -> None:
    """The same for the e-process of batches and for the test of overdispersion."""
    looks, varying = batch_unit(r), uneven(r)
    for run, week in sampled_looks(looks, rng, size):
        shipped = log_e_batch_unit(r.batches(run, week)) >= -math.log(ALPHA)
        agree(f"e-process of batches, run {run}, week {week}", bool(looks[run, week]), shipped)
    for run, week in sampled_looks(varying, rng, size):
        batches = r.batches(run, week)
        found = overdispersion(batches)
        few = week >= MIN_BATCHES - 1 and effective_batches([b.discordant for b in batches]) <= MIN_BATCHES - 1
        shipped = few or (not isinstance(found, Undefined) and found.p_value < UNEVEN_LEVEL)
        agree(f"overdispersion, run {run}, week {week}", bool(varying[run, week]), shipped)


def check_asymptotic(r: Record, rng: np.random.Generator, *, size: int = 60) -> None:
    """The same for the asymptotic sequence."""
    looks = asymptotic(r)
    for run, week in sampled_looks(looks, rng, size):
        pairs = r.outcomes(run, week)
        found = difference("recall", positives_only(pairs))
        assert isinstance(found, Difference)
        n_opt = LOOKS_UNTIL_TIGHTEST * float(r.n[0])
        enough = pairs.discordant >= MIN_DISCORDANT and found.standard_error > 0
        process = AsymptoticProcess(found.value, found.standard_error, pairs.n, n_opt, ALPHA)
        shipped = enough and process.log_e(0.0) >= -math.log(ALPHA)
        agree(f"asymptotic sequence at {pairs}", bool(looks[run, week]), shipped)
