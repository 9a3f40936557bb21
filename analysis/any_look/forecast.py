"""How many batches it may take until the evidence decides, by simulation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from analysis.any_look.batch_unit import log_e_cosh, log_e_symmetric, scale_free
from analysis.any_look.bounded_losses import log_e_sums
from analysis.any_look.eprocess import log_e_array
from analysis.one_look.losses import PairedLosses
from analysis.tables.counts import PairedOutcomes, Undefined
from analysis.tables.metrics import Floats

__all__ = ["Forecast", "forecast", "forecast_batches", "forecast_estimate", "forecast_losses"]


@dataclass(frozen=True, slots=True)
class Forecast:
    """When the log e-value reaches its threshold, in simulated continuations (paths) of ``horizon`` more batches.

    ``batches_50`` and ``batches_80``: more batches until half and 80 % of the paths have reached it, ``None`` if they do not within
    ``horizon``. ``probability``: the share of paths that reach it at all.
    """

    batches_50: int | None
    batches_80: int | None
    probability: float
    horizon: int


def forecast(
    pairs: PairedOutcomes,
    *,
    rows_per_batch: float,
    null_gain: float,
    threshold: float,
    prior: float,
    rng: np.random.Generator,
    batches: int = 26,
    n_paths: int = 1000,
) -> Forecast | Undefined:
    """Continue the counts for ``batches`` more batches of ``rows_per_batch`` rows; ``threshold`` is a log e-value.

    Every path draws its share of disagreements from Beta(D + 1/2, n - D + 1/2) and its win share from Beta(w + 5, l +
    5), which pulls few disagreements towards a tie. Undefined without a row to start from.
    """
    if pairs.n == 0 or rows_per_batch < 1:
        return Undefined("no labelled row to extrapolate from")
    d, n = pairs.discordant, pairs.n
    size = round(rows_per_batch)
    share = rng.beta(d + 0.5, n - d + 0.5, size=(n_paths, 1))
    win_share = rng.beta(pairs.wins + 5, pairs.losses + 5, size=(n_paths, 1))
    disagreements = rng.binomial(size, np.broadcast_to(share, (n_paths, batches)))
    wins = rng.binomial(disagreements, np.broadcast_to(win_share, (n_paths, batches)))
    total_wins = pairs.wins + wins.cumsum(axis=1)
    total_losses = pairs.losses + (disagreements - wins).cumsum(axis=1)
    total = n + size * np.arange(1, batches + 1)
    e = log_e_array(total_wins, total_losses, total - total_wins - total_losses, null_gain=null_gain, prior=prior)
    return _summary(e, threshold)


def forecast_estimate(
    excess: float,
    standard_error: float,
    *,
    rows: float,
    rows_per_batch: float,
    rho2: float,
    threshold: float,
    rng: np.random.Generator,
    batches: int = 26,
    n_paths: int = 1000,
) -> Forecast:
    """Continue an estimate, a normal mean over ``rows`` that lies ``excess`` above its null gain, for ``batches`` more batches.

    Every path draws its true excess from Normal(``excess``, ``standard_error``). The evidence is the asymptotic e-value
    with the scale ``rho2``, which approximates the exact processes of precision, NPV, cost and sampled rows.
    """
    sd = standard_error * np.sqrt(rows)
    true = rng.normal(excess, standard_error, size=(n_paths, 1))
    steps = rng.normal(true * rows_per_batch / sd, np.sqrt(rows_per_batch), size=(n_paths, batches))
    n = rows + rows_per_batch * np.arange(1, batches + 1)
    return _summary(log_e_symmetric(excess * rows / sd + steps.cumsum(axis=1), n, rho=rho2), threshold)


def forecast_losses(
    losses: PairedLosses,
    *,
    bound: float,
    rows_per_batch: float,
    null_gain: float,
    threshold: float,
    rng: np.random.Generator,
    batches: int = 26,
    n_paths: int = 1000,
) -> Forecast | Undefined:
    """Continue clipped losses as normal sums with the mean and the spread seen so far, for ``batches`` more batches.

    Every path draws its true gain from Normal(gain, standard error). The evidence is that of ``log_e_loss``. Undefined if
    the two losses of a row differ by the same amount on every row.
    """
    if losses.deviation == 0:
        return Undefined("no disagreement to extrapolate from")
    scale = bound + null_gain
    mean, variance = (losses.gain - null_gain) / scale, losses.deviation / losses.n / scale**2
    true = rng.normal(mean, np.sqrt(variance / losses.n), size=(n_paths, 1))
    steps = rng.normal(true * rows_per_batch, np.sqrt(variance * rows_per_batch), size=(n_paths, batches))
    squares = losses.n * (variance + mean**2) + rows_per_batch * (variance + true**2) * np.arange(1, batches + 1)
    return _summary(log_e_sums(losses.n * mean + steps.cumsum(axis=1), squares), threshold)


def forecast_batches(
    x: Floats, *, null_gain: float, threshold: float, rng: np.random.Generator, batches: int = 26, n_paths: int = 1000
) -> Forecast | Undefined:
    """Continue the standardised gains above ``null_gain``, ``x``, one per batch, as normal numbers for ``batches`` more batches.

    Every path draws its mean from Normal(mean, spread / sqrt(number of ``x``)). The evidence is that of ``log_e_of_batches``. Undefined
    for fewer than two batches.
    """
    if len(x) < 2:
        return Undefined("fewer than two batches to extrapolate from")
    spread = float(np.std(x, ddof=1))
    mean = rng.normal(x.mean(), spread / np.sqrt(len(x)), size=(n_paths, 1))
    future = rng.normal(mean, spread, size=(n_paths, batches))
    free = scale_free(np.concatenate([np.broadcast_to(x, (n_paths, len(x))), future], axis=1))
    e = log_e_symmetric(free.cumsum(axis=1), (free**2).cumsum(axis=1)) if null_gain else log_e_cosh(free)
    return _summary(e[:, len(x) :], threshold)


def _summary(log_e: Floats, threshold: float) -> Forecast:
    """The forecast from log e-values of shape (paths, batches)."""
    shares = np.maximum.accumulate(log_e >= threshold, axis=1).mean(axis=0)
    return Forecast(_first(shares, 0.5), _first(shares, 0.8), float(shares[-1]), log_e.shape[1])


def _first(shares: np.ndarray, level: float) -> int | None:
    """The first batch, counted from 1, by which at least ``level`` of the paths have reached the threshold."""
    reached = np.flatnonzero(shares >= level)
    return int(reached[0]) + 1 if len(reached) else None
