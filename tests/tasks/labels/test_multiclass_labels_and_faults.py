"""Models that name classes: labels of every kind, what is refused with a sentence, and more classes than a report shows."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from mlflow.pyfunc import PythonModel
from parcels import put_batch, put_frame, put_labels, register_version
from played import cells, register_echo
from weeks import BEGIN, found, look_on, play_rows, score_rows, week

from analysis.evidence.row_labels import CONFLICTING_LABELS, LABEL_NOT_A_CLASS
from analysis.evidence.tally import UNLABELLED, pair_table
from analysis.kinds import MULTICLASS, Task
from analysis.policy import Policy
from tasks.base.project import Project
from tasks.batches.scoring import ChampionFailedError
from tasks.labels.tallying import AnotherTaskError, LabelError, close_batches
from tasks.models.registry import Registry
from tasks.reigns import reigns
from tasks.reports.report import render
from tasks.store import Store

POLICY = Policy(task="multiclass", n_resamples=1000)

register = partial(register_echo, example="cat")


@pytest.fixture
def project(make_project: Callable[..., Project]) -> Project:
    return make_project(task="multiclass", policy=POLICY)


@pytest.fixture
def two(project: Project, store: Store, registry: Registry) -> None:
    """A champion that names what stands in x1, a challenger that names what stands in x2."""
    for column in ("x1", "x2"):
        register(project, column)
    found(store, registry, project)


FEW = pl.DataFrame(
    {"id": ["a", "b", "c"], "region": "north", "x1": ["1", "2", "3"], "x2": ["1", "1", "3"]},
    schema_overrides={"x1": pl.String, "x2": pl.String},
)


@pytest.mark.usefixtures("two")
class TestLabels:
    def test_labels_of_every_kind_are_the_classes_that_models_name(
        self, store: Store, registry: Registry, project: Project
    ) -> None:
        kinds = [
            pl.Series(["1", "2", "2"]),
            pl.Series([1, 2, 2]),
            pl.Series([1, 2, 2], dtype=pl.UInt8),
            pl.Series([1.0, 2.0, 2.0]),
            pl.Series(["1", "2", "2"], dtype=pl.Categorical),
        ]
        for number, labels in enumerate(kinds):
            ids = (pl.col("id") + f"-{number}").alias("id")
            play_rows(store, registry, project, number, FEW.with_columns(ids, labels.alias("label")))
        for batch in close_batches(store, project, week(len(kinds) + 1)).batches:
            assert batch.tally.frame.schema["label"] == pl.String
            assert pair_table(batch.tally.frame, "1", "2", MULTICLASS).as_recorded().labelled == (
                0,
                0,
                0,
                0,
                1,
                0,
                1,
                1,
            )

    def test_what_is_no_class_is_left_out_by_reason(self, store: Store, registry: Registry, project: Project) -> None:
        play_rows(store, registry, project, 0, FEW.with_columns(label=pl.Series(["1", "", None])))
        put_labels(store, project, ["a", "a"], [1.0, float("nan")], week(1), name="again")
        (batch,) = close_batches(store, project, week(2)).batches
        assert batch.silent == {CONFLICTING_LABELS: 1, LABEL_NOT_A_CLASS: 1, UNLABELLED: 1}

    def test_a_date_is_no_class_and_the_file_is_named(self, store: Store, registry: Registry, project: Project) -> None:
        play_rows(store, registry, project, 0, FEW.with_columns(label=pl.lit(BEGIN)))
        with pytest.raises(
            LabelError, match=r"2024-01-07.parquet: the column 'label' is Date; labels are text or numbers"
        ):
            close_batches(store, project, week(2))
        assert store.keys(f"{project.name}/tallies") == []

    def test_files_of_different_kinds_are_read_each_as_it_is(
        self, store: Store, registry: Registry, project: Project
    ) -> None:
        score_rows(store, registry, project, FEW)
        for number, label in enumerate((1, "2", 3.0)):
            frame = pl.DataFrame({"id": [FEW["id"][number]], "label": [label], "observed_at": [BEGIN]})
            put_frame(store, f"{project.name}/labels/{number}.parquet", frame)
        (batch,) = close_batches(store, project, week(2)).batches
        assert pair_table(batch.tally.frame, "1", "2", MULTICLASS).as_recorded().labelled == (0, 0, 0, 0, 0, 0, 1, 2)


@pytest.mark.usefixtures("two")
class TestFaults:
    def test_a_challenger_that_names_nothing_for_a_row_is_left_out_with_its_reason(
        self, store: Store, registry: Registry, project: Project
    ) -> None:
        manifest = score_rows(store, registry, project, FEW.with_columns(x2=pl.Series(["1", None, "3"])))
        assert manifest.versions() == ["1"]
        sentence = r"failed to score: version 2 gave \w+ \(row 1 of a chunk\), which is no class; every row needs one"
        assert re.fullmatch(sentence, manifest.scored[1].failure or "")

    def test_a_champion_that_gives_scores_of_classes_stops_the_batch(
        self, make_project: Callable[..., Project], store: Store
    ) -> None:
        project = make_project(name="scores", task="multiclass", policy=POLICY)
        register_version(project, "x1", model=Shares(), threshold=None, example="cat")
        registry = Registry(project)
        found(store, registry, project)
        put_batch(store, project, str(BEGIN), FEW)
        with pytest.raises(
            ChampionFailedError, match=r"an output of shape \(3, 2\) for 3 rows; one class per row is needed"
        ):
            score_rows(store, registry, project, FEW)
        assert store.keys(f"{project.name}/predictions") == []

    @pytest.mark.parametrize("closed", [True, False])
    def test_another_task_in_the_project_file_is_told_to_be_set_back(
        self, store: Store, registry: Registry, project: Project, closed: bool
    ) -> None:
        play_rows(store, registry, project, 0, FEW.with_columns(label=pl.lit("1")))
        if closed:
            close_batches(store, project, week(2))
        tasks: tuple[Task, ...] = ("binary", "regression")
        for task in tasks:
            changed = project.model_copy(update={"task": task, "policy": Policy(task=task)})
            sentence = f"batch 2024-01-07 was scored as multiclass, and the project's task is {task} now; set it back"
            with pytest.raises(AnotherTaskError, match=sentence):
                close_batches(store, changed, week(2))

    def test_a_policy_of_another_task_is_refused(self, project: Project) -> None:
        with pytest.raises(ValueError, match="the policy has the task binary, and the project has the task multiclass"):
            Project(**{**project.model_dump(), "policy": Policy()})


class Shares(PythonModel):  # type: ignore[misc]
    def predict(self, context, model_input, params=None):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201, ARG002  (MLflow reads hints)
        return np.full((len(model_input), 2), 0.5)


def test_many_classes_are_shown_by_their_rows_and_those_never_labelled_are_said_to_be(
    project: Project, store: Store, registry: Registry, tmp_path: Path
) -> None:
    for column in ("x1", "x2"):
        register(project, column)
    found(store, registry, project)
    names = [f"k{i:02}" for i in range(35)]
    y = [name for i, name in enumerate(names) for _ in range(40 - i)]
    frame = pl.DataFrame(
        {"id": [f"i{i}" for i in range(len(y))], "region": "x", "x1": y, "x2": ["new|"] * len(y), "label": y}
    )
    play_rows(store, registry, project, 0, frame)
    taken = look_on(store, project, week(2))
    assert taken is not None
    markdown = render(project, taken, reigns(store, project.name), {})
    shown = [cells(line)[0] for line in markdown.splitlines() if line.startswith(("| **k", "| **new"))]
    assert shown == [f"**{name}**" for name in names[:30]]
    assert "6 classes with fewer rows are in `report.json`." in markdown
    assert taken.judgement.assessments[0].measured.classes["new|"].reason == "no labelled row of class new|"  # type: ignore[union-attr]
