"""Models that name classes or predict numbers: labels of every kind, what is refused with a sentence, and reports at their limits."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
import pytest
from parcels import put_frame, put_labels
from played import Gives, cells, register_echo
from weeks import BEGIN, found, look_on, play_rows, score_rows, week

from analysis.evidence.pair_counts import pair_table
from analysis.evidence.row_labels import CONFLICTING_LABELS, LABEL_NOT_A_CLASS, LABEL_NOT_A_NUMBER
from analysis.evidence.tally import UNLABELLED
from analysis.kinds import MULTICLASS, Task
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


@dataclass(frozen=True)
class Few:
    """Three rows with what both versions say of each, and a label."""

    policy: Policy
    rows: pl.DataFrame
    label: Any
    others: tuple[Task, ...]

    def register(self, project: Project, column: str, **options: Any) -> str:
        return register_echo(project, column, example=self.label, **options)


CLASSES = Few(
    Policy(task="multiclass", n_resamples=1000),
    pl.DataFrame({"id": ["a", "b", "c"], "region": "north", "x1": ["1", "2", "3"], "x2": ["1", "1", "3"]}),
    "1",
    ("binary", "regression"),
)
NUMBERS = Few(
    Policy(task="regression", min_gain=0.1, guardrails={"absolute_error": 0.1}, n_resamples=1000),
    pl.DataFrame({"id": ["a", "b", "c"], "region": "north", "x1": [1.0, 2.0, 3.0], "x2": [2.0, 2.0, 2.0]}),
    1.0,
    ("binary", "multiclass"),
)
of_classes = pytest.mark.parametrize("few", [CLASSES], ids=["classes"])
of_numbers = pytest.mark.parametrize("few", [NUMBERS], ids=["numbers"])
of_both = pytest.mark.parametrize("few", [CLASSES, NUMBERS], ids=["classes", "numbers"])


@pytest.fixture
def project(make_project: Callable[..., Project], few: Few) -> Project:
    return make_project(task=few.policy.task, policy=few.policy)


@pytest.fixture
def two(project: Project, store: Store, registry: Registry, few: Few) -> None:
    """A champion that says what stands in x1, a challenger that says what stands in x2."""
    for column in ("x1", "x2"):
        few.register(project, column)
    found(store, registry, project)


@pytest.mark.usefixtures("two")
class TestLabels:
    @of_classes
    def test_labels_of_every_kind_are_the_classes_that_models_name(
        self, store: Store, registry: Registry, project: Project, few: Few
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
            play_rows(store, registry, project, number, few.rows.with_columns(ids, labels.alias("label")))
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

    @of_numbers
    def test_labels_of_every_kind_are_numbers(
        self, store: Store, registry: Registry, project: Project, few: Few
    ) -> None:
        kinds = [pl.Series([1, 2, 4]), pl.Series([1.0, 2.0, 4.0], dtype=pl.Float32), pl.Series(["1", "2.0", "4e0"])]
        for number, labels in enumerate(kinds):
            ids = (pl.col("id") + f"-{number}").alias("id")
            play_rows(store, registry, project, number, few.rows.with_columns(ids, labels.alias("label")))
        for batch in close_batches(store, project, week(len(kinds) + 1)).batches:
            assert batch.tally.scores is not None
            sums = pair_sums(batch.tally.scores, "1", "2")["squared_error"]
            assert (sums.n, sums.champion, sums.challenger) == pytest.approx((3, 1 / 3, 5 / 3))

    @of_classes
    def test_what_is_no_class_is_left_out_by_reason(
        self, store: Store, registry: Registry, project: Project, few: Few
    ) -> None:
        play_rows(store, registry, project, 0, few.rows.with_columns(label=pl.Series(["1", "", None])))
        put_labels(store, project, ["a", "a"], [1.0, float("nan")], week(1), name="again")
        (batch,) = close_batches(store, project, week(2)).batches
        assert batch.silent == {CONFLICTING_LABELS: 1, LABEL_NOT_A_CLASS: 1, UNLABELLED: 1}

    @of_numbers
    def test_what_is_no_number_is_left_out_by_reason(
        self, store: Store, registry: Registry, project: Project, few: Few
    ) -> None:
        rows = pl.concat([few.rows, few.rows.with_columns(id=pl.Series(["d", "e", "f"]))])
        labels = pl.Series(["cheap", "nan", "inf", "1e61", None, "5"])
        play_rows(store, registry, project, 0, rows.with_columns(label=labels))
        put_labels(store, project, ["f"], [6.0], week(1), name="again")
        (batch,) = close_batches(store, project, week(2)).batches
        assert batch.silent == {f"{LABEL_NOT_A_NUMBER}, such as 1e61": 4, CONFLICTING_LABELS: 1, UNLABELLED: 1}

    @of_both
    def test_a_date_is_neither_and_the_file_is_named(
        self, store: Store, registry: Registry, project: Project, few: Few
    ) -> None:
        play_rows(store, registry, project, 0, few.rows.with_columns(label=pl.lit(BEGIN)))
        with pytest.raises(
            LabelError, match=r"2024-01-07.parquet: the column 'label' is Date; labels are text or numbers"
        ):
            close_batches(store, project, week(2))
        assert store.keys(f"{project.name}/tallies") == []

    @of_classes
    def test_files_of_different_kinds_are_read_each_as_it_is(
        self, store: Store, registry: Registry, project: Project, few: Few
    ) -> None:
        score_rows(store, registry, project, few.rows)
        for number, label in enumerate((1, "2", 3.0)):
            frame = pl.DataFrame({"id": [few.rows["id"][number]], "label": [label], "observed_at": [BEGIN]})
            put_frame(store, f"{project.name}/labels/{number}.parquet", frame)
        (batch,) = close_batches(store, project, week(2)).batches
        assert pair_table(batch.tally.frame, "1", "2", MULTICLASS).as_recorded().labelled == (0, 0, 0, 0, 0, 0, 1, 2)


class TestFaults:
    @of_classes
    @pytest.mark.usefixtures("two")
    def test_a_challenger_that_names_nothing_for_a_row_is_left_out_with_its_reason(
        self, store: Store, registry: Registry, project: Project, few: Few
    ) -> None:
        manifest = score_rows(store, registry, project, few.rows.with_columns(x2=pl.Series(["1", None, "3"])))
        assert manifest.versions() == ["1"]
        sentence = r"failed to score: version 2 gave \w+ \(row 1 of a chunk\), which is no class; every row needs one"
        assert re.fullmatch(sentence, manifest.scored[1].failure or "")

    @of_numbers
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
        self,
        store: Store,
        registry: Registry,
        project: Project,
        few: Few,
        output: Callable[[Any], Any],
        sentence: str,
    ) -> None:
        few.register(project, "x1")
        few.register(project, "x2", model=Gives(output))
        found(store, registry, project)
        manifest = score_rows(store, registry, project, few.rows)
        assert manifest.versions() == ["1"]
        assert re.match(f"failed to score: version 2 {sentence}", manifest.scored[1].failure or "")

    @pytest.mark.parametrize(
        ("few", "output", "sentence"),
        [
            (
                CLASSES,
                lambda x: np.full((len(x), 2), 0.5),
                r"an output of shape \(3, 2\) for 3 rows; one class per row is",
            ),
            (NUMBERS, lambda x: x * np.nan, "gave the number nan"),
        ],
        ids=["shares of classes", "no number"],
    )
    def test_a_champion_that_says_nothing_of_a_row_stops_the_batch(
        self,
        store: Store,
        registry: Registry,
        project: Project,
        few: Few,
        output: Callable[[Any], Any],
        sentence: str,
    ) -> None:
        few.register(project, "x1", model=Gives(output))
        found(store, registry, project)
        with pytest.raises(
            ChampionFailedError, match=rf"the champion, version 1, failed to score, .* version 1 .*{sentence}"
        ):
            score_rows(store, registry, project, few.rows)
        assert store.keys(f"{project.name}/predictions") == []

    @of_both
    @pytest.mark.usefixtures("two")
    @pytest.mark.parametrize("closed", [True, False])
    def test_another_task_in_the_project_file_is_told_to_be_set_back(
        self, store: Store, registry: Registry, project: Project, few: Few, closed: bool
    ) -> None:
        play_rows(store, registry, project, 0, few.rows.with_columns(label=pl.lit(few.label)))
        if closed:
            close_batches(store, project, week(2))
        for task in few.others:
            changed = project.model_copy(update={"task": task, "policy": Policy(task=task)})
            sentence = (
                f"batch 2024-01-07 was scored as {few.policy.task}, and the project's task is {task} now; set it back"
            )
            with pytest.raises(AnotherTaskError, match=sentence):
                close_batches(store, changed, week(2))

    @of_both
    def test_a_policy_of_another_task_is_refused(self, project: Project, few: Few) -> None:
        for task in few.others:
            sentence = f"the policy has the task {task}, and the project has the task {few.policy.task}"
            with pytest.raises(ValueError, match=sentence):
                Project(**{**project.model_dump(), "policy": Policy(task=task)})


@pytest.mark.usefixtures("two")
class TestReports:
    @of_classes
    def test_many_classes_are_shown_by_their_rows_and_those_never_labelled_are_said_to_be(
        self, project: Project, store: Store, registry: Registry
    ) -> None:
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

    @of_numbers
    def test_without_a_single_label_the_report_stands_too(
        self, store: Store, registry: Registry, project: Project, few: Few
    ) -> None:
        score_rows(store, registry, project, few.rows)
        put_labels(store, project, ["other"], [1.0], week(0))
        taken = look_on(store, project, week(2))
        assert taken is not None
        page = render(project, taken, reigns(store, project.name), {})
        assert "| mean squared error | undefined: no labelled row with scores |" in page
        assert "| version 2 | 3 | **0** | 3 |" in page
        assert draw(project, taken, close_batches(store, project, week(2)), reigns(store, project.name))
