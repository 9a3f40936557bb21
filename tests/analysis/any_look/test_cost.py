"""Expected cost: linear in the cells, and an exact e-process that is the one of rows where costs are 0 and 1."""

from __future__ import annotations

import math

import numpy as np
import pytest
from analysis_examples import PROPERTY
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from analysis.any_look.cost import CostMatrix, confidence_sequence_of_cost, expected_cost, log_e_cost
from analysis.any_look.eprocess import confidence_sequence, log_e
from analysis.tables.counts import PairedCounts, Undefined
from analysis.tables.metrics import Difference, difference

CELL = st.sampled_from([0, 0, 1, 4, 60, 3000, 10**9])
TABLES = st.builds(PairedCounts, st.tuples(*[CELL] * 8))
FRAUD = CostMatrix(tp=5.0, fp=5.0, fn=100.0, tn=0.0)
ERRORS = CostMatrix()
COUNTS = PairedCounts((900, 30, 20, 50, 25, 40, 22, 200))


def cost(counts: PairedCounts, costs: CostMatrix) -> Difference:
    found = expected_cost(counts, costs)
    assert isinstance(found, Difference)
    return found


def test_costs_against_a_sum_row_by_row() -> None:
    cells = np.repeat(np.arange(8), COUNTS.labelled)
    y, c, h = (cells >> 2) & 1, (cells >> 1) & 1, cells & 1
    price = np.array([[0.0, 5.0], [100.0, 5.0]])
    saved = price[y, c] - price[y, h]
    found = cost(COUNTS, FRAUD)
    assert found.champion == pytest.approx(price[y, c].mean())
    assert found.challenger == pytest.approx(price[y, h].mean())
    assert found.value == pytest.approx(-saved.mean())
    assert found.standard_error == pytest.approx(saved.std() / math.sqrt(len(saved)))


def test_the_cost_of_errors_is_one_minus_accuracy() -> None:
    accuracy = difference("accuracy", COUNTS)
    assert isinstance(accuracy, Difference)
    found = cost(COUNTS, ERRORS)
    assert (found.champion, found.value) == pytest.approx((1 - accuracy.champion, -accuracy.value))
    assert found.standard_error == pytest.approx(accuracy.standard_error)


@PROPERTY
@given(TABLES, st.sampled_from([-0.01, 0.0, 0.02]))
def test_the_e_process_of_errors_is_that_of_accuracy(counts: PairedCounts, gain: float) -> None:
    expected = log_e(counts.outcomes("accuracy"), null_gain=gain)
    assert log_e_cost(counts, ERRORS, null_saving=gain) == pytest.approx(expected, rel=1e-8, abs=1e-7)


def test_the_sequence_of_errors_is_that_of_accuracy() -> None:
    expected = confidence_sequence(COUNTS.outcomes("accuracy"), alpha=0.05)
    found = confidence_sequence_of_cost(COUNTS, ERRORS, alpha=0.05)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-9)


@PROPERTY
@given(TABLES, st.sampled_from([FRAUD, ERRORS, CostMatrix(tp=-3.0, fp=0.5, fn=0.0, tn=0.0)]))
def test_the_lower_end_is_above_a_saving_exactly_where_its_e_value_has_reached_the_threshold(
    counts: PairedCounts, costs: CostMatrix
) -> None:
    found = confidence_sequence_of_cost(counts, costs, alpha=0.05)
    assert -costs.span <= found.low <= found.high <= costs.span
    for share in (-0.3, -0.01, 0.0, 0.02):
        saving = share * costs.span
        e = log_e_cost(counts, costs, null_saving=saving)
        assert math.isfinite(e)
        if abs(e - math.log(20)) > 1e-6:
            assert (found.low > saving) == (e > math.log(20))


@PROPERTY
@given(TABLES)
def test_swapping_the_models_negates_the_saving(counts: PairedCounts) -> None:
    if counts.n == 0:
        assert expected_cost(counts, FRAUD) == Undefined("no labelled row")
        return
    assert cost(counts.swap(), FRAUD).value == pytest.approx(-cost(counts, FRAUD).value, abs=1e-12)
    one, two = (confidence_sequence_of_cost(c, FRAUD, alpha=0.05) for c in (counts, counts.swap()))
    assert (one.low, one.high) == pytest.approx((-two.high, -two.low), abs=1e-9)


def test_equal_costs_are_promoted_in_at_most_alpha_of_the_years() -> None:
    """Weekly looks for a year at models of equal expected cost and different errors: 400 years."""
    rng = np.random.default_rng(7)
    costs = CostMatrix(tp=0.0, fp=1.0, fn=4.0, tn=0.0)
    shares = np.array([0.80, 0.04, 0.02, 0.03, 0.02, 0.015, 0.01, 0.065])  # 4 (.015 - .010) = .04 - .02: no saving
    assert float(np.sum(shares * costs.saved())) == pytest.approx(0)
    false = 0
    for _ in range(400):
        weeks = rng.multinomial(200, shares, size=52).cumsum(axis=0)
        reached = any(
            log_e_cost(PairedCounts(tuple(int(n) for n in week)), costs) >= math.log(20) for week in weeks[3::4]
        )
        false += reached
    assert stats.binomtest(false, 400, 0.05, alternative="greater").pvalue > 1e-3


@pytest.mark.parametrize(
    "costs", [{"fp": 0.0, "fn": 0.0}, {"fn": math.inf}, {"fp": math.nan}, {"tp": -1e308, "fn": 1e308}]
)
def test_costs_that_do_not_tell_decisions_apart_are_refused(costs: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="costs must be finite numbers that depend on the decision"):
        CostMatrix(**costs)


@pytest.mark.parametrize("saving", [95.0, -95.0, -120.0, math.nan])
def test_a_saving_that_no_row_can_reach_is_refused(saving: float) -> None:
    with pytest.raises(ValueError, match=f"the saving must lie between -95 and 95 per row, not {saving:g}"):
        log_e_cost(COUNTS, FRAUD, null_saving=saving)


def test_without_another_null_it_is_that_nothing_is_saved() -> None:
    assert log_e_cost(COUNTS, FRAUD) == log_e_cost(COUNTS, FRAUD, null_saving=0.0)


def test_what_every_row_of_a_label_costs_whatever_the_decision_tells_no_decisions_apart() -> None:
    """Only the differences of costs within a label count: 7 more for each negative and 11 for each positive change nothing."""
    plain, shifted = CostMatrix(fp=1.0, fn=4.0), CostMatrix(tp=11.0, fp=8.0, fn=15.0, tn=7.0)
    assert plain.span == shifted.span == 4
    assert log_e_cost(COUNTS, shifted, null_saving=0.01) == log_e_cost(COUNTS, plain, null_saving=0.01)
    assert CostMatrix(fp=9.0, fn=4.0, tn=7.0).span == 4
    assert CostMatrix(fp=1.0, fn=4.0, tn=7.0).span == 6


@pytest.mark.parametrize("unit", [1e-9, 1e9])
def test_the_sequence_has_the_unit_of_the_costs(unit: float) -> None:
    found = confidence_sequence_of_cost(COUNTS, CostMatrix(fp=unit, fn=4 * unit), alpha=0.05)
    plain = confidence_sequence_of_cost(COUNTS, CostMatrix(fp=1.0, fn=4.0), alpha=0.05)
    assert (found.low / unit, found.high / unit) == pytest.approx((plain.low, plain.high), abs=1e-9)


def test_the_sequence_says_at_which_confidence_it_holds_the_saving() -> None:
    assert confidence_sequence_of_cost(COUNTS, FRAUD, alpha=0.02).confidence_level == pytest.approx(0.96)
