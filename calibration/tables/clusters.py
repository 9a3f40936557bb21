"""Rows that belong to one customer or machine: what if their errors are alike?"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from analysis.any_look.batch_unit import log_e_symmetric
from analysis.any_look.eprocess import log_e
from analysis.one_look.clusters import ClusteredTest, ClusterMethod, clustered_test, entity_outcomes
from calibration.cells import Cell, Part, Table, agree, mean, share, sized
from calibration.records import WEEKS, Ints
from calibration.rules import ALPHA, Bools, first_look, mid_p, reached
from calibration.tables.power import PROMOTED, WEEKS_TO_A_PROMOTION

__all__ = ["CLUSTERS", "FALSE", "RETURNING", "SIZE"]

SIZE = "size at one look, nominal 0.05"
FALSE = "false promotions within 52 weekly looks, new entities every week"
RETURNING = "false promotions within 52 weekly looks, entities return"

_ROWS, _CONTESTED, _CONTESTED_ROWS = 4, 0.25, 0.8
_SIZES = np.resize([1, 2, 4, 9], 200)  # rows of the entities of one look; 4 on average
_WEEKLY, _POOL = 50, 400
_TABLES, _YEARS, _RETURNING_YEARS = 10_000, 4000, 2000
_CORRELATIONS = (0.0, 0.3, 0.7)
_METHODS: dict[str, ClusterMethod] = {
    "sign flip of entities": "sign-flip",
    "Obuchowski": "obuchowski",
    "Durkalski": "durkalski",
}


def outcomes(
    rng: np.random.Generator, shape: tuple[int, ...], correlation: float, win_share: float = 0.5, rows: int = _ROWS
) -> NDArray[np.int8]:
    """+1, -1 or 0 for each row of entities; shape (*shape, rows).

    The models disagree on the rows of one entity in four, there on four rows in five. Of two such rows of an entity the
    winners agree with this correlation.
    """
    alike = rng.random((*shape, rows), dtype=np.float32) < math.sqrt(correlation)
    luck = rng.random((*shape, 1), dtype=np.float32) < win_share
    won = np.where(alike, luck, rng.random((*shape, rows), dtype=np.float32) < win_share)
    contested = rng.random((*shape, 1), dtype=np.float32) < _CONTESTED
    contested = contested & (rng.random((*shape, rows), dtype=np.float32) < _CONTESTED_ROWS)
    return np.where(contested, np.where(won, 1, -1), 0).astype(np.int8)


def measure_size(rng: np.random.Generator, correlation: float, tables: int) -> list[Cell]:
    """One look at 200 entities: the tests of entities, and McNemar's, which takes rows for independent."""
    parts = []
    for size in _chunks(tables):
        d = outcomes(rng, (size, len(_SIZES)), correlation, rows=int(_SIZES.max()))
        parts.append(np.where(np.arange(d.shape[2]) < _SIZES[:, None], d, 0).astype(np.int8))
    wins, losses = (np.concatenate([(d == sign).sum(axis=(1, 2)) for d in parts]) for sign in (1, -1))
    net = np.concatenate([d.sum(axis=2) for d in parts])
    world = f"correlation {correlation:g}"
    cells = [share(SIZE, "McNemar's mid-p on rows", world, mid_p(wins, losses) < ALPHA)]
    for rule, method in _METHODS.items():
        rejected = [_p(net[t], _SIZES, method) < ALPHA for t in range(tables)]
        cells.append(share(SIZE, rule, world, rejected))
    return cells


def _p(net: NDArray[np.int8], rows: Ints, method: ClusterMethod) -> float:
    found = clustered_test(net, rows, method=method)
    return found.p_value if isinstance(found, ClusteredTest) else 1.0


def _looks(d: NDArray[np.int8]) -> dict[str, Bools]:
    """Weekly looks at ``d`` of shape (years, weeks, entities, rows), every entity new."""
    net = d.sum(axis=3)
    x = net.astype(np.float64)
    return {
        "e-process of rows": _reached([(d == sign).sum(axis=(2, 3)) for sign in (1, -1)]),
        "e-process of entities": _reached([(np.sign(net) == sign).sum(axis=2) for sign in (1, -1)]),
        "self-normalised entities": _self_normalised(x.sum(axis=2), (x**2).sum(axis=2)),
    }


def _reached(weekly: list[Ints]) -> Bools:
    w, l = (x.cumsum(axis=1) for x in weekly)
    return reached(w, l)


def _self_normalised(total: NDArray[np.float64], square: NDArray[np.float64]) -> Bools:
    return np.asarray(log_e_symmetric(total.cumsum(axis=1), square.cumsum(axis=1)) >= -math.log(ALPHA))


