"""Whether the labels that arrived can be trusted to compare two models."""

from __future__ import annotations

import scipy

from analysis.one_look.segments import exact_p_value
from analysis.tables.counts import PairedCounts, Undefined

__all__ = ["label_share_p_value"]


def label_share_p_value(counts: PairedCounts) -> float | Undefined:
    """Test whether rows get labels equally often in all four cells of (champion, challenger) decisions.

    Chi-square of (labelled, unlabelled) x cell without correction, 3 degrees of freedom, one less for each cell without
    rows; where an expected count is below 5, the exact test of the same table (``analysis.one_look.segments.exact_p_value``). A small p
    alone does no harm: what both models flag may be labelled more often, which favours neither. It is
    ``analysis.any_look.label_selection`` that compares the two cells on which the models disagree.
    """
    n, u = counts.labelled, counts.unlabelled
    if not sum(u):
        return Undefined("every row is labelled")
    if not counts.n:
        return Undefined("no row is labelled")
    table = [(n[cell] + n[4 + cell], u[cell]) for cell in range(4) if n[cell] + n[4 + cell] + u[cell]]
    if len(table) < 2:
        return Undefined("all rows have the same pair of decisions")
    if scipy.stats.contingency.expected_freq(table).min() < 5:
        return exact_p_value(table)
    return float(scipy.stats.chi2_contingency(table, correction=False).pvalue)
