"""What fails while a batch is scored: a challenger's failure stays its own, the champion's leaves nothing behind."""

from __future__ import annotations

import importlib
import os
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hostile import MARK, HostileToLoad
from parcels import put_batch, sigmoid_model
from weeks import BEGIN, everything, found, predictions, score_rows, some_parcels, week

from tasks.base.project import Project
from tasks.batches.predictions import read_manifest
from tasks.batches.rows import CHUNK_ROWS, BatchError
from tasks.batches.scoring import ChampionFailedError, score_batch, score_with
from tasks.models.registry import Registry
from tasks.models.versions import Versions
from tasks.reigns import head
from tasks.store import Store

Register = Callable[..., str]


class Broken(type(sigmoid_model("x"))):  # type: ignore[misc]
    """Scores as its parent does until a row is below -100."""

    def predict_proba(self, rows: Any) -> Any:
        if float(np.asarray(rows).min()) < -100:
            msg = "the feature server is down"
            raise RuntimeError(msg)
        return super().predict_proba(rows)


def broken_model(column: str) -> Any:
    model = Broken()
    model.__dict__.update(sigmoid_model(column).__dict__)
    return model


class Lacking(type(sigmoid_model("x"))):  # type: ignore[misc]
    """A model that needs a library which is not there, as soon as it is loaded."""

    def __reduce__(self) -> Any:
        return importlib.import_module, ("not_installed",)


def lacking_model(column: str) -> Any:
    model = Lacking()
    model.__dict__.update(sigmoid_model(column).__dict__)
    return model


@pytest.fixture
def two(store: Store, registry: Registry, project: Project, register: Register) -> None:
    """A champion that reads x1, a challenger that reads x2."""
    register("x1", threshold="0.5")
    register("x2", threshold="0.25", trained_through="2023-12-31")
    found(store, registry, project)


