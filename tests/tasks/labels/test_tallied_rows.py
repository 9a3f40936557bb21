"""Every row of a closed batch is counted with its label and its decisions, or left out for one reason."""

from __future__ import annotations

from collections.abc import Callable

import polars as pl
import pytest
from closing import DAY, DEADLINE, IDS, ROWS, close, labelled
from parcels import put_frame, put_labels
from weeks import BEGIN, found, score_rows, week

from analysis.evidence import gather
from analysis.evidence.pair_counts import pair_table
from analysis.evidence.row_labels import AFTER_CLOSING, CONFLICTING_LABELS, DUPLICATE_ID, LABEL_NOT_BINARY
from analysis.evidence.tally import NOT_SCORED_BY_BOTH, UNLABELLED
from tasks.base.project import Columns, Project
from tasks.batches.predictions import Manifest
from tasks.labels.tallying import close_batches
from tasks.models.registry import Registry
from tasks.store import Store


@pytest.fixture(autouse=True)
def champion(two: None, store: Store, registry: Registry, project: Project) -> None:
    found(store, registry, project)


@pytest.fixture
def scored(store: Store, registry: Registry, project: Project) -> Manifest:
    return score_rows(store, registry, project, ROWS)


class TestEveryRow:
    @pytest.mark.usefixtures("scored")
    def test_a_tally_counts_label_and_decisions_within_each_segment(self, store: Store, project: Project) -> None:
        put_labels(store, project, IDS, [1, 1, 0, 0, 0, 1], BEGIN)
        frame = close(store, project).tally.frame
        assert frame.columns == ["excluded", "segment.region", "label", "v1", "v2", "n"]
        assert sorted(frame.drop("excluded").rows(), key=str) == sorted(
            [
                ("north", 1, 1, 1, 1),
                ("north", 1, 1, 0, 1),
                ("north", 0, 0, 1, 1),
                ("south", 0, 0, 0, 1),
                ("south", 0, 1, 1, 1),
                (None, 1, 0, 0, 1),
            ],
            key=str,
        )

    def test_every_row_is_counted_or_left_out_for_one_reason(
        self, store: Store, registry: Registry, project: Project
    ) -> None:
        ids = ["a", "a", "b", "c", "d", "e", "f", "g"]
        rows = pl.DataFrame({"id": ids, "region": ["north"] * 8, "x1": [1.0] * 8, "x2": [1.0] * 8})
        score_rows(store, registry, project, rows)
        put_labels(store, project, ["a", "b", "b", "c", "d", "e"], [1.0, 0.0, 1.0, 2.0, None, 1.0], BEGIN, name="1")
        put_labels(store, project, ["f"], [float("nan")], BEGIN, name="2")
        put_labels(store, project, ["g"], [0.0], DEADLINE + DAY, name="3")
        batch = close(store, project).tally
        evidence = gather(batch.scored["1"], batch.scored["2"], [batch])
        too_late = f"{AFTER_CLOSING}, such as {DEADLINE + DAY}"
        expected = {
            CONFLICTING_LABELS: 1,
            DUPLICATE_ID: 2,
            f"{LABEL_NOT_BINARY}, such as 2": 2,
            UNLABELLED: 1,
            too_late: 1,
        }
        assert evidence.excluded == expected
        assert (evidence.counts.n, sum(evidence.counts.unlabelled)) == (1, 7), (
            "whatever it is, it is a row without a label"
        )
        assert batch.frame["n"].sum() == 8 == evidence.counts.n + sum(expected.values())

    def test_rows_that_the_challenger_failed_on_are_left_out_for_that(
        self, store: Store, registry: Registry, project: Project, register: Callable[..., str]
    ) -> None:
        register("x3")
        others = [f"next {i}" for i in IDS]
        score_rows(store, registry, project, ROWS.with_columns(x3=1.0), week(0))
        score_rows(store, registry, project, ROWS.with_columns(id=pl.Series(others)), week(1))
        put_labels(store, project, [*IDS, *others], [1] * 12, week(1))
        first, second = (b.tally for b in close_batches(store, project, week(3)).batches)
        assert (sorted(first.scored), sorted(second.scored)) == (["1", "2", "3"], ["1", "2"])
        evidence = gather(first.scored["1"], first.scored["3"], [first, second])
        assert (evidence.counts.n, evidence.excluded) == (6, {NOT_SCORED_BY_BOTH: 6})
        assert pair_table(second.frame, "1", "2").n == 6

    @pytest.mark.parametrize(
        "labels",
        [
            pl.Series([1, 1, 1, 0, 0, 0], dtype=pl.Int64),
            pl.Series([1, 1, 1, 0, 0, 0], dtype=pl.UInt8),
            pl.Series([1.0, 1.0, 1.0, 0.0, 0.0, 0.0]),
            pl.Series([True, True, True, False, False, False]),
            pl.Series(["1", "1", "1.0", "0", "0", "0"]),
        ],
        ids=["integers", "bytes", "floats", "booleans", "strings"],
    )
    @pytest.mark.usefixtures("scored")
    def test_labels_of_every_kind_are_understood(self, store: Store, project: Project, labels: pl.Series) -> None:
        put_labels(store, project, IDS, labels, BEGIN)
        assert labelled(close(store, project)) == [2, 1, 1, 2]

    @pytest.mark.usefixtures("scored")
    def test_a_word_for_a_label_is_left_out_and_counted(self, store: Store, project: Project) -> None:
        put_labels(store, project, IDS, ["1", "yes", "no", "", "0", None], BEGIN)
        frame = close(store, project).tally.frame
        assert frame.filter(pl.col("excluded") == f"{LABEL_NOT_BINARY}, such as no")["n"].sum() == 3
        assert labelled(close(store, project)) == [1, 1, 0, 0]

    def test_ids_match_whatever_their_type(self, store: Store, registry: Registry, project: Project) -> None:
        rows = pl.DataFrame({"id": [7, 8], "region": ["north"] * 2, "x1": [1.0, 1.0], "x2": [1.0, 1.0]})
        score_rows(store, registry, project, rows)
        put_labels(store, project, ["7", "08"], [1, 1], BEGIN)
        assert labelled(close(store, project)) == [1, 0, 0, 0]

    @pytest.mark.usefixtures("scored")
    def test_labels_may_have_other_columns_and_other_names(
        self, store: Store, make_project: Callable[..., Project], project: Project
    ) -> None:
        named = make_project(model=project.model, columns=Columns(label="late", observed_at="seen"))
        frame = pl.DataFrame({"note": ["x"] * 6, "seen": [BEGIN] * 6, "id": IDS, "late": [1] * 6})
        put_frame(store, f"{named.name}/labels/2024.parquet", frame)
        assert labelled(close(store, named)) == [3, 0, 3, 0]

    @pytest.mark.parametrize("name", ["label", "conflict", "excluded", "n", "v1", "observed_at", "id"])
    def test_a_segment_column_may_have_any_name(
        self,
        store: Store,
        registry: Registry,
        make_project: Callable[..., Project],
        project: Project,
        name: str,
    ) -> None:
        """Also one that Dethrone uses for something else."""
        named = make_project(model=project.model, segments=(name,), columns=Columns(id="parcel"))
        score_rows(store, registry, named, ROWS.rename({"id": "parcel", "region": name}))
        frame = pl.DataFrame({"parcel": IDS, "label": [1, 1, 0, 0, 0, 1], "observed_at": [BEGIN] * 6})
        put_frame(store, f"{named.name}/labels/2024.parquet", frame)
        batch = close(store, named)
        assert labelled(batch) == [2, 1, 1, 2]
        assert batch.tally.frame.filter(pl.col(f"segment.{name}") == "north")["n"].sum() == 3
