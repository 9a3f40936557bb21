"""Tallies of rows and labels: what counts, what does not and why, and that tallies add."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from analysis_examples import PROPERTY, add_tallies, pair_exclusions, segment_tables, tally_frame
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from analysis.evidence import tally as tally_module
from analysis.evidence.pair_counts import confusion, pair_table
from analysis.evidence.row_labels import CONFLICTING_LABELS, DUPLICATE_ID, LABEL_NOT_BINARY, join_labels
from analysis.evidence.tally import (
    NOT_SCORED_BY_BOTH,
    UNLABELLED,
    add_counts,
    count_rows,
    segment_column,
    tally,
)
from analysis.tables.counts import Confusion, PairedCounts

START = datetime(2026, 1, 5, tzinfo=UTC)
Row = tuple[str, str | None, int | None, int | None]
Label = tuple[str, float | None, int]


def rows_frame(rows: list[Row]) -> pl.DataFrame:
    schema = {"id": pl.String, segment_column("region"): pl.String, "v1": pl.Int8, "v2": pl.Int8}
    return pl.DataFrame(rows, schema=schema, orient="row")


def labels_frame(labels: list[Label]) -> pl.DataFrame:
    """(id, label, day on which it was observed)."""
    return pl.DataFrame(
        [(i, label, START + timedelta(days=day)) for i, label, day in labels],
        schema={"id": pl.String, "label": pl.Float64, "observed_at": pl.Datetime("us", "UTC")},
        orient="row",
    )


def counted(rows: list[Row], labels: list[Label]) -> pl.DataFrame:
    return tally(rows_frame(rows), labels_frame(labels))


def test_rows_with_the_same_segment_label_and_decisions_become_one_count() -> None:
    rows: list[Row] = [("a", "north", 1, 0), ("b", "north", 1, 0), ("c", "south", 1, 0), ("d", "north", 0, 0)]
    found = counted(rows, [("a", 1, 0), ("b", 1, 0), ("c", 1, 0), ("d", 0, 0)])
    north, south = tally_frame({(0, 0, 0): 1, (1, 1, 0): 2}), tally_frame({(1, 1, 0): 1}, region="south")
    assert_frame_equal(found, add_tallies([north, south]), check_row_order=False)
    assert found.columns == ["excluded", "segment.region", "label", "v1", "v2", "n"]


def test_a_row_keeps_its_entity_where_it_counts_for_anything_and_only_there() -> None:
    rows = rows_frame([("a", "north", 1, 0), ("b", "north", 1, 0), ("c", "north", 1, 0), ("d", "north", 1, 0)])
    named = rows.with_columns(entity=pl.Series([7, 7, 8, 9]))
    found = tally(named, labels_frame([("a", 1, 0), ("b", 1, 0), ("d", 2, 0)]))
    cells = {(row["excluded"], row["entity"], row["label"]): row["n"] for row in found.to_dicts()}
    assert cells == {(None, "7", 1): 2, (None, None, None): 1, (LABEL_NOT_BINARY, None, None): 1}


@pytest.mark.parametrize(
    ("rows", "labels", "reason", "n"),
    [
        ([("a", "north", 1, 0), ("a", "north", 1, 0)], [("a", 1, 0)], DUPLICATE_ID, 2),
        ([("a", "north", 1, 0)], [("a", 0, 3), ("a", 1, 3)], CONFLICTING_LABELS, 1),
        ([("a", "north", 1, 0)], [("a", 0.5, 0)], LABEL_NOT_BINARY, 1),
        ([("a", "north", 1, 0)], [("a", 2, 0)], LABEL_NOT_BINARY, 1),
        ([("a", "north", 1, 0)], [("a", float("nan"), 0)], LABEL_NOT_BINARY, 1),
        ([("a", "north", 1, 0)], [], UNLABELLED, 1),
        ([("a", "north", 1, 0)], [("b", 1, 0)], UNLABELLED, 1),
        ([("a", "north", 1, 0)], [("a", None, 0)], UNLABELLED, 1),
        ([("a", "north", None, 0)], [("a", 1, 0)], NOT_SCORED_BY_BOTH, 1),
        ([("a", "north", 1, None)], [], NOT_SCORED_BY_BOTH, 1),
    ],
)
def test_every_reason_to_leave_a_row_out(rows: list[Row], labels: list[Label], reason: str, n: int) -> None:
    """The row is left out for its one reason, and a good row beside it counts."""
    frame = counted([*rows, ("good", "north", 0, 1)], [*labels, ("good", 1, 0)])
    assert pair_exclusions(frame, "1", "2") == {reason: n}
    assert pair_table(frame, "1", "2").labelled == (0, 0, 0, 0, 0, 1, 0, 0)
    assert frame["n"].sum() == len(rows) + 1


def test_a_duplicate_id_is_left_out_whatever_else_is_wrong_with_it() -> None:
    frame = counted([("a", "north", 1, 0), ("a", "south", 0, None)], [("a", 0, 3), ("a", 1, 3)])
    assert pair_exclusions(frame, "1", "2") == {DUPLICATE_ID: 2}


def test_the_last_observed_label_wins_whatever_the_order_of_arrival() -> None:
    labels: list[Label] = [("a", 1, 5), ("a", 0, 2), ("a", 0, 1), ("b", 0, 9), ("b", 1, 8)]
    rows: list[Row] = [("a", "north", 1, 0), ("b", "north", 1, 0)]
    for arrived in (labels, labels[::-1]):
        found = pair_table(counted(rows, arrived), "1", "2")
        assert found.labelled == (0, 0, 1, 0, 0, 0, 1, 0)


def test_an_earlier_conflict_is_settled_by_a_later_label() -> None:
    frame = counted([("a", "north", 1, 0)], [("a", 0, 1), ("a", 1, 1), ("a", 1, 2)])
    assert pair_exclusions(frame, "1", "2") == {}
    assert pair_table(frame, "1", "2").labelled[6] == 1


def test_the_same_label_twice_is_no_conflict() -> None:
    assert pair_exclusions(counted([("a", "north", 1, 0)], [("a", 1, 1), ("a", 1, 1)]), "1", "2") == {}


def test_labels_of_rows_of_other_batches_do_not_matter() -> None:
    frame = counted([("a", "north", 1, 0)], [("a", 1, 0), ("z", 0, 0), ("z", 1, 0)])
    assert frame["n"].sum() == 1


def test_an_empty_batch_has_an_empty_tally() -> None:
    frame = counted([], [("a", 1, 0)])
    assert frame.height == 0
    assert pair_table(frame, "1", "2") == PairedCounts()
    assert pair_exclusions(frame, "1", "2") == {}


def test_pair_counts_put_every_label_and_decision_in_its_cell() -> None:
    cells = {(y, c, h): 2 ** (4 * y + 2 * c + h) for y in (0, 1) for c in (0, 1) for h in (0, 1)}
    unlabelled = {(None, c, h): 1000 + 2 * c + h for c in (0, 1) for h in (0, 1)}
    frame = tally_frame(cells | unlabelled)
    expected = PairedCounts((1, 2, 4, 8, 16, 32, 64, 128), (1000, 1001, 1002, 1003))
    assert pair_table(frame, "1", "2") == expected
    assert pair_table(frame, "2", "1") == expected.swap()
    assert confusion(frame, "1") == expected.champion
    assert confusion(frame, "2") == expected.challenger


def test_a_pair_counts_only_rows_that_both_of_it_scored() -> None:
    """Version 3 failed on some rows: that leaves them out for its pairs and for no other."""
    frame = tally_frame(
        {(1, 1, 0, None): 5, (1, 1, 0, 1): 7, (0, None, 1, 0): 3, (None, 0, 1, None): 2}, ["1", "2", "3"]
    )
    assert pair_table(frame, "1", "2") == PairedCounts((0, 0, 0, 0, 0, 0, 12, 0), (0, 2, 0, 0))
    assert pair_table(frame, "1", "3") == PairedCounts((0, 0, 0, 0, 0, 0, 0, 7))
    assert pair_exclusions(frame, "1", "2") == {UNLABELLED: 2, NOT_SCORED_BY_BOTH: 3}
    assert pair_exclusions(frame, "1", "3") == {NOT_SCORED_BY_BOTH: 10}
    assert confusion(frame, "3") == Confusion(tp=7, fp=0, fn=0, tn=3)


def test_decisions_that_never_came_with_a_label_count_zero() -> None:
    for cells in ({(0, 1, 1): 3}, {(1, 0, 0): 3}, {(0, 0, 0): 3}, {(1, 1, 1): 3}):
        frame = tally_frame(cells)
        assert confusion(frame, "1") == pair_table(frame, "1", "2").champion


def test_a_confusion_matrix_counts_no_row_that_is_excluded_unlabelled_or_not_scored() -> None:
    counts = tally_frame({(1, 1, 0): 5, (0, 1, 1): 2, (None, 1, 1): 3, (1, None, 1): 4})
    excluded = tally_frame({(1, 1, 1): 7}).with_columns(excluded=pl.lit(DUPLICATE_ID))
    assert confusion(add_tallies([counts, excluded]), "1") == Confusion(tp=5, fp=2, fn=0, tn=0)


def test_a_tally_is_sorted_and_what_is_missing_comes_last() -> None:
    rows: list[Row] = [("a", None, 1, 0), ("b", "south", 1, 0), ("c", "north", 1, 0), ("d", "north", 0, 0)]
    found = counted([*rows, rows[0]], [("b", 1, 0), ("c", 0, 0)])
    assert found.drop("n").rows() == [
        (DUPLICATE_ID, None, None, 1, 0), (None, "north", 0, 1, 0), (None, "north", None, 0, 0), (None, "south", 1, 1, 0)
    ]  # fmt: skip


def test_a_version_that_did_not_score_the_batch_has_no_counts() -> None:
    frame = tally_frame({(1, 1, 0): 5})
    assert pair_table(frame, "1", "9") == PairedCounts()
    assert pair_exclusions(frame, "1", "9") == {NOT_SCORED_BY_BOTH: 5}
    assert confusion(frame, "9") == Confusion(0, 0, 0, 0)
    assert segment_tables(frame, "1", "9") == {}


def test_segment_counts_name_missing_values_and_add_up_to_the_pair() -> None:
    rows: list[Row] = [("a", "north", 1, 0), ("b", None, 0, 1), ("c", "south", 1, 1), ("d", "north", 0, 0)]
    frame = counted(rows, [("a", 1, 0), ("b", 1, 0), ("c", 0, 0)])
    found = segment_tables(frame, "1", "2")
    assert list(found) == [("region", "(missing)"), ("region", "north"), ("region", "south")]
    assert found["region", "north"] == PairedCounts((0, 0, 0, 0, 0, 0, 1, 0), (1, 0, 0, 0))
    assert found["region", "(missing)"].labelled[5] == 1
    assert sum(found.values(), PairedCounts()) == pair_table(frame, "1", "2")


def test_segments_that_are_numbers_or_flags_are_read_as_text() -> None:
    rows = pl.DataFrame(
        {"id": ["a", "b"], "segment.size": [3, 4], "segment.new": [True, False], "v1": [0, 1], "v2": [1, 1]}
    )
    frame = tally(rows, labels_frame([("a", 1, 0), ("b", 1, 0)]))
    keys = list(segment_tables(frame, "1", "2"))
    assert keys == [("new", "false"), ("new", "true"), ("size", "3"), ("size", "4")]


IDS = st.integers(0, 25).map(str)
ROWS = st.lists(
    st.tuples(
        IDS,
        st.sampled_from(["north", "south", None]),
        st.sampled_from([0, 1, None]),
        st.sampled_from([0, 1, None]),
    ),
    max_size=30,
    unique_by=lambda r: r[0],
)
LABELS = st.lists(st.tuples(IDS, st.sampled_from([0.0, 1.0, 0.5]), st.integers(0, 2)), max_size=40)


@PROPERTY
@given(ROWS, LABELS, st.sets(IDS))
def test_tallies_add_over_any_split_of_the_rows(rows: list[Row], labels: list[Label], first: set[str]) -> None:
    """tally(A) + tally(B) = tally(A and B), in either order, for the frame and for all that is read from it."""
    whole = counted(rows, labels)
    parts = [counted([r for r in rows if (r[0] in first) == side], labels) for side in (True, False)]
    for order in (parts, parts[::-1]):
        assert_frame_equal(add_tallies(order), whole)
    assert pair_table(whole, "1", "2") == pair_table(parts[0], "1", "2") + pair_table(parts[1], "1", "2")
    assert whole["n"].sum() == len(rows)


@PROPERTY
@given(ROWS, LABELS, st.integers(1, 30), st.sampled_from([0, 3, 100_000]))
def test_counts_of_any_blocks_of_rows_are_added_up_however_many_wait(
    rows: list[Row], labels: list[Label], height: int, held: int
) -> None:
    joined = join_labels(rows_frame(rows), labels_frame(labels))
    blocks = (count_rows(block) for block in (joined.iter_slices(height) if rows else [joined]))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tally_module, "_HELD", held)
        assert_frame_equal(add_counts(blocks), count_rows(joined))


@PROPERTY
@given(ROWS, LABELS)
def test_every_row_counts_or_is_left_out_for_one_reason(rows: list[Row], labels: list[Label]) -> None:
    frame = counted(rows, labels)
    left_out = pair_exclusions(frame, "1", "2")
    assert pair_table(frame, "1", "2").n + sum(left_out.values()) == len(rows)
    assert all(n > 0 for n in left_out.values())
    assert pair_exclusions(frame, "2", "1") == left_out
    assert sum(segment_tables(frame, "1", "2").values(), PairedCounts()) == pair_table(frame, "1", "2")


@PROPERTY
@given(ROWS, LABELS, st.randoms())
def test_the_order_of_rows_and_labels_does_not_matter(rows: list[Row], labels: list[Label], random: object) -> None:
    mixed_rows, mixed_labels = list(rows), list(labels)
    random.shuffle(mixed_rows)  # type: ignore[attr-defined]
    random.shuffle(mixed_labels)  # type: ignore[attr-defined]
    assert_frame_equal(counted(mixed_rows, mixed_labels), counted(rows, labels))
