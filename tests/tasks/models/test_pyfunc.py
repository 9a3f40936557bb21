"""Models of unknown make, and what they and scikit-learn's see of times, gaps, lists and optional columns."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import polars as pl
import pytest
from scorers import Scorer

from tasks.models.errors import ScoringError

Make = Callable[..., Scorer]
NOON = datetime(2024, 2, 18, 12, tzinfo=UTC)
ZONED = pl.DataFrame({"t": pl.Series([NOON], dtype=pl.Datetime("us", "UTC")).dt.convert_time_zone("Asia/Tokyo")})
TRAINED_ON_ZONED = pd.DataFrame({"t": pd.to_datetime(["2024-02-18"]).tz_localize("Asia/Tokyo")})


class Own(mlflow.pyfunc.PythonModel):  # type: ignore[misc]
    """A model that gives what a function makes of its frame."""

    def __init__(self, output: Callable[[Any], Any]) -> None:
        self._output = output

    def predict(self, context, model_input, params=None):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201, ARG002  (MLflow reads hints)
        return self._output(model_input)


class Estimator:
    """A kind of scikit-learn model that gives what a function makes of its frame."""

    def __init__(self, output: Callable[[Any], Any]) -> None:
        self._output = output

    def predict(self, rows: Any) -> Any:
        return self._output(rows)


MAKES = [("sklearn", Estimator), ("pyfunc", Own)]


def numbers(scorer: Scorer, rows: pl.DataFrame, *nullable: str) -> list[float]:
    return [float(v) for v in scorer(rows, nullable)]


class TestTimes:
    def test_a_model_of_scikit_learn_sees_the_zone_that_it_was_trained_with(self, scorer: Make) -> None:
        model = scorer("sklearn", Estimator(lambda x: x["t"].dt.hour.to_numpy()), TRAINED_ON_ZONED, "regression")
        assert numbers(model, ZONED) == [21]

    def test_a_model_of_unknown_make_sees_the_instant_in_utc_as_mlflow_lets_no_zone_through(self, scorer: Make) -> None:
        model = scorer("pyfunc", Own(lambda x: x["t"].dt.hour.to_numpy()), TRAINED_ON_ZONED, "regression")
        assert numbers(model, ZONED) == [12]

    @pytest.mark.parametrize(("flavour", "kind"), MAKES)
    def test_a_date_is_a_time_at_midnight_in_nanoseconds(self, scorer: Make, flavour: str, kind: Any) -> None:
        frame = pd.DataFrame({"t": pd.to_datetime(["2024-02-18"])})
        model = scorer(
            flavour, kind(lambda x: (x["t"] == "2024-02-18") & (x["t"].dtype == "datetime64[ns]")), frame, "regression"
        )
        assert numbers(model, pl.DataFrame({"t": [NOON.date()]})) == [1]


class TestGaps:
    @pytest.mark.parametrize("gap", [None, 5])
    def test_a_row_gets_one_score_in_every_chunk_even_where_integers_become_text(
        self, scorer: Make, gap: int | None
    ) -> None:
        """Typed by chunk, the text would be '7' in one and '7.0' in the other."""
        model = scorer("sklearn", Estimator(lambda x: (x["i"].astype(str) == "7").to_numpy()), pd.DataFrame({"i": [1]}))
        nullable = () if gap else ("i",)
        assert numbers(model, pl.DataFrame({"i": [gap, 7, 8]}), *nullable) == [0, 1, 0]
        assert numbers(model, pl.DataFrame({"i": [7, 8]}), *nullable) == [1, 0]

    def test_without_a_word_on_the_batch_the_rows_are_the_whole_of_it(self, scorer: Make) -> None:
        model = scorer("sklearn", Estimator(lambda x: [x["i"].dtype == "Int64"] * len(x)), pd.DataFrame({"i": [1]}))
        assert model(pl.DataFrame({"i": [1.0, float("nan")]})).tolist() == [1, 1]
        assert model(pl.DataFrame({"i": [1.0, 2.0]})).tolist() == [0, 0]

    def test_mlflow_refuses_gaps_in_whole_numbers_and_the_column_is_named(self, scorer: Make) -> None:
        model = scorer("pyfunc", Own(lambda x: x["i"] / 10), pd.DataFrame({"i": [1]}))
        sentence = "version 7 reads the column 'i' as whole numbers, and the batch has gaps in it, which MLflow lets no pyfunc model see"
        with pytest.raises(ScoringError, match=sentence):
            model(pl.DataFrame({"i": [1, None]}))
        assert numbers(model, pl.DataFrame({"i": [1, 2]})) == [0.1, 0.2]

    @pytest.mark.parametrize(("flavour", "kind"), MAKES)
    def test_gaps_in_booleans_numbers_and_text_reach_the_model(self, scorer: Make, flavour: str, kind: Any) -> None:
        frame = pd.DataFrame({"b": [True], "d": [0.5], "f": pd.Series([0.5], dtype="float32"), "s": ["a"]})
        model = scorer(flavour, kind(lambda x: x.isna().sum(axis=1).to_numpy()), frame, "regression")
        rows = pl.DataFrame({"b": [True, None], "d": [1.0, None], "f": [1.0, None], "s": ["a", None]})
        assert numbers(model, rows, "b") == [0, 4]

    def test_an_optional_column_that_the_batch_lacks_is_null(self, scorer: Make) -> None:
        frame = pd.DataFrame({"x": [0.5, 0.5], "s": ["a", None]})
        model = scorer("pyfunc", Own(lambda x: x["s"].isna()), frame)
        assert numbers(model, pl.DataFrame({"x": [1.0]})) == [1]
        assert numbers(model, pl.DataFrame({"x": [1.0], "s": ["a"]})) == [0]


class TestNested:
    def test_lists_and_structs_reach_the_model(self, scorer: Make) -> None:
        frame = pd.DataFrame({"l": [[1.0, 2.0]], "m": [{"a": 1}]})
        model = scorer(
            "pyfunc", Own(lambda x: [sum(v) + m["a"] for v, m in zip(x["l"], x["m"], strict=True)]), frame, "regression"
        )
        assert numbers(model, pl.DataFrame({"l": [[1.0, 2.0], [3.0]], "m": [{"a": 1}, {"a": 2}]})) == [4, 5]

    def test_what_mlflow_refuses_in_them_is_said_with_the_column(self, scorer: Make) -> None:
        model = scorer(
            "pyfunc", Own(lambda x: x["l"].str.len()), pd.DataFrame({"x": [1.0], "l": [[1.0]]}), "regression"
        )
        sentence = "version 7 reads the column 'l' as .*, and MLflow does not take the batch's values for it"
        with pytest.raises(ScoringError, match=sentence):
            model(pl.DataFrame({"x": [1.0], "l": [["a"]]}))

    def test_an_error_of_the_models_own_stays_its_own(self, scorer: Make) -> None:
        def fails(_: Any) -> Any:
            msg = "the feature store is down"
            raise mlflow.exceptions.MlflowException(msg)

        with pytest.raises(mlflow.exceptions.MlflowException, match="the feature store is down"):
            scorer("pyfunc", Own(fails), pd.DataFrame({"x": [1.0]}))(pl.DataFrame({"x": [1.0]}))


class TestOutputs:
    """What ``mlflow.pytorch`` and ``mlflow.onnx`` make of a network's output, and scores beside labels."""

    ROWS = pl.DataFrame({"x": [0.25, 0.75]})

    @pytest.mark.parametrize(
        ("output", "tags"),
        [
            (lambda x: pd.DataFrame(x.to_numpy()), {}),
            (lambda x: pd.DataFrame(np.column_stack([1 - x["x"], x["x"]])), {}),
            (lambda x: {"output": x.to_numpy()}, {}),
            (lambda x: {"label": [0] * len(x), "p": np.column_stack([1 - x["x"], x["x"]])}, {"score_column": "p[1]"}),
            (lambda x: pd.DataFrame({"score": x["x"], "label": x["x"] > 0.5}), {"score_column": "score"}),
            (lambda x: x["x"].sort_values(ascending=False), {}),
        ],
        ids=["one unit", "two units", "ONNX", "ONNX classifier", "score and label", "sorted"],
    )
    def test_the_score_is_found(self, scorer: Make, output: Callable[[Any], Any], tags: dict[str, str]) -> None:
        assert numbers(scorer("pyfunc", Own(output), pd.DataFrame({"x": [0.5]}), **tags), self.ROWS) == [0.25, 0.75]

    def test_a_score_beside_a_label_is_refused_with_the_tag_to_set(self, scorer: Make) -> None:
        model = scorer("pyfunc", Own(lambda x: pd.DataFrame({"score": x["x"], "label": 1})), pd.DataFrame({"x": [0.5]}))
        sentence = "version 7 gave the columns 'score', 'label', and either may be the score; set the tag 'score_column' to the name"
        with pytest.raises(ScoringError, match=sentence):
            model(self.ROWS)
