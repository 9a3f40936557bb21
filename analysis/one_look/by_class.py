"""What a comparison over several classes shows beside its verdict: every class by itself, and how predictions moved."""

from __future__ import annotations

from dataclasses import dataclass

from analysis.one_look.class_metrics import ClassRecall, recall_by_class
from analysis.one_look.marginals import TableTest, stuart_maxwell
from analysis.tables.class_counts import ClassCounts
from analysis.tables.counts import PairedOutcomes, Undefined

__all__ = ["ByClass", "by_class", "marginal_tests"]


@dataclass(frozen=True, slots=True)
class ByClass:
    """Recall of one class under both models, at one look: McNemar's mid-p in either direction, adjusted by Holm over the classes."""

    pairs: PairedOutcomes
    champion: float
    challenger: float
    p_better: float
    p_worse: float


def by_class(counts: ClassCounts) -> dict[str, ByClass | Undefined]:
    """Every class that occurs; Undefined where it is only ever predicted."""
    better, worse = recall_by_class(counts), recall_by_class(counts.swap())
    results: dict[str, ByClass | Undefined] = {}
    for name, up in better.items():
        down = worse[name]
        if isinstance(up, ClassRecall) and isinstance(down, ClassRecall):
            adjusted = up.adjusted_p_value, down.adjusted_p_value
            results[name] = ByClass(up.pairs, up.champion, up.challenger, *adjusted)
        else:
            results[name] = Undefined(f"no labelled row of class {name}")
    return results


def marginal_tests(counts: ClassCounts) -> dict[str, TableTest | Undefined]:
    """Whether the two name the classes alike, over all rows, labelled or not: how predictions moved, not which are better."""
    return {"stuart_maxwell": stuart_maxwell(counts.predictions())}
