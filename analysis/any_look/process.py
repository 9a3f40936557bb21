"""Evidence processes, which keep their error rate under repeated looks: one class for each kind of measure, with one interface."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, Protocol

import numpy as np
import scipy

from analysis.any_look.asymptotic import log_e_asymptotic, rho_squared
from analysis.any_look.batch_unit import BatchGains, log_e_of_batches, scale_free
from analysis.any_look.bounded_losses import confidence_sequence_of_loss, log_e_loss
from analysis.any_look.cost import CostMatrix, confidence_sequence_of_cost, log_e_cost
from analysis.any_look.eprocess import confidence_sequence, log_e
from analysis.any_look.precision import log_e_precision, log_e_precision_at_most
from analysis.any_look.sampled import SampledCounts, confidence_sequence_sampled, log_e_sampled
from analysis.one_look.losses import PairedLosses
from analysis.tables.counts import PairedCounts, PairedOutcomes
from analysis.tables.intervals import Interval
from analysis.tables.metrics import Floats

__all__ = [
    "AsymptoticProcess", "BatchProcess", "CostProcess", "LossProcess", "Method", "OutcomeProcess", "PrecisionProcess",
    "Process", "SampledProcess", "WorstCaseProcess",
]  # fmt: skip

Method = Literal["rows", "entities", "precision", "cost", "losses", "asymptotic", "batches", "sampled"]


class Process(Protocol):
    """Evidence about the gain of a challenger over a champion in one measure; gains are in units of the measure."""

    @property
    def method(self) -> Method:
        """How the evidence is taken."""

    def log_e(self, null_gain: float) -> float:
        """Log of the e-value against H0: the gain is at most ``null_gain``."""

    def log_e_reverse(self, null_gain: float) -> float:
        """Log of the e-value against H0: the gain is at least ``null_gain``."""

    def interval(self, alpha: float) -> Interval:
        """The gains that are not rejected, at ``alpha`` on each side.

        The lower end is above g exactly if E against "gain <= g" is at least 1/alpha. With batches as units, E does not decrease in g
        everywhere, so that this holds only near the ends.
        """


@dataclass(frozen=True, slots=True)
class OutcomeProcess:
    """Wins and losses, of rows or of entities: exact (``analysis.any_look.eprocess``).

    ``maybe_ties`` are rows without a label on which the two models decide alike. It is not known whether they count for
    the metric; if they do, they are ties. They are counted only against a gain above 0, where ties weaken the evidence.
    """

    pairs: PairedOutcomes
    prior: float
    method: Method = "rows"
    maybe_ties: int = 0

    def log_e(self, null_gain: float) -> float:
        return log_e(self._at(null_gain), null_gain=null_gain, prior=self.prior)

    def log_e_reverse(self, null_gain: float) -> float:
        return log_e(self._at(-null_gain).swap(), null_gain=-null_gain, prior=self.prior)

    def interval(self, alpha: float) -> Interval:
        interval = confidence_sequence(self.pairs, alpha=alpha, prior=self.prior)
        if not self.maybe_ties or interval.low <= 0 <= interval.high:
            return interval
        tied = confidence_sequence(self._at(math.inf), alpha=alpha, prior=self.prior)
        return replace(interval, low=tied.low) if interval.low > 0 else replace(interval, high=tied.high)

    def _at(self, null_gain: float) -> PairedOutcomes:
        return replace(self.pairs, ties=self.pairs.ties + self.maybe_ties) if null_gain > 0 else self.pairs


@dataclass(frozen=True, slots=True)
class PrecisionProcess:
    """Precision of rows, or NPV, which is the precision of the flipped table (``analysis.any_look.precision``)."""

    counts: PairedCounts
    prior: float
    method: Method = "precision"

    def log_e(self, null_gain: float) -> float:
        return log_e_precision(self.counts, null_gain=null_gain, prior=self.prior)

    def at_most(self, null_gain: float) -> float:
        """A value that ``log_e`` does not exceed, at a fraction of its time."""
        return log_e_precision_at_most(self.counts, null_gain=null_gain, prior=self.prior)

    def log_e_reverse(self, null_gain: float) -> float:
        return log_e_precision(self.counts.swap(), null_gain=-null_gain, prior=self.prior)

    def interval(self, alpha: float) -> Interval:
        return Interval(
            _last_rejected(self.log_e, alpha), -_last_rejected(lambda g: self.log_e_reverse(-g), alpha), 1 - 2 * alpha
        )


@dataclass(frozen=True, slots=True)
class CostProcess:
    """Saved cost per row: exact, because costs are bounded (``analysis.any_look.cost``)."""

    counts: PairedCounts
    costs: CostMatrix
    prior: float
    method: Method = "cost"

    def log_e(self, null_gain: float) -> float:
        return log_e_cost(self.counts, self.costs, null_saving=null_gain, prior=self.prior)

    def log_e_reverse(self, null_gain: float) -> float:
        return log_e_cost(self.counts.swap(), self.costs, null_saving=-null_gain, prior=self.prior)

    def interval(self, alpha: float) -> Interval:
        return confidence_sequence_of_cost(self.counts, self.costs, alpha=alpha, prior=self.prior)


@dataclass(frozen=True, slots=True)
class LossProcess:
    """Losses of predicted numbers, clipped at ``bound``: exact (``analysis.any_look.bounded_losses``)."""

    losses: PairedLosses
    bound: float
    method: Method = "losses"

    def log_e(self, null_gain: float) -> float:
        return log_e_loss(self.losses, bound=self.bound, null_gain=null_gain)

    def log_e_reverse(self, null_gain: float) -> float:
        return log_e_loss(self.losses.swap(), bound=self.bound, null_gain=-null_gain)

    def interval(self, alpha: float) -> Interval:
        return confidence_sequence_of_loss(self.losses, bound=self.bound, alpha=alpha)


@dataclass(frozen=True, slots=True)
class SampledProcess:
    """Gains of rows that were chosen to be labelled with known probabilities: exact (``analysis.any_look.sampled``).

    ``payoffs`` are the gains per row of the eight cells, within [-``span``, ``span``]. ``heaviest`` are the largest weights: of rows on
    which the two models agree, and of rows on which they disagree.
    """

    counts: SampledCounts
    payoffs: tuple[float, ...]
    span: float
    heaviest: tuple[float, float]
    prior: float
    method: Method = "sampled"

    def log_e(self, null_gain: float) -> float:
        return self._log_e(1, null_gain)

    def log_e_reverse(self, null_gain: float) -> float:
        return self._log_e(-1, -null_gain)

    def _log_e(self, sign: int, null_gain: float) -> float:
        payoffs = sign * np.array(self.payoffs)
        return log_e_sampled(
            self.counts, payoffs, span=self.span, heaviest=self.heaviest, null_gain=null_gain, prior=self.prior
        )

    def interval(self, alpha: float) -> Interval:
        payoffs = np.array(self.payoffs)
        return confidence_sequence_sampled(
            self.counts, payoffs, span=self.span, heaviest=self.heaviest, alpha=alpha, prior=self.prior
        )


@dataclass(frozen=True, slots=True)
class AsymptoticProcess:
    """A gain with its standard error over ``n`` rows; the interval is tightest at ``n_opt`` rows (``analysis.any_look.asymptotic``)."""

    gain: float
    standard_error: float
    n: float
    n_opt: float
    alpha: float
    method: Method = "asymptotic"

    def log_e(self, null_gain: float) -> float:
        return float(self._log_e(self.gain - null_gain))

    def log_e_reverse(self, null_gain: float) -> float:
        return float(self._log_e(null_gain - self.gain))

    def _log_e(self, excess: float) -> Floats:
        rho2 = rho_squared(2 * self.alpha, self.n_opt)  # one-sided
        return log_e_asymptotic(excess / self.standard_error, self.n, rho2=rho2)

    def interval(self, alpha: float) -> Interval:
        target = -math.log(alpha)
        high = 1.0
        while self._log_e(high * self.standard_error) < target:
            high *= 2
        width = scipy.optimize.brentq(lambda z: float(self._log_e(z * self.standard_error)) - target, 0.0, high)
        half = width * self.standard_error
        return Interval(self.gain - half, self.gain + half, 1 - 2 * alpha)


@dataclass(frozen=True, slots=True)
class BatchProcess:
    """One gain per batch over its scale, symmetric around the null gain given the past (``analysis.any_look.batch_unit``)."""

    batches: BatchGains
    method: Method = "batches"

    def log_e(self, null_gain: float) -> float:
        return float(self._log_e(np.array([null_gain]), 1)[0])

    def log_e_reverse(self, null_gain: float) -> float:
        return float(self._log_e(np.array([null_gain]), -1)[0])

    def _log_e(self, nulls: Floats, sign: int) -> Floats:
        return log_e_of_batches(sign * self.batches.standardised(nulls), nulls)

    def interval(self, alpha: float) -> Interval:
        low, high = self._limit(alpha, 1), self._limit(alpha, -1)
        target = -math.log(alpha)  # ``log_e_of_batches`` is stronger against 0 than against a gain close to 0
        if low < 0 and self.log_e(0.0) >= target:
            low = 0.0
        if high > 0 and self.log_e_reverse(0.0) >= target:
            high = 0.0
        return Interval(low, high, 1 - 2 * alpha)

    def _limit(self, alpha: float, sign: int) -> float:
        """The rejected gain that is nearest to the mean of the batches; farther away E may fall below the threshold again.

        It is below the mean for ``sign`` 1 and above it for -1; infinite if no gain is rejected.
        """
        gains, scales = np.array(self.batches.gains), np.array(self.batches.scales)
        if not len(gains):
            return -math.inf * sign
        centre, target = float(np.sum(gains / scales) / np.sum(1 / scales)), -math.log(alpha)
        if (
            max(self.log_e(centre), self.log_e_reverse(centre)) >= target
        ):  # the mean itself is rejected: one batch is an outlier
            centre = float(scipy.optimize.brentq(self._balance, gains.min(), gains.max(), xtol=1e-12))
        unit = float(np.median(scales))
        far = max(4 * float(np.ptp(gains)) / unit, 1e3)
        steps = np.concatenate([[0.0], np.geomspace(1e-3, 1e3, 1200), np.geomspace(1e3, far, 200)[1:]]) * unit * sign
        rejected = np.flatnonzero(self._log_e(centre - steps, sign) >= target)
        if not len(rejected):
            return -math.inf * sign
        last = int(rejected[0])
        f = functools.partial(self._excess, sign=sign, target=target)
        return float(scipy.optimize.brentq(f, centre - steps[last], centre - steps[last - 1], xtol=1e-12))

    def _balance(self, null: float) -> float:
        """Sum of the standardised gains; there is no evidence in either direction where it is 0."""
        return float(scale_free(self.batches.standardised(np.array([null]))).sum())

    def _excess(self, null: float, *, sign: int, target: float) -> float:
        return float(self._log_e(np.array([null]), sign)[0]) - target


@dataclass(frozen=True, slots=True)
class WorstCaseProcess:
    """Evidence that holds whatever the missing labels are.

    Evidence for the challenger takes the labels that are worst for it, evidence against it those that are best for it.
    """

    worst: Process
    best: Process

    @property
    def method(self) -> Method:
        return self.worst.method

    def log_e(self, null_gain: float) -> float:
        return self.worst.log_e(null_gain)

    def log_e_reverse(self, null_gain: float) -> float:
        return self.best.log_e_reverse(null_gain)

    def interval(self, alpha: float) -> Interval:
        worst, best = self.worst.interval(alpha), self.best.interval(alpha)
        return Interval(worst.low, best.high, worst.confidence_level)


def _last_rejected(log_e_at: Callable[[float], float], alpha: float) -> float:
    """The largest gain in (-1, 1) whose e-value has reached 1/alpha, -1 if none has; E decreases in the gain."""
    target, edge = -math.log(alpha), 1 - 1e-6
    if log_e_at(-edge) < target:
        return -1.0
    if log_e_at(edge) >= target:
        return edge
    return float(scipy.optimize.brentq(lambda g: log_e_at(g) - target, -edge, edge, xtol=1e-12))
