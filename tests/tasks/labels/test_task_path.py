"""Models that name classes or predict numbers, from rows to the decision and its report: what holds of both."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from xml.etree import ElementTree as ET

import pandas as pd
import polars as pl
import pytest
from answers import answers, digest_of
from mlflow.pyfunc import PythonModel
from parcels import register_version
from played import Gives, Played, cells
from sklearn.linear_model import LinearRegression
from sklearn.metrics import accuracy_score, balanced_accuracy_score, mean_absolute_error, mean_squared_error
from sklearn.tree import DecisionTreeClassifier
from task_weeks import ANIMALS, PRICES, ROWS, WEEKS, TaskWeeks
from weeks import look_on, predictions, week

from analysis.evidence.tally import UNLABELLED
from analysis.tables.record import canonical_json
from demo.season_report import write_season_report
from tasks.base.project import Project
from tasks.labels.tallying import close_batches
from tasks.models.registry import Registry
from tasks.reigns import reigns
from tasks.reports.publish import draw
from tasks.reports.report import render


class Upper(PythonModel):  # type: ignore[misc]
    def predict(self, context, model_input, params=None):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201, ARG002  (MLflow reads hints)
        return model_input["x"].str.upper()


X = pd.DataFrame({"x": [0.0, 1.0, 2.0]})


@dataclass(frozen=True)
class Expected:
    """What differs between the tasks."""

    weeks: TaskWeeks
    said: tuple[str, pl.DataType | type[pl.DataType]]
    least_tables: int
    plots: dict[str, tuple[bytes, ...]]
    served: dict[str, tuple[Callable[..., float], str]]
    rules: tuple[str, ...]
    estimator: Any
    of_estimator: tuple[list[float], list[Any]]
    own_model: Any
    of_own_model: tuple[list[Any], list[Any]]


CLASSES = Expected(
    weeks=ANIMALS,
    said=("decision", pl.String),
    least_tables=3 * 4 + 4,
    plots={
        "differences": (b"macro precision", b"macro f1"),
        "evidence": (),
        "segments": (),
        "trend": (b"accuracy", b"macro recall"),
    },
    served={
        "accuracy served": (accuracy_score, ".4f"),
        "macro recall served": (balanced_accuracy_score, ".4f"),
    },
    rules=("accuracy \\> accuracy\\_live",),
    estimator=DecisionTreeClassifier().fit(X, [10, 20, 30]),
    of_estimator=([2.0, 0.0, 1.0], ["30", "10", "20"]),
    own_model=Upper(),
    of_own_model=(["cat", "dog"], ["CAT", "DOG"]),
)
NUMBERS = Expected(
    weeks=PRICES,
    said=("score", pl.Float64),
    least_tables=3 * 3 + 4,
    plots={
        "differences": (b"difference, % of the champion's loss",),
        "evidence": (),
        "trend": (b"squared error (lower is better)", b"absolute error (lower is better)"),
    },
    served={
        "squared error served": (mean_squared_error, ".5g"),
        "absolute error served": (mean_absolute_error, ".5g"),
    },
    rules=("squared\\_error \\< squared\\_error\\_live", "paired t p \\< 0.05 each week"),
    estimator=LinearRegression().fit(X, [-10, 30, 70]),
    of_estimator=([2.0, -1.0], [70, -50]),
    own_model=Gives(lambda x: -x),
    of_own_model=([2.0, 3.0], [-2.0, -3.0]),
)


@pytest.fixture(scope="module", params=[CLASSES, NUMBERS], ids=["classes", "numbers"])
def expected(request: pytest.FixtureRequest) -> Expected:
    found: Expected = request.param
    return found


@pytest.fixture(scope="module")
def played(expected: Expected, tmp_path_factory: pytest.TempPathFactory, mlflow_uri: str) -> Played:
    found: Played = expected.weeks.played(tmp_path_factory.mktemp("played"), mlflow_uri)
    return found


@pytest.fixture(scope="module")
def markdown(played: Played) -> str:
    return render(played.project, played.look, reigns(played.store, played.project.name), {"trend": "trend.svg"})


class TestVerdicts:
    @pytest.mark.parametrize(("version", "verdict"), [("2", "PROMOTE"), ("3", "WAIT"), ("4", "RETIRE")])
    def test_the_better_is_promoted_the_equal_waits_the_worse_retires(
        self, played: Played, version: str, verdict: str
    ) -> None:
        assert played.against(version).verdict.value == verdict
        assert played.look.promote == "2"

    def test_the_decision_is_kept_whole_and_is_found_again(self, played: Played) -> None:
        key = f"{played.project.name}/decisions/{played.look.id}.json"
        assert played.store.read(key) == canonical_json(played.look.record)
        again = look_on(played.store, played.project, week(WEEKS + 1) + timedelta(days=1))
        assert again is not None
        assert (again.id, again.record) == (played.look.id, played.look.record)


class TestStored:
    def test_a_version_says_one_thing_a_row_and_has_no_threshold(self, played: Played, expected: Expected) -> None:
        (batch, *_) = close_batches(played.store, played.project, week(WEEKS + 1)).batches
        said, (column, kind) = predictions(played.store, batch.manifest, "2"), expected.said
        assert said.schema == {column: kind}
        assert said[column].to_list() == played.rows[:ROWS]["x2"].to_list()
        registry = Registry(played.project)
        for scored in batch.manifest.scored:
            assert scored.contender is not None
            assert scored.contender.threshold is None
            assert scored.contender.digest == digest_of(registry, scored.version)

    def test_every_row_is_counted_or_explained(self, played: Played) -> None:
        for a in played.look.judgement.assessments:
            missing = played.rows["label"].null_count()
            assert a.evidence.excluded == {UNLABELLED: missing}
            assert a.measured.counts.n + missing == WEEKS * ROWS

    def test_an_estimator_of_scikit_learn_predicts_and_a_threshold_means_nothing(
        self, make_project: Callable[..., Project], expected: Expected
    ) -> None:
        project = make_project(task=expected.weeks.policy.task, policy=expected.weeks.policy)
        version = register_version(project, "x", model=expected.estimator, threshold="high")
        registry, (rows, said) = Registry(project), expected.of_estimator
        found = answers(registry, version, pl.DataFrame({"x": rows})).tolist()
        assert found == (said if isinstance(said[0], str) else pytest.approx(said))
        assert registry.version(version).threshold is None

    def test_a_model_of_unknown_make_predicts_too(
        self, make_project: Callable[..., Project], expected: Expected
    ) -> None:
        project, (rows, said) = (
            make_project(task=expected.weeks.policy.task, policy=expected.weeks.policy),
            expected.of_own_model,
        )
        version = register_version(project, "x", model=expected.own_model, threshold=None, example=rows[0])
        assert answers(Registry(project), version, pl.DataFrame({"x": rows})).tolist() == said


class TestReport:
    def test_its_tables_have_as_many_cells_in_every_row_as_in_their_head(
        self, markdown: str, expected: Expected
    ) -> None:
        tables = [b.splitlines() for b in markdown.split("\n\n") if b.startswith("|")]
        assert len(tables) >= expected.least_tables
        for table in tables:
            assert {len(cells(line)) for line in table} == {len(cells(table[0]))}

    def test_its_plots_are_well_formed(self, played: Played, expected: Expected) -> None:
        closed = close_batches(played.store, played.project, week(WEEKS + 1))
        figures = draw(played.project, played.look, closed, reigns(played.store, played.project.name))
        assert figures.keys() == expected.plots.keys()
        for name, svg in figures.items():
            assert ET.fromstring(svg).tag == "{http://www.w3.org/2000/svg}svg"  # noqa: S314  our own
            for title in expected.plots[name]:
                assert title in svg

    def test_a_season_is_told_in_its_own_measures(self, played: Played, expected: Expected) -> None:
        told = write_season_report(played.store, played.project)
        head_row, *rows = [cells(line) for line in told.splitlines() if line.startswith("|")]
        assert head_row[-2:] == list(expected.served)
        y, c, _ = played.labelled("2")
        own = next(row for row in rows if row[0] == "**Dethrone's policy**")
        assert own[-2:] == [format(of(y, c), written) for of, written in expected.served.values()]
        for rule in expected.rules:
            assert rule in told
