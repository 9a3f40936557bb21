"""The registry on a real MLflow: which versions compete, and what of a model's output is a score."""

from __future__ import annotations

import socket
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import polars as pl
import pytest
from answers import answers, digest_of
from lightgbm import LGBMClassifier
from mlflow.models import infer_signature
from parcels import register_version, sigmoid_model
from weeks import everything

from tasks.base.project import Project
from tasks.models.errors import RegistryError, ScoringError
from tasks.models.registry import Registry
from tasks.models.version import ModelVersion
from tasks.store import Store

Register = Callable[..., str]
ROWS = pl.DataFrame({"x1": [-1.0, 0.0, 0.25, 1.0], "x2": [9.0, 9.0, 9.0, 9.0]})


class Says(mlflow.pyfunc.PythonModel):  # type: ignore[misc]
    """A model of unknown make whose output is whatever a function makes of its first column."""

    def __init__(self, output: Callable[[Any], Any]) -> None:
        self._output = output

    def predict(self, context, model_input, params=None):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201, ARG002  (MLflow reads hints)
        return self._output(model_input.iloc[:, 0])


class OnlyPredicts:
    """A scikit-learn kind of model without probabilities."""

    def predict(self, rows: Any) -> Any:
        return (np.asarray(rows)[:, 0] > 0).astype(int)


