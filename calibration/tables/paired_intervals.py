"""Intervals and tests of one look, by enumeration of all tables: no chance, no error bar."""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats

from analysis.one_look.bootstrap import Bootstrap, Resampling, bootstrap
from analysis.tables.counts import PairedOutcomes
from analysis.tables.intervals import Interval, newcombe
from calibration.cells import Cell, Part, Table, agree, exact
from calibration.peers.paired_difference import IntervalMethod, paired_difference
from calibration.rules import ALPHA, mid_p, positives_only

__all__ = ["COVERAGE", "LOWER_MISS", "PAIRED_INTERVALS", "SIZE"]

COVERAGE = "coverage, nominal 0.95"
LOWER_MISS = "probability that the lower limit lies above the true gain, nominal 0.025"
SIZE = "size at one look, nominal 0.05"

_CLOSED_FORMS: dict[str, IntervalMethod] = {
    "Bonett-Price": "bonett-price",
    "Tango": "tango",
    "Agresti-Min": "agresti-min",
    "Wald": "wald",
}
_BOOTSTRAPS: dict[str, Resampling] = {"bootstrap, percentile": "multinomial", "bootstrap, Dirichlet-1/2": "dirichlet"}
_RESAMPLES = 4000
_CHAMPIONS = (0.5, 0.8)  # recall of the champion; only Newcombe's interval depends on it, and is worst at 0.5
_NEGLIGIBLE = 1e-9

_SIZES, _DISCORDANCES, _GAINS = (10, 20, 50, 100, 200), (0.05, 0.1, 0.2), (0.0, 0.02, 0.05)

Floats = NDArray[np.float64]


def measure(rng: np.random.Generator, n: int) -> list[Cell]:
    """All nine worlds of tables with ``n`` positives; every interval is computed once a table."""
    tables = [(w, l) for w in range(n + 1) for l in range(n + 1 - w) if _matters(n, w, l)]
    limits = {
        rule: np.array([_closed(PairedOutcomes(w, l, n - w - l), method) for w, l in tables])
        for rule, method in _CLOSED_FORMS.items()
    } | {
        rule: np.array([_bootstrap(PairedOutcomes(w, l, n - w - l), method, rng) for w, l in tables])
        for rule, method in _BOOTSTRAPS.items()
    }
    cells: list[Cell] = []
    for discordance, gain in _worlds():
        world = f"{n} positives, {discordance:.0%} disagree, gain {gain:g}"
        probability = np.array([_probability(n, w, l, discordance, gain) for w, l in tables])
        for rule, found in limits.items():
            cells += _cells(rule, world, found[:, 0], found[:, 1], probability, gain)
        for champion in _CHAMPIONS:
            cells += _newcombe_cells(world, n, tables, probability, (discordance, gain, champion), rng)
        if gain == 0:
            w, l = np.array(tables).T
            cells.append(exact(SIZE, "McNemar's mid-p", world, float(probability[mid_p(w, l) < ALPHA].sum())))
    return cells


def _worlds() -> list[tuple[float, float]]:
    return [(discordance, gain) for discordance in _DISCORDANCES for gain in _GAINS]


def _probability(n: int, w: int, l: int, discordance: float, gain: float) -> float:
    """Trinomial probability of w wins and l losses among n positives."""
    win, loss = (discordance + gain) / 2, (discordance - gain) / 2
    log_p = special.gammaln(n + 1) - special.gammaln(w + 1) - special.gammaln(l + 1) - special.gammaln(n - w - l + 1)
    log_p += special.xlogy(w, win) + special.xlogy(l, loss) + special.xlogy(n - w - l, 1 - discordance)
    return float(np.exp(log_p))


@functools.cache
def _matters(n: int, w: int, l: int) -> bool:
    return any(_probability(n, w, l, *world) > _NEGLIGIBLE for world in _worlds())


def _closed(pairs: PairedOutcomes, method: IntervalMethod) -> tuple[float, float]:
    found = paired_difference(pairs, method=method, confidence_level=0.95)
    assert isinstance(found, Interval)
    return found.low, found.high


def _bootstrap(pairs: PairedOutcomes, method: Resampling, rng: np.random.Generator) -> tuple[float, float]:
    found = bootstrap(
        positives_only(pairs), ["recall"], rng=rng, confidence_level=0.95, n_resamples=_RESAMPLES, method=method
    )["recall"]
    assert isinstance(found, Bootstrap)
    return found.interval.low, found.interval.high


