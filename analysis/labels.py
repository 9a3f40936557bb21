"""Whether the labels that arrived can be trusted to compare two models."""

from __future__ import annotations

import numpy as np
from scipy import stats

from analysis.counts import PairedCounts, Undefined

__all__ = ["label_selection_p_value"]


def label_selection_p_value(counts: PairedCounts) -> float | Undefined:
    """Test whether rows flagged only by the champion and rows flagged only by the challenger get labels equally often.

    Two-sided Fisher exact test on (labelled, unlabelled) x (champion only, challenger only); above 10 000 rows the
    chi-square test without correction, which is then as good. Labels that follow the champion's decisions (only what
    it flagged is investigated) make every comparison of recalls wrong.
    """
    n, u = counts.labelled, counts.unlabelled
    labelled = (n[2] + n[6], n[1] + n[5])
    unlabelled = (u[2], u[1])
    if sum(unlabelled) == 0:
        return Undefined("every row on which the two disagree is labelled")
    table = np.array([labelled, unlabelled])
    if min(table.sum(axis=0)) == 0:
        return Undefined("only one of the two flags rows that the other does not")
    expected = stats.contingency.expected_freq(table)
    if table.sum() > 10_000 and expected.min() >= 10:
        return float(stats.chi2_contingency(table, correction=False).pvalue)
    return float(stats.fisher_exact(table).pvalue)
