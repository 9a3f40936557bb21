"""What the tests of `analysis` share: published numbers, hand-made tallies and evidence, and strategies for counts."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import polars as pl
from hypothesis import settings
from hypothesis import strategies as st

from analysis.evidence import BatchTally, Contender, Evidence, PairedBatch
from analysis.evidence.pair_counts import PairCounts
from analysis.kinds import BINARY, Kind
from analysis.tables.counts import PairedCounts, PairedOutcomes

FIRST_DAY = date(2026, 1, 5)
HUGE = 10**9

PROPERTY = settings(max_examples=100, deadline=None, derandomize=True)
SLOW_PROPERTY = settings(max_examples=30, deadline=None, derandomize=True)

COUNT = st.one_of(st.integers(0, 20), st.integers(0, 3000), st.sampled_from([0, 0, 1, 10**5, HUGE]))
MODEST_COUNT = st.one_of(st.integers(0, 20), st.integers(0, 3000))
OUTCOMES = st.builds(PairedOutcomes, COUNT, COUNT, COUNT)
MODEST_OUTCOMES = st.builds(PairedOutcomes, MODEST_COUNT, MODEST_COUNT, MODEST_COUNT)
COUNTS = st.builds(PairedCounts, st.tuples(*[COUNT] * 8), st.tuples(*[COUNT] * 4))
MODEST_COUNTS = st.builds(PairedCounts, st.tuples(*[MODEST_COUNT] * 8), st.tuples(*[MODEST_COUNT] * 4))
PRIORS = st.sampled_from([1.0, 3.0, 10.0, 200.0])


def oracle(name: str) -> Any:
    """The content of one file of oracle numbers."""
    return json.loads((Path(__file__).parents[1] / "oracles" / f"{name}.json").read_text(encoding="utf-8"))


def pair_exclusions(frame: pl.DataFrame, champion: str, challenger: str) -> dict[str, int]:
    """The rows of one tally that do not count for the pair, by reason."""
    return PairCounts([frame]).exclusions(champion, challenger, [0])


def segment_tables(
    frame: pl.DataFrame, champion: str, challenger: str, kind: Kind = BINARY
) -> Mapping[tuple[str, str], Any]:
    """The table of the pair for each segment of one tally."""
    return PairCounts([frame]).segments(champion, challenger, kind, [0])[0]


def contender(
    version: str, *, digest: str | None = None, threshold: float = 0.5, trained_through: date | None = None
) -> Contender:
    own = f"digest-{version}" if threshold == 0.5 else f"digest-{version}-at-{threshold}"
    return Contender(version, digest or own, threshold, trained_through)


def evidence(
    *batches: PairedCounts, challenger: str = "2", digest: str | None = None, segment: str | None = None
) -> Evidence:
    """Evidence of version 1 against ``challenger``, one batch a week."""
    paired = tuple(
        PairedBatch(
            f"b{i:02}",
            FIRST_DAY + timedelta(weeks=i),
            counts,
            {("region", segment): counts} if segment else {},
        )
        for i, counts in enumerate(batches)
    )
    return Evidence(contender("1"), contender(challenger, digest=digest), paired)


def tally_frame(
    cells: Mapping[tuple[int | None, ...], int], versions: Sequence[str] = ("1", "2"), region: str = "north"
) -> pl.DataFrame:
    """The tally with ``cells[label, decision of each version...]`` rows in one region."""
    rows = [
        {"excluded": None, "segment.region": region, "label": label}
        | {f"v{v}": d for v, d in zip(versions, decisions, strict=True)}
        | {"n": n}
        for (label, *decisions), n in cells.items()
    ]
    schema = {"excluded": pl.String, "segment.region": pl.String, "label": pl.Int8}
    return pl.DataFrame(rows, schema=schema | {f"v{v}": pl.Int8 for v in versions} | {"n": pl.Int64})


def add_tallies(tallies: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """The tally of the union of disjoint sets of rows."""
    rows = pl.concat(tallies, how="vertical")
    keys = [c for c in rows.columns if c != "n"]
    return rows.group_by(keys).agg(pl.col("n").sum()).sort(keys, nulls_last=True)


def batch_tally(
    day: date,
    cells: Mapping[tuple[int | None, ...], int],
    versions: Sequence[str] = ("1", "2"),
    scored: Mapping[str, Contender] | None = None,
) -> BatchTally:
    """One closed batch, named by its date."""
    contenders = {v: contender(v) for v in versions} if scored is None else scored
    return BatchTally(day.isoformat(), day, tally_frame(cells, versions), contenders)