class TestScores:
    def test_a_classifier_gives_the_probability_of_class_1(self, registry: Registry, register: Register) -> None:
        version = register("x1")
        assert registry.download(registry.version(version)).signature.present(()) == ("x1",)
        np.testing.assert_allclose(answers(registry, version, ROWS), 1 / (1 + np.exp(-ROWS["x1"].to_numpy())))

    def test_a_model_sees_its_columns_only_and_by_their_names(self, registry: Registry, register: Register) -> None:
        def count(column: Any) -> Any:
            assert column.name == "x2"
            return column / 10

        np.testing.assert_allclose(answers(registry, register("x2", model=Says(count)), ROWS), 0.9)

    def test_a_boosters_native_flavour_gives_probabilities_and_not_the_classes_that_pyfunc_gives(
        self, registry: Registry, project: Project, tmp_path: Path
    ) -> None:
        x = np.linspace(-1, 1, 400)
        frame = pd.DataFrame({"x1": x})
        model = LGBMClassifier(n_estimators=5, verbose=-1).fit(frame, x + np.sin(40 * x) > 0)
        mlflow.set_tracking_uri(project.mlflow)
        experiment = mlflow.create_experiment(project.model, (tmp_path / "artifacts").as_uri())
        with mlflow.start_run(experiment_id=experiment):
            signature = infer_signature(frame, model.predict_proba(frame)[:, 1])
            info = mlflow.lightgbm.log_model(model, name="model", signature=signature, pip_requirements=["lightgbm"])
        version = mlflow.register_model(info.model_uri, project.model, tags={"threshold": "0.5"}).version
        assert set(mlflow.pyfunc.load_model(info.model_uri).predict(frame)) == {False, True}
        scores = answers(registry, str(version), pl.DataFrame({"x1": x}))
        np.testing.assert_array_equal(scores, model.predict_proba(frame)[:, 1])

    @pytest.mark.parametrize(
        ("output", "scores"),
        [
            (lambda x: x.abs(), [1.0, 0.0, 0.25, 1.0]),
            (lambda x: (x > 0).astype(int), [0.0, 0.0, 1.0, 1.0]),
            (lambda x: x > 0, [0.0, 0.0, 1.0, 1.0]),
            (lambda x: x.abs().tolist(), [1.0, 0.0, 0.25, 1.0]),
            (lambda x: x.abs().to_numpy()[:, None], [1.0, 0.0, 0.25, 1.0]),
            (lambda x: x.abs().to_frame("score"), [1.0, 0.0, 0.25, 1.0]),
            (lambda x: pd.DataFrame({"0": 1 - x.abs(), "1": x.abs()}), [1.0, 0.0, 0.25, 1.0]),
            (lambda x: x.abs().astype("float32"), [1.0, 0.0, 0.25, 1.0]),
        ],
        ids=[
            "probabilities",
            "0 and 1",
            "booleans",
            "list",
            "one column",
            "data frame",
            "two columns named by class",
            "single precision",
        ],
    )
    def test_every_form_of_one_score_a_row_is_understood(
        self, registry: Registry, register: Register, output: Callable[[Any], Any], scores: list[float]
    ) -> None:
        given = answers(registry, register("x1", model=Says(output)), ROWS)
        assert given.dtype == np.float64
        assert given.tolist() == scores

    def test_a_scikit_learn_model_without_probabilities_gives_its_decisions(
        self, registry: Registry, register: Register
    ) -> None:
        assert answers(registry, register("x1", model=OnlyPredicts()), ROWS).tolist() == [0.0, 0.0, 1.0, 1.0]

    @pytest.mark.parametrize(
        ("output", "sentence"),
        [
            (lambda x: x.abs()[:2], r"gave an output of shape \(2,\) for 4 rows; one score per row is needed"),
            (lambda _: [], r"gave an output of shape \(0,\) for 4 rows"),
            (lambda _: 0.5, r"gave an output of shape \(\) for 4 rows"),
            (lambda _: np.ones((4, 3)), r"gave an output of shape \(4, 3\) for 4 rows"),
            (lambda _: np.ones((4, 2, 1)), r"gave an output of shape \(4, 2, 1\) for 4 rows"),
            (lambda _: ["late", "late", "on time", "late"], r"gave .* values such as .*late.*; scores must be numbers"),
            (lambda _: [0.5, None, 0.5, 0.5], r"gave the score nan \(row 1 of a chunk\); scores must be numbers from 0"),
            (lambda x: x.where(x != 0.25), r"gave the score -1.0 \(row 0 of a chunk\); scores must be numbers from 0 to 1"),
            (lambda x: x.abs().where(x != 0.25), r"gave the score nan \(row 2 of a chunk\)"),
            (lambda x: x.abs() * 1.01, r"gave the score 1.01 \(row 0 of a chunk\); scores must be numbers from 0 to 1"),
            (lambda x: x.abs().replace(0.25, np.inf), r"gave the score inf \(row 2 of a chunk\)"),
        ],
        ids=[
            "too few", "none", "one for all", "three classes", "three axes", "words", "a gap", "below 0", "not a number",
            "above 1", "infinite",
        ],
    )  # fmt: skip
    def test_anything_else_is_refused_with_what_it_was(
        self, registry: Registry, register: Register, output: Callable[[Any], Any], sentence: str
    ) -> None:
        version = register("x1", model=Says(output))
        with pytest.raises(ScoringError, match=f"version 1 {sentence}"):
            answers(registry, version, ROWS)


class TestLoading:
    def test_a_version_that_is_not_there(self, registry: Registry, project: Project, register: Register) -> None:
        register("x1")
        with pytest.raises(RegistryError, match=f"the registry holds no version 7 of the model '{project.model}'"):
            registry.version("7")

    @pytest.mark.parametrize("example", [None, np.ones((2, 1))], ids=["no signature", "no names"])
    def test_a_model_that_does_not_name_its_columns_is_told_to(
        self, registry: Registry, project: Project, example: Any
    ) -> None:
        mlflow.set_tracking_uri(project.mlflow)
        folder = Path(project.store).parent / "artifacts"
        experiment = mlflow.create_experiment(project.model, folder.as_uri())
        with mlflow.start_run(experiment_id=experiment):
            mlflow.sklearn.log_model(
                sigmoid_model("x1"),
                name="model",
                signature=None if example is None else infer_signature(example, np.array([0.5])),
                serialization_format="cloudpickle",
                pip_requirements=["scikit-learn"],
                registered_model_name=project.model,
            )
        sentence = (
            r"version 1 has no signature; log it with one that names" if example is None else r"names no columns; log"
        )
        with pytest.raises(RegistryError, match=sentence):
            registry.download(registry.version("1"))


