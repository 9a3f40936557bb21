"""What the section of a report on which rows count names; its words are in ``templates/rows.md.j2``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from analysis.policy import Policy
from analysis.verdict.judge import Assessment
from tasks.reports.limits import MOST_REASONS_LEFT_OUT

__all__ = ["CountedRows", "counted_rows"]


@dataclass(frozen=True, slots=True)
class _Rows:
    """The rows of a challenger against the champion; ``left_out`` for each reason that is shown, and for all ``other`` ones."""

    version: str
    counted: int
    positives: int
    left_out: list[int]
    other: int

    @property
    def all(self) -> int:
        return self.counted + sum(self.left_out) + self.other


@dataclass(frozen=True, slots=True)
class CountedRows:
    """The rows of several challengers, by the ``reasons`` that leave out most; ``other_reasons`` is the number of the others."""

    reasons: list[str]
    other_reasons: int
    challengers: list[_Rows]


def counted_rows(assessments: Sequence[Assessment], policy: Policy) -> CountedRows:
    """The rows of these challengers, and why others do not count."""
    total = Counter[str]()
    for a in assessments:
        total.update(a.evidence.excluded)
    reasons = sorted(sorted(total, key=lambda reason: (-total[reason], reason))[:MOST_REASONS_LEFT_OUT])
    return CountedRows(reasons, len(total) - len(reasons), [_rows(a, reasons, policy) for a in assessments])


def _rows(a: Assessment, reasons: Sequence[str], policy: Policy) -> _Rows:
    counts, excluded = a.evidence.counts, a.evidence.excluded
    left_out = [excluded.get(reason, 0) for reason in reasons]
    positives = counts.positives if policy.kind.decides else 0
    return _Rows(a.evidence.challenger.version, counts.n, positives, left_out, sum(excluded.values()) - sum(left_out))
