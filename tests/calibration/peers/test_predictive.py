"""Tests of precision and NPV against DTComPair's published output, and against the formulas row by row."""

from __future__ import annotations

import functools
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from analysis_examples import PROPERTY
from hypothesis import given
from hypothesis import strategies as st

from analysis.tables.counts import PairedCounts, Undefined
from analysis.tables.intervals import Interval
from analysis.tables.metrics import Difference, difference
from calibration.peers.predictive import (
    PredictiveValue,
    RelativePredictiveValue,
    ScoreTest,
    relative_predictive_value,
    score_test,
)

CASE = json.loads((Path(__file__).resolve().parents[2] / "oracles" / "predictive_values_and_metrics.json").read_text())[
    0
]
PAIRED1 = PairedCounts(tuple(CASE["counts_flat_4y2ch"]))
FEW = PairedCounts((1, 0, 1, 1, 0, 1, 0, 1))
NAMES: dict[PredictiveValue, str] = {"precision": "ppv", "npv": "npv"}
TABLES = st.builds(PairedCounts, st.tuples(*[st.sampled_from([0, 1, 3, 50, 10**9])] * 8))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("weighting", "key"), [("kosinski", "wgs"), ("leisenring", "gs")])
def test_score_tests_against_dtcompair(name: PredictiveValue, weighting: Any, key: str) -> None:
    found = score_test(PAIRED1, name, weighting=weighting)
    assert isinstance(found, ScoreTest)
    assert (found.difference, found.statistic, found.p_value) == pytest.approx(
        CASE["computed"][NAMES[name]][key], rel=1e-9
    )
    assert (found.statistic, found.p_value) == pytest.approx(CASE["published"][f"{NAMES[name]}_{key}"], rel=2e-6)


@pytest.mark.parametrize("name", NAMES)
def test_relative_predictive_values_against_dtcompair(name: PredictiveValue) -> None:
    found = relative_predictive_value(PAIRED1, name, confidence_level=0.95)
    assert isinstance(found, RelativePredictiveValue)
    published = CASE["published"][f"{NAMES[name]}_rpv"]
    assert found.ratio == pytest.approx(published["rpv"], abs=1e-7)
    assert found.standard_error_of_log == pytest.approx(published["se"], abs=1e-7)
    assert (found.interval.low, found.interval.high) == pytest.approx((published["lo"], published["hi"]), abs=1e-7)
    assert found.statistic == pytest.approx(published["z"], abs=1e-6)
    assert found.p_value == pytest.approx(published["p"], rel=1e-6)


@pytest.mark.parametrize("counts", [PAIRED1, FEW], ids=["paired1", "few"])
@pytest.mark.parametrize("name", NAMES)
def test_the_generalised_score_against_its_formula_row_by_row(name: PredictiveValue, counts: PairedCounts) -> None:
    cells = np.repeat(np.arange(8), counts.labelled)
    y, c, h = (cells >> 2) & 1, (cells >> 1) & 1, cells & 1
    if name == "npv":
        y, c, h = 1 - y, 1 - c, 1 - h
    z = h.sum() / (h.sum() + c.sum())
    u = (y - (y * (c + h)).sum() / (c + h).sum()) * (h * (1 - z) - c * z)
    found = score_test(counts, name, weighting="leisenring")
    assert isinstance(found, ScoreTest)
    assert found.statistic == pytest.approx(u.sum() ** 2 / (u**2).sum(), rel=1e-12)


@PROPERTY
@given(TABLES, st.sampled_from(["precision", "npv"]), st.sampled_from(["kosinski", "leisenring"]))
def test_any_table_gives_a_proper_test_whose_difference_is_the_metrics(
    counts: PairedCounts, name: PredictiveValue, weighting: Any
) -> None:
    found = score_test(counts, name, weighting=weighting)
    other = score_test(counts.swap(), name, weighting=weighting)
    expected = difference(name, counts)
    if isinstance(found, Undefined):
        assert isinstance(expected, Undefined)
        return
    assert isinstance(expected, Difference)
    assert isinstance(other, ScoreTest)
    assert found.difference == pytest.approx(expected.value, abs=1e-12)
    assert found.statistic >= 0
    assert 0 <= found.p_value <= 1
    assert found.statistic == pytest.approx(other.statistic, rel=1e-6, abs=1e-9)


@PROPERTY
@given(TABLES, st.sampled_from(["precision", "npv"]))
def test_swapping_the_models_inverts_the_ratio(counts: PairedCounts, name: PredictiveValue) -> None:
    found = relative_predictive_value(counts, name, confidence_level=0.9)
    other = relative_predictive_value(counts.swap(), name, confidence_level=0.9)
    if isinstance(found, Undefined):
        assert isinstance(other, Undefined)
        return
    assert isinstance(other, RelativePredictiveValue)
    assert math.log(found.ratio) == pytest.approx(-math.log(other.ratio), abs=1e-12)
    assert found.interval.low <= found.ratio <= found.interval.high


def test_two_models_that_agree_everywhere_do_not_differ() -> None:
    found = score_test(PairedCounts((50, 0, 0, 10, 10, 0, 0, 40)), "precision")
    assert found == ScoreTest(0.0, 0.0, 1.0)


def test_two_models_of_which_each_flag_is_right_do_not_differ() -> None:
    """There is no spread to measure a difference by, and no difference."""
    right = PairedCounts((50, 0, 0, 0, 9, 3, 4, 40))
    for weighting in ("kosinski", "leisenring"):
        assert score_test(right, "precision", weighting=weighting) == ScoreTest(0.0, 0.0, 1.0)  # type: ignore[arg-type]
    ratio = relative_predictive_value(right, "precision", confidence_level=0.9)
    assert ratio == RelativePredictiveValue(1.0, 0.0, Interval(1.0, 1.0, 0.9), 0.0, 1.0)


def test_what_has_no_predictive_value_says_why() -> None:
    none, every = PairedCounts((50, 0, 9, 0, 7, 0, 5, 0)), PairedCounts((0, 50, 0, 9, 0, 7, 0, 5))
    for found in (score_test, functools.partial(relative_predictive_value, confidence_level=0.9)):
        assert found(none, "precision") == Undefined("a model that flags nothing has no precision")
        assert found(every, "npv") == Undefined("a model that passes nothing has no NPV")