class TestDigest:
    def test_the_same_model_registered_twice_has_one_digest_and_another_has_another(
        self, registry: Registry, register: Register
    ) -> None:
        other = sigmoid_model("x1")
        other.intercept_ = np.array([1e-9])
        for model in (None, None, other):
            register("x1", model=model)
        first, twin, different = (digest_of(registry, v) for v in "123")
        assert first == twin
        assert different != first

    def test_the_same_model_read_from_another_column_is_another_one(
        self, registry: Registry, register: Register
    ) -> None:
        """Only the signature differs."""
        digests = {digest_of(registry, register(column, model=sigmoid_model("x1"))) for column in ("x1", "x2")}
        assert len(digests) == 2

    def test_tags_and_aliases_do_not_change_it(self, registry: Registry, register: Register) -> None:
        version = register("x1")
        before = digest_of(registry, version)
        registry.set_tags(version, {"threshold": "0.9"})
        registry.set_alias("champion", version)
        assert digest_of(registry, version) == before


class TestVersions:
    def test_they_come_by_number_beyond_the_ninth_and_without_the_retired(
        self, registry: Registry, register: Register
    ) -> None:
        for number in range(1, 12):
            register("x1", tags={"retired": {2: "true", 3: "TRUE", 4: "1", 5: "no"}.get(number, "")})
        assert [v.version for v in registry.versions()] == ["1", "5", "6", "7", "8", "9", "10", "11"]
        assert registry.version("2").tags["retired"] == "true"

    def test_a_version_knows_its_run_and_tags(self, registry: Registry, project: Project, register: Register) -> None:
        number = register("x1", tags={"team": "ü"}, trained_through="2023-12-31")
        found = registry.version(number)
        assert mlflow.MlflowClient(project.mlflow).get_run(found.run_id).info.run_id == found.run_id
        assert found.tags == {"team": "ü", "threshold": "0.5", "trained_through": "2023-12-31"}
        assert [found] == registry.versions()

    def test_an_unknown_model_is_told_what_to_do(self, registry: Registry, project: Project) -> None:
        sentence = f"no version of a model '{project.model}'; register one, or correct 'model' in the project file"
        with pytest.raises(RegistryError, match=sentence):
            registry.versions()
        with pytest.raises(RegistryError, match=f"holds no model '{project.model}'"):
            registry.aliases()

    @pytest.mark.parametrize(("tag", "value"), [("0", 0.0), ("1", 1.0), ("0.25", 0.25), ("1e-3", 0.001)])
    def test_a_threshold_is_a_number_from_0_to_1(self, tag: str, value: float) -> None:
        assert ModelVersion("1", "run", {"threshold": tag}).threshold == value

    @pytest.mark.parametrize("tag", ["", "high", "-0.1", "1.1", "nan", "inf", "50%", "0,5"])
    def test_any_other_threshold_is_refused_with_what_it_is(self, tag: str) -> None:
        sentence = f"version 3: its tag 'threshold' is '{tag}'; it must be a number from 0 to 1"
        with pytest.raises(RegistryError, match=sentence):
            _ = ModelVersion("3", "run", {"threshold": tag}).threshold

    def test_a_missing_threshold_is_asked_for(self) -> None:
        with pytest.raises(RegistryError, match="version 3 has no tag 'threshold'; set it to the score from which"):
            _ = ModelVersion("3", "run", {}).threshold

    def test_what_a_version_learned_from_is_a_date_or_unknown(self) -> None:
        assert ModelVersion("1", "run", {}).trained_through is None
        assert ModelVersion("1", "run", {"trained_through": "2023-12-31"}).trained_through == date(2023, 12, 31)

    @pytest.mark.parametrize("tag", ["", "last week", "31.12.2023", "2023-02-30"])
    def test_any_other_date_is_refused_with_what_it_is(self, tag: str) -> None:
        sentence = f"version 3: its tag 'trained_through' is '{tag}'; it must be a date such as 2013-02-28"
        with pytest.raises(RegistryError, match=sentence):
            _ = ModelVersion("3", "run", {"trained_through": tag}).trained_through