class TestChallengerFails:
    """The champion's batch lands all the same, and the manifest says what went wrong."""

    @pytest.fixture(autouse=True)
    def champion(self, store: Store, registry: Registry, project: Project, register: Register) -> None:
        register("x1")
        found(store, registry, project)

    @pytest.mark.parametrize(
        ("options", "failure"),
        [
            ({"threshold": None}, r"failed to load: version 2 has no tag 'threshold'"),
            ({"threshold": "high"}, r"failed to load: version 2: its tag 'threshold' is 'high'"),
            ({"trained_through": "last week"}, r"failed to load: version 2: its tag 'trained_through' is 'last week'"),
            (
                {"model": lacking_model("x2")},
                (
                    r"failed to load: ModuleNotFoundError: No module named 'not_installed'; "
                    r"add the library of 'not_installed' to requirements-models\.txt and run 'make env'"
                ),
            ),
            ({"column": "x9"}, r"failed to load: its signature names the column 'x9', which batch \S+ does not have"),
            ({"model": broken_model("x2")}, r"failed to score: RuntimeError: the feature server is down"),
        ],
        ids=["no threshold", "bad threshold", "bad date", "no library", "unknown column", "error while scoring"],
    )
    def test_its_error_is_recorded_and_the_batch_lands(
        self,
        store: Store,
        registry: Registry,
        project: Project,
        register: Register,
        options: dict[str, Any],
        failure: str,
    ) -> None:
        register(options.pop("column", "x2"), **options)
        manifest = score_rows(store, registry, project, some_parcels(x2=[-1000.0] * 10))
        champion, challenger = manifest.scored
        assert champion.failure is None
        assert predictions(store, manifest, "1").height == 10
        assert challenger.parts == ()
        assert challenger.failure is not None
        assert re.search(failure, challenger.failure)
        assert manifest.versions() == ["1"]
        assert read_manifest(store, project.name, str(BEGIN)) == manifest

    def test_one_that_never_ends_loading_is_left_behind(
        self, store: Store, registry: Registry, project: Project, register: Register
    ) -> None:
        register("x2", model=HostileToLoad(time.sleep, MARK))
        patient = project.model_copy(update={"model_seconds": 4})
        manifest = score_rows(store, registry, patient, some_parcels())
        assert manifest.versions() == ["1"]
        limit = "gave no answer within 4 seconds; make it faster, or raise 'model_seconds' in the project file"
        assert manifest.scored[1].failure == f"failed to load: {limit}"

    @pytest.mark.parametrize(
        ("call", "failure"),
        [
            (sys.exit, "SystemExit: 3"),
            (os._exit, "ended its own process with the status 3; a model must not call exit"),
        ],
    )
    def test_one_that_ends_its_process_while_loading_fails_alone(
        self,
        store: Store,
        registry: Registry,
        project: Project,
        register: Register,
        call: Callable[[int], object],
        failure: str,
    ) -> None:
        register("x2", model=HostileToLoad(call, 3))
        manifest = score_rows(store, registry, project, some_parcels())
        assert manifest.versions() == ["1"]
        assert manifest.scored[1].failure == f"failed to load: {failure}"

    def test_a_model_that_is_gone_is_a_failure_to_load(
        self, store: Store, registry: Registry, project: Project, register: Register
    ) -> None:
        register("x2")
        for path in Path(project.store).parent.glob("artifacts/**/model.pkl"):
            if b"x2" in path.read_bytes():
                path.unlink()
        manifest = score_rows(store, registry, project, some_parcels())
        assert manifest.scored[1].failure is not None
        assert manifest.scored[1].failure.startswith("failed to load: ")
        assert manifest.versions() == ["1"]

    def test_one_that_fails_in_the_second_chunk_keeps_nothing_of_the_first(
        self, store: Store, registry: Registry, project: Project, register: Register
    ) -> None:
        register("x2", model=broken_model("x2"))
        rows = 2 * CHUNK_ROWS + 8
        ill = [0.0] * (CHUNK_ROWS + 4) + [-1000.0] + [0.0] * (CHUNK_ROWS + 3)
        manifest = score_rows(store, registry, project, some_parcels(rows, x2=ill))
        champion, challenger = manifest.scored
        assert [p.rows for p in champion.parts] == [CHUNK_ROWS, CHUNK_ROWS, 8]
        assert challenger.parts == ()
        assert challenger.failure == "failed to score: RuntimeError: the feature server is down"
        assert not [k for k in store.keys(f"{project.name}/predictions/{BEGIN}") if "/2/" in k]

    def test_the_others_challenge_on(
        self, store: Store, registry: Registry, project: Project, register: Register
    ) -> None:
        register("x2", model=broken_model("x2"))
        register("x2")
        manifest = score_rows(store, registry, project, some_parcels(x2=[-1000.0] * 10))
        assert manifest.versions() == ["1", "3"]

    def test_one_that_scored_before_and_fails_now_fails_for_this_batch_alone(
        self, store: Store, registry: Registry, project: Project, register: Register
    ) -> None:
        register("x2", model=broken_model("x2"))
        first = score_rows(store, registry, project, some_parcels(), week(0))
        second = score_rows(store, registry, project, some_parcels(x2=[-1000.0] * 10), week(1))
        assert first.versions() == ["1", "2"]
        assert second.versions() == ["1"]
        assert read_manifest(store, project.name, str(week(0))) == first