def measure_years(rng: np.random.Generator, correlation: float, win_share: float, years: int) -> list[Cell]:
    """Fifty new entities a week."""
    found = []
    for size in _chunks(years):
        d = outcomes(rng, (size, WEEKS, _WEEKLY), correlation, win_share)
        looks = _looks(d)
        found.append(looks)
        _check(d, looks["e-process of entities"])
    together = {rule: np.concatenate([f[rule] for f in found]) for rule in found[0]}
    world = f"correlation {correlation:g}" + ("" if win_share == 0.5 else f", wins {win_share:.0%}")
    if win_share == 0.5:
        return [share(FALSE, rule, world, looks.any(axis=1)) for rule, looks in together.items()]
    promoted = [share(PROMOTED, rule, world, looks.any(axis=1)) for rule, looks in together.items()]
    return promoted + [mean(WEEKS_TO_A_PROMOTION, rule, world, first_look(looks)) for rule, looks in together.items()]


def _check(d: NDArray[np.int8], looks: Bools) -> None:
    """The signs of entities, summed up here, against the shipped ``entity_outcomes``, at the end of some years."""
    for year in range(min(5, len(d))):
        pairs = entity_outcomes(d[year].sum(axis=2).ravel())
        agree(f"entities at {pairs}", bool(looks[year, -1]), log_e(pairs) >= -math.log(ALPHA))


def measure_returning(rng: np.random.Generator, correlation: float, years: int) -> list[Cell]:
    """Fifty entities a week out of 400, with errors that stick: an entity's luck is the same whenever it returns."""
    looks: dict[str, list[Bools]] = {}
    for size in _chunks(years):
        luck = np.where(rng.random((size, _POOL)) < 0.5, 1, -1)
        contested = rng.random((size, _POOL)) < _CONTESTED
        who = np.argsort(rng.random((size, WEEKS, _POOL), dtype=np.float32), axis=2)[:, :, :_WEEKLY]
        year = np.arange(size)[:, None, None]
        alike = rng.random((*who.shape, _ROWS), dtype=np.float32) < math.sqrt(correlation)
        own = np.where(rng.random((*who.shape, _ROWS), dtype=np.float32) < 0.5, 1, -1)
        sign = np.where(alike, luck[year, who][..., None], own)
        shown = contested[year, who][..., None] & (rng.random((*who.shape, _ROWS), dtype=np.float32) < _CONTESTED_ROWS)
        d = np.where(shown, sign, 0).astype(np.int8)
        for rule, found in _returning_looks(d, who).items():
            looks.setdefault(rule, []).append(found)
    world = f"correlation {correlation:g}"
    return [share(RETURNING, rule, world, np.concatenate(found).any(axis=1)) for rule, found in looks.items()]


def _returning_looks(d: NDArray[np.int8], who: Ints) -> dict[str, Bools]:
    """Rows, the first appearance of each entity, and all its weeks so far as one self-normalised sum."""
    years = np.arange(len(d))[:, None]
    seen, total = np.zeros((len(d), _POOL), dtype=bool), np.zeros((len(d), _POOL))
    first = [np.zeros(d.shape[:2], dtype=np.int64) for _ in range(2)]
    cumulative = np.zeros(d.shape[:2], dtype=bool)
    for week in range(d.shape[1]):
        present, net = who[:, week], d[:, week].sum(axis=2)
        new = ~seen[years, present]
        for side, sign in zip(first, (1, -1), strict=True):
            side[:, week] = (new & (np.sign(net) == sign)).sum(axis=1)
        seen[years, present] = True
        total[years, present] += net
        cumulative[:, week] = log_e_symmetric(total.sum(axis=1), (total**2).sum(axis=1)) >= -math.log(ALPHA)
    return {
        "e-process of rows": _reached([(d == sign).sum(axis=(2, 3)) for sign in (1, -1)]),
        "e-process of entities, first appearance": _reached(first),
        "self-normalised entities so far": cumulative,
    }


def _chunks(years: int, size: int = 250) -> list[int]:
    return [min(size, years - start) for start in range(0, years, size)]


def _parts(scale: float) -> list[Part]:
    found = []
    for c in _CORRELATIONS:
        found.append(Part(f"one look, correlation {c:g}", measure_size, (c, sized(_TABLES, scale))))
        found.append(Part(f"a year, correlation {c:g}", measure_years, (c, 0.5, sized(_YEARS, scale))))
        found.append(Part(f"returning, correlation {c:g}", measure_returning, (c, sized(_RETURNING_YEARS, scale))))
    found.append(Part("a better one, correlation 0.7", measure_years, (0.7, 0.65, sized(_RETURNING_YEARS, scale))))
    return found


CLUSTERS = Table(
    "clusters",
    "Rows that belong to one entity",
    f"""
The models disagree on the rows of one entity in four, and the winners of two such rows of an entity are correlated as named. One
look at {len(_SIZES)} entities with 1, 2, 4 or 9 rows, or 52 weekly looks with {_WEEKLY} new entities of {_ROWS} rows a week. Where entities
return, they are drawn from {_POOL} and keep their luck; then only their first appearance counts. The self-normalised sum over all
weeks of an entity has no proof and is not used to decide.
""",
    _parts,
)
