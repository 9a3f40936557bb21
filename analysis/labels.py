"""Whether the labels that arrived can be trusted to compare two models."""

from __future__ import annotations

import numpy as np
from scipy import stats

from analysis.class_counts import ClassCounts
from analysis.counts import PairedCounts, Undefined
from analysis.freeman_halton import freeman_halton

__all__ = ["class_label_selection_p_value", "label_selection_p_value", "label_share_p_value"]


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


def label_share_p_value(counts: PairedCounts) -> float | Undefined:
    """Test whether rows get labels equally often in all four cells of (champion, challenger) decisions.

    Chi-square of (labelled, unlabelled) x cell without correction, 3 degrees of freedom, one less for each cell without
    rows; where an expected count is below 5, the exact test of the same table (``analysis.freeman_halton``). A small p
    alone does no harm: what both models flag may be labelled more often, which favours neither. It is
    ``label_selection_p_value`` that compares the two cells on which the models disagree.
    """
    n, u = counts.labelled, counts.unlabelled
    if not sum(u):
        return Undefined("every row is labelled")
    if not counts.n:
        return Undefined("no row is labelled")
    table = [(n[cell] + n[4 + cell], u[cell]) for cell in range(4) if n[cell] + n[4 + cell] + u[cell]]
    if len(table) < 2:
        return Undefined("all rows have the same pair of decisions")
    if stats.contingency.expected_freq(table).min() < 5:
        return freeman_halton(table)
    return float(stats.chi2_contingency(table, correction=False).pvalue)


def class_label_selection_p_value(counts: ClassCounts) -> float | Undefined:
    """Test whether, of two classes on which the models disagree, rows get labels equally often whichever model names which.

    For each pair of classes a chi-square of (labelled, unlabelled) x (champion a and challenger b, the other way
    round), without correction; their sum over the pairs whose expected counts are at least 5, one degree of freedom
    each. With two classes it is the test of ``label_selection_p_value``. Rates that differ between pairs of classes are no
    sign of selection: they favour neither model.
    """
    if not counts.unlabelled:
        return Undefined("every row is labelled")
    cells: dict[tuple[str, str], list[int]] = {}
    for (_, c, h), n in counts.labelled:
        cells.setdefault((c, h), [0, 0])[0] += n
    for (c, h), n in counts.unlabelled:
        cells.setdefault((c, h), [0, 0])[1] += n
    statistic, df = 0.0, 0
    for (c, h), rows in cells.items():
        table = np.array([rows, cells.get((h, c), [0, 0])])
        if c < h and min(table.sum(axis=0)) * min(table.sum(axis=1)) >= 5 * table.sum():
            statistic += float(stats.chi2_contingency(table, correction=False).statistic)
            df += 1
    if not df:
        return Undefined("too few rows without a label on which the two name each other's classes")
    return float(stats.chi2.sf(statistic, df))
