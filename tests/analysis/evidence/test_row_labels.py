"""The join of rows and labels against a reference in plain Python, whole and in any sets of ids."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

import polars as pl
import pytest
from analysis_examples import PROPERTY
from hypothesis import given
from hypothesis import strategies as st
from label_reference import Delivered, Outcome, outcomes

from analysis.evidence.row_labels import REASONS, SILENT, examples_of, join_labels, labels_of_rows, with_examples
from analysis.kinds import Task

BEGINS, DEADLINE = date(2026, 1, 5), date(2026, 1, 9)
NAN = float("nan")
VALUES: dict[Task, tuple[list[Any], Any]] = {
    "binary": ([0.0, 1.0, 1.0, 2.0, NAN, None], pl.Float64),
    "regression": ([0.0, 2.5, -1e70, NAN, None], pl.Float64),
    "multiclass": (["cat", "dog", "", None], pl.String),
}
DAYS = st.one_of(st.none(), st.integers(-2, 8))


def frame(labels: list[Delivered], task: Task) -> pl.DataFrame:
    schema = {"id": pl.Int64, "label": VALUES[task][1], "observed_at": pl.Datetime("us"), "raw": pl.String}
    return pl.DataFrame(labels, schema=schema, orient="row")


@st.composite
def feeds(draw: st.DrawFn, task: Task) -> tuple[list[int], list[Delivered], list[int]]:
    """Ids of rows, labels, and ids that recur in another batch."""
    ids = draw(st.lists(st.integers(0, 9), min_size=1, max_size=12))
    labels = []
    for i, label, day, hour in draw(
        st.lists(st.tuples(st.integers(0, 12), st.sampled_from(VALUES[task][0]), DAYS, st.integers(0, 1)), max_size=25)
    ):
        seen = None if day is None else datetime.combine(BEGINS, datetime.min.time()) + timedelta(days=day, hours=hour)
        unusable = label is not None and (label == "" or str(label) == "nan" or (task == "binary" and label == 2))
        unusable = unusable or (task == "regression" and label is not None and abs(label) > 1e60)
        labels.append(Delivered(i, label, seen, f"{label} of {i % 3}" if unusable else None))
    return ids, labels, draw(st.lists(st.integers(0, 9), max_size=2))


@pytest.mark.parametrize("task", list(VALUES))
@pytest.mark.parametrize("absent_is_negative", [False, True])
def test_every_row_has_the_label_and_the_reason_of_the_reference(task: Task, absent_is_negative: bool) -> None:
    if absent_is_negative and task == "multiclass":
        return  # no class is a negative

    @PROPERTY
    @given(feeds(task))
    def holds(feed: tuple[list[int], list[Delivered], list[int]]) -> None:
        ids, labels, recurring = feed
        options: dict[str, Any] = {"task": task, "begins": BEGINS, "deadline": DEADLINE}
        options["absent_is_negative"] = absent_is_negative
        joined = join_labels(
            pl.DataFrame({"id": ids}), frame(labels, task), **options, recurring=pl.Series(recurring, dtype=pl.Int64)
        )
        found = [Outcome(*row) for row in joined.select("label", "excluded").iter_rows()]
        assert joined["id"].to_list() == ids
        assert found == outcomes(ids, labels, **options, recurring=recurring)

    holds()


@PROPERTY
@given(feeds("binary"), st.integers(2, 4))
def test_rows_can_be_joined_in_sets_that_keep_the_rows_and_labels_of_an_id_together(
    feed: tuple[list[int], list[Delivered], list[int]], sets: int
) -> None:
    ids, labels, recurring = feed
    again = pl.Series(recurring, dtype=pl.Int64)
    parts = []
    for number in range(sets):
        rows = pl.DataFrame({"id": [i for i in ids if i % sets == number]}, schema={"id": pl.Int64})
        own = frame([d for d in labels if d.id % sets == number], "binary")
        of_rows = labels_of_rows(rows, own, begins=BEGINS, deadline=DEADLINE, recurring=again)
        parts.append(pl.concat([rows, of_rows], how="horizontal"))
    whole = pl.concat(parts, how="diagonal")
    assert whole.schema["excluded"] == REASONS
    told = with_examples(pl.when(pl.col("excluded") != SILENT).then("excluded"), examples_of(whole))
    found = sorted(whole.select("id", "label", told.alias("excluded")).rows(), key=str)
    expected = outcomes(ids, labels, begins=BEGINS, deadline=DEADLINE, recurring=recurring)
    assert found == sorted(((i, *outcome) for i, outcome in zip(ids, expected, strict=True)), key=str)


def test_the_probability_of_a_label_stays_with_its_row_and_two_probabilities_contradict_each_other() -> None:
    seen = datetime.combine(BEGINS, datetime.min.time())
    labels = pl.DataFrame(
        {"id": [1, 2, 2, 3, 3], "label": [1.0, 0.0, 0.0, 1.0, 1.0], "observed_at": [seen] * 5}
    ).with_columns(probability=pl.Series([0.5, 0.25, 0.25, 0.5, 0.1]))
    found = join_labels(pl.DataFrame({"id": [3, 2, 1, 0]}), labels)
    assert found.select("label", "probability").rows()[1:] == [(0, 0.25), (1, 0.5), (None, None)]
    assert found["excluded"].to_list() == ["conflicting labels", None, None, None]
