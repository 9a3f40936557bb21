"""Models of every library score rows as the library itself scores its training frame, text categories included."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import lightgbm as lgb
import numpy as np
import pandas as pd
import polars as pl
import pytest
import xgboost as xgb
from catboost import CatBoost, CatBoostClassifier, CatBoostRegressor, Pool
from scorers import Scorer
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import HistGradientBoostingClassifier, VotingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder

from tasks.models.errors import ScoringError

N = 400
RNG = np.random.default_rng(7)
NUMBERS = pd.DataFrame({"a": RNG.normal(size=N), "n": RNG.integers(0, 9, N)})
MIXED = NUMBERS.assign(c=RNG.choice(["x", "y", "z"], N), k=RNG.choice([3, 7, 9], N))
CATEGORIES = MIXED.astype({"c": "category", "k": "category"})
OBJECTS = MIXED.astype({"c": object})
Y = ((MIXED["c"] == "x") ^ (MIXED["k"] == 7) | (MIXED["a"] > 1)).astype(int)
THREE = MIXED["c"].map({"x": 0, "y": 1, "z": 2})
SMALL: dict[str, Any] = {"verbose": -1, "num_threads": 1}


def in_chunks(scorer: Scorer, frame: pd.DataFrame) -> list[Any]:
    """Scores of rows as a batch has them, in two chunks of which the second has one category only."""
    plain = pl.from_pandas(frame.astype({c: object for c in frame if frame[c].dtype == "category"}))
    order = plain.with_row_index("row").sort(pl.col(plain.columns[-1]) == plain[-1, -1])
    first = int((order[plain.columns[-1]] != plain[-1, -1]).sum())
    scores = [s for chunk in (order[:first], order[first:]) for s in scorer(chunk, frozenset())]
    return [scores[i] for i in np.argsort(order["row"].to_numpy())]


class TestProbabilities:
    @pytest.mark.parametrize("flavour", ["lightgbm", "sklearn"])
    def test_of_lightgbms_classifier(self, scorer: Callable[..., Scorer], flavour: str) -> None:
        model = lgb.LGBMClassifier(n_estimators=5, **SMALL).fit(CATEGORIES, Y)
        np.testing.assert_array_equal(
            in_chunks(scorer(flavour, model, CATEGORIES), CATEGORIES), model.predict_proba(CATEGORIES)[:, 1]
        )

    @pytest.mark.parametrize("flavour", ["xgboost", "sklearn"])
    def test_of_xgboosts_classifier(self, scorer: Callable[..., Scorer], flavour: str) -> None:
        model = xgb.XGBClassifier(n_estimators=5, enable_categorical=True, n_jobs=1).fit(CATEGORIES, Y)
        np.testing.assert_array_equal(
            in_chunks(scorer(flavour, model, CATEGORIES), CATEGORIES), model.predict_proba(CATEGORIES)[:, 1]
        )

    @pytest.mark.parametrize("flavour", ["catboost", "sklearn"])
    def test_of_catboosts_classifier(self, scorer: Callable[..., Scorer], flavour: str) -> None:
        model = CatBoostClassifier(iterations=5, verbose=0, cat_features=["c", "k"], allow_writing_files=False).fit(
            OBJECTS, Y
        )
        np.testing.assert_array_equal(
            in_chunks(scorer(flavour, model, MIXED), MIXED), model.predict_proba(OBJECTS)[:, 1]
        )

    def test_of_lightgbms_booster(self, scorer: Callable[..., Scorer]) -> None:
        model = lgb.train({"objective": "binary", **SMALL}, lgb.Dataset(CATEGORIES, Y), 5)
        np.testing.assert_array_equal(
            in_chunks(scorer("lightgbm", model, CATEGORIES), CATEGORIES), model.predict(CATEGORIES)
        )

    @pytest.mark.parametrize(
        "objective", [{"objective": "binary:logistic"}, {"objective": "multi:softprob", "num_class": 2}]
    )
    def test_of_xgboosts_booster(self, scorer: Callable[..., Scorer], objective: dict[str, Any]) -> None:
        data = xgb.DMatrix(CATEGORIES, Y, enable_categorical=True)
        model = xgb.train({**objective, "nthread": 1}, data, 5)
        expected = model.predict(data)
        expected = expected if expected.ndim == 1 else expected[:, 1]
        np.testing.assert_array_equal(in_chunks(scorer("xgboost", model, CATEGORIES), CATEGORIES), expected)

    @pytest.mark.parametrize("loss", ["Logloss", "CrossEntropy", "MultiClass"])
    def test_of_catboosts_plain_class_whose_predict_gives_margins(
        self, scorer: Callable[..., Scorer], loss: str
    ) -> None:
        settings = {"iterations": 5, "verbose": 0, "loss_function": loss, "allow_writing_files": False}
        model = CatBoost(settings).fit(Pool(OBJECTS, Y, cat_features=["c", "k"]))
        expected = model.predict(OBJECTS, prediction_type="Probability")[:, 1]
        np.testing.assert_array_equal(in_chunks(scorer("catboost", model, MIXED), MIXED), expected)

    @pytest.mark.parametrize(
        "around",
        [
            lambda model: make_pipeline(FunctionTransformer(), model),
            lambda model: GridSearchCV(model, {"num_leaves": [3]}, cv=2),
            lambda model: CalibratedClassifierCV(model, cv=2),
            lambda model: VotingClassifier([("one", model)], voting="soft"),
        ],
        ids=["pipeline", "search", "calibration", "vote"],
    )
    def test_of_an_estimator_around_a_booster(
        self, scorer: Callable[..., Scorer], around: Callable[[Any], Any]
    ) -> None:
        model = around(lgb.LGBMClassifier(n_estimators=5, **SMALL)).fit(CATEGORIES, Y)
        np.testing.assert_array_equal(
            in_chunks(scorer("sklearn", model, CATEGORIES), CATEGORIES), model.predict_proba(CATEGORIES)[:, 1]
        )

    def test_of_a_booster_that_knows_no_names(self, scorer: Callable[..., Scorer]) -> None:
        model = xgb.train({"objective": "binary:logistic", "nthread": 1}, xgb.DMatrix(NUMBERS.to_numpy(), Y), 3)
        expected = model.predict(xgb.DMatrix(NUMBERS.to_numpy()))
        np.testing.assert_array_equal(in_chunks(scorer("xgboost", model, NUMBERS), NUMBERS), expected)

    def test_of_a_pipeline_on_text(self, scorer: Callable[..., Scorer]) -> None:
        model = make_pipeline(OneHotEncoder(), LogisticRegression()).fit(MIXED[["c"]], Y)
        np.testing.assert_allclose(
            in_chunks(scorer("sklearn", model, MIXED[["c"]]), MIXED[["c"]]), model.predict_proba(MIXED[["c"]])[:, 1]
        )

    def test_of_the_class_that_a_tag_names(self, scorer: Callable[..., Scorer]) -> None:
        said = np.where(Y, "yes", "no")
        model = HistGradientBoostingClassifier(max_iter=3).fit(NUMBERS, said)
        given = scorer("sklearn", model, NUMBERS, positive_class="yes")
        np.testing.assert_array_equal(in_chunks(given, NUMBERS), model.predict_proba(NUMBERS)[:, 1])


class TestClassesAndNumbers:
    def test_a_booster_of_several_classes_names_the_likeliest(self, scorer: Callable[..., Scorer]) -> None:
        model = lgb.train({"objective": "multiclass", "num_class": 3, **SMALL}, lgb.Dataset(CATEGORIES, THREE), 5)
        given = in_chunks(scorer("lightgbm", model, CATEGORIES, "multiclass"), CATEGORIES)
        assert given == [str(c) for c in model.predict(CATEGORIES).argmax(axis=1)]

    def test_a_classifier_names_classes(self, scorer: Callable[..., Scorer]) -> None:
        said = np.array(["red", "green", "blue"])[THREE]
        model = CatBoostClassifier(iterations=5, verbose=0, cat_features=["c"], allow_writing_files=False).fit(
            OBJECTS, said
        )
        assert in_chunks(scorer("catboost", model, MIXED, "multiclass"), MIXED) == model.predict(OBJECTS)[:, 0].tolist()

    def test_a_regressor_gives_numbers(self, scorer: Callable[..., Scorer]) -> None:
        model = CatBoostRegressor(iterations=5, verbose=0, allow_writing_files=False).fit(NUMBERS, NUMBERS["a"] * 9)
        np.testing.assert_array_equal(
            in_chunks(scorer("catboost", model, NUMBERS, "regression"), NUMBERS), model.predict(NUMBERS)
        )


class TestRefused:
    @pytest.mark.parametrize("objective", ["binary:logitraw", "binary:hinge", "rank:pairwise"])
    def test_a_booster_without_probabilities(self, scorer: Callable[..., Scorer], objective: str) -> None:
        data = xgb.DMatrix(NUMBERS, Y)
        if objective.startswith("rank"):
            data.set_group([N])
        model = xgb.train({"objective": objective, "nthread": 1}, data, 2)
        what = "classes" if objective.endswith("hinge") else "margins or ranks"
        sentence = f"version 7 is a booster with the objective '{objective}', whose predictions are {what}; train it for probabilities"
        with pytest.raises(ScoringError, match=sentence):
            scorer("xgboost", model, NUMBERS)

    def test_a_booster_with_an_objective_of_its_own(self, scorer: Callable[..., Scorer]) -> None:
        def squares(predictions: Any, data: Any) -> Any:
            return predictions - data.get_label(), np.ones(N)

        model = lgb.train({"objective": squares, **SMALL}, lgb.Dataset(NUMBERS, Y), 2)
        with pytest.raises(
            ScoringError, match="version 7 is a booster with the objective 'custom', whose predictions are margins"
        ):
            scorer("lightgbm", model, NUMBERS)

    def test_a_gap_among_catboosts_categories(self, scorer: Callable[..., Scorer]) -> None:
        model = CatBoostClassifier(iterations=2, verbose=0, cat_features=["c"], allow_writing_files=False).fit(
            OBJECTS, Y
        )
        rows = pl.from_pandas(MIXED).with_columns(c=pl.when(pl.col("n") > 0).then("c"))
        sentence = (
            rf"version 7 reads the column 'c' as categories, and it is null in {rows['c'].null_count()} rows, which"
        )
        with pytest.raises(ScoringError, match=sentence):
            scorer("catboost", model, MIXED)(rows)

    @pytest.mark.parametrize("classes", [(1, 2), ("no", "yes")])
    def test_classes_of_which_none_is_known_to_be_the_positive(
        self, scorer: Callable[..., Scorer], classes: tuple[Any, Any]
    ) -> None:
        model = HistGradientBoostingClassifier(max_iter=2).fit(NUMBERS, np.where(Y, classes[1], classes[0]))
        with pytest.raises(
            ScoringError,
            match=f"version 7 has the classes {classes[0]}, {classes[1]}; set the tag 'positive_class' to",
        ):
            scorer("sklearn", model, NUMBERS)
