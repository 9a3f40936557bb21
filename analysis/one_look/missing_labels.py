"""What the rows without a label could change: a correction under an assumption, and bounds without one."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from analysis.one_look.bootstrap import Bootstrap, percentile_interval, summary
from analysis.tables.counts import PairedCounts, Undefined
from analysis.tables.metrics import Difference, Floats, paired_metric

__all__ = ["begg_greenes", "corrected_difference", "worst_case"]


def begg_greenes(
    counts: PairedCounts,
    metrics: Collection[str],
    *,
    rng: np.random.Generator,
    confidence_level: float,
    n_resamples: int = 10_000,
) -> dict[str, Bootstrap | Undefined]:
    """Bootstrap the differences as if all rows were labelled, if a row's label is missing at random given both decisions.

    Begg and Greenes 1983 (Biometrics 39:207), paired: of all rows with decisions (c, h) the share with label y is
    taken to be that among the labelled ones, N*_ych = n_ych / (n_0ch + n_1ch) * N_ch; ``corrected_difference`` is the
    estimate. The bootstrap is a multinomial one of the twelve cells, labelled and not. Undefined where rows with some
    pair of decisions have no label at all, or the metric does not exist in more than 1 % of the resamples.
    """
    cells = np.array([*counts.labelled, *counts.unlabelled], dtype=np.float64)
    total = int(cells.sum())
    if counts.n == 0:
        return {name: Undefined("no labelled row") for name in metrics}
    whole = _complete(cells[None, :])
    if not np.isfinite(whole).all():
        return {name: Undefined("rows with one pair of decisions have no label at all") for name in metrics}
    draws = _complete(rng.multinomial(total, cells / total, size=n_resamples).astype(np.float64))
    results: dict[str, Bootstrap | Undefined] = {}
    for name in metrics:
        old, new = paired_metric(name, whole)
        if not np.isfinite([old[0], new[0]]).all():
            results[name] = Undefined("the metric does not exist for these counts")
            continue
        champion, challenger = paired_metric(name, draws)
        values = challenger - champion
        results[name] = summary(values, percentile_interval(values, confidence_level), "multinomial")
    return results


def corrected_difference(counts: PairedCounts, name: str) -> Difference | Undefined:
    """The difference of ``begg_greenes`` with its delta-method standard error over the twelve cells.

    SE^2 = sum_j N_j (d theta / d N_j)^2, the derivatives by central differences: theta is smooth in the cells.
    """
    cells = np.array([*counts.labelled, *counts.unlabelled], dtype=np.float64)
    used = np.flatnonzero(cells)
    step = np.zeros((len(used), 12))
    step[np.arange(len(used)), used] = cells[used] * 1e-5
    points = _complete(np.concatenate([cells[None, :], cells + step, cells - step]))
    if counts.n == 0 or not np.isfinite(points).all():
        return Undefined("rows with one pair of decisions have no label at all" if counts.n else "no labelled row")
    old, new = paired_metric(name, points)
    if not np.isfinite([old[0], new[0]]).all():
        return Undefined("the metric does not exist for these counts")
    theta = new - old
    slopes = (theta[1 : 1 + len(used)] - theta[1 + len(used) :]) / (2e-5 * cells[used])
    return Difference(float(old[0]), float(new[0]), float(theta[0]), float(np.sqrt(np.sum(cells[used] * slopes**2))))


def worst_case(counts: PairedCounts) -> PairedCounts:
    """Every unlabelled row on which the two disagree counted for the champion: as if it had been right on each.

    No labels make wins minus losses of recall, specificity or accuracy smaller. Unlabelled rows on which the two agree
    stay unlabelled: they are ties, or of no account, and change no sign, but how large a gain is. The best case is
    ``worst_case(counts.swap()).swap()``.
    """
    n, u = list(counts.labelled), counts.unlabelled
    n[6] += u[2]  # flagged by the champion alone: positive
    n[1] += u[1]  # flagged by the challenger alone: negative
    return PairedCounts(tuple(n), (u[0], 0, 0, u[3]))  # type: ignore[arg-type]


def _complete(cells: Floats) -> Floats:
    """Twelve cells to eight, the unlabelled shared out; not-a-number where a pair of decisions has rows but no label."""
    negatives, positives, unlabelled = cells[:, 0:4], cells[:, 4:8], cells[:, 8:12]
    labelled = negatives + positives
    with np.errstate(divide="ignore", invalid="ignore"):
        factor = np.where(labelled > 0, 1 + unlabelled / labelled, np.where(unlabelled > 0, np.nan, 1.0))
    return np.concatenate([negatives * factor, positives * factor], axis=1)
