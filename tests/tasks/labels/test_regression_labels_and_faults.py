"""Models that predict numbers: labels of every kind, what is refused with a sentence, and a report without a single label."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
import pytest
from parcels import put_labels
from played import Gives
from played import register_echo as register
from weeks import BEGIN, found, look_on, play_rows, score_rows, week

from analysis.evidence.row_labels import CONFLICTING_LABELS, LABEL_NOT_A_NUMBER
from analysis.evidence.tally import UNLABELLED
from analysis.kinds import Task
from analysis.kinds.score_sums import pair_sums
from analysis.policy import Policy
from tasks.base.project import Project
from tasks.batches.scoring import ChampionFailedError
from tasks.labels.tallying import AnotherTaskError, LabelError, close_batches
from tasks.models.registry import Registry
from tasks.reigns import reigns
from tasks.reports.publish import draw
from tasks.reports.report import render
from tasks.store import Store

POLICY = Policy(task="regression", min_gain=0.1, guardrails={"absolute_error": 0.1}, n_resamples=1000)


@pytest.fixture
def project(make_project: Callable[..., Project]) -> Project:
    return make_project(task="regression", policy=POLICY)


@pytest.fixture
def two(project: Project, store: Store, registry: Registry) -> None:
    """A champion that predicts what stands in x1, a challenger that predicts what stands in x2."""
    for column in ("x1", "x2"):
        register(project, column)
    found(store, registry, project)


FEW = pl.DataFrame({"id": ["a", "b", "c"], "region": "north", "x1": [1.0, 2.0, 3.0], "x2": [2.0, 2.0, 2.0]})


@pytest.mark.usefixtures("two")
class TestLabels:
    def test_labels_of_every_kind_are_numbers(self, store: Store, registry: Registry, project: Project) -> None:
        kinds = [pl.Series([1, 2, 4]), pl.Series([1.0, 2.0, 4.0], dtype=pl.Float32), pl.Series(["1", "2.0", "4e0"])]
        for number, labels in enumerate(kinds):
            ids = (pl.col("id") + f"-{number}").alias("id")
            play_rows(store, registry, project, number, FEW.with_columns(ids, labels.alias("label")))
        for batch in close_batches(store, project, week(len(kinds) + 1)).batches:
            assert batch.tally.scores is not None
            sums = pair_sums(batch.tally.scores, "1", "2")["squared_error"]
            assert (sums.n, sums.champion, sums.challenger) == pytest.approx((3, 1 / 3, 5 / 3))

    def test_what_is_no_number_is_left_out_by_reason(self, store: Store, registry: Registry, project: Project) -> None:
        rows = pl.concat([FEW, FEW.with_columns(id=pl.Series(["d", "e", "f"]))])
        labels = pl.Series(["cheap", "nan", "inf", "1e61", None, "5"])
        play_rows(store, registry, project, 0, rows.with_columns(label=labels))
        put_labels(store, project, ["f"], [6.0], week(1), name="again")
        (batch,) = close_batches(store, project, week(2)).batches
        assert batch.silent == {f"{LABEL_NOT_A_NUMBER}, such as 1e61": 4, CONFLICTING_LABELS: 1, UNLABELLED: 1}

    def test_a_date_is_no_number_and_the_file_is_named(
        self, store: Store, registry: Registry, project: Project
    ) -> None:
        play_rows(store, registry, project, 0, FEW.with_columns(label=pl.lit(BEGIN)))
        with pytest.raises(
            LabelError, match=r"2024-01-07.parquet: the column 'label' is Date; labels are text or numbers"
        ):
            close_batches(store, project, week(2))
        assert store.keys(f"{project.name}/tallies") == []


class TestFaults:
    @pytest.mark.parametrize(
        ("output", "sentence"),
        [
            (lambda x: x.astype(str), r"gave object values such as '2.0'; predictions must be finite numbers"),
            (lambda x: x / 0, r"gave the number inf \(row 0 of a chunk\); predictions must be finite"),
            (lambda x: np.column_stack([x, x]), r"gave an output of shape \(3, 2\) for 3 rows; one number per row is"),
        ],
        ids=["text", "infinite", "two columns"],
    )
    def test_a_challenger_that_gives_no_number_is_left_out_with_its_reason(
        self, store: Store, registry: Registry, project: Project, output: Callable[[Any], Any], sentence: str
    ) -> None:
        register(project, "x1")
        register(project, "x2", model=Gives(output))
        found(store, registry, project)
        manifest = score_rows(store, registry, project, FEW)
        assert manifest.versions() == ["1"]
        assert re.match(f"failed to score: version 2 {sentence}", manifest.scored[1].failure or "")

    def test_a_champion_that_gives_none_stops_the_batch(
        self, store: Store, registry: Registry, project: Project
    ) -> None:
        register(project, "x1", model=Gives(lambda x: x * np.nan))
        found(store, registry, project)
        with pytest.raises(
            ChampionFailedError, match=r"the champion, version 1, failed to score, .* gave the number nan"
        ):
            score_rows(store, registry, project, FEW)
        assert store.keys(f"{project.name}/predictions") == []

    @pytest.mark.usefixtures("two")
    @pytest.mark.parametrize("closed", [True, False])
    def test_another_task_in_the_project_file_is_told_to_be_set_back(
        self, store: Store, registry: Registry, project: Project, closed: bool
    ) -> None:
        play_rows(store, registry, project, 0, FEW.with_columns(label=pl.lit(1.0)))
        if closed:
            close_batches(store, project, week(2))
        tasks: tuple[Task, ...] = ("binary", "multiclass")
        for task in tasks:
            changed = project.model_copy(update={"task": task, "policy": Policy(task=task)})
            sentence = f"batch 2024-01-07 was scored as regression, and the project's task is {task} now; set it back"
            with pytest.raises(AnotherTaskError, match=sentence):
                close_batches(store, changed, week(2))

    def test_a_policy_of_another_task_is_refused(self, project: Project) -> None:
        with pytest.raises(
            ValueError, match="the policy has the task multiclass, and the project has the task regression"
        ):
            Project(**{**project.model_dump(), "policy": Policy(task="multiclass")})

    @pytest.mark.usefixtures("two")
    def test_without_a_single_label_the_report_stands_too(
        self, store: Store, registry: Registry, project: Project
    ) -> None:
        score_rows(store, registry, project, FEW)
        put_labels(store, project, ["other"], [1.0], week(0))
        taken = look_on(store, project, week(2))
        assert taken is not None
        page = render(project, taken, reigns(store, project.name), {})
        assert "| mean squared error | undefined: no labelled row with scores |" in page
        assert "| version 2 | 3 | **0** | 3 |" in page
        assert draw(project, taken, close_batches(store, project, week(2)), reigns(store, project.name))
