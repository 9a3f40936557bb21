"""What a policy may name: how a value of it is written, what it can be at most, and where its difference is taken from."""

from __future__ import annotations

import math
from typing import get_args

import pytest
from analysis_examples import FIRST_DAY, contender

from analysis.evidence import Evidence, PairedBatch
from analysis.evidence.gains import total_difference
from analysis.one_look.measures import LOSSES, MEASURES, Measure, amount, gain_sign, is_tally_metric, loss_bound, span
from analysis.policy import Policy
from analysis.tables.counts import PairedCounts
from analysis.tables.metrics import METRICS, Metric, difference

ROWS = PairedCounts((1800, 40, 30, 130, 40, 60, 35, 150))
EVERY: tuple[Measure, ...] = get_args(Measure)


def test_a_share_has_four_decimals_and_the_loss_of_a_number_five_digits() -> None:
    assert amount("recall", 0.123456) == "0.1235"
    assert amount("recall", 0.123456, sign=True) == "+0.1235"
    assert amount("brier", -0.5, sign=True) == "-0.5000"
    assert amount("squared_error", 1234567.0) == "1.2346e+06"
    assert amount("absolute_error", 0.00123456, sign=True) == "+0.0012346"


def test_two_models_differ_by_at_most_the_range_of_the_measure() -> None:
    unbounded = {"cost", "log_loss", "squared_error", "absolute_error"}
    for name in EVERY:
        assert span(name) == (math.inf if name in unbounded else 2.0 if name == "mcc" else 1.0)


def test_a_clip_in_units_of_the_label_bounds_the_losses_of_numbers_alone() -> None:
    for name in EVERY:
        expected = {"squared_error": 9.0, "absolute_error": 3.0}.get(name)
        assert loss_bound(name, 3.0) == expected
        assert loss_bound(name, None) is None
        assert span(name, largest_error=3.0) == (expected if expected is not None else span(name))


def test_lower_is_better_for_losses_alone() -> None:
    assert {name for name in EVERY if gain_sign(name) == -1} == LOSSES
    assert {name for name in EVERY if gain_sign(name) == 1} == set(EVERY) - LOSSES


@pytest.mark.parametrize("name", METRICS)
def test_of_two_classes_a_metric_is_that_of_the_counts_of_all_batches(name: Metric) -> None:
    """Accuracy too, which is a measure of several classes as well."""
    assert is_tally_metric(name)
    halves = (ROWS, PairedCounts((900, 20, 25, 60, 20, 20, 30, 70)))
    batches = tuple(PairedBatch(f"b{i}", FIRST_DAY, counts, {}) for i, counts in enumerate(halves))
    found = total_difference(Evidence(contender("1"), contender("2"), batches), name, Policy())
    assert found == difference(name, halves[0] + halves[1])


def test_what_is_no_metric_of_a_confusion_matrix_is_none() -> None:
    assert {name for name in EVERY if not is_tally_metric(name)} == set(EVERY) - set(METRICS)
    assert set(MEASURES["binary"]) <= set(EVERY)
