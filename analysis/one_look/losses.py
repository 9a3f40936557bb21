"""Losses of two models on the same rows, as sums that add over batches without losing digits."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy
from numpy.typing import ArrayLike

from analysis.one_look.mcnemar import Alternative
from analysis.tables.counts import Undefined
from analysis.tables.intervals import Interval
from analysis.tables.measure import Measure
from analysis.tables.metrics import Difference, Floats

__all__ = [
    "REGRESSION_LOSSES",
    "PairedLosses",
    "PairedT",
    "RegressionLoss",
    "loss_difference",
    "paired_losses",
    "paired_t",
    "regression_losses",
]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RegressionLoss(Measure):
    """The loss of a predicted number; ``loss`` takes absolute errors of any shape and is not falling in them."""

    loss: Callable[[Any], Any]

    def bound(self, largest_error: float | None) -> float | None:
        return None if largest_error is None else float(self.loss(largest_error))


REGRESSION_LOSSES: dict[str, RegressionLoss] = {
    m.name: m
    for m in (
        RegressionLoss(
            name="squared_error", family="numbers", lower_is_better=True, largest_difference=math.inf,
            loss=lambda error: error**2,
        ),
        RegressionLoss(
            name="absolute_error", family="numbers", lower_is_better=True, largest_difference=math.inf,
            loss=lambda error: error,
        ),
    )
}  # fmt: skip
"""By name, in units of the label or of its square: to add a loss is to add an entry here, and a test."""


@dataclass(frozen=True, slots=True)
class PairedLosses:
    """Sums over rows of the losses of both models and of d = loss of the champion - loss of the challenger.

    ``champion`` and ``challenger`` are sums of losses. ``gain`` is the mean of d, above 0 where the challenger is
    better, and ``deviation`` the sum of (d - gain)^2: kept in this form, no digits cancel however large the losses.
    ``largest`` is the largest abs(d), ``differing`` the rows whose d is not 0. All are 0 for no row. Sums of disjoint
    sets of rows add. Raises ValueError for what is not finite, or negative where it cannot be.
    """

    n: int = 0
    champion: float = 0.0
    challenger: float = 0.0
    gain: float = 0.0
    deviation: float = 0.0
    largest: float = 0.0
    differing: int = 0

    def __post_init__(self) -> None:
        finite = all(map(math.isfinite, (self.champion, self.challenger, self.gain, self.deviation, self.largest)))
        if not finite or min(self.n, self.deviation, self.largest, self.differing) < 0:
            msg = f"sums of losses must be finite, and their squares and counts not negative: {self}"
            raise ValueError(msg)

    def __add__(self, other: PairedLosses) -> PairedLosses:
        """Both sets of rows (the update of Chan, Golub and LeVeque 1983, American Statistician 37:242)."""
        n = self.n + other.n
        share = other.n / n if n else 0.0
        gap = other.gain - self.gain
        return PairedLosses(
            n,
            self.champion + other.champion,
            self.challenger + other.challenger,
            self.gain + gap * share,
            self.deviation + other.deviation + gap * gap * self.n * share,
            max(self.largest, other.largest),
            self.differing + other.differing,
        )

    def swap(self) -> PairedLosses:
        """The same rows with the roles of the two models exchanged."""
        return PairedLosses(
            self.n, self.challenger, self.champion, -self.gain, self.deviation, self.largest, self.differing
        )


@dataclass(frozen=True, slots=True)
class PairedT:
    """Student's t test of the mean of d, with its interval: above 0 where the challenger's loss is lower."""

    gain: float
    standard_error: float
    statistic: float
    degrees_of_freedom: int
    alternative: Alternative
    p_value: float
    interval: Interval


def regression_losses(labels: ArrayLike, predictions: ArrayLike, *, loss: str, clip: float | None = None) -> Floats:
    """The loss of every row, to be paired by ``paired_losses``.

    ``clip``, declared before the data are seen, is the most that a row may cost, in units of the loss; what is
    estimated and tested is then the clipped loss. It tames heavy tails, and no d exceeds it. Raises ValueError for
    values that are not finite, shapes that differ, or a clip that is not above 0.
    """
    y, predicted = np.asarray(labels, dtype=np.float64), np.asarray(predictions, dtype=np.float64)
    if y.shape != predicted.shape or not (np.isfinite(y).all() and np.isfinite(predicted).all()):
        msg = f"need one finite label and prediction a row; their shapes are {y.shape} and {predicted.shape}"
        raise ValueError(msg)
    if clip is not None and not 0 < clip < math.inf:
        msg = f"a clip must be a number above 0, not {clip}"
        raise ValueError(msg)
    with np.errstate(over="ignore"):  # a loss beyond all numbers is clipped, or refused by paired_losses
        each: Floats = REGRESSION_LOSSES[loss].loss(np.abs(predicted - y))
    return each if clip is None else np.minimum(each, clip)


def paired_losses(champion: ArrayLike, challenger: ArrayLike) -> PairedLosses:
    """Sum up the losses of both models, one a row each. Raises ValueError unless they are finite and pair up."""
    old, new = np.asarray(champion, dtype=np.float64), np.asarray(challenger, dtype=np.float64)
    if old.ndim != 1 or old.shape != new.shape or not (np.isfinite(old).all() and np.isfinite(new).all()):
        msg = f"need one finite loss a row under each model; their shapes are {old.shape} and {new.shape}"
        raise ValueError(msg)
    if not len(old):
        return PairedLosses()
    with np.errstate(over="ignore", invalid="ignore"):  # what overflows is refused by PairedLosses
        d = old - new
        rest = d - d[0]  # around one of them: equal differences have exactly that mean and no deviation
        return PairedLosses(
            n=len(d),
            champion=float(old.sum()),
            challenger=float(new.sum()),
            gain=float(d[0] + rest.mean()),
            deviation=float(np.sum((rest - rest.mean()) ** 2)),
            largest=float(np.abs(d).max()),
            differing=int(np.count_nonzero(d)),
        )


def loss_difference(losses: PairedLosses) -> Difference | Undefined:
    """Mean loss of each model and challenger minus champion, below 0 where the challenger is better, with its standard error.

    The standard error is sqrt(sum (d - mean)^2 / (n - 1) / n); 0 where d varies by no more than rounding. The roots of
    two mean squared errors are RMSEs; what is tested is their squares.
    """
    if losses.n < 2:
        return Undefined("fewer than two rows with a loss under both models")
    n = losses.n
    # 0.0 - x and not -x: no difference is 0, not -0
    return Difference(losses.champion / n, losses.challenger / n, 0.0 - losses.gain, _standard_error(losses))


def _standard_error(losses: PairedLosses) -> float:
    spread = math.sqrt(losses.deviation / losses.n)
    if spread <= np.finfo(np.float64).eps * losses.largest:
        return 0.0
    return spread / math.sqrt(losses.n - 1)


def paired_t(
    losses: PairedLosses, *, confidence_level: float, alternative: Alternative = "greater"
) -> PairedT | Undefined:
    """Test, at one look, that the challenger's mean loss is no lower than the champion's (Student 1908).

    t = mean of d / its standard error on n - 1 degrees of freedom; exact for normal d, else for many rows. The interval
    is two-sided. Undefined with fewer than two rows, or where d is the same on all of them.
    """
    difference = loss_difference(losses)
    if isinstance(difference, Undefined):
        return difference
    error, df = difference.standard_error, losses.n - 1
    if error == 0:
        return Undefined("the losses differ by the same amount on every row, so there is no spread to judge it by")
    t = losses.gain / error
    p_value = float(scipy.stats.t.sf(t, df)) if alternative == "greater" else float(2 * scipy.stats.t.sf(abs(t), df))
    half = float(scipy.stats.t.isf((1 - confidence_level) / 2, df)) * error
    interval = Interval(losses.gain - half, losses.gain + half, confidence_level)
    return PairedT(losses.gain, error, t, df, alternative, p_value, interval)
