"""A version is what it was when it first scored: anything else is refused at every later load."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlflow
import pytest
from answers import digest_of
from weeks import BETTER, found, judged, play_week, week

from analysis.policy import Policy
from tasks.base.project import Project
from tasks.batches.scoring import ChampionFailedError
from tasks.decisions.promotion import enthrone, promote
from tasks.models.integrity import ChangedModelError, keep_digest
from tasks.models.registry import Registry
from tasks.store import Store

BY: dict[str, Any] = {"author": "ada", "reason": "a reason"}


@pytest.fixture
def project(make_project: Callable[..., Project]) -> Project:
    return make_project(policy=Policy(n_resamples=1000))


@pytest.fixture(autouse=True)
def versions(register: Callable[..., str]) -> None:
    register("x1")
    register("x2")


def tamper(project: Project, version: str) -> None:
    """Swap the model's file for another one, behind MLflow's back."""
    client = mlflow.MlflowClient(project.mlflow)
    uri = client.get_model_version_download_uri(project.model, version)
    folder = Path(mlflow.artifacts.download_artifacts(artifact_uri=uri))
    model = next(p for p in folder.rglob("*.pkl"))
    model.write_bytes(model.read_bytes() + b" ")


def test_the_digest_is_put_on_record_when_a_version_first_scores(
    store: Store, registry: Registry, project: Project
) -> None:
    found(store, registry, project)
    assert store.keys("parcels/versions") == []
    play_week(store, registry, project, 0, BETTER)
    assert store.keys("parcels/versions") == ["parcels/versions/1.json", "parcels/versions/2.json"]
    kept = json.loads(store.read("parcels/versions/2.json"))
    assert kept == {"version": "2", "artifacts": digest_of(registry, "2")}


def test_a_challenger_whose_artifacts_changed_is_left_out_and_named(
    store: Store, registry: Registry, project: Project
) -> None:
    found(store, registry, project)
    play_week(store, registry, project, 0, BETTER)
    tamper(project, "2")
    manifest = play_week(store, registry, project, 1, BETTER)
    failure = manifest.scored[1].failure
    assert failure is not None
    assert failure.startswith("failed to load: the artifacts of version 2 were changed after it first scored (SHA-256 ")
    assert manifest.versions() == ["1"]


def test_a_champion_whose_artifacts_changed_scores_nothing(store: Store, registry: Registry, project: Project) -> None:
    found(store, registry, project)
    play_week(store, registry, project, 0, BETTER)
    tamper(project, "1")
    with pytest.raises(ChampionFailedError, match="the artifacts of version 1 were changed after it first scored"):
        play_week(store, registry, project, 1, BETTER)


def test_a_challenger_whose_artifacts_changed_is_not_promoted(
    store: Store, registry: Registry, project: Project
) -> None:
    taken = judged(store, registry, project, BETTER)
    tamper(project, "2")
    with pytest.raises(ChangedModelError, match="restore them, or register the changed model as a new version"):
        promote(store, registry, project.name, taken.id)


def test_two_that_score_first_keep_one_digest(store: Store, registry: Registry, project: Project) -> None:
    first = registry.download(registry.version("2"))
    keep_digest(store, project.name, first)
    keep_digest(store, project.name, first)
    tamper(project, "2")
    with pytest.raises(ChangedModelError):
        keep_digest(store, project.name, registry.download(registry.version("2")))
    with pytest.raises(ChangedModelError):
        enthrone(store, registry, project.name, version="2", since=week(0), **BY)
