"""How far a batch is while it is scored, and afterwards what each version cost and flagged; told, and kept nowhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from tasks.batches.predictions import Manifest

__all__ = ["EVERY", "Progress", "VersionCost", "cost_table"]

EVERY = 30.0
"""Seconds between two sentences on a batch: short ones have none."""


class Progress:
    """Says every so often how many rows of a batch have gone to its versions, and at what rate; ``clock`` gives seconds.

    How many there will be is not said: text files do not tell before they are read to their end.
    """

    def __init__(self, batch: str, say: Callable[[str], object], clock: Callable[[], float]) -> None:
        self._batch, self._say, self._clock = batch, say, clock
        self._began = self._said = clock()

    def __call__(self, rows: int, versions: Sequence[str]) -> None:
        """So many rows have gone to these versions, counted from the first."""
        now = self._clock()
        if now - self._said < EVERY:
            return
        self._said = now
        rate = rows / (now - self._began)
        self._say(f"batch {self._batch}: {rows:,} rows so far, {rate:,.0f} a second, by versions {', '.join(versions)}")


@dataclass(frozen=True, slots=True)
class VersionCost:
    """What a version did on one batch: the seconds in which it had rows to predict, and the rows that it flagged.

    Both are None where they are not known here: on the workers of a cluster, and ``flagged`` where nothing is flagged or not.
    """

    version: str
    seconds: float | None
    flagged: int | None


def cost_table(
    scored: Sequence[Manifest], costs: Mapping[str, Sequence[VersionCost]]
) -> list[dict[str, str | int | float]]:
    """A row for each version of these batches, by version: batches, rows, seconds, and the share of its rows that it flagged."""
    table: list[dict[str, str | int | float]] = []
    for version in sorted({s.version for m in scored for s in m.scored}, key=int):
        tried = [(m, s) for m in scored for s in m.scored if s.version == version]
        done = [m for m, s in tried if s.failure is None]
        of_version = [c for m in done for c in costs[m.batch] if c.version == version]
        rows = sum(m.rows for m in done)
        seconds, flagged = _total([c.seconds for c in of_version]), _total([c.flagged for c in of_version])
        table.append(
            {
                "version": f"{version} (champion)" if tried[-1][0].champion == version else version,
                "batches": len(done),
                "failed": len(tried) - len(done),
                "rows": rows,
                "seconds": "" if seconds is None else round(seconds, 1),
                "flagged": "" if flagged is None or not rows else f"{flagged / rows:.2%}",
            }
        )
    return table


def _total(values: Sequence[float | None]) -> float | None:
    """The sum; None if there is nothing to add up, or part of it is not known."""
    known = [v for v in values if v is not None]
    return sum(known) if known and len(known) == len(values) else None
