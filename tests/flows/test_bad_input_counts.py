"""Bad input that stops nothing: what is left out is counted and said, and what was written before stays as it was."""

from __future__ import annotations

import contextlib
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import mlflow
import polars as pl
import pytest
from parcels import decisions_frame, put_labels, register_version
from spoilt import (
    ABOVE_ONE,
    BETTER,
    ENDS,
    FIRST,
    HANGS,
    INFINITE,
    LATER,
    NAN,
    NEXT,
    RAISES,
    TOO_FEW,
    WORDS,
    World,
    make_world,
    telling,
)  # fmt: skip

from flows.enthrone import enthrone
from flows.judge import judge
from flows.reconcile import reconcile
from flows.score import score
from tasks.base.project import Project
from tasks.batches.predictions import read_manifest
from tasks.decisions import all_records
from tasks.store import StoreError

pytestmark = pytest.mark.usefixtures("prefect_server")

FAILURES = {
    NAN: "version 2 gave the score nan (row 0 of a chunk); scores must be numbers from 0 to 1",
    INFINITE: "version 2 gave the score inf (row 0 of a chunk); scores must be numbers from 0 to 1",
    ABOVE_ONE: "version 2 gave the score 1.5 (row 0 of a chunk); scores must be numbers from 0 to 1",
    TOO_FEW: "version 2 gave an output of shape (4,) for 5 rows; one score per row is needed",
    WORDS: "version 2 gave object values such as 'late'; scores must be numbers from 0 to 1",
    RAISES: "RuntimeError: the feature server is down",
    ENDS: "SystemExit: 1",
}


def failure(world: World, batch: str) -> str | None:
    """Why version 2 has no predictions of the batch, which version 1 has scored."""
    manifest = read_manifest(world.store, world.project.name, batch)
    assert manifest is not None
    champion, challenger = manifest.scored
    assert champion.failure is None
    assert (challenger.parts, champion.parts[0].rows) == ((), 5)
    return challenger.failure


def test_a_challenger_that_fails_is_recorded_with_its_batch_and_the_champion_scores_all_of_them(world: World) -> None:
    days = {str(LATER + timedelta(days=n)): code for n, code in enumerate(FAILURES)}
    for batch, code in days.items():
        world.put(telling(code), batch)
    before = world.files()
    assert score("parcels", as_of=LATER + timedelta(days=9)).startswith(
        f"Scored: {', '.join([NEXT, *days])}. Version 2 failed in {len(days)} of {len(days) + 1} batches, last in {max(days)}: "
    )
    assert {b: failure(world, b) for b in days} == {b: f"failed to score: {FAILURES[c]}" for b, c in days.items()}
    kept = {key: data for key, data in before.items() if "/rollups/" not in key}  # which the next one takes in
    assert kept.items() <= world.files().items()


def test_a_challenger_that_hangs_past_its_limit_fails_and_the_batch_lands(world: World) -> None:
    world.settings(model_seconds=5)
    world.put(telling(HANGS))
    score("parcels", batch=NEXT)
    limit = "gave no answer within 5 seconds; make it faster, or raise 'model_seconds' in the project file"
    assert failure(world, NEXT) == f"failed to score: {limit}"


def test_text_in_a_column_that_only_the_challenger_reads_is_the_challengers_failure(world: World) -> None:
    world.put(telling(NAN).with_columns(x2=pl.lit("much")))
    score("parcels", batch=NEXT)
    needed = "version 2 reads the column 'x2' as double, and the batch has it as String; write it as numbers"
    assert failure(world, NEXT) == f"failed to score: {needed}"


def test_an_alias_that_was_deleted_by_hand_is_put_back_and_said(world: World) -> None:
    assert reconcile("parcels") == "Version 1 leads parcels, reign 1. Everything says so."
    mlflow.MlflowClient(world.project.mlflow).delete_registered_model_alias(world.project.model, "champion")
    before = world.files()
    assert reconcile("parcels") == "Version 1 leads parcels, reign 1. Put right:\n- alias champion: none -> 1"
    assert world.files() == before


def test_bad_labels_and_ids_are_left_out_and_counted_by_reason_in_the_report(world: World) -> None:
    """Labels outside {0, 1}, null, in conflict, of unknown rows and after closing; a batch in which an id stands twice."""
    ids = [f"{FIRST}-{n}" for n in range(160)]
    given = [2, None, *([1] * 53), *([0] * 105)]
    world.store.delete(f"parcels/labels/{FIRST}.parquet")
    put_labels(world.store, world.project, ids, given, FIRST, name="first")
    put_labels(world.store, world.project, [ids[2], "nobody"], [0, 1], FIRST, name="conflict and stranger")
    put_labels(world.store, world.project, ids[1:2], [1], FIRST + timedelta(days=15), name="too late")
    early = FIRST - timedelta(days=7)
    twice = telling(1.0).with_columns(id=pl.lit("twice"))
    world.put(twice, str(early))
    score("parcels", batch=str(early))
    before = world.files()
    judge("parcels", as_of=LATER)
    (decision,) = all_records(world.store, world.project.name)
    report = world.store.read(f"parcels/reports/{decision['id']}/report.md").decode()
    header, counted = (line for line in report.splitlines() if line.startswith("| rows against") or "| 965 |" in line)
    reasons = "conflicting labels | duplicate id | label not 0/1, such as 2 | unlabelled"
    assert header == f"| rows against the champion | all | counted | of them positive | {reasons} |"
    assert counted == "| version 2 | 965 | **957** | 327 | 1 | 5 | 1 | 1 |"
    written_anew = ("mlflow/", "reports/index", "rollups/")
    kept = {k: v for k, v in before.items() if not any(w in k for w in written_anew)}
    assert kept.items() <= world.files().items()


