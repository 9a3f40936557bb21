"""Scoring a batch: one read for all versions, one commit, and a challenger's failure stays its own."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
import pytest
from answers import digest_of
from parcels import put_batch
from weeks import BEGIN, InterferingStore, SpyStore, everything, found, predictions, score_rows, some_parcels, week

from analysis.evidence import Contender
from analysis.tables.record import digest
from tasks.base.project import Columns, Project
from tasks.batches.predictions import Manifest, manifest_key, read_manifest, read_parts
from tasks.batches.rows import CHUNK_ROWS, BatchError
from tasks.batches.scoring import score_batch
from tasks.models.registry import Registry
from tasks.reigns import head
from tasks.store import Store

Register = Callable[..., str]


class SevenAsText:
    """A scikit-learn kind of model that flags the text 7."""

    def predict(self, rows: Any) -> Any:
        return (rows.iloc[:, 0].astype(str) == "7").to_numpy().astype(float)


@pytest.fixture
def two(store: Store, registry: Registry, project: Project, register: Register) -> None:
    """A champion that reads x1, a challenger that reads x2."""
    register("x1", threshold="0.5")
    register("x2", threshold="0.25", trained_through="2023-12-31")
    found(store, registry, project)


@pytest.mark.usefixtures("two")
class TestOneBatch:
    def test_every_version_scores_every_row_with_its_own_column_and_threshold(
        self, store: Store, registry: Registry, project: Project
    ) -> None:
        rows = some_parcels()
        manifest = score_rows(store, registry, project, rows)
        for version, column, threshold in (("1", "x1", 0.5), ("2", "x2", 0.25)):
            said = predictions(store, manifest, version)
            expected = 1 / (1 + np.exp(-rows[column].to_numpy()))
            assert said.columns == ["score", "decision"]  # the ids stand with the rows, once for all versions
            np.testing.assert_allclose(said["score"].to_numpy(), expected)
            assert said["decision"].to_list() == [int(s >= threshold) for s in expected]

    def test_the_rows_are_kept_with_their_segments_in_their_order(
        self, store: Store, registry: Registry, project: Project
    ) -> None:
        rows = some_parcels()
        manifest = score_rows(store, registry, project, rows)
        assert read_parts(store, manifest.parts).equals(rows.select("id", pl.col("region").alias("segment.region")))

    def test_the_manifest_says_what_was_scored_by_whom_under_which_reign(
        self, store: Store, registry: Registry, project: Project
    ) -> None:
        manifest = score_rows(store, registry, project, some_parcels())
        assert (manifest.batch, manifest.date, manifest.reign, manifest.champion) == (str(BEGIN), BEGIN, 1, "1")
        assert (manifest.rows, manifest.columns) == (10, ("id", "region", "x1", "x2"))
        assert manifest.versions() == ["1", "2"]
        champion, challenger = (s.contender for s in manifest.scored)
        assert champion is not None
        assert challenger is not None
        assert champion.digest != challenger.digest
        assert champion == Contender("1", champion.digest, 0.5, None)
        assert challenger == Contender("2", challenger.digest, 0.25, week(-1))
        assert read_manifest(store, project.name, str(BEGIN)) == manifest

    def test_every_object_written_is_in_the_manifest_and_in_its_folder(
        self, store: Store, registry: Registry, project: Project
    ) -> None:
        manifest = score_rows(store, registry, project, some_parcels())
        folder = f"{project.name}/predictions/{BEGIN}"
        listed = [p.key for p in (*manifest.parts, *(p for s in manifest.scored for p in s.parts))]
        assert sorted([*listed, f"{folder}/manifest.json"]) == store.keys(folder)
        assert {k.split("/")[3] for k in listed} == {"rows", "1", "2"}

    def test_one_read_of_the_needed_columns_serves_all_versions(
        self, store: Store, registry: Registry, project: Project, columns_read: list[list[str]]
    ) -> None:
        put_batch(store, project, str(BEGIN), some_parcels(secret=["s"] * 10, x3=[0.0] * 10))
        score_batch(store, registry, project, head(store, project.name), str(BEGIN), BEGIN)
        assert columns_read == [["id", "region", "x1", "x2"]]

    def test_the_commit_comes_after_all_that_it_promises(
        self, store: Store, registry: Registry, project: Project
    ) -> None:
        spy = SpyStore(store)
        score_rows(spy, registry, project, some_parcels())
        assert spy.written[-1] == manifest_key(project.name, str(BEGIN))

    def test_a_row_is_flagged_exactly_at_the_threshold(
        self, store: Store, registry: Registry, project: Project
    ) -> None:
        manifest = score_rows(store, registry, project, some_parcels(3, x1=[-1e-9, 0.0, 1e-9]))
        assert predictions(store, manifest, "1")["decision"].to_list() == [0, 1, 1]

    def test_rows_go_through_in_chunks_and_each_leaves_a_part(
        self, store: Store, registry: Registry, project: Project
    ) -> None:
        rows = some_parcels(2 * CHUNK_ROWS + 8)
        manifest = score_rows(store, registry, project, rows)
        for parts in (manifest.parts, *(s.parts for s in manifest.scored)):
            assert [p.rows for p in parts] == [CHUNK_ROWS, CHUNK_ROWS, 8]
        assert read_parts(store, manifest.parts)["id"].to_list() == rows["id"].to_list()
        scores = predictions(store, manifest, "1")["score"]
        np.testing.assert_allclose(scores, 1 / (1 + np.exp(-rows["x1"].to_numpy())))


@pytest.mark.usefixtures("two")
class TestAgain:
    def test_scoring_again_changes_no_byte(self, store: Store, registry: Registry, project: Project) -> None:
        manifest = score_rows(store, registry, project, some_parcels())
        before = everything(store, project)
        assert score_rows(store, registry, project, some_parcels()) == manifest
        assert everything(store, project) == before

    def test_scoring_again_with_another_challenger_changes_no_byte(
        self, store: Store, registry: Registry, project: Project, register: Register
    ) -> None:
        score_rows(store, registry, project, some_parcels())
        before = everything(store, project)
        register("x1", threshold="0.9")
        assert score_rows(store, registry, project, some_parcels()).versions() == ["1", "2"]
        assert everything(store, project) == before

    def test_the_same_rows_in_other_files_are_the_same_batch(
        self, store: Store, registry: Registry, project: Project
    ) -> None:
        manifest = score_rows(store, registry, project, some_parcels(10))
        put_batch(store, project, str(BEGIN), some_parcels(10).head(3))
        put_batch(store, project, str(BEGIN), some_parcels(10).tail(7), name="rows2")
        again = score_batch(store, registry, project, head(store, project.name), str(BEGIN), BEGIN)
        assert again == manifest

    @pytest.mark.parametrize(
        ("now", "count"),
        [
            (some_parcels(x1=[9.0, *range(1, 10)]), 10),
            (some_parcels(region=["east"] * 10), 10),
            (some_parcels().reverse(), 10),
            (some_parcels(11), 11),
            (some_parcels().head(9), 9),
        ],
        ids=["a changed feature", "a changed segment", "another order", "a row more", "a row less"],
    )
    def test_other_rows_under_a_scored_id_are_refused_and_nothing_changes(
        self, store: Store, registry: Registry, project: Project, now: pl.DataFrame, count: int
    ) -> None:
        score_rows(store, registry, project, some_parcels())
        put_batch(store, project, str(BEGIN), now)
        before = everything(store, project)
        with pytest.raises(
            BatchError, match=rf"batch {BEGIN} was scored with 10 rows and now has {count} different ones"
        ):
            score_batch(store, registry, project, head(store, project.name), str(BEGIN), BEGIN)
        assert everything(store, project) == before

    def test_a_batch_that_grows_by_a_file_is_refused(self, store: Store, registry: Registry, project: Project) -> None:
        score_rows(store, registry, project, some_parcels())
        put_batch(store, project, str(BEGIN), some_parcels(3), name="late-comers")
        with pytest.raises(BatchError, match="give the new rows another batch id"):
            score_batch(store, registry, project, head(store, project.name), str(BEGIN), BEGIN)

    def test_of_two_runs_at_once_the_first_to_commit_counts(
        self, store: Store, registry: Registry, project: Project
    ) -> None:
        key = manifest_key(project.name, str(BEGIN))
        first: list[Manifest] = []
        rival = InterferingStore(
            store, key, lambda: first.append(score_rows(store, registry, project, some_parcels(), day=BEGIN))
        )
        second = score_rows(rival, registry, project, some_parcels())
        assert first == [second]
        for scored in second.scored:
            read_parts(store, scored.parts)


def test_the_id_may_be_called_otherwise_and_be_a_feature_too(
    make_project: Callable[..., Project], store: Store, project: Project, register: Register
) -> None:
    named = make_project(model=project.model, columns=Columns(id="parcel"))
    registry = Registry(named)
    register("parcel")
    found(store, registry, named)
    manifest = score_rows(store, registry, named, pl.DataFrame({"parcel": [-1, 2], "region": ["north", "south"]}))
    assert manifest.columns == ("parcel", "region")
    assert read_parts(store, manifest.parts)["id"].to_list() == [-1, 2]
    assert predictions(store, manifest, "1")["decision"].to_list() == [0, 1]


def test_the_same_model_read_by_another_class_is_another_contender(
    store: Store, registry: Registry, project: Project, register: Register
) -> None:
    for tags in ({}, {}, {"positive_class": "0"}, {"positive_class": "1"}):
        register("x1", tags=tags)
    found(store, registry, project)
    contenders = [s.contender for s in score_rows(store, registry, project, some_parcels()).scored]
    one, same, other, named = (c.digest for c in contenders if c is not None)
    assert one == same == digest({"model": digest_of(registry, "1"), "threshold": 0.5})
    assert len({one, other, named}) == 3


def test_a_row_gets_the_same_score_in_a_chunk_with_a_gap_and_in_one_without(
    store: Store, registry: Registry, project: Project, register: Register
) -> None:
    """The model reads integers as text, which in a float column would be another one."""
    register("x1", model=SevenAsText(), example=1)
    found(store, registry, project)
    ids = [f"p{i}" for i in range(CHUNK_ROWS + 3)]
    rows = pl.DataFrame({"id": ids, "region": "north", "x1": [None, *[7] * (CHUNK_ROWS + 2)]})
    scores = predictions(store, score_rows(store, registry, project, rows), "1")["score"].to_list()
    assert scores == [0.0] + [1.0] * (CHUNK_ROWS + 2)


def test_the_same_model_with_another_threshold_is_another_contender(
    store: Store, registry: Registry, project: Project, register: Register
) -> None:
    for threshold in ("0.5", "0.5", "0.6"):
        register("x1", threshold=threshold)
    found(store, registry, project)
    one, same, other = (s.contender for s in score_rows(store, registry, project, some_parcels()).scored)
    assert one is not None
    assert same is not None
    assert other is not None
    assert dataclasses.replace(same, version="1") == one
    assert other.digest != one.digest
