"""Watching the champion itself: all models of a project can decay together, and no comparison of two of them tells."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np

from analysis.any_look.decay import FIRST_BATCHES, Share, alarm, lower_level
from analysis.evidence import BatchTally
from analysis.evidence.pair_counts import PairCounts
from analysis.policy import Policy
from analysis.tables.counts import Undefined

__all__ = ["FALSE_ALARMS", "TOO_FEW", "Watched", "watch"]

FALSE_ALARMS = 0.05
"""The probability of an alarm in a year in which nothing falls, over all measures of a champion."""

TOO_FEW = Undefined(f"fewer than {FIRST_BATCHES + 1} closed batches of its reign have labels for it")
"""There is no floor, and what the champion had at first is not known yet."""


@dataclass(frozen=True, slots=True)
class Watched:
    """One measure of the champion against the level that it must not fall below.

    ``first`` is its value over the first batches of the reign, ``then`` over those from ``since`` on, where a fall is clearest, up to the
    alarm, or else to the newest. ``level`` is the policy's floor, or else what it had at least at first. Log E reaches ``threshold`` in a
    year in which nothing falls with probability exp(-threshold) at most; ``alarmed`` is the day of the batch with which it did, None if
    it has not in the current year.
    """

    measure: str
    level: float
    is_floor: bool
    first: float
    then: float
    since: date
    log_e: float
    threshold: float
    alarmed: date | None


def watch(version: str, reign: Sequence[BatchTally], policy: Policy) -> list[Watched] | Undefined:
    """What the closed batches of a reign, by date, say about its champion ``version``: measures with a floor, and the primary one.

    What has no floor is watched once ``FIRST_BATCHES`` have said what it was at first. Undefined, with the reason, if there is nothing to
    watch.
    """
    measures = [m for m in dict.fromkeys([*policy.floor, policy.primary]) if policy.measure(m).is_share]
    if not measures:
        return Undefined(f"{policy.primary} is no share of rows, and policy.floor names none")
    if policy.sampling or policy.unlabelled != "refuse":
        return Undefined("labels depend on the decisions of the models")
    tables = PairCounts([t.frame for t in reign]).tables(version, version, policy.kind, range(len(reign)))
    days = np.array([t.date for t in reign], dtype="datetime64[D]")
    threshold = -math.log(FALSE_ALARMS / len(measures))
    found = []
    for measure in measures:
        sums = np.array([_sums(measure, tables[i], policy) for i in range(len(reign))], dtype=np.float64).reshape(-1, 2)
        given = sums[:, 1] > 0
        watched = _watched(measure, Share(sums[given, 0], sums[given, 1], days[given]), policy, threshold)
        if watched:
            found.append(watched)
    return found or TOO_FEW


def _sums(measure: str, table: Any, policy: Policy) -> tuple[float, float]:
    """The sum of numbers from 0 to 1 whose mean grows with how good the champion of the table is, and how many they are."""
    if measure == "accuracy":
        return table.n - table.errors[0], table.n
    c = table.champion
    if measure == "cost":
        least, most = _costs(policy)
        assert policy.costs is not None
        matrix = policy.costs.matrix
        total = c.tp * matrix.tp + c.fp * matrix.fp + c.fn * matrix.fn + c.tn * matrix.tn
        return (most * table.n - total) / (most - least), table.n
    good, bad = {"recall": (c.tp, c.fn), "specificity": (c.tn, c.fp), "precision": (c.tp, c.fp), "npv": (c.tn, c.fn)}[
        measure
    ]
    return good, good + bad


def _costs(policy: Policy) -> tuple[float, float]:
    """The least and the greatest cost of a row."""
    assert policy.costs is not None
    m = policy.costs.matrix
    return min(m.tp, m.fp, m.fn, m.tn), max(m.tp, m.fp, m.fn, m.tn)


def _in_units(measure: str, share: float, policy: Policy) -> float:
    """The share in the units of the measure."""
    if measure != "cost":
        return share
    least, most = _costs(policy)
    return most - share * (most - least)


def _as_share(measure: str, value: float, policy: Policy) -> float:
    """The inverse of ``_in_units``."""
    if measure != "cost":
        return value
    least, most = _costs(policy)
    return min(max((most - value) / (most - least), 0.0), 1.0)


def _watched(measure: str, share: Share, policy: Policy, threshold: float) -> Watched | None:
    floor, first = policy.floor.get(measure), share.of(slice(FIRST_BATCHES))
    level = lower_level(first) if floor is None else _as_share(measure, floor, policy)
    found = alarm(share, level, begins=FIRST_BATCHES if floor is None else 0, threshold=threshold)
    if found is None:
        return None

    last = len(share.n) - 1 if found.reached is None else found.reached

    def on(position: int) -> date:
        day = share.days[position].item()
        assert isinstance(day, date)
        return day

    return Watched(
        measure,
        _in_units(measure, level, policy),
        floor is not None,
        _in_units(measure, first.mean, policy),
        _in_units(measure, share.of(slice(found.since, last + 1)).mean, policy),
        on(found.since),
        found.log_e,
        threshold,
        None if found.reached is None else on(found.reached),
    )