@pytest.mark.parametrize("label", [0, 1])
def test_labels_of_one_class_only_promote_nobody(world: World, label: int) -> None:
    frames = [decisions_frame(BETTER, prefix=f"{FIRST + timedelta(weeks=w)}-") for w in range(6)]
    ids = pl.concat(frames).select("id")
    world.only_labels(ids.with_columns(label=pl.lit(label), observed_at=pl.lit(FIRST)))
    before = world.files()
    said = judge("parcels", as_of=LATER, dry_run=True)
    assert said.startswith("Version 1 stays the champion of parcels: no challenger has proven to be better")
    assert world.files() == before


def test_judging_before_the_reign_began_finds_nothing(world: World) -> None:
    before = world.files()
    day = FIRST - timedelta(days=30)
    assert judge("parcels", as_of=day).startswith(f"Nothing to judge in parcels as of {day}: no closed batch")
    assert world.files() == before


def test_the_same_model_twice_never_disagrees_and_waits(world: World, make_project: Callable[..., Project]) -> None:
    twins = make_project(model=f"{world.project.model}-twins", store=world.project.store)
    for _ in range(2):
        register_version(twins, "x1")
    world.settings(model=twins.model)
    for folder in ("predictions", "reigns", "versions"):
        shutil.rmtree(world.path(f"parcels/{folder}"))
    enthrone("parcels", "1", author="ada", as_of=FIRST)
    score("parcels", as_of=LATER)
    judge("parcels", as_of=LATER)
    (decision,) = all_records(world.store, world.project.name)
    report = world.store.read(f"parcels/reports/{decision['id']}/report.md").decode()
    champion, (challenger,) = decision["basis"]["champion"], decision["basis"]["challengers"]
    assert champion["digest"] == challenger["digest"]
    assert "the challenger is the champion's own model with the champion's own threshold" in report
    assert decision["promote"] is None


def test_a_policy_that_is_changed_in_a_reign_is_recorded_and_stands_in_the_report(world: World) -> None:
    cautious = {"n_resamples": 1000, "min_gain": 0.9}
    world.settings(policy=cautious)
    judge("parcels", as_of=LATER)
    before = world.files()
    world.settings(policy={**cautious, "alpha": 0.01, "guardrails": {"accuracy": 0.02}})
    judge("parcels", as_of=LATER)
    (changed,) = [d for d in all_records(world.store, world.project.name) if d["policy_changed"]]
    assert changed["policy_changed"] == [
        "alpha: 0.05 -> 0.01",
        "guardrails.accuracy: 0.005 -> 0.02",
        "guardrails.precision: 0.03 -> none",
    ]
    report = world.store.read(f"parcels/reports/{changed['id']}/report.md").decode()
    (line,) = [line for line in report.splitlines() if "policy was changed" in line]
    assert line.startswith("**The policy was changed in this reign, since the decision before: alpha: 0.05 -")
    kept = {key: data for key, data in before.items() if "/rollups/" not in key}  # which the next one takes in
    assert kept.items() <= world.files().items()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, of two megabytes."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", disk], check=False).returncode:  # noqa: S607
        pytest.skip("only root may mount")
    yield disk
    subprocess.run(["umount", disk], check=True)  # noqa: S607


def fill(disk: Path) -> None:
    with contextlib.suppress(OSError), (disk / "filler").open("wb", buffering=0) as file:
        while file.write(bytes(4096)):
            pass


def make_read_only(disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)  # noqa: S607


@pytest.mark.parametrize(
    ("happens", "sentence"),
    [
        (fill, "the disk is full; make room and run again"),
        (make_read_only, "the file system is read-only; name a directory that can be written to"),
    ],
)
def test_a_disk_that_takes_no_more_is_told_and_holds_no_half_a_file(
    template: Project,
    small_disk: Path,
    monkeypatch: pytest.MonkeyPatch,
    happens: Callable[[Path], None],
    sentence: str,
) -> None:
    world = make_world(template, small_disk)
    monkeypatch.setenv("DETHRONE_PROJECTS", str(world.folder))
    happens(small_disk)
    before = world.files()
    with pytest.raises(StoreError) as caught:
        score("parcels", batch=NEXT)
    assert re.fullmatch(rf"\S+/store: parcels/\S+ cannot be written: {sentence}", str(caught.value))
    assert world.files() == before
