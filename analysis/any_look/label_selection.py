"""Whether rows without a label can be left out: e-processes that say when labels follow the decisions of the models.

Both compare, within each batch and given its margins, how two kinds of rows are spread over the rows that the champion alone
flagged and those that the challenger alone flagged; batches may have any rates of their own. Under H0 the count of one cell is
hypergeometric, under an odds ratio Fisher's noncentral hypergeometric, and the likelihood ratio, mixed over odds ratios and
multiplied over batches, is an e-process: it exceeds 1/alpha with probability at most alpha over all looks (Ville 1939).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from scipy import special

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
"""Of one batch: rows of the first kind flagged by the champion alone and by the challenger alone, then those of the second kind."""

_LOG_ODDS = np.array([0.03, 0.1, 0.2, 0.4, 0.7, 1.1, 1.6, 2.3, 3.2])
_WIDEST = (
    20_000  # cells of a support that are summed one by one; beyond it those within 12 standard deviations of the mode
)


def log_e_selection(splits: Mapping[str, Sequence[Split]]) -> float:
    """Log of the e-value against H0: among rows of each class, those that either model alone flagged lack a label equally often.

    ``splits`` has for each class, batch by batch, the rows without a label and the rows labelled as of that class. Labels that come
    late or never for one class more than for the other, whatever the models say, are no violation: then the rows without a label
    are a mixture of the labelled ones of the classes, and their ratio lies between those of the classes. So each direction needs
    the odds ratio of every class to lie on its side: the least e-value over the classes, and the mean over the two directions. A class
    without a labelled row could be all that is missing, and proves nothing. The class that stays within its side has to be the same one
    in all batches.
    """
    if not splits:
        return 0.0
    directions = [min(_log_e(s, sign) for s in splits.values()) for sign in (1, -1)]
    return float(special.logsumexp(directions) - math.log(2))


def log_e_audit(splits: Mapping[str, Sequence[Split]], withdrawn: Mapping[str, Sequence[Split]] | None = None) -> float:
    """Log of the e-value against H0: of each class, rows that either model alone flagged get their label late equally often.

    ``withdrawn`` has for each class the rows whose label was withdrawn after closing and those that kept it: as often, too. It has a
    tenth of the stake.
    ``splits`` has for each class, batch by batch, the rows whose label came, or was corrected to this class, after the batch had closed
    and those whose label was right in time. The mean over classes and directions.
    """
    late = _mean(splits)
    return late if withdrawn is None else float(np.logaddexp(math.log(0.9) + late, math.log(0.1) + _mean(withdrawn)))


def _mean(splits: Mapping[str, Sequence[Split]]) -> float:
    """The log of the mean e-value over classes and directions."""
    each = [_log_e(s, sign) for s in splits.values() for sign in (1, -1)]
    return float(special.logsumexp(each) - math.log(len(each))) if each else 0.0


def binary_splits(batches: Iterable[PairedCounts]) -> dict[str, list[Split]]:
    """Rows without a label against rows of each label, where one model alone flagged."""
    found: dict[str, list[Split]] = {"0": [], "1": []}
    for b in batches:
        n, u = b.labelled, b.unlabelled
        for label in (0, 1):
            found[str(label)].append((u[2], u[1], n[4 * label + 2], n[4 * label + 1]))
    return found


def binary_audit(batches: Iterable[tuple[PairedCounts, PairedCounts]]) -> dict[str, list[Split]]:
    """Labels of each class that came late against those in time, of pairs (when the batch closed, settled).

    Both are told by counts alone: what a label says of when it was observed need not be when it came.
    """
    found: dict[str, list[Split]] = {"0": [], "1": []}
    for closed, settled in batches:
        for label in (0, 1):
            c, h = 4 * label + 2, 4 * label + 1
            found[str(label)].append(_late_and_in_time(*((b.labelled[c], b.labelled[h]) for b in (closed, settled))))
    return found


def binary_withdrawn(batches: Iterable[tuple[PairedCounts, PairedCounts]]) -> dict[str, list[Split]]:
    """Labels of each class that were withdrawn after closing against those that stayed, of pairs (when the batch closed, settled).

    A label that is of the other class since was corrected, not withdrawn.
    """
    found: dict[str, list[Split]] = {"0": [], "1": []}
    for closed, settled in batches:
        for label in (0, 1):
            gone, kept = [], []
            for decisions in (2, 1):
                mine, other = 4 * label + decisions, 4 * (1 - label) + decisions
                before, after = closed.labelled[mine], settled.labelled[mine]
                moved = max(0, settled.labelled[other] - closed.labelled[other])
                gone.append(max(0, before - after - moved))
                kept.append(min(before, after))
            found[str(label)].append((*gone, *kept))  # type: ignore[arg-type]
    return found


def _late_and_in_time(closed: tuple[int, int], settled: tuple[int, int]) -> Split:
    """Rows of one class, (champion alone, challenger alone): those that are of it since, then those that were of it all along."""
    c, h = (min(a, b) for a, b in zip(closed, settled, strict=True))
    return settled[0] - c, settled[1] - h, c, h


def class_splits(batches: Sequence[ClassCounts]) -> dict[tuple[str, str], dict[str, list[Split]]]:
    """For each pair of classes that the models name the other way round: as ``binary_splits``, of every class that such rows have."""
    pairs = sorted({(min(c, h), max(c, h)) for b in batches for (c, h), _ in b.unlabelled if c != h})
    found: dict[tuple[str, str], dict[str, list[Split]]] = {}
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
        found[pair] = by_class
    return found


def class_audit(batches: Sequence[tuple[ClassCounts, ClassCounts]]) -> dict[str, list[Split]]:
    """Labels of each class that came late against those in time, where the champion alone and the challenger alone is right."""
    names = sorted({y for pair in batches for b in pair for y in b.labels})
    found: dict[str, list[Split]] = {name: [] for name in names}
    for pair in batches:
        for name, splits in found.items():
            closed, settled = (b.outcomes_of(name) for b in pair)
            splits.append(_late_and_in_time((closed.losses, closed.wins), (settled.losses, settled.wins)))
    return found


def _log_e(splits: Sequence[Split], sign: int) -> float:
    total = sum((log_ratios(s, sign) for s in splits), np.zeros(len(_LOG_ODDS)))
    return float(special.logsumexp(total) - math.log(len(total)))


def log_ratios(split: Split, sign: int) -> Floats:
    """What one batch says for each odds ratio of the mixture, as logs of likelihood ratios.

    Against: the first kind is not more often the champion's (``sign`` 1), or the challenger's (-1), than the second kind is.
    """
    a, b, c, d = split
    if not min(a + b, c + d, a + c, b + d):
        return np.zeros(len(_LOG_ODDS))
    return np.asarray(sign * _LOG_ODDS * a - _log_mean_power(a + c, b + d, a + b, sign * _LOG_ODDS))


def _log_mean_power(mine: int, others: int, drawn: int, log_odds: Floats) -> Floats:
    """Log of the mean of exp(log_odds x), x hypergeometric: ``drawn`` rows of which ``mine`` + ``others`` there are."""
    low, high = max(0, drawn - others), min(mine, drawn)
    if high - low <= _WIDEST:
        x = np.arange(low, high + 1, dtype=np.float64)
        terms = _log_ways(mine, others, drawn, x) + np.outer(log_odds, x)
        return np.asarray(special.logsumexp(terms, axis=1) - special.logsumexp(_log_ways(mine, others, drawn, x)))
    plain = _log_sum(mine, others, drawn, 0.0, low, high)
    return np.array([_log_sum(mine, others, drawn, float(t), low, high) - plain for t in log_odds])


def _log_sum(mine: int, others: int, drawn: int, tilt: float, low: int, high: int) -> float:
    """Log of the sum of ways(x) exp(tilt x), around its mode: the terms are log-concave."""
    mode = _mode(mine, others, drawn, tilt)
    spread = math.sqrt(1 / sum(1 / max(v, 1.0) for v in (mode, mine - mode, drawn - mode, others - drawn + mode)))
    x = np.arange(
        max(low, math.floor(mode - 12 * spread)), min(high, math.ceil(mode + 12 * spread)) + 1, dtype=np.float64
    )
    return float(special.logsumexp(_log_ways(mine, others, drawn, x) + tilt * x))


def _mode(mine: int, others: int, drawn: int, tilt: float) -> float:
    """x with x (others - drawn + x) = exp(tilt) (mine - x) (drawn - x)."""
    odds = math.exp(tilt)
    a, b, c = 1 - odds, others - drawn + odds * (mine + drawn), -odds * mine * drawn
    if abs(a) < 1e-12:
        return -c / b
    return 2 * -c / (b + math.sqrt(b * b - 4 * a * c))


def _log_ways(mine: int, others: int, drawn: int, x: Floats) -> Floats:
    """Log of C(mine, x) C(others, drawn - x), up to what does not depend on x."""
    y = drawn - x
    cells = (x, mine - x, y, others - y)
    return np.asarray(-np.sum([special.gammaln(cell + 1) for cell in cells], axis=0))
