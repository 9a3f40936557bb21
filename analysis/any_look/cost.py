"""Expected cost of decisions, in the user's own money."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import scipy

from analysis.any_look.eprocess import DEFAULT_PRIOR
from analysis.any_look.mixture import log_mixture
from analysis.tables.counts import PairedCounts, Undefined
from analysis.tables.intervals import Interval
from analysis.tables.measure import Measure
from analysis.tables.metrics import Difference, Floats

__all__ = ["COST", "CostMatrix", "confidence_sequence_of_cost", "expected_cost", "log_e_cost"]

COST = Measure(
    name="cost",
    family="cost",
    process="cost",
    lower_is_better=True,
    largest_difference=math.inf,
    mixes_classes=True,
)


@dataclass(frozen=True, slots=True)
class CostMatrix:
    """The cost of a row by label and decision; a negative cost is a gain.

    Raises ValueError for a cost that is not finite, and for costs that do not depend on the decision.
    """

    tp: float = 0.0
    fp: float = 1.0
    fn: float = 1.0
    tn: float = 0.0

    def __post_init__(self) -> None:
        costs = (self.tp, self.fp, self.fn, self.tn)
        if not all(math.isfinite(c) for c in costs) or not 0 < self.span < math.inf:
            msg = f"costs must be finite numbers that depend on the decision: {self}"
            raise ValueError(msg)

    def of(self, label: int, decision: int) -> float:
        if label:
            return self.tp if decision else self.fn
        return self.fp if decision else self.tn

    @property
    def span(self) -> float:
        """The most that two decisions on one row can differ by."""
        return max(abs(self.tp - self.fn), abs(self.fp - self.tn))

    def by_cell(self) -> tuple[Floats, Floats]:
        """Cost per row under the champion and under the challenger, shape (8,) each: by cell 4 label + 2 champion + challenger."""
        champion = np.array([self.of(j >> 2, (j >> 1) & 1) for j in range(8)])
        return champion, np.array([self.of(j >> 2, j & 1) for j in range(8)])

    def saved(self) -> Floats:
        """What the challenger saves per row of each of these cells, shape (8,)."""
        champion, challenger = self.by_cell()
        return champion - challenger


def expected_cost(counts: PairedCounts, costs: CostMatrix) -> Difference | Undefined:
    """Mean cost per row under each model; the difference, challenger minus champion, is below 0 if the challenger is cheaper.

    The standard error is that of the mean saved cost of a row. Undefined without a labelled row.
    """
    n = counts.n
    if n == 0:
        return Undefined("no labelled row")
    cells = np.array(counts.labelled, dtype=np.float64)
    saved = costs.saved()
    champion = float(sum(k * costs.of(j >> 2, (j >> 1) & 1) for j, k in enumerate(counts.labelled))) / n
    mean = float(np.sum(cells * saved)) / n
    variance = float(np.sum(cells * (saved - mean) ** 2)) / n
    return Difference(champion, champion - mean, -mean, math.sqrt(variance / n))


def log_e_cost(
    counts: PairedCounts, costs: CostMatrix, *, null_saving: float = 0.0, prior: float = DEFAULT_PRIOR
) -> float:
    """Log of the e-value against H0: the challenger saves at most ``null_saving`` per row on average, in units of cost.

    x, the saved cost of a row over ``span``, lies in [-1, 1]. With m = null_saving / span, a row multiplies the capital
    by 1 + u (x - m) / (1 + m), mixed over the bets u = 2 theta - 1 of the truncated Beta(prior, prior). For costs 0 and 1
    and labels of one class this is ``analysis.any_look.eprocess``. Raises ValueError for a saving that is not within ``span``.
    """
    m = null_saving / costs.span
    if not -1 < m < 1:
        msg = f"the saving must lie between -{costs.span:g} and {costs.span:g} per row, not {null_saving:g}"
        raise ValueError(msg)
    slopes = (costs.saved() / costs.span - m) / (1 + m)
    return log_mixture(list(zip(counts.labelled, slopes.tolist(), strict=True)), prior)


def confidence_sequence_of_cost(
    counts: PairedCounts, costs: CostMatrix, *, alpha: float, prior: float = DEFAULT_PRIOR
) -> Interval:
    """The savings per row that the e-process does not reject, at ``alpha`` on each side; valid at all looks simultaneously."""
    low = _lower(counts, costs, alpha, prior)
    return Interval(low, -_lower(counts.swap(), costs, alpha, prior), 1 - 2 * alpha)


def _lower(counts: PairedCounts, costs: CostMatrix, alpha: float, prior: float) -> float:
    edge = costs.span * (1 - 1e-9)
    target = -math.log(alpha)

    def excess(saving: float) -> float:
        return log_e_cost(counts, costs, null_saving=saving, prior=prior) - target

    if excess(-edge) < 0:
        return -costs.span
    mean = float(np.sum(np.array(counts.labelled) * costs.saved())) / counts.n
    return float(scipy.optimize.brentq(excess, -edge, min(max(mean, -edge), edge), xtol=1e-12 * costs.span))
