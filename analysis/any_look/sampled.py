"""Labels of rows that were chosen with known probabilities: each labelled row is weighted by the number of rows that it represents.

A row that is labelled with probability p has the weight w = 1 / p if it is labelled and 0 if it is not, which is 1 on average
(Horvitz and Thompson 1952, Journal of the American Statistical Association 47:663). So weighted sums over labelled rows are, on
average, the sums over all rows, whatever p depends on: the models' decisions, the amount, the customer.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import scipy

from analysis.any_look.batch_unit import BatchGains, gains_of_sums
from analysis.any_look.mixture import check_bet, log_mixture
from analysis.tables.counts import PairedCounts, Undefined
from analysis.tables.intervals import Interval
from analysis.tables.metrics import Difference, Floats, paired_metric, paired_standard_error

__all__ = [
    "EightCells", "SampledCounts", "confidence_sequence_sampled", "log_e_declared", "log_e_sampled", "outcome_payoffs",
    "sampled_difference", "sampled_gains", "sampled_mean_difference",
]  # fmt: skip

EightCells = tuple[int, int, int, int, int, int, int, int]

_MOST_WEIGHTS = 128  # if there are more, the e-process rounds them so that the evidence gets weaker


@dataclass(frozen=True, slots=True)
class SampledCounts:
    """The labelled rows of a pair by the probability with which they were chosen, ascending; cells as in ``PairedCounts.labelled``.

    Counts of disjoint sets of rows can be added.
    """

    by_probability: tuple[tuple[float, EightCells], ...] = ()

    @classmethod
    def of(cls, parts: Iterable[tuple[float, EightCells]]) -> SampledCounts:
        total: dict[float, EightCells] = {}
        for p, cells in parts:
            before = total.get(p, (0,) * 8)
            total[p] = tuple(a + b for a, b in zip(before, cells, strict=True))  # type: ignore[assignment]
        return cls(tuple(sorted(total.items())))

    def __add__(self, other: SampledCounts) -> SampledCounts:
        return SampledCounts.of((*self.by_probability, *other.by_probability))

    @property
    def weights(self) -> Floats:
        """1 / p for each of the k probabilities, shape (k,)."""
        return np.array([1 / p for p, _ in self.by_probability], dtype=np.float64)

    @property
    def cells(self) -> Floats:
        """Numbers of rows by probability and cell, shape (k, 8)."""
        return np.array([cells for _, cells in self.by_probability], dtype=np.float64).reshape(-1, 8)

    def moment(self, power: int) -> Floats:
        """The sum of w^power over the rows of each cell, shape (8,)."""
        return np.asarray(self.weights**power @ self.cells, dtype=np.float64)


def outcome_payoffs(metric: str) -> Floats:
    """The gain per row of each cell, shape (8,): 1 for a win, -1 for a loss, 0 for a tie, NaN where rows do not count for the metric."""
    out = math.nan
    negatives, positives = (0.0, -1.0, 1.0, 0.0), (0.0, 1.0, -1.0, 0.0)
    if metric == "recall":
        return np.array([out] * 4 + [*positives])
    if metric == "specificity":
        return np.array([*negatives] + [out] * 4)
    return np.array([*negatives, *positives])


def sampled_difference(counts: SampledCounts, name: str) -> Difference | Undefined:
    """Challenger minus champion in a metric of the weighted rows, with its delta-method standard error.

    The metric is homogeneous of degree 0 in the weighted cells M, so with g = d(theta)/dM the variance is the sum of (w g)^2 over rows.
    """
    weighted = counts.moment(1)[None, :]
    champion, challenger = (float(v[0]) for v in paired_metric(name, weighted))
    if not (math.isfinite(champion) and math.isfinite(challenger)):
        return Undefined(f"{name} does not exist for these counts")
    error = paired_standard_error(name, weighted, squares=counts.moment(2)[None, :])
    return Difference(champion, challenger, challenger - champion, float(error[0]))


def sampled_mean_difference(counts: SampledCounts, champion: Floats, challenger: Floats) -> Difference | Undefined:
    """``sampled_difference`` for a mean per row; ``champion`` and ``challenger`` are the values of a row in each cell, shape (8,)."""
    n, squares = counts.moment(1), counts.moment(2)
    total = float(n.sum())
    if not total:
        return Undefined("no labelled row")
    old, gap = float(n @ champion) / total, challenger - champion
    value = float(n @ gap) / total
    return Difference(old, old + value, value, math.sqrt(float(squares @ (gap - value) ** 2)) / total)


def log_e_sampled(
    counts: SampledCounts,
    payoffs: Floats,
    *,
    span: float,
    heaviest: tuple[float, float],
    null_gain: float,
    prior: float,
) -> float:
    """Log of the e-value against H0: over all rows that count, labelled or not, the mean gain is at most ``null_gain``.

    ``payoffs``, shape (8,), are the gains per row of the cells: within [-``span``, ``span``], 0 where the two models agree, NaN where
    rows do not count. ``heaviest`` = (A, D) are the largest weights of rows on which the two agree and on which they disagree. With
    m = null_gain / span, a labelled row multiplies the capital by 1 + u w (gain / span - m) / B, B = max(D (1 + m), A m), which is
    never negative, and a row without a label by 1. Averaged over the choice of rows, the factor is at most 1 under H0 (Waudby-Smith and
    Ramdas 2024, JRSS B 86:1, for means of bounded values). The bets u are those of ``analysis.any_look.eprocess``; with all
    probabilities 1 it is that e-process. Raises ValueError for a gain that is not within ``span``, and for a prior below 1.
    """
    m = null_gain / span
    check_bet(m, prior)
    bound = max(heaviest[1] * (1 + m), heaviest[0] * m)
    return log_mixture(_factors(counts, payoffs / span, m, heaviest, bound), prior)


def _factors(
    counts: SampledCounts, gains: Floats, m: float, heaviest: tuple[float, float], bound: float
) -> list[tuple[float, float]]:
    """Pairs (number of rows, slope): so many rows multiply the capital by 1 + slope u."""
    weights, cells = counts.weights, counts.cells
    factors: list[tuple[float, float]] = []
    for gain in np.unique(gains[~np.isnan(gains)]):
        rows = cells[:, gains == gain].sum(axis=1)
        own, n = _few(weights[rows > 0], rows[rows > 0], heaviest[bool(gain)], up=gain < m)
        factors += [(float(k), max(float(w * (gain - m) / bound), -1.0)) for k, w in zip(n, own, strict=True)]
    return factors


def _few(weights: Floats, n: Floats, most: float, *, up: bool) -> tuple[Floats, Floats]:
    """At most ``_MOST_WEIGHTS`` weights and their numbers of rows.

    Weights of losses are rounded up and those of wins down, so that the evidence only gets weaker.
    """
    if len(weights) <= _MOST_WEIGHTS:
        return weights, n
    grid = np.geomspace(1.0, most, _MOST_WEIGHTS)
    at = np.searchsorted(grid, weights * (1 - 1e-12)) if up else np.searchsorted(grid, weights, side="right") - 1
    at = np.clip(at, 0, _MOST_WEIGHTS - 1)
    return grid, np.bincount(at, weights=n, minlength=_MOST_WEIGHTS).astype(np.float64)


def confidence_sequence_sampled(
    counts: SampledCounts, payoffs: Floats, *, span: float, heaviest: tuple[float, float], alpha: float, prior: float
) -> Interval:
    """The gains that the e-process does not reject, at ``alpha`` on each side; valid at all looks simultaneously."""
    low = _lower(counts, payoffs, span, heaviest, alpha, prior)
    return Interval(low, -_lower(counts, -payoffs, span, heaviest, alpha, prior), 1 - 2 * alpha)


def _lower(
    counts: SampledCounts, payoffs: Floats, span: float, heaviest: tuple[float, float], alpha: float, prior: float
) -> float:
    edge, target = span * (1 - 1e-9), -math.log(alpha)

    def excess(gain: float) -> float:
        return log_e_sampled(counts, payoffs, span=span, heaviest=heaviest, null_gain=gain, prior=prior) - target

    if excess(-edge) < 0:
        return -span
    counted = ~np.isnan(payoffs)
    n = counts.moment(1)[counted]
    mean = float(n @ payoffs[counted]) / float(n.sum())
    return float(scipy.optimize.brentq(excess, -edge, min(max(mean, -edge), edge), xtol=1e-12 * span))


def sampled_gains(batches: Sequence[SampledCounts], metric: str) -> BatchGains:
    """The weighted gain of each batch that has rows for the metric; its scale is sqrt(sum of w^2 over wins and losses) / weighted rows."""
    payoffs = outcome_payoffs(metric)
    counted, differs = ~np.isnan(payoffs), np.nan_to_num(payoffs) != 0
    filled = [b for b in batches if b.cells[:, counted].any()]
    n = np.array([b.moment(1)[counted].sum() for b in filled])
    net = np.array([b.moment(1)[counted] @ payoffs[counted] for b in filled])
    first, second = (np.array([b.moment(power)[differs].sum() for b in filled]) for power in (1, 2))
    return gains_of_sums(net, n, first, second)


def log_e_declared(rows: PairedCounts, counts: SampledCounts, *, heaviest: tuple[float, float], prior: float) -> float:
    """Log of the e-value against H0: for each pair of decisions, as many rows are labelled as the probabilities say.

    ``rows`` are all rows of the pair. Under H0 the weight w of a row, 0 without a label, is 1 on average. So a row multiplies the capital
    by 1 + u (w - 1) against labels that come too often, and by 1 - u (w - 1) / B against labels that come too seldom, B = max(W - 1, 1)
    with W the largest weight. The e-value is the mean over the four pairs of decisions and both directions.
    """
    log_es = []
    for pair in range(4):
        most = heaviest[pair in (1, 2)]
        unlabelled, labelled = float(rows.unlabelled[pair]), counts.cells[:, pair] + counts.cells[:, 4 + pair]
        weights, n = counts.weights[labelled > 0], labelled[labelled > 0]
        bound = max(most - 1, 1.0)
        often = zip(*_few(weights, n, most, up=False), strict=True)
        seldom = zip(*_few(weights, n, most, up=True), strict=True)
        log_es.append(log_mixture([(unlabelled, -1.0), *((float(k), float(w) - 1) for w, k in often)], prior))
        slopes = ((float(k), max((1 - float(w)) / bound, -1.0)) for w, k in seldom)
        log_es.append(log_mixture([(unlabelled, 1 / bound), *slopes], prior))
    return float(scipy.special.logsumexp(log_es) - math.log(len(log_es)))
