"""The e-process for precision (positive predictive value), whose rows depend on the decisions: each model flags its own."""

from __future__ import annotations

import functools

import numpy as np
import scipy

from analysis.any_look.mixture import check_bet
from analysis.tables.counts import PairedCounts
from analysis.tables.metrics import Floats

__all__ = ["log_e_precision", "log_e_precision_at_most"]

_KAPPAS = np.array([0.6, 0.8, 1.0, 1.25, 1.6])
_GRID = np.linspace(0.005, 0.995, 199)
_TAIL = np.geomspace(1e-9, 0.005, 60)[:-1]
_FINE_GRID = np.concatenate([_TAIL, _GRID, 1 - _TAIL[::-1]])  # the champion's precision may be close to 0 or 1
_NODES = 64
_SHARE = 0.9  # of the capital, spread over kappa and the bets; the rest tests the champion's precision


def log_e_precision(counts: PairedCounts, *, null_gain: float, prior: float = 3.0, refine: bool = True) -> float:
    """Log of the e-value against H0: precision of the challenger <= precision of the champion + ``null_gain``.

    With ``null_gain = -margin`` a large value shows non-inferiority. Let y be the label, c and h the decisions of champion
    and challenger, g = ``null_gain``, and pi the champion's precision. For a known pi both constraints of H0 are linear:
    E[h (y - pi - g)] <= 0 and E[c (y - pi)] = 0, so the payoff h (y - pi - g) - kappa c (y - pi) has a mean of at most 0
    for any kappa. Of the capital, .9 is spread over kappa and the bets u of the truncated Beta prior, and .1 tests pi
    itself by B(1 + TP, 1 + FP) / (pi^TP (1 - pi)^FP). For the true pi this is a supermartingale, and the result, the
    minimum over pi, is not above it. Raises ValueError for a gain outside (-1, 1), and for a prior below 1.

    Derived for this project and supported by simulation, not taken from a publication. With ``refine=False`` it is the
    minimum over a grid of pi, which is slightly higher.
    """
    check_bet(null_gain, prior)

    def objective(pi: Floats) -> Floats:
        return _log_e_at(pi, counts, null_gain, prior)

    grid = _FINE_GRID if refine else _GRID
    # a value is never below what the test of pi itself has of it, so most of the grid cannot hold the minimum
    near = np.flatnonzero(_log_e_of_pi(grid, counts) <= objective(_likely(grid, counts)).min())
    values = objective(grid[near])
    best, lowest = int(near[np.argmin(values)]), float(values.min())
    if not refine:
        return lowest
    bounds = (grid[max(best - 1, 0)], grid[min(best + 1, len(grid) - 1)])
    refined = scipy.optimize.minimize_scalar(
        lambda pi: float(objective(np.array([pi]))[0]), bounds=bounds, method="bounded", options={"xatol": 1e-12}
    )
    return min(lowest, float(refined.fun))


def log_e_precision_at_most(counts: PairedCounts, *, null_gain: float, prior: float = 3.0) -> float:
    """A value that ``log_e_precision`` does not exceed, in a tenth of its time: the minimum over a few precisions of the champion."""
    return float(_log_e_at(_likely(_GRID, counts), counts, null_gain, prior).min())


def _likely(grid: Floats, counts: PairedCounts) -> Floats:
    """The points of the grid that are nearest to the champion's observed precision, and up to two standard errors around it."""
    tp, fp = counts.champion.tp, counts.champion.fp
    p = (tp + 0.5) / (tp + fp + 1)
    around = p + np.linspace(-2, 2, 9) * np.sqrt(p * (1 - p) / (tp + fp + 1))
    nearest: Floats = grid[np.unique(np.searchsorted(grid, around).clip(0, len(grid) - 1))]
    return nearest


def _log_e_at(pi: Floats, counts: PairedCounts, gain: float, prior: float) -> Floats:
    """Log of the e-value for each precision of the champion in ``pi``; shape (len(pi),)."""
    n = np.array(counts.labelled, dtype=np.float64)
    y, c, h = (np.array([(cell >> bit) & 1 for cell in range(8)], dtype=np.float64) for bit in (2, 1, 0))
    new = h * (y - pi[:, None] - gain)
    old = c * (y - pi[:, None])
    payoff = new[:, None, :] - _KAPPAS[None, :, None] * old[:, None, :]  # pi x kappa x cell
    scale = -payoff.min(axis=-1)
    bets, weights = _bets(prior)
    capital = np.zeros((len(pi), len(_KAPPAS), len(bets)))
    for cell in np.flatnonzero(n * (c + h)):  # rows that neither flags have no payoff
        factor = 1 + bets * (payoff[:, :, cell] / scale)[:, :, None]
        capital += n[cell] * np.log(np.maximum(factor, 1e-300))
    mixture = scipy.special.logsumexp(capital + np.log(weights / len(_KAPPAS)), axis=(1, 2))
    return np.asarray(np.logaddexp(np.log(_SHARE) + mixture, _log_e_of_pi(pi, counts)), dtype=np.float64)


def _log_e_of_pi(pi: Floats, counts: PairedCounts) -> Floats:
    """Log of what the test of the champion's precision itself has made of its share of the capital; shape (len(pi),)."""
    tp, fp = counts.champion.tp, counts.champion.fp
    of_pi = scipy.special.betaln(1 + tp, 1 + fp) - tp * np.log(pi) - fp * np.log1p(-pi)
    return np.asarray(np.log(1 - _SHARE) + of_pi, dtype=np.float64)


@functools.cache
def _bets(prior: float) -> tuple[Floats, Floats]:
    """Bets u in (0, 1) and their weights. The mixture is discrete, so the error rate holds whatever the nodes are."""
    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    theta = scipy.special.betaincinv(prior, prior, 0.5 + (nodes + 1) / 4)
    return 2 * theta - 1, weights / 2
