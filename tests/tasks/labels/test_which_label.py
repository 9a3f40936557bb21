"""Which label belongs to which row, and what a feed's own values stand for."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import polars as pl
import pytest
from analysis_examples import pair_exclusions
from closing import DEADLINE, IDS, ROWS, close, labelled
from parcels import put_batch, put_frame, put_labels
from weeks import BEGIN, found, score_rows, week

from analysis.evidence.pair_counts import pair_table
from analysis.evidence.row_labels import (
    BEFORE_ITS_BATCH,
    ID_RECURS,
    LABEL_IGNORED,
    LABEL_NOT_BINARY,
    LABEL_NOT_MAPPED,
)
from analysis.evidence.tally import UNLABELLED
from tasks.base.project import Columns, LabelValues, Project
from tasks.batches.scoring import score_batch
from tasks.labels.tallying import LabelError, close_batches
from tasks.models.registry import Registry
from tasks.reigns import head
from tasks.store import Store

Make = Callable[..., Project]


@pytest.fixture(autouse=True)
def champion(two: None, store: Store, registry: Registry, project: Project) -> None:
    found(store, registry, project)


@pytest.fixture
def scored(store: Store, registry: Registry, project: Project) -> None:
    score_rows(store, registry, project, ROWS)


def excluded(store: Store, project: Project) -> dict[str, int]:
    return pair_exclusions(close(store, project).tally.frame, "1", "2")


@pytest.mark.usefixtures("scored")
class TestValues:
    """What is in the label column, and what the project file says of it."""

    WORDS = ("fraud", "legit", "open", "fraud", "legit", "?")

    def named(self, make_project: Make, project: Project, values: dict[str, Any], **changes: Any) -> Project:
        return make_project(model=project.model, labels=LabelValues.model_validate(values), **changes)

    def test_a_code_that_nobody_has_named_is_told_with_an_example(self, store: Store, project: Project) -> None:
        put_labels(store, project, IDS, [1, 0, 2, 1, 0, 2], BEGIN)
        assert excluded(store, project) == {f"{LABEL_NOT_BINARY}, such as 2": 2}
        assert sum(pair_table(close(store, project).tally.frame, "1", "2").unlabelled) == 2, "they are without a label"

    def test_words_are_mapped_some_are_ignored_and_others_are_told(
        self, store: Store, make_project: Make, project: Project
    ) -> None:
        named = self.named(make_project, project, {"positive": ["fraud"], "negative": ["legit"], "ignored": ["open"]})
        put_labels(store, named, IDS, self.WORDS, BEGIN)
        assert excluded(store, named) == {LABEL_IGNORED: 1, f"{LABEL_NOT_MAPPED}, such as ?": 1}
        assert labelled(close(store, named)) == [1, 2, 1, 0]

    @pytest.mark.parametrize(
        "labels", [[1, 0, 2, 1, 0, 9], [1.0, 0.0, 2.0, 1.0, 0.0, 9.0], ["1", "0", "2", "1", "0", "9"]]
    )
    def test_numbers_are_mapped_in_a_column_of_numbers_and_in_one_of_text(
        self, store: Store, make_project: Make, project: Project, labels: list[Any]
    ) -> None:
        named = self.named(make_project, project, {"positive": [1, "fraud"], "negative": [0], "ignored": [2]})
        put_labels(store, named, IDS, labels, BEGIN)
        assert excluded(store, named) == {LABEL_IGNORED: 1, f"{LABEL_NOT_MAPPED}, such as 9": 1}

    def test_the_numbers_one_and_two_may_stand_the_other_way_round(
        self, store: Store, make_project: Make, project: Project
    ) -> None:
        named = self.named(make_project, project, {"positive": [2], "negative": [1]})
        put_labels(store, named, IDS, [2, 2, 2, 1, 1, 1], BEGIN)
        assert labelled(close(store, named)) == [2, 1, 1, 2]

    def test_where_a_feed_sends_positives_alone_absence_is_a_negative(
        self, store: Store, make_project: Make, project: Project
    ) -> None:
        named = make_project(model=project.model, absent="negative")
        put_labels(store, named, ["a", "c"], [1, 1], BEGIN)
        put_labels(store, named, ["d"], [1], DEADLINE + timedelta(days=1), name="too late")
        assert labelled(close(store, named)) == [1, 2, 1, 2]
        assert excluded(store, named) == {}

    def test_absence_is_a_negative_but_what_cannot_be_used_stays_missing(
        self, store: Store, make_project: Make, project: Project
    ) -> None:
        named = self.named(make_project, project, {"positive": [1], "ignored": [2]}, absent="negative")
        put_labels(store, named, ["a", "b"], [1, 2], BEGIN)
        assert excluded(store, named) == {LABEL_IGNORED: 1}
        assert labelled(close(store, named)) == [1, 1, 0, 3]

    def test_a_positive_from_before_its_batch_is_no_negative(
        self, store: Store, make_project: Make, project: Project
    ) -> None:
        named = make_project(model=project.model, absent="negative")
        put_labels(store, named, ["a"], [1], BEGIN - timedelta(days=1), name="before")
        put_labels(store, named, ["b"], [1], BEGIN)
        assert excluded(store, named) == {BEFORE_ITS_BATCH: 1}


def test_a_label_from_within_its_week_belongs_to_it(store: Store, registry: Registry, project: Project) -> None:
    """The batch of a week is dated by its Sunday; a label of the Thursday before is of this week."""
    put_batch(store, project, "2024-W10", ROWS)
    sunday = date(2024, 3, 10)
    score_batch(store, registry, project, head(store, project.name), "2024-W10", sunday)
    put_labels(store, project, ["a", "b"], [1, 1], sunday - timedelta(days=3), name="within")
    put_labels(store, project, ["c"], [1], sunday - timedelta(days=7), name="before")
    (batch,) = close_batches(store, project, sunday + timedelta(days=14)).batches
    assert pair_exclusions(batch.tally.frame, "1", "2") == {BEFORE_ITS_BATCH: 1, UNLABELLED: 3}


class TestOwnBatch:
    """A label belongs to one row of one batch."""

    @pytest.mark.usefixtures("scored")
    def test_a_label_from_before_the_batch_is_of_another_row(self, store: Store, project: Project) -> None:
        put_labels(store, project, IDS, [1] * 6, BEGIN - timedelta(days=1), name="last month's")
        put_labels(store, project, ["a", "b"], [0, 0], BEGIN, name="this month's")
        assert excluded(store, project) == {BEFORE_ITS_BATCH: 4}
        assert labelled(close(store, project)) == [0, 2, 0, 0]

    def weekly(self, store: Store, registry: Registry, project: Project, ids: list[str]) -> None:
        """The same customers every week; of each week's rows the labels come a week later."""
        for number in range(2):
            score_rows(store, registry, project, ROWS.with_columns(id=pl.Series(ids)), week(number))
            frame = pl.DataFrame({"id": ids, "label": [number] * 6, "observed_at": [week(number + 1)] * 6})
            periods = {"batch": [str(week(number))] * 6, "day": [week(number)] * 6}
            put_frame(
                store,
                f"parcels/labels/{number}.parquet",
                frame.with_columns(**{k: pl.Series(v) for k, v in periods.items()}),
            )

    def test_ids_that_recur_every_week_are_refused_with_an_example(
        self, store: Store, registry: Registry, project: Project
    ) -> None:
        self.weekly(store, registry, project, IDS)
        with pytest.raises(LabelError) as caught:
            close_batches(store, project, week(3))
        assert str(caught.value) == (
            "batch 2024-01-07: 6 of its 6 ids, such as 'a', are also ids of another batch (2024-01-14), so it is not clear which of the "
            "two a label belongs to; give every row an id of its own, or name the column of the labels that says which batch they belong "
            "to: columns.period; if one of the two is a copy that should not have been scored, delete it below parcels/batches/ and "
            "parcels/predictions/"
        )
        assert store.keys("parcels/tallies") == []

    @pytest.mark.parametrize("column", ["batch", "day"])
    def test_or_joined_by_id_and_period(
        self, store: Store, registry: Registry, make_project: Make, project: Project, column: str
    ) -> None:
        named = make_project(model=project.model, columns=Columns(period=column))
        self.weekly(store, registry, named, IDS)
        first, second = close_batches(store, named, week(3)).batches
        assert [labelled(first), labelled(second)] == [[0, 3, 0, 3], [3, 0, 3, 0]]

    def test_a_few_that_recur_are_rows_without_a_label(
        self, store: Store, registry: Registry, project: Project
    ) -> None:
        score_rows(store, registry, project, ROWS, week(0))
        score_rows(store, registry, project, ROWS.with_columns(id=pl.Series(["a", "b", "u", "v", "w", "x"])), week(1))
        put_labels(store, project, [*IDS, "u", "v", "w", "x"], [1] * 10, week(1))
        for batch in close_batches(store, project, week(3)).batches:
            assert pair_exclusions(batch.tally.frame, "1", "2") == {ID_RECURS: 2}

    def test_a_late_label_is_not_taken_for_two_rows(
        self, store: Store, registry: Registry, make_project: Make, project: Project
    ) -> None:
        """The batch closes after three days, and its late labels are looked at a week later: the next one has the same ids."""
        quick = make_project(model=project.model, maturity_days=3)
        other = pl.Series(["a", "b", "u", "v", "w", "x"])
        score_rows(store, registry, quick, ROWS, week(0))
        score_rows(store, registry, quick, ROWS.with_columns(id=other), week(1))
        put_labels(store, quick, ["c"], [1], BEGIN, name="in time")
        put_labels(store, quick, ["u"], [1], week(1), name="of the second")
        put_labels(store, quick, ["a"], [1], week(1) + timedelta(days=1))
        first, second = close_batches(store, quick, week(3)).batches
        assert first.tally.settled is not None
        assert pair_table(first.tally.settled, "1", "2").n == 1
        assert pair_exclusions(second.tally.frame, "1", "2") == {ID_RECURS: 2, UNLABELLED: 3}

    def test_ids_that_come_again_long_after_are_other_rows(
        self, store: Store, registry: Registry, project: Project
    ) -> None:
        for number in (0, 5):
            score_rows(store, registry, project, ROWS, week(number))
            put_labels(store, project, IDS, [number // 5] * 6, week(number + 1), name=str(number))
        first, second = close_batches(store, project, week(8)).batches
        assert [labelled(first), labelled(second)] == [[0, 3, 0, 3], [3, 0, 3, 0]]

    @pytest.mark.usefixtures("scored")
    def test_a_label_of_another_batch_leaves_the_row_unlabelled(
        self, store: Store, make_project: Make, project: Project
    ) -> None:
        named = make_project(model=project.model, columns=Columns(period="batch"))
        frame = pl.DataFrame(
            {"id": IDS, "label": [1] * 6, "observed_at": [BEGIN] * 6, "batch": ["2024-01-07"] * 2 + ["2023-12-31"] * 4}
        )
        put_frame(store, "parcels/labels/all.parquet", frame)
        assert excluded(store, named) == {UNLABELLED: 4}
