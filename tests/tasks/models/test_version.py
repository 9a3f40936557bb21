"""The tags that say which part of an output is the prediction."""

from __future__ import annotations

from collections.abc import Callable

import polars as pl
import pytest
from answers import answers

from analysis.kinds import Task
from tasks.models.errors import RegistryError
from tasks.models.registry import Registry
from tasks.models.version import ModelVersion


def test_they_are_those_that_are_set() -> None:
    tags = {"threshold": "0.5", "score_column": "p", "positive_class": "yes"}
    assert ModelVersion("3", "run", tags).choices == {"score_column": "p", "positive_class": "yes"}
    assert ModelVersion("3", "run", {"threshold": "0.5"}).choices == {}
    assert ModelVersion("3", "run", {"score_column": "2"}, "regression").choices == {"score_column": "2"}


@pytest.mark.parametrize(
    ("tag", "what"), [("score_column", "a column of its output"), ("positive_class", "one of its classes")]
)
@pytest.mark.parametrize("value", ["", " "])
def test_an_empty_one_is_refused(tag: str, what: str, value: str) -> None:
    with pytest.raises(RegistryError, match=f"version 3: its tag '{tag}' is empty; set it to {what}, or remove it"):
        _ = ModelVersion("3", "run", {tag: value}).choices


@pytest.mark.parametrize("task", ["multiclass", "regression"])
def test_a_positive_class_means_something_in_binary_tasks_only(task: Task) -> None:
    with pytest.raises(
        RegistryError,
        match=f"version 3 has the tag 'positive_class', which means nothing in the task {task}; remove it",
    ):
        _ = ModelVersion("3", "run", {"positive_class": "yes"}, task).choices


def test_a_tag_turns_the_score_around(registry: Registry, register: Callable[..., str]) -> None:
    rows = pl.DataFrame({"x1": [-1.0, 0.0, 2.0]})
    one, zero = (answers(registry, register("x1", tags={"positive_class": c}), rows) for c in "10")
    assert zero.tolist() == pytest.approx((1 - one).tolist())