def _cells(rule: str, world: str, low: Floats, high: Floats, probability: Floats, gain: float) -> list[Cell]:
    """A limit that equals the gain up to rounding covers it."""
    misses_low, misses_high = low > gain + 1e-9, high < gain - 1e-9
    return [
        exact(COVERAGE, rule, world, 1 - float(probability[misses_low | misses_high].sum())),
        exact(LOWER_MISS, rule, world, float(probability[misses_low].sum())),
    ]


def _newcombe_cells(
    world: str,
    n: int,
    tables: list[tuple[int, int]],
    probability: Floats,
    truth: tuple[float, float, float],
    rng: np.random.Generator,
) -> list[Cell]:
    """Over the number that both found as well, binomial among the ties."""
    discordance, gain, champion = truth
    both_right = (champion - (discordance - gain) / 2) / (1 - discordance)
    w, l, both, weight = [], [], [], []
    for (wins, losses), p in zip(tables, probability, strict=True):
        if p > _NEGLIGIBLE:
            share = stats.binom.pmf(np.arange(n - wins - losses + 1), n - wins - losses, both_right)
            kept = np.flatnonzero(share * p > _NEGLIGIBLE)
            w += [wins] * len(kept)
            l += [losses] * len(kept)
            both += list(kept)
            weight += list(share[kept] * p)
    columns = np.array([w, l, both], dtype=np.float64)
    low, high = _newcombe_array(n, *columns)
    for i in rng.integers(len(w), size=20):
        pairs = PairedOutcomes(w[i], l[i], n - w[i] - l[i])
        found = newcombe(pairs, int(both[i]), confidence_level=0.95)
        assert isinstance(found, Interval)
        agree(f"Newcombe's lower limit at {pairs}", float(low[i]), found.low)
        agree(f"Newcombe's upper limit at {pairs}", float(high[i]), found.high)
    return _cells(f"Newcombe 10, champion's recall {champion:g}", world, low, high, np.array(weight), gain)


def _newcombe_array(n: int, w: Floats, l: Floats, both: Floats) -> tuple[Floats, Floats]:
    """``newcombe`` for arrays of tables."""
    z = float(stats.norm.isf(0.025))
    p1, p2 = (both + w) / n, (both + l) / n
    (l1, u1), (l2, u2) = _wilson(p1, n, z), _wilson(p2, n, z)
    none = n - both - w - l
    margins = (both + w) * (l + none) * (both + l) * (w + none)
    cross = both * none - w * l
    cross = np.where(cross > 0, np.maximum(cross - n / 2, 0), cross)
    phi = np.where(margins > 0, cross / np.sqrt(np.where(margins > 0, margins, 1)), 0)
    down = (p1 - l1) ** 2 - 2 * phi * (p1 - l1) * (u2 - p2) + (u2 - p2) ** 2
    up = (u1 - p1) ** 2 - 2 * phi * (u1 - p1) * (p2 - l2) + (p2 - l2) ** 2
    return p1 - p2 - np.sqrt(np.maximum(down, 0)), p1 - p2 + np.sqrt(np.maximum(up, 0))


def _wilson(p: Floats, n: int, z: float) -> tuple[Floats, Floats]:
    centre, half = p + z * z / (2 * n), z * np.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return np.maximum((centre - half) / (1 + z * z / n), 0), np.minimum((centre + half) / (1 + z * z / n), 1)


def _parts(scale: float) -> list[Part]:
    sizes = _SIZES if scale == 1 else _SIZES[:2]
    return [Part(f"{n} positives", measure, (n,)) for n in reversed(sizes)]


PAIRED_INTERVALS = Table(
    "paired_intervals",
    "Intervals and McNemar's test at one look, by enumeration",
    f"""
All tables of so many positives, each with its probability. The intervals are of the gain in recall; Newcombe's uses the number of
positives that both models find as well, so it is shown for two champions. Where a few disagreements are expected and all of them
are wins, every interval that does not widen them much is short on the upper side; the lower limit is what a promotion rests on. The
quantiles of the two bootstraps are those of {_RESAMPLES:,} replicates a table, all else is exact.
""",
    _parts,
    summary=True,
)
