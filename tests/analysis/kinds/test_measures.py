"""The registry of measures: how a value is written, what it can be at most, and where its difference is taken from."""

from __future__ import annotations

import math

import pytest
from analysis_examples import FIRST_DAY, contender

from analysis.evidence import Evidence, PairedBatch
from analysis.evidence.gains import total_difference
from analysis.kinds import BINARY, KINDS, MEASURE_NAMES
from analysis.policy import Policy
from analysis.tables.counts import PairedCounts
from analysis.tables.metrics import METRICS, difference

ROWS = PairedCounts((1800, 40, 30, 130, 40, 60, 35, 150))
EVERY = [(kind.task, measure) for kind in KINDS.values() for measure in kind.measures.values()]
LOSSES = {"cost", "brier", "log_loss", "squared_error", "absolute_error"}


def amount(task: str, name: str, value: float, *, sign: bool = False) -> str:
    return KINDS[task].measures[name].amount(value, sign=sign)


def test_a_share_has_four_decimals_and_the_loss_of_a_number_five_digits() -> None:
    assert amount("binary", "recall", 0.123456) == "0.1235"
    assert amount("binary", "recall", 0.123456, sign=True) == "+0.1235"
    assert amount("binary", "brier", -0.5, sign=True) == "-0.5000"
    assert amount("regression", "squared_error", 1234567.0) == "1.2346e+06"
    assert amount("regression", "absolute_error", 0.00123456, sign=True) == "+0.0012346"


def test_two_models_differ_by_at_most_the_range_of_the_measure() -> None:
    unbounded = {"cost", "log_loss", "squared_error", "absolute_error"}
    for _, m in EVERY:
        assert m.span(None) == (math.inf if m.name in unbounded else 2.0 if m.name == "mcc" else 1.0)


def test_a_clip_in_units_of_the_label_bounds_the_losses_of_numbers_alone() -> None:
    for _, m in EVERY:
        expected = {"squared_error": 9.0, "absolute_error": 3.0}.get(m.name)
        assert m.bound(3.0) == expected
        assert m.bound(None) is None
        assert m.span(3.0) == (expected if expected is not None else m.span(None))


def test_lower_is_better_for_losses_alone() -> None:
    assert {m.name for _, m in EVERY if m.sign == -1} == LOSSES
    assert {m.name for _, m in EVERY if m.sign == 1} == {m.name for _, m in EVERY} - LOSSES


@pytest.mark.parametrize("name", METRICS)
def test_of_two_classes_a_metric_is_that_of_the_counts_of_all_batches(name: str) -> None:
    """Accuracy too, which is a measure of several classes as well."""
    assert BINARY.measures[name] is METRICS[name]
    halves = (ROWS, PairedCounts((900, 20, 25, 60, 20, 20, 30, 70)))
    batches = tuple(PairedBatch(f"b{i}", FIRST_DAY, counts, {}) for i, counts in enumerate(halves))
    total = total_difference(Evidence(contender("1"), contender("2"), batches), name, Policy())
    assert total == difference(name, halves[0] + halves[1])


@pytest.mark.parametrize("task", KINDS)
def test_every_measure_has_its_name_once_and_can_be_the_primary_one_unless_no_direction_of_it_is_better(
    task: str,
) -> None:
    kind = KINDS[task]
    assert {name: m.name for name, m in kind.measures.items()} == {name: name for name in kind.measures}
    assert set(kind.measures) - set(kind.deciding()) <= {"alert_rate"}
    assert set(kind.deciding()) <= set(MEASURE_NAMES)
    assert {kind.primary, *kind.guardrails} <= set(kind.deciding())
