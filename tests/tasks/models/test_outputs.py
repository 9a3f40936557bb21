"""What of a model's output is a class or a number, and one sentence on everything that is neither."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest

from analysis.kinds import Task
from tasks.models.errors import ScoringError
from tasks.models.outputs import predictions_of


class TestClasses:
    @pytest.mark.parametrize(
        ("output", "classes"),
        [
            (["cat", "dog"], ["cat", "dog"]),
            (np.array(["cat", "dog"], dtype=object), ["cat", "dog"]),
            (pd.Series(["cat", "dog"], dtype="category"), ["cat", "dog"]),
            (pd.Series(["cat", "dog"], dtype="string"), ["cat", "dog"]),
            (pd.DataFrame({"class": ["cat", "dog"]}), ["cat", "dog"]),
            (np.array([2, 10]), ["2", "10"]),
            (np.array([2, 10], dtype=np.uint8), ["2", "10"]),
            (np.array([2.0, -0.0]), ["2", "0"]),
            (pd.Series([2, 10], dtype="Int64"), ["2", "10"]),
            (np.array([2.0, 10.0], dtype=object), ["2", "10"]),
            (np.array([True, False]), ["true", "false"]),
        ],
        ids=[
            "list", "objects", "categories", "strings", "data frame", "integers", "bytes", "floats", "nullable integers",
            "floats as objects", "booleans",
        ],
    )  # fmt: skip
    def test_every_form_of_one_class_a_row_is_understood_as_text(self, output: Any, classes: list[str]) -> None:
        assert predictions_of("multiclass", "1", output, 2).tolist() == classes

    @pytest.mark.parametrize(
        ("output", "sentence"),
        [
            (["cat"], r"gave an output of shape \(1,\) for 2 rows; one class per row is needed"),
            ("cat", r"gave an output of shape \(\) for 2 rows; one class per row is needed"),
            (np.ones((2, 3)), r"gave an output of shape \(2, 3\) for 2 rows; one class per row is needed"),
            (np.ones((2, 2)), r"gave an output of shape \(2, 2\) for 2 rows; one class per row is needed"),
            (["cat", None], r"gave None \(row 1 of a chunk\), which is no class; every row needs one"),
            (["cat", ""], r"gave .*'' ?\)? \(row 1 of a chunk\), which is no class; every row needs one"),
            ([2.0, np.nan], r"gave .*nan\)? \(row 1 of a chunk\), which is no class; every row needs one"),
            (pd.Series([2, None], dtype="Int64"), r"gave .*nan\)? \(row 1 of a chunk\), which is no class"),
            (pd.Series([None, "cat"], dtype="string"), r"gave <NA> \(row 0 of a chunk\), which is no class"),
            ([np.inf, 1.0], r"gave .*inf\)? \(row 0 of a chunk\), which is no class"),
            (np.array([None, None]), r"gave None \(row 0 of a chunk\), which is no class"),
            (np.array(["cat", 3], dtype=object), r"gave object values such as 'cat'; classes are text or whole numbers, all of one kind"),
            (np.array(["2024-01-07"] * 2, dtype="datetime64[D]"), r"gave datetime64.* values such as .*2024-.*; classes are text or whole"),
            (pd.Series([[1], [2]]), r"gave object values such as \[1\]; classes are text or whole numbers"),
        ],
        ids=[
            "too few", "one for all", "scores of three", "scores of two", "a gap", "empty text", "not a number", "missing integer",
            "missing text", "infinite", "nothing", "mixed", "dates", "lists",
        ],
    )  # fmt: skip
    def test_anything_else_is_refused_with_what_it_was(self, output: Any, sentence: str) -> None:
        with pytest.raises(ScoringError, match=f"version 7 {sentence}"):
            predictions_of("multiclass", "7", output, 2)


class TestNumbers:
    @pytest.mark.parametrize(
        "output",
        [
            [-3.5, 20.0], np.array([-3.5, 20.0], dtype=np.float32), np.array([[-3.5], [20.0]]), pd.DataFrame({"y": [-3.5, 20.0]}),
            [Decimal("-3.5"), Decimal(20)],
        ],
        ids=["list", "single precision", "one column", "data frame", "decimals"],
    )  # fmt: skip
    def test_every_form_of_one_number_a_row_is_understood(self, output: Any) -> None:
        given = predictions_of("regression", "1", output, 2)
        assert given.dtype == np.float64
        assert given.tolist() == [-3.5, 20.0]

    def test_whole_numbers_and_booleans_are_numbers(self) -> None:
        assert predictions_of("regression", "1", np.array([7, -1]), 2).tolist() == [7.0, -1.0]
        assert predictions_of("regression", "1", np.array([True, False]), 2).tolist() == [1.0, 0.0]

    @pytest.mark.parametrize(
        ("output", "sentence"),
        [
            ([1.0], r"gave an output of shape \(1,\) for 2 rows; one number per row is needed"),
            (np.ones((2, 2)), r"gave an output of shape \(2, 2\) for 2 rows; one number per row is needed"),
            (["12", "13"], r"gave <U2 values such as .*'12'\)?; predictions must be finite numbers"),
            (np.array(["12", 13.0], dtype=object), r"gave object values such as '12'; predictions must be finite numbers"),
            (np.array(["2024-01-07"] * 2, dtype="datetime64[D]"), r"gave datetime64.* such as .*2024-.*; predictions must be finite"),
            (np.array([{}, {}]), r"gave object values such as \{\}; predictions must be finite numbers"),
            ([1.0, None], r"gave the number nan \(row 1 of a chunk\); predictions must be finite"),
            ([np.nan, 1.0], r"gave the number nan \(row 0 of a chunk\); predictions must be finite"),
            ([1.0, -np.inf], r"gave the number -inf \(row 1 of a chunk\); predictions must be finite"),
            ([1.0, 1e61], r"gave the number 1e\+61 \(row 1 of a chunk\); .* at most 1e\+60 either way"),
        ],
        ids=["too few", "two columns", "text", "text among numbers", "dates", "objects", "a gap", "not a number", "infinite", "huge"],
    )  # fmt: skip
    def test_anything_else_is_refused_with_what_it_was(self, output: Any, sentence: str) -> None:
        with pytest.raises(ScoringError, match=f"version 7 {sentence}"):
            predictions_of("regression", "7", output, 2)


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_a_prediction_for_every_row_of_a_chunk(task: Task) -> None:
    assert predictions_of(task, "1", np.ones(3), 3).shape == (3,)
