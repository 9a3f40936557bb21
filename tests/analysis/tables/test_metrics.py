"""Metrics, their differences and their influence-function standard errors."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from analysis_examples import COUNTS, HUGE, PROPERTY, oracle
from hypothesis import given

from analysis.tables.counts import Confusion, PairedCounts, Undefined
from analysis.tables.metrics import METRICS, Difference, difference, metric, metric_array

PAIRED1 = oracle("predictive_values_and_metrics")[0]
IN_THE_ORACLE: list[tuple[str, str]] = [
    ("recall", "recall"),
    ("specificity", "specificity"),
    ("precision", "precision"),
    ("npv", "npv"),
    ("accuracy", "accuracy"),
    ("f1", "f1"),
    ("balanced_accuracy", "balacc"),
    ("mcc", "mcc"),
]


@pytest.mark.parametrize(("name", "key"), IN_THE_ORACLE)
def test_difference_and_standard_error_against_the_oracle_table_paired1(name: str, key: str) -> None:
    found = difference(name, PairedCounts(tuple(PAIRED1["counts_flat_4y2ch"])))
    assert isinstance(found, Difference)
    assert found.value == pytest.approx(PAIRED1["diffs"][key], rel=1e-8)
    assert found.standard_error == pytest.approx(PAIRED1["delta_se"][key], rel=1e-8)
    assert found.value == found.challenger - found.champion


def test_values_against_exact_fractions() -> None:
    k = Confusion(tp=30, fp=7, fn=11, tn=52)
    expected: dict[str, Fraction] = {
        "recall": Fraction(30, 41),
        "precision": Fraction(30, 37),
        "specificity": Fraction(52, 59),
        "npv": Fraction(52, 63),
        "accuracy": Fraction(82, 100),
        "balanced_accuracy": (Fraction(30, 41) + Fraction(52, 59)) / 2,
        "f1": Fraction(60, 78),
        "alert_rate": Fraction(37, 100),
    }
    for name, value in expected.items():
        assert metric(name, k) == pytest.approx(float(value), rel=1e-14)
    mcc = (30 * 52 - 7 * 11) / math.sqrt(37 * 41 * 59 * 63)
    assert metric("mcc", k) == pytest.approx(mcc, rel=1e-14)
    assert set(expected) | {"mcc"} == set(METRICS)


def test_the_mcc_of_decisions_that_are_all_right_or_all_wrong_is_one_to_the_last_bit() -> None:
    for n in range(1, 60):
        assert metric("mcc", Confusion(n, 0, 0, n + 3)) <= 1
        assert metric("mcc", Confusion(0, n, n + 3, 0)) >= -1
    assert metric("mcc", Confusion(3, 0, 0, 3)) == 1
    assert metric("mcc", Confusion(0, 3, 3, 0)) == -1


@pytest.mark.parametrize("name", METRICS)
def test_standard_error_against_numerical_differentiation(name: str) -> None:
    """SE = sqrt(sum_j N_j (d theta / d N_j)^2), with central differences for the derivatives."""
    counts = PairedCounts((500, 31, 17, 40, 9, 23, 14, 80))
    cells = np.array(counts.labelled, dtype=np.float64)

    def theta(n: np.ndarray) -> float:
        new = metric_array(name, n[5] + n[7], n[1] + n[3], n[4] + n[6], n[0] + n[2])
        old = metric_array(name, n[6] + n[7], n[2] + n[3], n[4] + n[5], n[0] + n[1])
        return float(new - old)

    step = 1e-3
    slopes = [(theta(cells + step * e) - theta(cells - step * e)) / (2 * step) for e in np.eye(8)]
    found = difference(name, counts)
    assert isinstance(found, Difference)
    assert found.value == pytest.approx(theta(cells), abs=1e-14)
    assert found.standard_error == pytest.approx(math.sqrt(float(np.sum(cells * np.square(slopes)))), rel=1e-6)


def test_standard_error_of_recall_against_the_closed_form_of_paired_shares() -> None:
    """For a share, the delta method is Wald's sqrt(w + l - (w - l)^2 / P) / P."""
    counts = PairedCounts((90, 4, 3, 2, 10, 12, 5, 33))
    found = difference("recall", counts)
    assert isinstance(found, Difference)
    assert found.standard_error == pytest.approx(math.sqrt(17 - 49 / 60) / 60, rel=1e-12)


