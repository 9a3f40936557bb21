"""Tallies of classes and of numbers: what counts, what does not and why, and that they add as those of 0 and 1 do."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest
from analysis_examples import PROPERTY, add_tallies, pair_exclusions, segment_tables
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from analysis.evidence.pair_counts import pair_table
from analysis.evidence.row_labels import (
    CONFLICTING_LABELS,
    DUPLICATE_ID,
    LABEL_NOT_A_CLASS,
    LABEL_NOT_A_NUMBER,
)
from analysis.evidence.tally import (
    NOT_SCORED_BY_BOTH,
    UNLABELLED,
    tally,
)
from analysis.kinds import KINDS, LARGEST_NUMBER, MULTICLASS, REGRESSION, Task
from analysis.tables.class_counts import ClassCounts
from analysis.tables.class_names import class_names, is_class_type
from analysis.tables.counts import PairedCounts, PairedOutcomes
from analysis.tables.number_counts import NumberCounts

START = datetime(2026, 1, 5, tzinfo=UTC)
Row = tuple[str, str | None, Any, Any]
TYPES: dict[Task, tuple[Any, Any]] = {"multiclass": (pl.String, pl.String), "regression": (pl.Float64, pl.Int8)}


def counted(rows: list[Row], labels: list[tuple[str, Any, int]], task: Task = "multiclass") -> pl.DataFrame:
    """The tally of (id, region, decision of version 1, of version 2) and (id, label, day on which it was observed)."""
    label, decision = TYPES[task]
    frame = pl.DataFrame(
        rows, schema={"id": pl.String, "segment.region": pl.String, "v1": decision, "v2": decision}, orient="row"
    )
    seen = pl.DataFrame(
        [(i, y, START + timedelta(days=day)) for i, y, day in labels],
        schema={"id": pl.String, "label": label, "observed_at": pl.Datetime("us", "UTC")},
        orient="row",
    )
    return tally(frame, seen, task=task)


def test_classes_stand_in_a_tally_by_their_names() -> None:
    rows: list[Row] = [("a", "north", "cat", "dog"), ("b", "north", "cat", "dog"), ("c", None, "cat", "dog")]
    frame = counted(rows, [("a", "dog", 0), ("b", "dog", 0), ("c", "cat", 0)])
    assert frame.columns == ["excluded", "segment.region", "label", "v1", "v2", "n"]
    assert sorted(frame.drop("excluded").rows(), key=str) == [
        ("north", "dog", "cat", "dog", 2),
        (None, "cat", "cat", "dog", 1),
    ]


def test_a_row_counts_by_who_is_right_and_by_the_classes_named() -> None:
    each: list[tuple[str | None, str, str]] = [
        ("cat", "cat", "cat"), ("cat", "dog", "cat"), ("cat", "cat", "dog"), ("cat", "dog", "dog"), ("cat", "dog", "ant"),
        (None, "cat", "dog"),
    ]  # fmt: skip
    frame = counted(
        [(str(i), "x", c, h) for i, (_, c, h) in enumerate(each)], [(str(i), y, 0) for i, (y, *_) in enumerate(each)]
    )
    recorded = pair_table(frame, "1", "2", MULTICLASS).as_recorded()
    assert recorded == PairedCounts((0, 0, 0, 0, 2, 1, 1, 1), (1, 0, 0, 0))
    assert pair_table(frame, "2", "1", MULTICLASS).as_recorded() == recorded.swap()
    expected = ClassCounts.of([(key, 1) for key in each[:-1]], [(("cat", "dog"), 1)])  # type: ignore[misc]
    assert pair_table(frame, "1", "2", MULTICLASS) == expected
    assert pair_table(frame, "2", "1", MULTICLASS) == expected.swap()
    assert pair_table(frame, "1", "9", MULTICLASS) == ClassCounts()


@pytest.mark.parametrize(
    ("task", "good", "rows", "labels", "reason"),
    [
        ("multiclass", "cat", [("a", "x", "cat", "dog")] * 2, [("a", "cat", 0)], DUPLICATE_ID),
        ("multiclass", "cat", [("a", "x", "cat", "dog")], [("a", "cat", 3), ("a", "dog", 3)], CONFLICTING_LABELS),
        ("multiclass", "cat", [("a", "x", "cat", "dog")], [("a", "", 0)], LABEL_NOT_A_CLASS),
        ("multiclass", "cat", [("a", "x", "cat", "dog")], [("a", None, 0)], UNLABELLED),
        ("multiclass", "cat", [("a", "x", None, "dog")], [("a", "cat", 0)], NOT_SCORED_BY_BOTH),
        ("regression", 7.5, [("a", "x", 1, 1)] * 2, [("a", 1.5, 0)], DUPLICATE_ID),
        ("regression", 7.5, [("a", "x", 1, 1)], [("a", 1.5, 3), ("a", 1.6, 3)], CONFLICTING_LABELS),
        ("regression", 7.5, [("a", "x", 1, 1)], [("a", float("nan"), 0)], LABEL_NOT_A_NUMBER),
        ("regression", 7.5, [("a", "x", 1, 1)], [("a", float("inf"), 0)], LABEL_NOT_A_NUMBER),
        ("regression", 7.5, [("a", "x", 1, 1)], [("a", -1.1 * LARGEST_NUMBER, 0)], LABEL_NOT_A_NUMBER),
        ("regression", 7.5, [("a", "x", 1, 1)], [("a", 1.1e60, 0)], LABEL_NOT_A_NUMBER),
        ("regression", 7.5, [("a", "x", 1, 1)], [("a", None, 0)], UNLABELLED),
        ("regression", 7.5, [("a", "x", 1, None)], [("a", 1.5, 0)], NOT_SCORED_BY_BOTH),
    ],
)
def test_every_reason_to_leave_a_row_out(
    task: Task, good: Any, rows: list[Row], labels: list[tuple[str, Any, int]], reason: str
) -> None:
    """The row is left out for its one reason, and a good row beside it counts."""
    decision = "cat" if task == "multiclass" else 1
    frame = counted([*rows, ("good", "x", decision, decision)], [*labels, ("good", good, 0)], task)
    assert pair_exclusions(frame, "1", "2") == {reason: len(rows)}
    assert pair_table(frame, "1", "2", KINDS[task]).as_recorded().labelled == (0, 0, 0, 0, 0, 0, 0, 1)
    assert frame["n"].sum() == len(rows) + 1


def test_the_last_observed_class_counts() -> None:
    frame = counted([("a", "x", "cat", "dog")], [("a", "cat", 0), ("a", "dog", 5), ("a", "ant", 2)])
    assert pair_table(frame, "1", "2", MULTICLASS).outcomes() == PairedOutcomes(1, 0, 0)


def test_numbers_are_counted_as_rows_with_and_without_a_label() -> None:
    rows: list[Row] = [("a", "north", 1, 1), ("b", "north", 1, 1), ("c", None, 1, 1), ("d", None, None, 1)]
    frame = counted(rows, [("a", 0.0, 0), ("b", -3.5, 0), ("d", 2.0, 0)], "regression")
    assert (frame.schema["label"], frame.schema["v1"]) == (pl.Int8, pl.Int8)
    assert pair_table(frame, "1", "2", REGRESSION) == NumberCounts(2, 1)
    assert segment_tables(frame, "1", "2", REGRESSION)["region", "north"].n == 2
    assert frame.filter(pl.col("label").is_not_null() & (pl.col("segment.region") == "north"))["n"].to_list() == [2]


IDS = st.integers(0, 25).map(str)
NAME = st.sampled_from(["ant", "bee", "cat"])
ROWS = st.lists(
    st.tuples(IDS, st.sampled_from(["north", None]), st.one_of(NAME, st.none()), st.one_of(NAME, st.none())),
    max_size=30,
    unique_by=lambda r: r[0],
)
LABELS = st.lists(st.tuples(IDS, st.one_of(NAME, st.just("")), st.integers(0, 2)), max_size=40)


@PROPERTY
@given(ROWS, LABELS, st.sets(IDS))
def test_tallies_of_classes_add_over_any_split_of_the_rows(
    rows: list[Row], labels: list[tuple[str, str, int]], first: set[str]
) -> None:
    whole = counted(rows, labels)
    parts = [counted([r for r in rows if (r[0] in first) == side], labels) for side in (True, False)]
    assert_frame_equal(add_tallies(parts[::-1]), whole)
    left, right = (pair_table(p, "1", "2", MULTICLASS) for p in parts)
    assert pair_table(whole, "1", "2", MULTICLASS) == left + right


@PROPERTY
@given(ROWS, LABELS)
def test_both_ways_to_count_classes_agree_and_every_row_is_in_one_place(
    rows: list[Row], labels: list[tuple[str, str, int]]
) -> None:
    frame = counted(rows, labels)
    classes = pair_table(frame, "1", "2", MULTICLASS)
    counts = classes.as_recorded()
    assert counts.outcomes("accuracy") == classes.outcomes()
    assert (counts.n, sum(counts.unlabelled)) == (classes.n, sum(n for _, n in classes.unlabelled))
    assert counts.n + sum(pair_exclusions(frame, "1", "2").values()) == len(rows)
    by_segment = Counter({key: c.n for key, c in segment_tables(frame, "1", "2", MULTICLASS).items()})
    assert sum(by_segment.values()) == counts.n


class TestNames:
    @pytest.mark.parametrize(
        ("values", "names"),
        [
            (pl.Series(["cat", "3.0", " ", "", None]), ["cat", "3.0", " ", None, None]),
            (pl.Series(["cat", "", None], dtype=pl.Categorical), ["cat", None, None]),
            (pl.Series(["b"], dtype=pl.Enum(["a", "b"])), ["b"]),
            (pl.Series([3, -1, None], dtype=pl.Int64), ["3", "-1", None]),
            (pl.Series([3], dtype=pl.UInt8), ["3"]),
            (pl.Series([3.0, -0.0, None, float("nan"), float("inf")]), ["3", "0", None, None, None]),
            (pl.Series([3.0, 0.5], dtype=pl.Float32), ["3", "0.5"]),
            (pl.Series([2.0**53, 1.5, 1e300]), ["9007199254740992", "1.5", "1e+300"]),
            (pl.Series([2.0**53 + 2, 1e19]), ["9007199254740994.0", "1e+19"]),
            (pl.Series(["3.00", "2.50"]).cast(pl.Decimal(10, 2)), ["3", "2.5"]),
            (pl.Series([True, False, None]), ["true", "false", None]),
            (pl.Series([None, None]), [None, None]),
        ],
        ids=lambda v: str(v.dtype) if isinstance(v, pl.Series) else "",
    )
    def test_whatever_the_column_a_class_has_one_name(self, values: pl.Series, names: list[str | None]) -> None:
        assert is_class_type(values.dtype)
        assert values.to_frame("x").select(class_names(pl.col("x"), values.dtype))["x"].to_list() == names

    @pytest.mark.parametrize("kind", [pl.Date, pl.Datetime("us"), pl.Duration("us"), pl.List(pl.String), pl.Binary])
    def test_dates_and_lists_name_nothing(self, kind: pl.DataType) -> None:
        assert not is_class_type(pl.Series([None], dtype=kind).dtype)
