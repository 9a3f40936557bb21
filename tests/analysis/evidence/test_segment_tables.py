"""The tables of segments: whenever they are made, they are those of counting the rows of each segment one by one."""

from __future__ import annotations

from collections import Counter
from typing import Any

import polars as pl
from analysis_examples import PROPERTY, segment_tables
from hypothesis import given
from hypothesis import strategies as st

from analysis.evidence.segment_tables import SegmentTables, changed, total_by_segment
from analysis.kinds import BINARY
from analysis.one_look.missing_labels import worst_case
from analysis.tables.counts import PairedCounts

VALUE = st.sampled_from(["north", "south", "ö", None])
DECISION = st.sampled_from([0, 1, None])
ROWS = st.lists(st.tuples(VALUE, VALUE, DECISION, DECISION, DECISION, st.integers(1, 9)), max_size=25)
COLUMNS = {
    "segment.region": pl.String, "segment.shop": pl.String, "label": pl.Int8, "v1": pl.Int8, "v2": pl.Int8, "n": pl.Int64,
}  # fmt: skip

Rows = list[tuple[Any, ...]]


def frame(rows: Rows) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=COLUMNS, orient="row").with_columns(excluded=pl.lit(None, dtype=pl.String))


def one_by_one(rows: Rows) -> dict[tuple[str, str], PairedCounts]:
    """The same in plain Python."""
    cells: dict[tuple[str, str], Counter[tuple[Any, ...]]] = {}
    for region, shop, label, old, new, n in rows:
        if old is not None and new is not None:
            for column, value in (("region", region), ("shop", shop)):
                cells.setdefault((column, value or "(missing)"), Counter())[label, old, new] += n
    return {key: BINARY.table([(*cell, n) for cell, n in cells[key].items()]) for key in sorted(cells)}


@PROPERTY
@given(ROWS, ROWS)
def test_they_are_those_of_counting_one_by_one_in_each_batch_and_over_batches(first: Rows, second: Rows) -> None:
    parts = [segment_tables(frame(rows), "1", "2") for rows in (first, second)]
    for rows, part in zip((first, second), parts, strict=True):
        assert list(part.items()) == list(one_by_one(rows).items())
    total = total_by_segment(parts, BINARY)
    assert isinstance(total, SegmentTables)
    assert list(total.items()) == list(one_by_one([*first, *second]).items())
    assert total == total_by_segment([dict(p) for p in parts], BINARY)


@PROPERTY
@given(ROWS, ROWS)
def test_a_change_of_the_total_is_the_total_of_the_changes(first: Rows, second: Rows) -> None:
    parts = [segment_tables(frame(rows), "1", "2") for rows in (first, second)]
    expected = {key: worst_case(table) for key, table in one_by_one([*first, *second]).items()}
    assert total_by_segment([changed(p, worst_case) for p in parts], BINARY) == expected
    mixed = [changed(parts[0], worst_case), changed(dict(parts[1]), worst_case)]
    assert total_by_segment(mixed, BINARY) == expected
    assert changed(changed(parts[0], worst_case), PairedCounts.swap) == {
        key: worst_case(table).swap() for key, table in parts[0].items()
    }


def test_without_batches_or_segments_there_are_none() -> None:
    assert total_by_segment([], BINARY) == {}
    assert segment_tables(frame([]).drop("segment.region", "segment.shop"), "1", "2") == {}
    assert len(segment_tables(frame([]), "1", "2")) == 0
