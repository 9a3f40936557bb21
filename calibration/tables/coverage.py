"""Does an interval from the 2 x 2 x 2 table hold the true difference as often as it says?"""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from analysis.one_look.bootstrap import Bootstrap, Resampling, bootstrap
from analysis.one_look.bootstrap_intervals import IntervalKind
from analysis.tables.metrics import Difference, difference, paired_metric
from calibration.cells import Cell, Part, Table, share, sized
from calibration.weekly_tables import cell_shares, counts_of

__all__ = ["COVERAGE", "METRICS", "SHIPPED", "quantity"]

METRICS: tuple[str, ...] = ("recall", "precision", "accuracy", "f1", "mcc")
_BOOTSTRAPS: Mapping[str, tuple[Resampling, IntervalKind]] = {
    "percentile": ("multinomial", "percentile"),
    "basic": ("multinomial", "basic"),
    "BCa": ("multinomial", "bca"),
    "studentized": ("multinomial", "studentized"),
}
SHIPPED = "Dirichlet-1/2 percentile"
_REFUSED = "share of tables without an interval for {}"
_SHOW_REFUSED: tuple[str, ...] = ("recall", "accuracy")

_TABLES, _SHIPPED_TABLES, _RESAMPLES = 1000, 3000, 1000
_LEVEL = 0.95

Floats = NDArray[np.float64]

# rows, positives among them, share of positives on which the models disagree
_WORLDS = [
    *itertools.product((200,), (10, 20, 60), (0.05, 0.2)),
    *itertools.product((2000,), (20, 100), (0.05, 0.2)),
    *itertools.product((20_000,), (50, 200, 1000), (0.1,)),
    (2000, 600, 0.1),
    (20_000, 1000, 0.03),
]


def quantity(metric: str) -> str:
    return f"coverage of the difference in {_shown(metric)}, nominal {_LEVEL}"


def _shown(metric: str) -> str:
    return metric.upper() if metric in ("f1", "mcc") else metric


def _shares(rows: int, positives: int, discordance: float) -> Floats:
    """Recall 0.6 and a gain of a quarter of the disagreements; as many false alarms as hits, a third of them not shared."""
    win, loss = 0.625 * discordance * positives, 0.375 * discordance * positives
    both = 0.6 * positives - loss
    false = min(0.6 * positives, 0.2 * (rows - positives))
    alone = false * min(1.5 * discordance, 0.5)
    negatives = (rows - positives - false - alone, alone, alone, false - alone)
    return cell_shares((positives - both - win - loss, win, loss, both), negatives)


def measure(rng: np.random.Generator, rows: int, positives: int, discordance: float, tables: int) -> list[Cell]:
    """All intervals on the same tables; the shipped one on more."""
    shares = _shares(rows, positives, discordance)
    champion, challenger = (dict(zip(METRICS, side, strict=True)) for side in _true(shares))
    truth = {m: challenger[m] - champion[m] for m in METRICS}
    shipped = round(tables * _SHIPPED_TABLES / _TABLES)
    covered: dict[tuple[str, str], list[bool]] = {}
    refused: dict[tuple[str, str], list[bool]] = {}
    for i in range(shipped):
        counts = counts_of(rng.multinomial(rows, shares))
        asked: Mapping[str, tuple[Resampling, IntervalKind]] = {SHIPPED: ("dirichlet", "percentile")}
        if i < tables:
            asked = {**asked, **_BOOTSTRAPS}
            for m in METRICS:
                d = difference(m, counts)
                if isinstance(d, Difference):
                    half = float(stats.norm.isf((1 - _LEVEL) / 2)) * d.standard_error
                    covered.setdefault((m, "delta"), []).append(abs(d.value - truth[m]) <= half + 1e-12)
        for rule, (method, kind) in asked.items():
            found = bootstrap(
                counts,
                METRICS,
                rng=rng,
                confidence_level=_LEVEL,
                n_resamples=_RESAMPLES,
                method=method,
                interval=kind,
            )
            for m, b in found.items():
                refused.setdefault((m, rule), []).append(not isinstance(b, Bootstrap))
                if isinstance(b, Bootstrap):
                    inside = b.interval.low - 1e-12 <= truth[m] <= b.interval.high + 1e-12
                    covered.setdefault((m, rule), []).append(inside)
    world = f"{rows} rows, {positives} positives, {discordance:.0%} disagree"
    cells = [share(quantity(m), rule, world, found) for (m, rule), found in covered.items()]
    return cells + [
        share(_REFUSED.format(_shown(m)), rule, world, found)
        for (m, rule), found in refused.items()
        if m in _SHOW_REFUSED
    ]


def _true(shares: Floats) -> tuple[list[float], list[float]]:
    both = [paired_metric(m, shares[None, :]) for m in METRICS]
    return [float(c[0]) for c, _ in both], [float(h[0]) for _, h in both]


def _parts(scale: float) -> list[Part]:
    return [
        Part(
            f"{rows} rows, {positives} positives, {d:.0%}",
            measure,
            (rows, positives, d, sized(_TABLES, scale, at_least=10)),
        )
        for rows, positives, d in _WORLDS
    ]


COVERAGE = Table(
    "coverage",
    "Intervals of paired differences from the table of counts",
    f"""
Random tables of labelled rows; each interval is to hold the true difference between challenger and champion in 95% of them. Replicates
a table: {_RESAMPLES:,}. Coverage is among the tables for which an interval is given. All but the percentile intervals are refused where
no replicate differs from the table, which happens where disagreements are fewest and flatters them: the last grids say how often.
The shipped default is the percentile interval of Dirichlet draws with 1/2 added to every cell.
""",
    _parts,
    summary=True,
)
