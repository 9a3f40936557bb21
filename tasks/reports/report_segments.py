"""What the section of a report on segments names; its words are in ``templates/segments.md.j2``.

A project can have thousands of segments: those with most rows are shown, and the others summed up.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from analysis.one_look.segments import Reversal, Segment, exact_homogeneity_p_value
from analysis.tables.counts import Undefined
from analysis.verdict.guardrails import SegmentGuardrail
from analysis.verdict.judge import Assessment
from tasks.reports.limits import MOST_SEGMENTS

__all__ = ["Segments", "chosen_segments", "segments_of"]


@dataclass(frozen=True, slots=True)
class _EqualShare:
    """A test of equal win shares in all values of ``column``; ``why_exact``: why it is the exact one, else empty."""

    column: str
    p_value: float | Undefined
    why_exact: str


@dataclass(frozen=True, slots=True)
class _Others:
    """Segments that are not shown, with their rows; in ``better`` the interval lies above 0, in ``worse`` below it."""

    count: int
    rows: int
    better: int
    worse: int


@dataclass(frozen=True, slots=True)
class _OtherGuardrails:
    """Segment guardrails that are not shown, by their status; none of these is nearer to being broken than one that is shown."""

    count: int
    held: int
    open: int
    broken: int


@dataclass(frozen=True, slots=True)
class Segments:
    """The segments of one challenger; ``others`` and ``other_guardrails`` are None if all are shown."""

    segments: list[Segment]
    others: _Others | None
    win_share_is_equal: list[_EqualShare]
    reversals: tuple[Reversal, ...]
    guardrails: list[SegmentGuardrail]
    other_guardrails: _OtherGuardrails | None


def chosen_segments(assessments: Sequence[Assessment]) -> list[tuple[str, str]]:
    """The segments that a report shows, (column, value) in this order: those with most rows over all challengers."""
    rows = Counter[tuple[str, str]]()
    for a in assessments:
        rows.update({(s.column, s.value): s.pairs.n for s in a.measured.segments})
    return sorted(sorted(rows, key=lambda segment: (-rows[segment], segment))[:MOST_SEGMENTS])


def segments_of(a: Assessment, chosen: Collection[tuple[str, str]]) -> Segments | None:
    """The segments of one challenger, of which the ``chosen`` ones are shown; None without any."""
    m = a.measured
    if not m.segments:
        return None
    shown = [s for s in m.segments if (s.column, s.value) in chosen]
    left = [s for s in m.segments if (s.column, s.value) not in chosen]
    better, worse = sum(s.interval.low > 0 for s in left), sum(s.interval.high < 0 for s in left)
    others = _Others(len(left), sum(s.pairs.n for s in left), better, worse) if left else None
    equal = [_equal_share(m.segments, column, p) for column, p in m.homogeneity_p_value.items()]
    guardrails = sorted(m.segment_guardrails, key=lambda g: (g.p_value_reverse, -g.p_value))
    in_order = [g for g in m.segment_guardrails if g in guardrails[:MOST_SEGMENTS]]
    return Segments(shown, others, equal, m.reversals, in_order, _other_guardrails(guardrails[MOST_SEGMENTS:]))


def _other_guardrails(left: Sequence[SegmentGuardrail]) -> _OtherGuardrails | None:
    statuses = Counter(g.status for g in left)
    return _OtherGuardrails(len(left), statuses["held"], statuses["open"], statuses["broken"]) if left else None


def _equal_share(segments: Sequence[Segment], column: str, p: float | Undefined) -> _EqualShare:
    """The chi-square's p, or where disagreements are too few for it, that of the exact test."""
    if isinstance(p, Undefined):
        exact = exact_homogeneity_p_value(segments, column)
        return _EqualShare(column, p, "") if isinstance(exact, Undefined) else _EqualShare(column, exact, p.reason)
    return _EqualShare(column, p, "")
