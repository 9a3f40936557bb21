"""Five challengers at once: how often is any of them promoted though none is better, and what does the care cost?"""

from __future__ import annotations

import gc
import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from analysis.any_look.eprocess import log_e, log_e_array
from analysis.one_look.mcnemar import mcnemar
from analysis.one_look.multiplicity import e_closure, holm
from analysis.tables.counts import PairedOutcomes
from calibration.cells import Cell, Part, Table, agree, mean, share, sized
from calibration.peers.westfall_young import westfall_young
from calibration.records import WEEKS, Ints
from calibration.rules import ALPHA, Bools, mid_p, reached

__all__ = ["ANY", "ANY_IN_A_YEAR", "CHALLENGERS", "POWER"]

ANY = "any false rejection at one look, none of five better"
POWER = "share of challengers found at one look, all five better by 0.03"
ANY_IN_A_YEAR = "any false promotion within 52 weekly looks, none of five better"

_K, _POSITIVES, _DISCORDANCE, _GAIN = 5, 1000, 0.12, 0.03
_WEEKLY = 100
_RUNS, _YEARS = 3000, 4000
_RESAMPLES = 399  # (hits + 1) / 400 reaches 0.05 exactly
_CORRELATIONS = (0.0, 0.5, 0.9, 1.0)

Floats = NDArray[np.float64]


def family(rng: np.random.Generator, positives: int, gain: float, shared: float) -> tuple[Bools, Bools]:
    """Who finds each positive: the champion, shape (positives,), and five challengers, shape (positives, 5).

    The champion finds half. A challenger differs on 12 % of positives; ``shared`` is the share of them on which its luck is
    the luck of all.
    """
    champion = rng.random(positives) < 0.5
    common = rng.random((positives, 1))
    luck = np.where(rng.random((positives, _K)) < shared, common, rng.random((positives, _K)))
    differs = luck < np.where(champion, _DISCORDANCE - gain, _DISCORDANCE + gain)[:, None]
    return champion, differs ^ champion[:, None]


def _outcomes(champion: Bools, challengers: Bools) -> tuple[Ints, Ints]:
    return (challengers & ~champion[:, None]).sum(axis=0), (~challengers & champion[:, None]).sum(axis=0)


def measure(rng: np.random.Generator, shared: float, gain: float, runs: int) -> list[Cell]:
    """One look at ``runs`` families."""
    gc.freeze()  # statsmodels' Holm collects garbage in every call, a tenth of a second each with all imports to go through
    rejected: dict[str, list[Bools]] = {}
    for run in range(runs):
        champion, challengers = family(rng, _POSITIVES, gain, shared)
        w, l = _outcomes(champion, challengers)
        p, e = mid_p(w, l), log_e_array(w, l, 0)
        if run < 20:
            pairs = [PairedOutcomes(int(a), int(b), _POSITIVES - int(a + b)) for a, b in zip(w, l, strict=True)]
            agree("mid-p of a family", [round(float(x), 9) for x in p], [round(mcnemar(o).p_value, 9) for o in pairs])
            agree("e of a family", [round(float(x), 6) for x in e], [round(log_e(o), 6) for o in pairs])
        for rule, decide in _ONE_LOOK.items():
            rejected.setdefault(rule, []).append(decide(p, e))
        rejected.setdefault("Westfall-Young", []).append(_westfall_young(champion, challengers, rng))
    world = f"correlation {shared:g}"
    if gain:
        return [mean(POWER, rule, world, np.mean(found, axis=1)) for rule, found in rejected.items()]
    return [share(ANY, rule, world, np.array(found).any(axis=1)) for rule, found in rejected.items()]


_ONE_LOOK: dict[str, Callable[[Floats, Floats], Bools]] = {
    "McNemar's mid-p, unadjusted": lambda p, _: p < ALPHA,
    "Holm on mid-p": lambda p, _: np.array(holm(list(p))) < ALPHA,
    "e-closure": lambda _, e: np.array(e_closure(list(e))) >= -math.log(ALPHA),
    "e-Bonferroni": lambda _, e: e >= math.log(_K / ALPHA),
}


def _westfall_young(champion: Bools, challengers: Bools, rng: np.random.Generator) -> Bools:
    patterns, counts = np.unique(
        np.column_stack([champion, challengers]).astype(np.int64) @ (1 << np.arange(_K + 1)), return_counts=True
    )
    decisions = (patterns[:, None] >> np.arange(_K + 1)) & 1
    return np.array(westfall_young(decisions, counts, rng=rng, n_resamples=_RESAMPLES)) <= ALPHA


def measure_years(rng: np.random.Generator, shared: float, years: int) -> list[Cell]:
    """Weekly looks for a year; e-closure is never above e, so it is asked only where an e-value has reached 1/alpha."""
    promoted = {rule: np.zeros(years, dtype=bool) for rule in ("e-process, unadjusted", "e-closure", "e-Bonferroni")}
    for year in range(years):
        champion, challengers = family(rng, WEEKS * _WEEKLY, 0.0, shared)
        w, l = _weekly(challengers & ~champion[:, None]), _weekly(~challengers & champion[:, None])
        looks = reached(w, l)
        promoted["e-process, unadjusted"][year] = looks.any()
        promoted["e-Bonferroni"][year] = reached(w, l, alpha=ALPHA / _K).any()
        promoted["e-closure"][year] = any(_closure_promotes(w[t], l[t]) for t in np.flatnonzero(looks.any(axis=1)))
    return [share(ANY_IN_A_YEAR, rule, f"correlation {shared:g}", found) for rule, found in promoted.items()]


def _weekly(found: Bools) -> Ints:
    return np.asarray(found.reshape(WEEKS, _WEEKLY, _K).sum(axis=1).cumsum(axis=0), dtype=np.int64)


def _closure_promotes(w: Ints, l: Ints) -> bool:
    adjusted: Sequence[float] = e_closure(list(log_e_array(w, l, 0)))
    return max(adjusted) >= -math.log(ALPHA)


def _parts(scale: float) -> list[Part]:
    runs, years = sized(_RUNS, scale), sized(_YEARS, scale)
    found = []
    for shared in _CORRELATIONS:
        found += [
            Part(f"one look, correlation {shared:g}, gain {gain:g}", measure, (shared, gain, runs))
            for gain in (0.0, _GAIN)
        ]
        found.append(Part(f"a year, correlation {shared:g}", measure_years, (shared, years)))
    return found


CHALLENGERS = Table(
    "challengers",
    "Five challengers at once",
    f"""
Five challengers of one champion disagree with it on {_DISCORDANCE:.0%} of positives each; the correlation is the share of positives on
which the luck of one is the luck of all, at 1 they are copies. One look at {_POSITIVES} positives, or 52 weekly looks with
{_WEEKLY} positives a week. e-closure is what decides; Holm and Westfall-Young ({_RESAMPLES} resamples) are for one look that was fixed
beforehand.
""",
    _parts,
)