class TestChampionFails:
    """Then nothing at all is written: a batch without its champion is no batch."""

    def refuses(self, store: Store, registry: Registry, project: Project, rows: pl.DataFrame, sentence: str) -> None:
        put_batch(store, project, str(BEGIN), rows)
        before = everything(store, project)
        with pytest.raises(ChampionFailedError, match=sentence):
            score_batch(store, registry, project, head(store, project.name), str(BEGIN), BEGIN)
        assert everything(store, project) == before

    def test_a_champion_that_cannot_score_leaves_the_store_as_it_was(
        self, store: Store, registry: Registry, project: Project, register: Register
    ) -> None:
        register("x1", model=broken_model("x1"))
        register("x2")
        found(store, registry, project)
        sentence = r"the champion, version 1, failed to score, so nothing was scored: RuntimeError: the feature server"
        self.refuses(store, registry, project, some_parcels(x1=[-1000.0] * 10), sentence)

    def test_one_that_fails_in_the_last_chunk_leaves_the_store_as_it_was(
        self, store: Store, registry: Registry, project: Project, register: Register
    ) -> None:
        register("x1", model=broken_model("x1"))
        found(store, registry, project)
        rows = some_parcels(CHUNK_ROWS + 1, x1=[0.0] * CHUNK_ROWS + [-1000.0])
        self.refuses(store, registry, project, rows, "failed to score")

    def test_the_next_batch_of_the_run_gets_no_answer_that_the_failed_one_left(
        self, store: Store, registry: Registry, project: Project, register: Register
    ) -> None:
        for column in ("x1", "x2"):
            register(column, model=broken_model(column))
        found(store, registry, project)
        ill = [-1000.0] + [0.5] * (3 * CHUNK_ROWS)
        put_batch(store, project, str(week(0)), some_parcels(len(ill), x1=ill, x2=ill))
        put_batch(
            store,
            project,
            str(week(1)),
            some_parcels(3 * CHUNK_ROWS, x1=[0.0] * 3 * CHUNK_ROWS, x2=[1.0] * 3 * CHUNK_ROWS),
        )
        reign = head(store, project.name)
        with Versions(store, registry, project) as versions:
            with pytest.raises(ChampionFailedError):
                score_with(versions, reign, str(week(0)), week(0))
            manifest = score_with(versions, reign, str(week(1)), week(1))
        assert manifest.versions() == ["1", "2"]
        np.testing.assert_allclose(predictions(store, manifest, "2")["score"], 1 / (1 + np.exp(-1)))

    def test_a_champion_without_a_threshold_is_told_to_get_one(
        self, store: Store, registry: Registry, project: Project, register: Register
    ) -> None:
        version = register("x1")
        found(store, registry, project)
        registry.set_tags(version, {"threshold": "half"})
        sentence = (
            r"version 1, failed to load, so nothing was scored: version 1: its tag 'threshold' is 'half'; it must be"
        )
        self.refuses(store, registry, project, some_parcels(), sentence)

    def test_a_champion_whose_column_is_missing_is_named_with_it(
        self, store: Store, registry: Registry, project: Project, register: Register
    ) -> None:
        register("x9")
        found(store, registry, project)
        self.refuses(
            store, registry, project, some_parcels(), r"names the column 'x9', which batch 2024-01-07 does not have"
        )

    def test_a_champion_tagged_as_retired_still_leads(
        self, store: Store, registry: Registry, project: Project, register: Register
    ) -> None:
        register("x1", tags={"retired": "true"})
        register("x2", tags={"retired": "true"})
        register("x2")
        found(store, registry, project)
        assert score_rows(store, registry, project, some_parcels()).versions() == ["1", "3"]


@pytest.mark.usefixtures("two")
class TestBadBatch:
    """Nothing is written for a batch that cannot be scored as it is."""

    @pytest.mark.parametrize(
        ("rows", "sentence"),
        [
            (some_parcels(3, id=["a", None, None]), r"column 'id' is null in 2 rows; every row needs an id"),
            (some_parcels(0), r"its files hold no rows"),
            (some_parcels().drop("id"), r"its rows have no column 'id'; they have region, x1, x2"),
            (some_parcels().drop("region"), r"its rows have no column 'region'; they have id, x1, x2"),
        ],
        ids=["null ids", "no rows", "no id column", "no segment column"],
    )
    def test_it_is_refused_with_a_sentence(
        self, store: Store, registry: Registry, project: Project, rows: pl.DataFrame, sentence: str
    ) -> None:
        put_batch(store, project, str(BEGIN), rows)
        before = everything(store, project)
        with pytest.raises(BatchError, match=f"batch {BEGIN}: {sentence}"):
            score_batch(store, registry, project, head(store, project.name), str(BEGIN), BEGIN)
        assert everything(store, project) == before