@pytest.mark.parametrize(
    ("name", "confusion", "reason"),
    [
        ("recall", Confusion(0, 5, 0, 5), "no labelled positive"),
        ("precision", Confusion(0, 0, 5, 5), "nothing flagged"),
        ("specificity", Confusion(5, 0, 5, 0), "no labelled negative"),
        ("npv", Confusion(5, 5, 0, 0), "every labelled row was flagged"),
        ("accuracy", Confusion(0, 0, 0, 0), "no labelled row"),
        ("balanced_accuracy", Confusion(5, 0, 5, 0), "one class"),
        ("f1", Confusion(0, 0, 0, 5), "no labelled positive and nothing flagged"),
        ("mcc", Confusion(5, 5, 0, 0), "one class"),
        ("alert_rate", Confusion(0, 0, 0, 0), "no labelled row"),
    ],
)
def test_a_metric_that_is_zero_by_zero_is_undefined_with_its_reason(
    name: str, confusion: Confusion, reason: str
) -> None:
    found = metric(name, confusion)
    assert isinstance(found, Undefined)
    assert reason in found.reason


def test_a_difference_is_undefined_as_soon_as_one_side_is() -> None:
    """The champion flags nothing: its precision does not exist, and neither does the difference, either way round."""
    counts = PairedCounts((10, 2, 0, 0, 3, 4, 0, 0))
    assert isinstance(metric("precision", counts.challenger), float)
    assert isinstance(difference("precision", counts), Undefined)
    assert isinstance(difference("precision", counts.swap()), Undefined)


@pytest.mark.parametrize("name", METRICS)
def test_a_billion_rows_a_cell_give_the_difference_of_one_row_a_cell(name: str) -> None:
    """Metrics are homogeneous of degree 0, standard errors of degree -1/2."""
    small = difference(name, PairedCounts((7, 1, 2, 3, 1, 4, 2, 6)))
    large = difference(name, PairedCounts(tuple(HUGE * n for n in (7, 1, 2, 3, 1, 4, 2, 6))))  # type: ignore[arg-type]
    assert isinstance(small, Difference)
    assert isinstance(large, Difference)
    assert large.value == pytest.approx(small.value, rel=1e-12)
    assert large.standard_error == pytest.approx(small.standard_error / math.sqrt(HUGE), rel=1e-9)


@PROPERTY
@given(COUNTS)
def test_swapping_the_models_negates_every_difference_and_keeps_its_standard_error(counts: PairedCounts) -> None:
    for name in METRICS:
        there, back = difference(name, counts), difference(name, counts.swap())
        assert isinstance(there, Undefined) == isinstance(back, Undefined)
        if isinstance(there, Difference) and isinstance(back, Difference):
            assert back.value == -there.value
            assert back.standard_error == pytest.approx(there.standard_error, rel=1e-9, abs=1e-15)
            assert math.isfinite(there.standard_error)


@PROPERTY
@given(COUNTS)
def test_every_metric_lies_in_its_range(counts: PairedCounts) -> None:
    for name in METRICS:
        value = metric(name, counts.champion)
        if not isinstance(value, Undefined):
            assert (-1 if name == "mcc" else 0) - 1e-12 <= value <= 1 + 1e-12


@pytest.mark.parametrize("name", METRICS)
def test_every_gradient_is_the_slope_of_its_metric(name: str) -> None:
    """Central differences in each cell of a table without symmetry."""
    table = [np.array([x]) for x in (37.0, 11.0, 23.0, 301.0)]
    slopes = []
    for i in range(4):
        up, down = list(table), list(table)
        up[i], down[i] = table[i] + 1e-3, table[i] - 1e-3
        slopes.append((metric_array(name, *up) - metric_array(name, *down)) / 2e-3)
    assert np.ravel(METRICS[name].gradient(*table)) == pytest.approx(np.ravel(slopes), rel=1e-6, abs=1e-12)
