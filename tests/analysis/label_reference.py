"""Which label a row has, said once more in plain Python, a row at a time: what joins of millions of rows have to agree with."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import date, datetime
from typing import Any, NamedTuple

from analysis.evidence import row_labels
from analysis.kinds import KINDS, LARGEST_NUMBER, Task

__all__ = ["Delivered", "Outcome", "outcomes"]

USABLE = {
    "binary": lambda label: label in (0, 1),
    "multiclass": lambda label: label != "",
    "regression": lambda label: abs(label) <= LARGEST_NUMBER,
}


class Delivered(NamedTuple):
    """A label as it is delivered; NaN, or an empty text for a class, stands for what is none, such as the word ``raw``."""

    id: Any
    label: Any
    seen: datetime | None
    raw: str | None = None


class Outcome(NamedTuple):
    label: Any
    excluded: str | None


def outcomes(
    ids: Sequence[Any],
    labels: Sequence[Delivered],
    *,
    task: Task = "binary",
    begins: date = date.min,
    deadline: date = date.max,
    absent_is_negative: bool = False,
    recurring: Collection[Any] = (),
) -> list[Outcome]:
    """The label of each row, and why it has none, with the example."""
    found = [_found(i, ids, labels, task, begins, deadline, absent_is_negative, recurring) for i in ids]
    first: dict[str, str] = {}
    for _, reason, example in found:
        if reason and example is not None:
            first[reason] = min(example, first.get(reason, example))
    return [Outcome(label, f"{r}, such as {first[r][:40]}" if r in first else r) for label, r, _ in found]


def _found(
    i: Any,
    ids: Sequence[Any],
    labels: Sequence[Delivered],
    task: Task,
    begins: date,
    deadline: date,
    absent_is_negative: bool,
    recurring: Collection[Any],
) -> tuple[Any, str | None, str | None]:
    own = [d for d in labels if d.id == i]
    in_time = [d for d in own if d.seen and begins <= d.seen.date() <= deadline]
    newest = max((d.seen for d in in_time if d.seen), default=None)
    last = [d for d in in_time if d.seen == newest and d.label is not None]
    if ids.count(i) > 1:
        return None, row_labels.DUPLICATE_ID, None
    if len({str(d.label) for d in last}) > 1:
        return None, row_labels.CONFLICTING_LABELS, None
    if i in recurring:
        return None, row_labels.ID_RECURS, None
    if last and USABLE[task](last[0].label):
        return last[0].label, None, None
    if last:
        return None, KINDS[task].unusable, min((d.raw for d in last if d.raw is not None), default=None)
    return _without_label(own, in_time, begins, deadline, absent_is_negative)


def _without_label(
    own: list[Delivered], in_time: list[Delivered], begins: date, deadline: date, absent_is_negative: bool
) -> tuple[Any, str | None, str | None]:
    there = [d for d in own if d.label is not None]
    late = [d.seen for d in there if d.seen and d.seen.date() > deadline]
    if any(d in in_time for d in there):
        return None, row_labels.LABEL_WITHDRAWN, None
    if any(d.seen and d.seen.date() < begins for d in there):
        return None, row_labels.BEFORE_ITS_BATCH, None
    if in_time:
        return None, None, None
    if any(d.seen is None for d in there):
        return None, row_labels.LABEL_UNDATED, None
    if absent_is_negative:
        return 0, None, None
    return None, row_labels.AFTER_CLOSING if late else None, str(min(late).date()) if late else None
