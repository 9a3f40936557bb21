"""Seasons of hand-made tallies, looked at every Monday."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta

from analysis_examples import FIRST_DAY, batch_tally

from analysis.evidence import BatchTally
from analysis.policy import Policy
from analysis.seasons.season import Replay
from analysis.tables.counts import PairedCounts

VERSIONS = ["1", "2", "3"]
MATURITY = 10
GOOD = PairedCounts((1800, 10, 10, 30, 10, 20, 4, 150))


def day(n: int) -> date:
    return FIRST_DAY + timedelta(days=n)


def ahead(*better: str, rows: int = 10) -> Mapping[tuple[int | None, ...], int]:
    """A batch in which ``better`` find ``rows`` positives that the others miss, 100 that all find, and no false alarm."""
    return {
        (1, *(int(v in better) for v in VERSIONS)): rows,
        (1, 1, 1, 1): 100,
        (0, 0, 0, 0): 1000,
        (1, 0, 0, 0): 5,
    }


def season(*leads: tuple[str, ...]) -> list[BatchTally]:
    """One batch a week."""
    return [batch_tally(day(7 * i), ahead(*lead), VERSIONS) for i, lead in enumerate(leads)]


def replay(closed: list[BatchTally], policy: Policy = Policy()) -> Replay:  # noqa: B008
    """Looked at every Monday until all batches have been closed for a while."""
    return Replay(closed, [day(7 * i) for i in range(len(closed) + 4)], MATURITY, policy)
