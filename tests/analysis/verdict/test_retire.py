"""What ends a challenger: proof of harm or futility, and data that cannot carry a judgement."""

from __future__ import annotations

import pytest
from analysis_examples import evidence
from judge_examples import BLUNT, EQUAL, GOOD, failed, only, with_positives

from analysis.any_look.batch_unit import Overdispersion
from analysis.any_look.forecast import Forecast
from analysis.policy import Policy
from analysis.tables.counts import PairedCounts, Undefined
from analysis.verdict.judge import Verdict, judge


def test_harm_in_the_primary_metric_retires() -> None:
    found = only(*[GOOD.swap()] * 10, policy=Policy(guardrails={}))
    assert found.verdict is Verdict.RETIRE
    (reason,) = found.reasons
    assert reason.startswith("harm: recall is proven to be worse than the champion's (by at least 0.06")


def test_a_broken_guardrail_retires_even_with_proof_of_a_gain() -> None:
    found = only(*[BLUNT] * 10)
    assert found.log_e_adjusted > 10
    assert found.verdict is Verdict.RETIRE
    assert sorted(r.split(" is ")[0] for r in found.reasons) == ["harm: accuracy", "harm: precision"]


def test_a_gain_proven_too_small_retires_for_futility() -> None:
    found = only(*[GOOD] * 10, policy=Policy(min_gain=0.2))
    assert found.verdict is Verdict.RETIRE
    assert found.reasons[0].startswith("futility: the gain in recall is proven to be at most 0.11")
    assert only(*[GOOD] * 10, policy=Policy(min_gain=0.1)).verdict is Verdict.WAIT
    assert only(*[GOOD] * 10, policy=Policy(min_gain=0.05)).verdict is Verdict.PROMOTE


def test_nobody_is_retired_before_the_minimum_of_batches() -> None:
    assert only(*[GOOD.swap()] * 3).verdict is Verdict.WAIT
    assert only(*[BLUNT] * 3).verdict is Verdict.WAIT
    assert only(*[GOOD.swap()] * 4).verdict is Verdict.RETIRE


def test_uneven_batches_do_not_retire_until_they_prove_it_as_units() -> None:
    uneven = [with_positives(4, 40), with_positives(12, 3)] * 5
    found = only(*uneven, policy=Policy(guardrails={}))
    assert found.measured.interval.high < 0
    assert found.verdict is Verdict.WAIT
    always_worse = [with_positives(4, 40), with_positives(14, 30)] * 15
    found = only(*always_worse, policy=Policy(guardrails={}))
    assert isinstance(found.measured.overdispersion, Overdispersion)
    assert found.measured.overdispersion.p_value < 0.05
    assert found.verdict is Verdict.RETIRE


def test_a_broken_guardrail_retires_where_the_primary_metric_says_nothing() -> None:
    """Neither batches that are uneven in it nor one that was never kept hide the harm."""
    clumsy = [PairedCounts((1800, 80, 10, 30, 10, w, 24 - w, 150)) for w in (4, 20, 2, 22)] * 3
    found = only(*clumsy, policy=Policy(guardrails={"specificity": 0.01}))
    assert isinstance(found.measured.overdispersion, Overdispersion)
    assert found.measured.overdispersion.p_value < 0.05
    assert found.measured.log_e_batch_unit_reverse < 1
    assert found.verdict is Verdict.RETIRE
    assert [r.split(" is ")[0] for r in found.reasons] == ["harm: specificity"]
    found = only(*[BLUNT] * 10, policy=Policy(primary="brier", guardrails={"accuracy": 0.005}))
    assert isinstance(found.measured.interval, Undefined)
    assert found.verdict is Verdict.RETIRE


def test_a_segment_guardrail_retires_where_it_is_broken_and_there_alone() -> None:
    policy = Policy(guardrails={}, segment_guardrails={"recall": 0.05})
    (found,) = judge([evidence(*[GOOD] * 5, segment="north")], policy, seed=0).assessments
    assert [g.status for g in found.measured.segment_guardrails] == ["held"]
    assert found.verdict is Verdict.PROMOTE
    (found,) = judge([evidence(*[GOOD.swap()] * 10, segment="north")], policy, seed=0).assessments
    assert found.reasons[0] == (
        "harm: recall in region = north is proven to be more than 0.05 worse than the champion's"
    )


def test_a_forecast_names_the_batches_of_even_odds_where_there_are_such() -> None:
    soon = only(*[with_positives(7, 4)] * 4, policy=Policy(guardrails={}))
    assert soon.reasons[-1].endswith(f", with even odds within {soon.forecast.batches_50}")  # type: ignore[union-attr]
    never = only(*[EQUAL] * 5)
    assert isinstance(never.forecast, Forecast)
    assert never.forecast.batches_50 is None
    assert never.reasons[-1].endswith(f"with probability {never.forecast.probability:.0%}")


def test_the_champions_own_model_is_invalid() -> None:
    found = only(*[GOOD] * 10, digest="digest-1")
    assert found.verdict is Verdict.INVALID
    assert "the champion's own model" in found.reasons[0]


def test_labels_that_follow_the_decisions_are_invalid() -> None:
    """The champion's own flags are all labelled, of the challenger's half."""
    found = only(*[GOOD + PairedCounts(unlabelled=(500, 30, 0, 10))] * 10)
    assert found.verdict is Verdict.INVALID
    assert "lack a label at different rates" in found.reasons[0]
    assert only(*[GOOD + PairedCounts(unlabelled=(500, 0, 0, 10))] * 10).verdict is Verdict.PROMOTE


@pytest.mark.parametrize("cells", [(1800, 10, 10, 30, 0, 0, 0, 0), (0, 0, 0, 0, 10, 20, 4, 150)])
def test_labels_of_one_class_are_invalid_once_there_are_enough_batches(cells: tuple[int, ...]) -> None:
    one_class = PairedCounts(cells)  # type: ignore[arg-type]
    assert only(*[one_class] * 3).verdict is Verdict.WAIT
    found = only(*[one_class] * 4)
    assert found.verdict is Verdict.INVALID
    assert "of one class" in found.reasons[0]


def test_invalid_comes_before_retire_and_retire_before_wait() -> None:
    assert only(*[GOOD.swap()] * 10, digest="digest-1").verdict is Verdict.INVALID
    assert failed(only(*[GOOD.swap()] * 10)) != []
