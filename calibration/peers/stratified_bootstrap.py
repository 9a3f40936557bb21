"""The bootstrap of a sample whose strata have sizes fixed by design."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from analysis.one_look.bootstrap import Bootstrap, Resampling, percentile_interval, summary
from analysis.tables.counts import PairedCounts, Undefined
from analysis.tables.metrics import Floats, paired_metric

__all__ = ["stratified_bootstrap"]


def stratified_bootstrap(
    strata: Sequence[PairedCounts],
    metrics: Collection[str],
    *,
    rng: np.random.Generator,
    confidence_level: float,
    n_resamples: int = 10_000,
    method: Resampling = "dirichlet",
) -> dict[str, Bootstrap | Undefined]:
    """``analysis.one_look.bootstrap.bootstrap``, where the rows of every stratum were fixed: each is drawn by itself, the draws are summed.

    n_s rows of stratum s are Multinomial(n_s, N_s / n_s), or n_s times shares from Dirichlet(N_s + 1/2), which adds four rows' worth
    of smoothing to every stratum: with many small strata take ``multinomial``. The variance is that of a stratified sample,
    without what the strata's sizes would vary by (Davison and Hinkley 1997, section 3.2). Percentile intervals only: the
    others' corrections are for one sample.
    """
    filled = [counts for counts in strata if counts.n]
    if not filled:
        return {name: Undefined("no labelled row") for name in metrics}
    total = np.zeros((n_resamples, 8))
    for counts in filled:
        draws = _draws(counts, rng, n_resamples, method)
        total += draws * (counts.n / draws.sum(axis=1, keepdims=True))
    found: dict[str, Bootstrap | Undefined] = {}
    for name in metrics:
        champion, challenger = paired_metric(name, total)
        values = challenger - champion
        found[name] = summary(values, percentile_interval(values, confidence_level), method)
    return found


def _draws(counts: PairedCounts, rng: np.random.Generator, n_resamples: int, method: Resampling) -> Floats:
    """Tables of one stratum, up to a factor."""
    cells = np.array(counts.labelled, dtype=np.float64)
    if method == "dirichlet":
        return rng.standard_gamma(cells + 0.5, size=(n_resamples, 8))
    return rng.multinomial(counts.n, cells / counts.n, size=n_resamples).astype(np.float64)
