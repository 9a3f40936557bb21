"""Whether rows without a label can be left out: e-processes against H0 that labels do not depend on the models' decisions.

Both compare, within each batch and given its margins, two kinds of rows: how many of each did the champion alone flag, and how many
did the challenger alone flag? Each batch may have rates of its own. Under H0 the count of one cell is hypergeometric, and under an odds
ratio it is Fisher's noncentral hypergeometric. The likelihood ratio, mixed over odds ratios and multiplied over batches, is an
e-process: it reaches 1/alpha with probability at most alpha over all looks (Ville 1939).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import scipy

from analysis.tables.class_counts import ClassCounts
from analysis.tables.counts import PairedCounts
from analysis.tables.metrics import Floats

__all__ = [
    "Split",
    "binary_audit",
    "binary_splits",
    "binary_withdrawn",
    "class_audit",
    "class_splits",
    "log_e_audit",
    "log_e_selection",
    "log_ratios",
]

Split = tuple[int, int, int, int]
"""Rows of one batch: the first kind flagged by the champion alone, and by the challenger alone, then the same of the second kind."""

_LOG_ODDS = np.array([0.03, 0.1, 0.2, 0.4, 0.7, 1.1, 1.6, 2.3, 3.2])
_WIDEST = 20_000  # values of a wider support are summed only within 12 standard deviations of the mode


def log_e_selection(splits: Mapping[str, Sequence[Split]]) -> float:
    """Log of the e-value against H0: in each class, labels are missing equally often whichever of the two models alone flagged the row.

    ``splits[class]`` has one split per batch: the rows without a label, then the rows labelled as this class. H0 allows that the labels
    of one class are missing more often than those of another: then the rows without a label are a mixture of the classes, and their
    ratio of flags lies between the ratios of the classes. So a direction is proven only if the odds ratio of every class lies on
    its side: its e-value is the smallest over the classes. The result is the mean over the two directions. A class without a
    labelled row proves nothing, because all missing labels could be of this class. H0 of a direction is that the odds ratio of one
    class, the same in all batches, is not on its side.
    """
    if not splits:
        return 0.0
    directions = [min(_log_e(s, sign) for s in splits.values()) for sign in (1, -1)]
    return float(scipy.special.logsumexp(directions) - math.log(2))


def log_e_audit(splits: Mapping[str, Sequence[Split]], withdrawn: Mapping[str, Sequence[Split]] | None = None) -> float:
    """Log of the e-value against H0: in each class, labels come late equally often whichever of the two models alone flagged the row.

    ``splits[class]`` has one split per batch: the rows whose label came, or was corrected to this class, after the batch had closed,
    then those that had it in time. ``withdrawn[class]``: the rows whose label was withdrawn after closing, then those that kept it; H0
    is that this happens equally often too. Each of the two e-values is the mean over classes and directions; their mean has the
    weights .9 and .1.
    """
    late = _mean(splits)
    return late if withdrawn is None else float(np.logaddexp(math.log(0.9) + late, math.log(0.1) + _mean(withdrawn)))


def _mean(splits: Mapping[str, Sequence[Split]]) -> float:
    """The log of the mean e-value over classes and directions."""
    log_es = [_log_e(s, sign) for s in splits.values() for sign in (1, -1)]
    return float(scipy.special.logsumexp(log_es) - math.log(len(log_es))) if log_es else 0.0


def binary_splits(batches: Iterable[PairedCounts]) -> dict[str, list[Split]]:
    """For each label, by batch: rows without a label against rows with this one, among those that exactly one model flagged."""
    splits: dict[str, list[Split]] = {"0": [], "1": []}
    for b in batches:
        n, u = b.labelled, b.unlabelled
        for label in (0, 1):
            splits[str(label)].append((u[2], u[1], n[4 * label + 2], n[4 * label + 1]))
    return splits


def binary_audit(batches: Iterable[tuple[PairedCounts, PairedCounts]]) -> dict[str, list[Split]]:
    """For each label, by batch: late labels against labels in time; a batch is the pair of its tables (at closing, settled).

    Late labels show in the counts only. The time of observation that comes with a label may be earlier than its arrival.
    """
    splits: dict[str, list[Split]] = {"0": [], "1": []}
    for closed, settled in batches:
        for label in (0, 1):
            c, h = 4 * label + 2, 4 * label + 1
            splits[str(label)].append(_late_and_in_time(*((b.labelled[c], b.labelled[h]) for b in (closed, settled))))
    return splits


def binary_withdrawn(batches: Iterable[tuple[PairedCounts, PairedCounts]]) -> dict[str, list[Split]]:
    """For each label, by batch: withdrawn labels against kept ones; a batch is the pair of its tables (at closing, settled).

    A label that is of the other class in the settled table was corrected, not withdrawn.
    """
    splits: dict[str, list[Split]] = {"0": [], "1": []}
    for closed, settled in batches:
        for label in (0, 1):
            gone, kept = [], []
            for decisions in (2, 1):
                mine, other = 4 * label + decisions, 4 * (1 - label) + decisions
                before, after = closed.labelled[mine], settled.labelled[mine]
                moved = max(0, settled.labelled[other] - closed.labelled[other])
                gone.append(max(0, before - after - moved))
                kept.append(min(before, after))
            splits[str(label)].append((*gone, *kept))  # type: ignore[arg-type]
    return splits


def _late_and_in_time(closed: tuple[int, int], settled: tuple[int, int]) -> Split:
    """The split of one class from its counts (champion alone, challenger alone): rows that got the label later, then rows that kept it."""
    c, h = (min(a, b) for a, b in zip(closed, settled, strict=True))
    return settled[0] - c, settled[1] - h, c, h


def class_splits(batches: Sequence[ClassCounts]) -> dict[tuple[str, str], dict[str, list[Split]]]:
    """``binary_splits`` for each pair of classes (a, b): one model names a and the other b; by every label that such rows have."""
    pairs = sorted({(min(c, h), max(c, h)) for b in batches for (c, h), _ in b.unlabelled if c != h})
    by_pair: dict[tuple[str, str], dict[str, list[Split]]] = {}
    for pair in pairs:
        names = sorted({y for b in batches for (y, c, h), _ in b.labelled if {c, h} == set(pair)})
        by_class: dict[str, list[Split]] = {name: [] for name in names}
        for b in batches:
            missing = dict(b.unlabelled)
            for name, splits in by_class.items():
                labelled = {(c, h): n for (y, c, h), n in b.labelled if y == name}
                one, other = pair, pair[::-1]
                splits.append(
                    (missing.get(one, 0), missing.get(other, 0), labelled.get(one, 0), labelled.get(other, 0))
                )
        by_pair[pair] = by_class
    return by_pair


def class_audit(batches: Sequence[tuple[ClassCounts, ClassCounts]]) -> dict[str, list[Split]]:
    """``binary_audit`` for each class, where the champion alone or the challenger alone is right."""
    names = sorted({y for pair in batches for b in pair for y in b.labels})
    by_class: dict[str, list[Split]] = {name: [] for name in names}
    for pair in batches:
        for name, splits in by_class.items():
            closed, settled = (b.outcomes_of(name) for b in pair)
            splits.append(_late_and_in_time((closed.losses, closed.wins), (settled.losses, settled.wins)))
    return by_class


def _log_e(splits: Sequence[Split], sign: int) -> float:
    total = sum((log_ratios(s, sign) for s in splits), np.zeros(len(_LOG_ODDS)))
    return float(scipy.special.logsumexp(total) - math.log(len(total)))


def log_ratios(split: Split, sign: int) -> Floats:
    """Log likelihood ratios of one batch, one per odds ratio of the mixture.

    H0 with ``sign`` 1: the champion flagged no larger share of the first kind than of the second; with -1 the challenger.
    """
    a, b, c, d = split
    if not min(a + b, c + d, a + c, b + d):
        return np.zeros(len(_LOG_ODDS))
    return np.asarray(sign * _LOG_ODDS * a - _log_mean_power(a + c, b + d, a + b, sign * _LOG_ODDS))


def _log_mean_power(mine: int, others: int, drawn: int, log_odds: Floats) -> Floats:
    """Log of the mean of exp(log_odds x); x is hypergeometric: the ``mine`` among ``drawn`` of the ``mine`` + ``others`` rows."""
    low, high = max(0, drawn - others), min(mine, drawn)
    if high - low <= _WIDEST:
        x = np.arange(low, high + 1, dtype=np.float64)
        terms = _log_ways(mine, others, drawn, x) + np.outer(log_odds, x)
        return np.asarray(
            scipy.special.logsumexp(terms, axis=1) - scipy.special.logsumexp(_log_ways(mine, others, drawn, x))
        )
    plain = _log_sum(mine, others, drawn, 0.0, low, high)
    return np.array([_log_sum(mine, others, drawn, float(t), low, high) - plain for t in log_odds])


def _log_sum(mine: int, others: int, drawn: int, tilt: float, low: int, high: int) -> float:
    """Log of the sum of ways(x) exp(tilt x), close to the mode of its terms, which are log-concave."""
    mode = _mode(mine, others, drawn, tilt)
    spread = math.sqrt(1 / sum(1 / max(v, 1.0) for v in (mode, mine - mode, drawn - mode, others - drawn + mode)))
    x = np.arange(
        max(low, math.floor(mode - 12 * spread)), min(high, math.ceil(mode + 12 * spread)) + 1, dtype=np.float64
    )
    return float(scipy.special.logsumexp(_log_ways(mine, others, drawn, x) + tilt * x))


def _mode(mine: int, others: int, drawn: int, tilt: float) -> float:
    """The mode of ways(x) exp(tilt x): the x with x (others - drawn + x) = exp(tilt) (mine - x) (drawn - x)."""
    odds = math.exp(tilt)
    a, b, c = 1 - odds, others - drawn + odds * (mine + drawn), -odds * mine * drawn
    if abs(a) < 1e-12:
        return -c / b
    return 2 * -c / (b + math.sqrt(b * b - 4 * a * c))


def _log_ways(mine: int, others: int, drawn: int, x: Floats) -> Floats:
    """Log of ways(x) = C(mine, x) C(others, drawn - x), up to a constant."""
    y = drawn - x
    cells = (x, mine - x, y, others - y)
    return np.asarray(-np.sum([scipy.special.gammaln(cell + 1) for cell in cells], axis=0))
