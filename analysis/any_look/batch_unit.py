"""Batches as the unit of evidence: the test for shocks that all rows of a batch share, and an e-process that is valid with them."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import ArrayLike

from analysis.tables.counts import PairedOutcomes, Undefined
from analysis.tables.metrics import Difference, Floats

__all__ = [
    "BatchGains", "Overdispersion", "effective_batches", "gains_of_sums", "log_e_batch_unit", "log_e_cosh", "log_e_of_batches",
    "log_e_symmetric", "outcome_gains", "overdispersion", "overdispersion_of_differences", "scale_free",
]  # fmt: skip

_RHO = 0.2  # scale of the mixture of ``log_e_symmetric``
_CLIP = 1.5
_BET_SD = 0.8  # of the half-normal bets of ``log_e_cosh``


@dataclass(frozen=True, slots=True)
class Overdispersion:
    """Chi-square test of H0: the gain varies between batches no more than chance allows."""

    statistic: float
    degrees_of_freedom: int
    p_value: float


def overdispersion(batches: Sequence[PairedOutcomes]) -> Overdispersion | Undefined:
    """Test whether the win share varies more between batches than binomial chance allows.

    X2 = sum_t (w_t - D_t p)^2 / (D_t p (1 - p)) with p = (W + 1/2) / (D + 1), on T - 1 degrees of freedom, over the T
    batches that have a disagreement. Undefined for fewer than two of them.
    """
    informative = [b for b in batches if b.discordant]
    if len(informative) < 2:
        return Undefined("fewer than two batches with a disagreement")
    wins = np.array([b.wins for b in informative], dtype=np.float64)
    d = np.array([b.discordant for b in informative], dtype=np.float64)
    p = (wins.sum() + 0.5) / (d.sum() + 1)
    statistic = float(np.sum((wins - d * p) ** 2 / (d * p * (1 - p))))
    df = len(informative) - 1
    return Overdispersion(statistic, df, float(scipy.stats.chi2.sf(statistic, df)))


def overdispersion_of_differences(differences: Sequence[Difference]) -> Overdispersion | Undefined:
    """Test whether a difference, one per batch, varies more between batches than its standard errors allow.

    Cochran's Q = sum_t (d_t - d)^2 / se_t^2 around the precision-weighted mean d, on T - 1 degrees of freedom, over the
    T batches whose standard error is above 0. Undefined for fewer than two of them.
    """
    informative = [d for d in differences if d.standard_error > 0]
    if len(informative) < 2:
        return Undefined("fewer than two batches with a disagreement")
    values = np.array([d.value for d in informative])
    weights = 1 / np.array([d.standard_error for d in informative]) ** 2
    mean = np.sum(weights * values) / np.sum(weights)
    statistic = float(np.sum(weights * (values - mean) ** 2))
    df = len(informative) - 1
    return Overdispersion(statistic, df, float(scipy.stats.chi2.sf(statistic, df)))


def log_e_batch_unit(batches: Sequence[PairedOutcomes], *, null_gain: float = 0.0) -> float:
    """Log of the e-value against H0: the mean gain is at most ``null_gain``, with batches as units.

    It takes one number per batch, x = (wins / rows - losses / rows - null_gain) / scale of ``BatchGains``, which is
    approximately symmetric around 0 given the past at the boundary of H0 (``log_e_of_batches``). Batches without rows
    are left out.
    """
    nulls = np.array([null_gain])
    return float(log_e_of_batches(outcome_gains(batches).standardised(nulls), nulls)[0])


def effective_batches(sizes: ArrayLike) -> float:
    """The number of batches of equal size that carry as much: (sum of sizes)^2 / sum of sizes^2 (Kish 1965); 0 if all are empty."""
    size = np.asarray(sizes, dtype=np.float64)
    total = float(size.sum())
    return total**2 / float(np.sum(size**2)) if total else 0.0


@dataclass(frozen=True, slots=True)
class BatchGains:
    """One gain and its scale per batch; ``expected`` (a scale) and ``share`` (disagreements per row) come from earlier batches.

    Around a gain of 0 the scale is the batch's own, sqrt(D) / rows with D its disagreements: given D, the wins are
    symmetric. Around another gain they are not: a batch with few losses also has few disagreements, so its own scale
    would exaggerate its gain. So the square of the scale is a mean of the own and the expected square, and the expected
    one has the weight abs(null) / max(share, abs(null)). If all disagreements at the margin are losses, 100 rows per
    batch and 52 looks at alpha = .05 then prove non-inferiority falsely in .03 instead of .20. If ``expected`` is empty,
    each batch has its own scale.
    """

    gains: tuple[float, ...]
    scales: tuple[float, ...]
    expected: tuple[float, ...] = ()
    share: tuple[float, ...] = ()

    def standardised(self, nulls: Floats) -> Floats:
        """(gain - null) / scale for each of the ``nulls`` and each batch, shape (nulls, batches)."""
        square, null = np.array(self.scales) ** 2, nulls[:, None]
        if self.expected:
            size = np.abs(null)
            weight = size / np.maximum(np.maximum(self.share, size), np.finfo(np.float64).tiny)
            square = square + weight * (np.array(self.expected) ** 2 - square)
        return np.asarray((np.array(self.gains) - null) / np.sqrt(square))


def outcome_gains(batches: Sequence[PairedOutcomes]) -> BatchGains:
    """The gain of each batch that has rows, (wins - losses) / rows."""
    counted = [b for b in batches if b.n]
    net, n, d = np.array([(b.wins - b.losses, b.n, b.discordant) for b in counted], dtype=np.float64).reshape(-1, 3).T
    return gains_of_sums(net, n, d, d)


def gains_of_sums(net: Floats, n: Floats, first: Floats, second: Floats) -> BatchGains:
    """The gains net / n from sums of weights per batch, shape (batches,).

    ``n`` sums the weights of all rows, ``first`` those of the rows on which the two models differ, ``second`` the squares of the latter.
    The first batch has no earlier one and takes its own values as the expected ones.
    """
    share, square = (np.concatenate([t[:1] / n[:1], t.cumsum()[:-1] / n.cumsum()[:-1]]) for t in (first, second))
    own, expected = np.sqrt(np.maximum(second, 1)) / n, np.sqrt(np.maximum(square * n, 1)) / n
    return BatchGains(tuple((net / n).tolist()), tuple(own.tolist()), tuple(expected.tolist()), tuple(share.tolist()))


def log_e_of_batches(x: Floats, nulls: Floats) -> Floats:
    """Log e-values, shape (nulls,), from the standardised gains ``x``, shape (nulls, batches): row i is tested against ``nulls[i]``.

    The numbers are made free of scale first. Against a gain of 0 they are symmetric, and the e-value is ``log_e_cosh``. Against
    another gain they are symmetric only in the limit, and the e-value is ``log_e_symmetric``, which keeps its error rate there (.048
    instead of .070 at alpha = .05, if all disagreements at the margin are losses).
    """
    free = scale_free(x)
    log_e = log_e_symmetric(free.sum(axis=-1), (free**2).sum(axis=-1))
    at_zero = np.asarray(nulls) == 0
    if at_zero.any() and x.shape[-1]:
        log_e[at_zero] = log_e_cosh(free[at_zero])[..., -1]
    return log_e


def log_e_cosh(x: Floats) -> Floats:
    """Log of the e-value of symmetric numbers after each of them, along the last axis; the shape is that of ``x``.

    E = integral over lambda of prod_t exp(lambda x_t) / cosh(lambda x_t), lambda half-normal with standard deviation 0.8. Given
    abs(x_t), exp(lambda x_t) is cosh(lambda x_t) on average over both signs, so each factor has mean 1 (Vovk and Wang 2022, arXiv
    2208.08925; Koning 2023, arXiv 2310.01153). The factor is never below exp(lambda x - lambda^2 x^2 / 2), the one of
    ``log_e_symmetric``. The integral is a sum over fixed bets whose weights add up to 1, so the sum is an e-process too.
    """
    total = np.full(x.shape, -np.inf)
    for bet, log_weight in zip(*_bets(), strict=True):
        y = bet * x
        log_cosh = np.abs(y) + np.log1p(np.exp(-2 * np.abs(y))) - math.log(2)
        total = np.logaddexp(total, log_weight + np.cumsum(y - log_cosh, axis=-1))
    return total


@functools.cache
def _bets(panels: int = 8, per_panel: int = 8) -> tuple[Floats, Floats]:
    """Bets up to 5 standard deviations and the logs of their weights, which add up to 1."""
    nodes, weights = np.polynomial.legendre.leggauss(per_panel)
    edges = np.linspace(0, 5 * _BET_SD, panels + 1)
    half = np.diff(edges)[:, None] / 2
    bets = (edges[:-1, None] + half * (nodes + 1)).ravel()
    density = (half * weights).ravel() * np.exp(-((bets / _BET_SD) ** 2) / 2)
    return bets, np.log(density / density.sum())


def scale_free(x: Floats) -> Floats:
    """Divide each number by the root mean square of those before it (at least 1) and clip it to [-1.5, 1.5], along the last axis.

    Numbers that are symmetric around 0 given the past stay symmetric: the divisor depends on the past only, and clipping
    is odd. The mixture expects a scale of 1, but shocks shared by a batch give numbers far above 1, whose squares would
    hide the evidence. With numbers fifteen times as large as chance makes them, and a mean of half their spread, the
    power within 52 batches rises from .43 to .78; at a scale of 1 no power is lost.
    """
    squares = np.cumsum(x**2, axis=-1)[..., :-1] / np.arange(1, x.shape[-1])
    before = np.concatenate([np.zeros_like(x[..., :1]), squares], axis=-1)
    return np.asarray(np.clip(x / np.sqrt(np.maximum(before, 1.0)), -_CLIP, _CLIP))


def log_e_symmetric(total: ArrayLike, total_square: ArrayLike, *, rho: float = _RHO) -> np.ndarray:
    """Log of the self-normalised e-value of symmetric increments with sum S and sum of squares V (de la Pena 1999).

    E = 2 (1 + r V)^(-1/2) exp(r S^2 / (2 (1 + r V))) Phi(S sqrt(r / (1 + r V))), the half-normal mixture of
    exp(lambda S - lambda^2 V / 2) with scale r = ``rho``.
    """
    s, v = np.asarray(total, dtype=np.float64), np.asarray(total_square, dtype=np.float64)
    spread = 1 + rho * v
    return np.asarray(
        math.log(2) - np.log(spread) / 2 + rho * s**2 / (2 * spread) + scipy.special.log_ndtr(s * np.sqrt(rho / spread))
    )