class TestWriting:
    def test_aliases_are_set_moved_and_removed(self, registry: Registry, register: Register) -> None:
        for _ in range(2):
            register("x1")
        assert registry.aliases() == {}
        registry.set_alias("champion", "1")
        registry.set_alias("champion", "2")
        registry.set_alias("previous", "1")
        assert registry.aliases() == {"champion": "2", "previous": "1"}
        registry.set_alias("previous", None)
        assert registry.aliases() == {"champion": "2"}

    def test_tags_are_set_beside_those_that_are_there(self, registry: Registry, register: Register) -> None:
        version = register("x1")
        registry.set_tags(version, {"dethrone.reign": "1", "dethrone.decision": "d"})
        assert registry.version(version).tags == {"threshold": "0.5", "dethrone.reign": "1", "dethrone.decision": "d"}

    def test_a_report_is_kept_with_the_run_that_made_the_model(
        self, registry: Registry, project: Project, register: Register, store: Store, tmp_path: Path
    ) -> None:
        run_id = registry.version(register("x1")).run_id
        (tmp_path / "report").mkdir()
        (tmp_path / "report" / "report.md").write_text("# A report")
        registry.log_report(run_id, tmp_path / "report", "dethrone/a-decision")
        kept = mlflow.artifacts.load_text(
            f"{mlflow.MlflowClient(project.mlflow).get_run(run_id).info.artifact_uri}/dethrone/a-decision/report.md"
        )
        assert kept == "# A report"
        assert everything(store, project) == {}


def test_a_registry_that_does_not_answer_is_not_taken_for_an_empty_one(make_project: Callable[..., Project]) -> None:
    """Nothing listens on the port; MLflow is told not to try again."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    project = make_project(mlflow=f"http://127.0.0.1:{port}")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
        with pytest.raises(RegistryError, match=rf"MLflow at http://127.0.0.1:{port} does not answer as it should"):
            Registry(project).version("1")


def test_a_model_that_knows_one_class_only_is_refused(project: Project, registry: Registry) -> None:
    """Its only probability would be taken for that of a positive."""
    model = sigmoid_model("x1")
    model.classes_ = np.array([0])
    version = register_version(project, "x1", model=model)
    with pytest.raises(ScoringError, match=f"version {version} has the classes 0"):
        answers(registry, version, pl.DataFrame({"x1": [3.0]}))


def test_the_probability_is_that_of_the_class_1_wherever_it_stands(project: Project, registry: Registry) -> None:
    model = sigmoid_model("x1")
    model.classes_ = np.array([1, 0])
    version = register_version(project, "x1", model=model)
    scores = answers(registry, version, pl.DataFrame({"x1": [3.0]}))
    assert scores[0] < 0.5


@pytest.mark.parametrize(
    ("given", "tracking", "models"),
    [
        ("databricks", "databricks", "databricks-uc"),
        ("databricks-uc", "databricks", "databricks-uc"),
        ("databricks-uc://ours", "databricks://ours", "databricks-uc://ours"),
    ],
)
def test_unity_catalog_holds_models_and_the_runs_are_those_of_databricks(
    make_project: Callable[..., Project], mlflow_uri: str, given: str, tracking: str, models: str
) -> None:
    """And whatever project comes next is sent to its own place again."""
    client = Registry(make_project(mlflow=given)).client
    assert (client.tracking_uri, mlflow.get_registry_uri()) == (tracking, models)
    Registry(make_project())
    assert (mlflow.get_tracking_uri(), mlflow.get_registry_uri()) == (mlflow_uri, mlflow_uri)
