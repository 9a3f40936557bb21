"""The mixture over bets in the e-processes of rows: an integral whose integrand spans hundreds of nats."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import scipy

from analysis.tables.metrics import Floats

__all__ = ["check_bet", "log_mixture", "log_mixtures"]

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(32)
_PANELS = 16
_DEPTH = 60.0  # the integrand is left out where it is this many nats below its mode: a relative error of exp(-60)


def check_bet(null_gain: float, prior: float) -> None:
    """Raise ValueError for a gain outside (-1, 1), and for a prior below 1, whose density is unbounded."""
    if not -1 < null_gain < 1:
        msg = f"the gain must lie between -1 and 1, not {null_gain}"
        raise ValueError(msg)
    if not prior >= 1:
        msg = f"the prior must be at least 1, not {prior}"
        raise ValueError(msg)


def log_mixture(factors: Sequence[tuple[float, float]], prior: float) -> float:
    """Log of the integral over u of prod (1 + slope u)^count, u = 2 theta - 1, theta ~ Beta(prior, prior) truncated to [1/2, 1].

    ``factors`` are pairs (count, slope) with slopes of at least -1. The log of the integrand is concave, so Gauss-Legendre
    panels cover only the range in which the integrand is within exp(-60) of its mode: the relative error is below 1e-8
    for counts up to 1e9.
    """
    f = _Integrand((*((float(n), slope) for n, slope in factors), (prior - 1, 1.0), (prior - 1, -1.0)))
    top = 1 - 1e-15
    mode = 0.0
    if f.derivative(0.0) > 0:
        mode = top if f.derivative(top) >= 0 else scipy.optimize.brentq(f.derivative, 0.0, top)
    floor = f.at(mode) - _DEPTH
    low = 0.0 if f.at(0.0) >= floor else scipy.optimize.brentq(lambda u: f.at(u) - floor, 0.0, mode)
    high = top if f.at(top) >= floor else scipy.optimize.brentq(lambda u: f.at(u) - floor, mode, top, xtol=1e-16)
    edges = np.linspace(low, high, _PANELS + 1)
    half = np.diff(edges)[:, None] / 2
    u = edges[:-1, None] + half * (_NODES + 1)
    return float(scipy.special.logsumexp(f(u), b=half * _WEIGHTS)) + _log_prior(prior)


def log_mixtures(sums: Sequence[Floats], log_growth: Callable[[Floats], Floats], prior: float) -> Floats:
    """Mixtures of arrays of sums, for simulation: logs of the integrals of exp(sum of sums_k * log_growth(u)_k) over the prior of u.

    The ``sums`` have one shape, which the result has too. ``log_growth`` maps the nodes u, shape (m,), of a fixed quadrature to shape
    (number of sums, m). The nodes lie in octaves towards u = 0, which matters most near a threshold.
    """
    u, log_weight = _octave_nodes(prior)
    exponent = np.stack(sums, axis=-1) @ log_growth(u) + log_weight
    peak = exponent.max(axis=-1, keepdims=True)
    return np.asarray(peak[..., 0] + np.log(np.exp(exponent - peak).sum(axis=-1)), dtype=np.float64)


def _octave_nodes(prior: float, octaves: int = 16, per_octave: int = 10) -> tuple[Floats, Floats]:
    """Nodes and log weights for the prior of u on [0, 1], in octaves towards 0."""
    nodes, weights = np.polynomial.legendre.leggauss(per_octave)
    edges = np.concatenate([[0.0], 0.5 ** np.arange(octaves, -1, -1)])
    half = np.diff(edges)[:, None] / 2
    u = (edges[:-1, None] + half * (nodes + 1)).ravel()
    density = (prior - 1) * np.log1p(-(u**2)) + _log_prior(prior)
    return u, np.log((half * weights).ravel()) + density


def _log_prior(prior: float) -> float:
    """Log of the constant c with density c (1 - u^2)^(prior - 1) of u on [0, 1]."""
    return -2 * (prior - 1) * math.log(2) - float(scipy.special.betaln(prior, prior))


@dataclass(frozen=True, slots=True)
class _Integrand:
    """The concave log-integrand: the sum of power * log(1 + slope * u)."""

    terms: tuple[tuple[float, float], ...]  # (power, slope)

    def __call__(self, u: Floats) -> Floats:
        total = np.zeros_like(u)
        for power, slope in self.terms:
            if power:
                total += power * np.log1p(slope * u)
        return total

    def at(self, u: float) -> float:
        return sum(power * math.log1p(slope * u) for power, slope in self.terms if power)

    def derivative(self, u: float) -> float:
        return sum(power * slope / (1 + slope * u) for power, slope in self.terms)
