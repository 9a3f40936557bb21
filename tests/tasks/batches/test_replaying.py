"""Replaying: versions that come late, or failed, score batches that were scored without them, and nothing else changes."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import mlflow
import polars as pl
import pytest
from parcels import put_batch
from replays import NeedsFile, replay_due
from weeks import BEGIN, SpyStore, everything, found, score_rows, some_parcels, week

from tasks.base.project import Project
from tasks.batches.contenders import Claim, read_claim
from tasks.batches.predictions import Manifest, manifests, read_parts
from tasks.batches.replaying import due_replays, keep_claims
from tasks.models.registry import Registry
from tasks.models.versions import Versions
from tasks.reigns import head
from tasks.store import Store

Register = Callable[..., str]

WEEKS = 3
TODAY = week(WEEKS) + timedelta(days=1)


@pytest.fixture
def scored(store: Store, registry: Registry, project: Project, register: Register) -> list[Manifest]:
    """Three weeks that a champion, which reads x1, has scored alone."""
    register("x1")
    found(store, registry, project)
    return [
        score_rows(store, registry, project, some_parcels(id=[f"{n}-{i}" for i in range(10)]), week(n))
        for n in range(WEEKS)
    ]


def tag(project: Project, version: str, key: str, value: str) -> None:
    mlflow.MlflowClient(project.mlflow).set_model_version_tag(project.model, version, key, value)


def replayed(store: Store, project: Project) -> dict[str, list[str]]:
    """The versions that were replayed on each batch."""
    return {m.batch: [r.scored.version for r in m.replays] for m in manifests(store, project.name)}


@pytest.mark.usefixtures("scored")
class TestALateVersion:
    def test_predicts_what_it_had_predicted_had_it_been_there(
        self, store: Store, registry: Registry, project: Project, register: Register
    ) -> None:
        register("x2", threshold="0.25")
        replay_due(store, registry, project, TODAY)
        there = score_rows(store, registry, project, some_parcels(id=[f"0-{i}" for i in range(10)]), week(9))
        fresh = next(s for s in there.scored if s.version == "2")
        for manifest in manifests(store, project.name)[:WEEKS]:
            (replay,) = manifest.replays
            assert read_parts(store, replay.scored.parts).equals(read_parts(store, fresh.parts))
            assert (replay.contender, replay.found) == (fresh.contender, TODAY)
            assert [s.version for s in manifest.with_replays().scored] == ["1", "2"]

    def test_leaves_all_that_was_there_and_is_replayed_once(
        self, store: Store, registry: Registry, project: Project, register: Register
    ) -> None:
        before = everything(store, project)
        register("x2")
        assert replay_due(store, registry, project, TODAY) == {str(week(n)): {"2": None} for n in (2, 1, 0)}
        after = everything(store, project)
        assert before.items() <= after.items()
        spy = SpyStore(store)
        assert replay_due(spy, registry, project, TODAY + timedelta(days=1)) == {}
        assert (spy.written, everything(store, project)) == ([], after)

    def test_is_not_replayed_on_what_it_learned_from(
        self, store: Store, registry: Registry, project: Project, register: Register
    ) -> None:
        register("x2", trained_through=str(week(1)))
        assert list(replay_due(store, registry, project, TODAY)) == [str(week(2))]

    def test_is_replayed_on_the_newest_batches_if_the_project_says_how_many(
        self, store: Store, registry: Registry, project: Project, register: Register
    ) -> None:
        register("x2")
        few = project.model_copy(update={"replay": 2})
        assert list(replay_due(store, registry, few, TODAY)) == [str(week(2)), str(week(1))]

    def test_is_refused_on_rows_that_are_not_those_that_were_scored(
        self, store: Store, registry: Registry, project: Project, register: Register
    ) -> None:
        register("x2")
        register("x2", threshold="0.75")
        put_batch(store, project, str(week(1)), some_parcels(id=[f"1-{i}" for i in range(10)], x1=[0.0] * 10))
        said = replay_due(store, registry, project, TODAY)
        why = (
            f"batch {week(1)}: its rows are not the 10 that were scored; put those back: a scored batch does not change"
        )
        assert said[str(week(1))] == why
        assert replayed(store, project) == {str(week(0)): ["2", "3"], str(week(1)): [], str(week(2)): ["2", "3"]}

    def test_is_refused_where_the_rows_are_gone_or_lack_its_column_and_others_are_not(
        self, store: Store, registry: Registry, project: Project, register: Register
    ) -> None:
        register("x2")
        register("x9")
        shutil.rmtree(Path(project.store) / f"{project.name}/batches/{week(0)}")
        said = replay_due(store, registry, project, TODAY)
        assert said[str(week(1))] == {
            "2": None,
            "3": f"failed to score: its signature names the column 'x9', which batch {week(1)} does not have",
        }
        assert str(said[str(week(0))]).startswith(f"batch {week(0)}: ")

    def test_is_replayed_as_each_of_two_versions_that_were_registered_from_one_model(
        self, store: Store, registry: Registry, project: Project, register: Register
    ) -> None:
        register("x2")
        replay_due(store, registry, project, TODAY)
        register("x2")
        replay_due(store, registry, project, TODAY)
        assert replayed(store, project) == {str(week(n)): ["2", "3"] for n in range(WEEKS)}


class TestAVersionThatFailed:
    def test_is_replayed_once_its_cause_is_gone_and_its_failure_stays_on_record(
        self, store: Store, registry: Registry, project: Project, register: Register, tmp_path: Path
    ) -> None:
        dictionary = tmp_path / "dictionary"
        register("x1")
        register("x2", model=NeedsFile(dictionary), threshold="0.5")
        found(store, registry, project)
        score_rows(store, registry, project, some_parcels())
        why = "failed to score: RuntimeError: the dictionary is not installed"
        assert replay_due(store, registry, project, TODAY) == {str(BEGIN): {"2": why}}
        dictionary.touch()
        assert replay_due(store, registry, project, TODAY) == {str(BEGIN): {"2": None}}
        (manifest,) = manifests(store, project.name)
        assert [s.failure for s in manifest.scored] == [None, why]
        (replay,) = manifest.replays
        assert replay.found == BEGIN  # the model is the one that failed then
        assert read_parts(store, replay.scored.parts)["score"].to_list() == [0.75] * 10

    def test_without_a_threshold_is_found_when_it_has_one(
        self, store: Store, registry: Registry, project: Project, register: Register
    ) -> None:
        register("x1")
        register("x2", threshold=None)
        found(store, registry, project)
        score_rows(store, registry, project, some_parcels())
        with Versions(store, registry, project) as versions:
            due = due_replays(versions, head(store, project.name))
        assert due.batches == ()
        assert due.unfit["2"].startswith("version 2 has no tag 'threshold'")
        tag(project, "2", "threshold", "0.5")
        replay_due(store, registry, project, TODAY)
        (manifest,) = manifests(store, project.name)
        assert [r.found for r in manifest.replays] == [TODAY]


class TestAnotherThreshold:
    def test_decides_by_the_stored_scores_even_where_the_rows_are_gone(
        self, store: Store, registry: Registry, project: Project, register: Register
    ) -> None:
        register("x1")
        register("x2", threshold="0.5")
        found(store, registry, project)
        (before,) = [score_rows(store, registry, project, some_parcels())]
        shutil.rmtree(Path(project.store) / f"{project.name}/batches")
        tag(project, "2", "threshold", "0.9")
        assert replay_due(store, registry, project, TODAY) == {str(BEGIN): {"2": None}}
        (manifest,) = manifests(store, project.name)
        (replay,) = manifest.replays
        assert (replay.contender.threshold, replay.found) == (0.9, TODAY)
        stored = read_parts(store, before.scored[1].parts)
        expected = stored.with_columns(decision=(pl.col("score") >= 0.9).cast(pl.Int8))
        assert read_parts(store, replay.scored.parts).equals(expected)


class TestAClaim:
    def claims(self, store: Store, registry: Registry, project: Project) -> list[str]:
        with Versions(store, registry, project) as versions:
            return keep_claims(versions, TODAY)

    @pytest.mark.usefixtures("scored")
    def test_is_kept_with_its_author_and_the_first_one_counts(
        self, store: Store, registry: Registry, project: Project, register: Register
    ) -> None:
        register("x2", tags={"labels_seen_through": str(week(0))})
        replay_due(store, registry, project, TODAY)
        (replay, *_) = manifests(store, project.name)[0].replays
        claim = read_claim(store, project.name, replay.contender.digest)
        assert claim is not None
        assert claim == Claim(week(0), registry.author(registry.version("2")), TODAY)
        assert claim.author
        tag(project, "2", "labels_seen_through", str(week(-9)))
        (said,) = self.claims(store, registry, project)
        assert said == (
            f"Version 2 claims now that it saw labels through {week(-9)}; its first claim, {week(0)}, counts: "
            "register the model anew to claim something else."
        )
        assert read_claim(store, project.name, replay.contender.digest) == claim

    @pytest.mark.usefixtures("scored")
    def test_that_is_no_date_is_told(
        self, store: Store, registry: Registry, project: Project, register: Register
    ) -> None:
        register("x2", tags={"labels_seen_through": "May"})
        (said,) = self.claims(store, registry, project)
        assert said == (
            "Its labels_seen_through counts for nothing: version 2: its tag 'labels_seen_through' is 'May'; "
            "it must be a date such as 2013-02-28."
        )

    @pytest.mark.usefixtures("scored")
    def test_that_the_training_contradicts_counts_for_nothing(
        self, store: Store, registry: Registry, project: Project, register: Register
    ) -> None:
        register("x2", trained_through=str(week(1)), tags={"labels_seen_through": str(week(0))})
        (said,) = self.claims(store, registry, project)
        assert said.startswith(
            f"Version 2 claims that it saw labels through {week(0)} and was trained through {week(1)}: "
        )
        assert store.keys(f"{project.name}/contenders") == [
            k for k in store.keys(f"{project.name}/contenders") if "claim" not in k
        ]


def test_the_project_file_says_who_challenges(
    store: Store, registry: Registry, make_project: Callable[..., Project], project: Project, register: Register
) -> None:
    for version in ("1", "2", "3", "4"):
        register("x1", tags={"ready": "yes"} if version == "2" else {"ready": "no"} if version == "3" else {})
    found(store, registry, project)
    registry.set_alias("champion", "1")
    registry.set_alias("candidate", "4")
    for challengers, expected in (
        ("all", "1234"),
        ("tag:ready", "12"),
        ("alias:candidate", "14"),
        ("alias:nobody", "1"),
    ):
        chosen = Registry(make_project(model=project.model, challengers=challengers)).versions()
        assert "".join(v.version for v in chosen) == expected
