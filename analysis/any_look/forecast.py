"""How long it may take until the evidence decides."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from analysis.any_look.batch_unit import log_e_cosh, log_e_symmetric, scale_free
from analysis.any_look.bounded_losses import log_e_sums
from analysis.any_look.eprocess import log_e_array
from analysis.one_look.losses import PairedLosses
from analysis.tables.counts import PairedOutcomes, Undefined
from analysis.tables.metrics import Floats

__all__ = ["Forecast", "forecast", "forecast_batches", "forecast_estimate"]


@dataclass(frozen=True, slots=True)
class Forecast:
    """Simulated batches until the e-process reaches its threshold; ``None`` where it does not within the horizon."""

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
    horizon: int = 26,
    n_paths: int = 1000,
) -> Forecast | Undefined:
    """Continue the counts at hand for ``horizon`` more batches of the size seen so far.

    Every path draws its share of disagreements from Beta(D + 1/2, n - D + 1/2) and its win share from Beta(w + 5, l +
    5), which pulls a short record towards a tie. ``probability`` is the share of paths whose log e-value reaches
    ``threshold``.
    """
    if pairs.n == 0 or rows_per_batch < 1:
        return Undefined("no labelled row to extrapolate from")
    d, n = pairs.discordant, pairs.n
    size = round(rows_per_batch)
    share = rng.beta(d + 0.5, n - d + 0.5, size=(n_paths, 1))
    win_share = rng.beta(pairs.wins + 5, pairs.losses + 5, size=(n_paths, 1))
    disagreements = rng.binomial(size, np.broadcast_to(share, (n_paths, horizon)))
    wins = rng.binomial(disagreements, np.broadcast_to(win_share, (n_paths, horizon)))
    total_wins = pairs.wins + wins.cumsum(axis=1)
    total_losses = pairs.losses + (disagreements - wins).cumsum(axis=1)
    total = n + size * np.arange(1, horizon + 1)
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
    horizon: int = 26,
    n_paths: int = 1000,
) -> Forecast:
    """Continue an estimate that lies ``excess`` above its null as a normal mean over ``rows``, for ``horizon`` more batches.

    Every path draws its true excess from Normal(``excess``, ``standard_error``); evidence is the asymptotic e-value with
    the scale ``rho2``. For exact processes other than that of wins and losses it is an approximation.
    """
    sd = standard_error * np.sqrt(rows)
    true = rng.normal(excess, standard_error, size=(n_paths, 1))
    steps = rng.normal(true * rows_per_batch / sd, np.sqrt(rows_per_batch), size=(n_paths, horizon))
    n = rows + rows_per_batch * np.arange(1, horizon + 1)
    return _summary(log_e_symmetric(excess * rows / sd + steps.cumsum(axis=1), n, rho=rho2), threshold)


def forecast_losses(
    losses: PairedLosses,
    *,
    bound: float,
    rows_per_batch: float,
    null_gain: float,
    threshold: float,
    rng: np.random.Generator,
    horizon: int = 26,
    n_paths: int = 1000,
) -> Forecast | Undefined:
    """Continue clipped losses as normal sums with the mean and the spread seen so far, for ``horizon`` more batches.

    Every path draws its true gain from Normal(gain, standard error); the evidence is that of ``log_e_loss``.
    """
    if losses.deviation == 0:
        return Undefined("no disagreement to extrapolate from")
    scale = bound + null_gain
    mean, variance = (losses.gain - null_gain) / scale, losses.deviation / losses.n / scale**2
    true = rng.normal(mean, np.sqrt(variance / losses.n), size=(n_paths, 1))
    steps = rng.normal(true * rows_per_batch, np.sqrt(variance * rows_per_batch), size=(n_paths, horizon))
    squares = losses.n * (variance + mean**2) + rows_per_batch * (variance + true**2) * np.arange(1, horizon + 1)
    return _summary(log_e_sums(losses.n * mean + steps.cumsum(axis=1), squares), threshold)


def forecast_batches(
    x: Floats, *, null_gain: float, threshold: float, rng: np.random.Generator, horizon: int = 26, n_paths: int = 1000
) -> Forecast | Undefined:
    """Continue the gains ``x`` above ``null_gain``, standardised, one a batch, for ``horizon`` more batches, as normal with their mean
    and spread.
    """
    if len(x) < 2:
        return Undefined("fewer than two batches to extrapolate from")
    spread = float(np.std(x, ddof=1))
    mean = rng.normal(x.mean(), spread / np.sqrt(len(x)), size=(n_paths, 1))
    future = rng.normal(mean, spread, size=(n_paths, horizon))
    free = scale_free(np.concatenate([np.broadcast_to(x, (n_paths, len(x))), future], axis=1))
    e = log_e_symmetric(free.cumsum(axis=1), (free**2).cumsum(axis=1)) if null_gain else log_e_cosh(free)
    return _summary(e[:, len(x) :], threshold)


def _summary(log_e: Floats, threshold: float) -> Forecast:
    """Paths x batches of log e-values: when how many of them have reached the threshold."""
    shares = np.maximum.accumulate(log_e >= threshold, axis=1).mean(axis=0)
    return Forecast(_first(shares, 0.5), _first(shares, 0.8), float(shares[-1]), log_e.shape[1])


def _first(shares: np.ndarray, level: float) -> int | None:
    """The first batch by which at least ``level`` of the paths have been decided."""
    at = np.flatnonzero(shares >= level)
    return int(at[0]) + 1 if len(at) else None
