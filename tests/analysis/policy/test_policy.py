"""The policy: its defaults, and every value that it refuses."""

from __future__ import annotations

import math
import re
from typing import Any

import pytest
from pydantic import ValidationError

from analysis.policy import Costs, Horizon, Policy
from analysis.tables.record import plain


def test_the_defaults_are_those_of_a_weekly_judgement() -> None:
    policy = Policy()
    assert policy.primary == "recall"
    assert policy.guardrails == {"precision": 0.03, "accuracy": 0.005}
    assert (policy.alpha, policy.min_gain, policy.prior, policy.min_batches) == (0.05, 0, 3, 4)
    assert (policy.error_budget, policy.unit, policy.unlabelled) == ("reign", "row", "refuse")
    assert (policy.approval, policy.n_resamples) == ("automatic", 10_000)


@pytest.mark.parametrize(
    "value",
    [
        {"primary": "alert_rate"},
        {"primary": "macro_f1"},
        {"min_gain": -0.01},
        {"min_gain": 1},
        {"min_gain": math.nan},
        {"alpha": 0},
        {"alpha": 0.5},
        {"alpha": -0.05},
        {"alpha": math.nan},
        {"alpha": None},
        {"guardrails": {"alert_rate": 0.01}},
        {"guardrails": {"mcc": 2}},
        {"segment_guardrails": {"precision": 0.1}},
        {"error_budget": "year"},
        {"unit": "rows"},
        {"costs": {"fp": 1}},
        {"costs": {"fp": 0, "fn": 0}},
        {"costs": {"fp": math.inf, "fn": 1}},
        {"horizon": {"disagreements": 19}},
        {"horizon": {"disagreements": 100, "spending": "evenly"}},
        {"unlabelled": "guess"},
        {"guardrails": {"precision": 0}},
        {"guardrails": {"precision": 1}},
        {"guardrails": {"precision": -0.1}},
        {"guardrails": {"precision": math.nan}},
        {"guardrails": {"precision": "lots"}},
        {"guardrails": ["precision"]},
        {"min_batches": 0},
        {"min_batches": 2.5},
        {"prior": 0.5},
        {"prior": 201},
        {"prior": math.inf},
        {"n_resamples": 999},
        {"n_resamples": 1_000_001},
        {"promote_anyway": True},
    ],
    ids=str,
)
def test_refused_values(value: dict[str, Any]) -> None:
    with pytest.raises(ValidationError) as refusal:
        Policy(**value)
    assert next(iter(value)) in str(refusal.value)


@pytest.mark.parametrize(
    "value",
    [
        {"primary": "specificity"},
        {"primary": "accuracy", "guardrails": {}},
        {"min_gain": 0.999},
        {"alpha": 1e-12},
        {"alpha": 0.4999},
        {"guardrails": {"specificity": 0.001}},
        {"min_batches": 1},
        {"prior": 1},
        {"prior": 200},
        {"n_resamples": 1000},
        {"n_resamples": 1_000_000},
        {"horizon": Horizon(disagreements=20)},
        {"task": "regression", "largest_error": 1e-60, "guardrails": {}},
        {"task": "regression", "largest_error": 1e60},
        {"costs": Costs(fp=0.2, fn=0.5)},
    ],
    ids=str,
)
def test_values_at_the_edge_are_taken(value: dict[str, Any]) -> None:
    policy = Policy(**value)
    for name, given in value.items():
        assert getattr(policy, name) == given
    assert Policy.model_validate(value) == policy


@pytest.mark.parametrize(
    ("task", "guardrails", "sentence"),
    [
        ("binary", {"precision": 1}, "the margin of precision must be above 0 and below 1, not 1"),
        ("binary", {"mcc": 2}, "the margin of mcc must be above 0 and below 2, not 2"),
        ("regression", {"absolute_error": 0}, "the margin of absolute_error must be above 0, not 0"),
    ],
)
def test_a_margin_is_told_its_bounds(task: Any, guardrails: dict[str, float], sentence: str) -> None:
    with pytest.raises(ValidationError) as refusal:
        Policy(task=task, guardrails=guardrails)  # type: ignore[arg-type]
    assert [e["msg"] for e in refusal.value.errors()] == [f"Value error, {sentence}"]


def test_the_primary_metric_cannot_be_a_guardrail_too() -> None:
    with pytest.raises(ValidationError, match="recall is the primary metric"):
        Policy(guardrails={"recall": 0.01})


def test_the_order_of_the_guardrails_does_not_make_another_policy() -> None:
    one = Policy(guardrails={"precision": 0.03, "accuracy": 0.005})
    two = Policy(guardrails={"accuracy": 0.005, "precision": 0.03})
    assert one == two
    assert one.model_dump_json() == two.model_dump_json()


def test_a_policy_read_back_from_a_record_is_the_same_policy_to_the_last_byte() -> None:
    """A decision is replayed from the policy that was written down, the defaults included."""
    for policy in (Policy(), Policy(guardrails={"specificity": 0.01, "accuracy": 0.01})):
        again = Policy(**policy.model_dump())
        assert again == policy
        assert again.model_dump_json() == policy.model_dump_json()


def test_a_policy_does_not_change() -> None:
    with pytest.raises(ValidationError):
        Policy().alpha = 0.2  # type: ignore[misc]


@pytest.mark.parametrize(
    ("task", "primary", "guardrails"),
    [
        ("binary", "recall", {"accuracy": 0.005, "precision": 0.03}),
        ("multiclass", "accuracy", {"macro_recall": 0.02}),
        ("regression", "squared_error", {}),
    ],
)
def test_every_task_has_defaults_of_its_own(task: Any, primary: str, guardrails: dict[str, float]) -> None:
    policy = Policy(task=task)
    assert (policy.primary, policy.guardrails) == (primary, guardrails)
    assert Policy(**policy.model_dump()) == policy


def test_a_default_guardrail_gives_way_to_a_primary_metric() -> None:
    assert Policy(task="multiclass", primary="macro_recall").guardrails == {}


@pytest.mark.parametrize(
    ("task", "value", "sentence"),
    [
        (
            "multiclass",
            {"primary": "recall"},
            "recall does not exist for the task multiclass; its measures are: accuracy, macro_recall",
        ),
        ("multiclass", {"guardrails": {"brier": 0.1}}, "brier does not exist for the task multiclass"),
        ("regression", {"primary": "accuracy"}, "its measures are: squared_error, absolute_error"),
        ("binary", {"guardrails": {"squared_error": 0.1}}, "squared_error does not exist for the task binary"),
        ("multiclass", {"costs": {"fp": 1, "fn": 2}}, "costs need decisions of 0 and 1; the task is multiclass"),
        ("regression", {"costs": {"fp": 1, "fn": 2}}, "costs need decisions of 0 and 1; the task is regression"),
        ("multiclass", {"segment_guardrails": {"accuracy": 0.1}}, "segment_guardrails need decisions of 0 and 1"),
        (
            "regression",
            {"unlabelled": "worst_case"},
            "unlabelled: worst_case needs decisions of 0 and 1; the task is regression",
        ),
        ("multiclass", {"unlabelled": "begg_greenes"}, "unlabelled: begg_greenes needs decisions of 0 and 1"),
        ("regression", {"horizon": {"disagreements": 100}}, "and squared_error has none; remove horizon$"),
        ("multiclass", {"primary": "macro_f1", "horizon": {"disagreements": 100}}, "or choose one of accuracy$"),
        (
            "binary",
            {"largest_error": 3},
            "largest_error clips the errors of predicted numbers; the task is binary; remove it",
        ),
        ("regression", {"largest_error": 3, "min_gain": 9}, "no two models differ by that much in squared_error"),
        (
            "regression",
            {"largest_error": 3, "guardrails": {"absolute_error": 3}},
            "the margin of absolute_error is 3; with this largest_error it must be below 3",
        ),
        ("regression", {"largest_error": 0}, "greater than 0"),
        ("regression", {"largest_error": 1e200}, r"largest_error must lie between 1e-60 and 1e60, not 1e\+200"),
        ("regression", {"largest_error": float("inf")}, "finite number"),
        ("multiclass", {"min_gain": 1}, "no two models differ by that much in accuracy"),
        (["multiclass"], {}, "Input should be 'binary', 'multiclass' or 'regression'"),
        ("ranking", {}, "Input should be 'binary', 'multiclass' or 'regression'"),
    ],
    ids=str,
)
def test_what_a_task_does_not_have_is_refused_in_one_sentence(task: Any, value: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValidationError) as refusal:
        Policy(task=task, **value)
    messages = [error["msg"] for error in refusal.value.errors()]
    assert any(re.search(sentence, message) for message in messages), messages
    assert len(messages) == 1


def test_the_usual_guardrails_are_those_that_an_assumption_about_labels_covers() -> None:
    assert Policy(unlabelled="worst_case").guardrails == {"accuracy": 0.005}
    assert Policy(unlabelled="worst_case", primary="accuracy").guardrails == {}
    assert Policy(unlabelled="begg_greenes").guardrails == Policy().guardrails
    assert Policy(unlabelled="worst_case", segment_guardrails={"recall": 0.1}).segment_guardrails == {"recall": 0.1}


@pytest.mark.parametrize("error", [9e-61, 1.1e60])
def test_a_clip_that_no_record_could_hold_is_refused(error: float) -> None:
    message = f"largest_error must lie between 1e-60 and 1e60, not {error:g}".replace("+", ".")
    with pytest.raises(ValidationError, match=message):
        Policy(task="regression", largest_error=error)


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ({"alpha": 9e-13}, "alpha is 9e-13; it must be at least 1e-12, below which 1 - alpha is not exact enough"),
        ({"primary": "cost"}, "cost is named, but there are no costs; add costs: {fp: ..., fn: ...}"),
        ({"guardrails": {"cost": 0.5}}, "cost is named, but there are no costs; add costs: {fp: ..., fn: ...}"),
        (
            {"primary": "cost", "costs": {"fp": 1, "fn": 4}, "min_gain": 4},
            "two decisions on a row differ by at most 4 in cost; min_gain and the margin of cost must be less",
        ),
        (
            {"costs": {"fp": 1, "fn": 4}, "guardrails": {"cost": 4}},
            "two decisions on a row differ by at most 4 in cost; min_gain and the margin of cost must be less",
        ),
        *(
            (
                {"unlabelled": "begg_greenes"} | other,
                f"unlabelled: begg_greenes {sentence}",
            )
            for other, sentence in (
                ({"unit": "batch"}, "needs rows as units; remove unit: batch"),
                ({"segment_guardrails": {"recall": 0.1}}, "corrects no segment; remove segment_guardrails"),
                (
                    {"guardrails": {"cost": 0.1}, "costs": {"fp": 1, "fn": 4}},
                    "covers metrics of decisions; remove cost",
                ),
                ({"primary": "brier"}, "covers metrics of decisions; remove brier"),
            )
        ),
        *(
            (
                {"unlabelled": "worst_case"} | other,
                f"unlabelled: worst_case {sentence}",
            )
            for other, sentence in (
                ({"unit": "batch"}, "needs rows as units; remove unit: batch"),
                ({"primary": "f1"}, "covers recall, specificity and accuracy; remove f1"),
                ({"guardrails": {"precision": 0.1}}, "covers recall, specificity and accuracy; remove precision"),
                ({"guardrails": {"auc": 0.1}}, "covers recall, specificity and accuracy; remove auc"),
            )
        ),
        *(
            (
                {"horizon": {"disagreements": 100}} | other,
                "a horizon needs unit: row, min_gain: 0 and unlabelled: refuse; remove horizon, or change the others",
            )
            for other in (
                {"min_gain": 0.01},
                {"unit": "batch"},
                {"unlabelled": "begg_greenes"},
                {"unlabelled": "worst_case"},
            )
        ),
    ],
    ids=str,
)
def test_settings_that_do_not_go_together_are_refused_in_one_sentence(value: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValidationError) as refusal:
        Policy(**value)
    assert [error["msg"].removeprefix("Value error, ") for error in refusal.value.errors()] == [sentence]


def test_a_clip_is_what_a_record_of_it_keeps_and_stands_in_none_that_has_no_clip() -> None:
    """Else the replay of a decision would look for losses that were clipped elsewhere by a hair."""
    policy = Policy(task="regression", largest_error=1 / 3)
    assert policy.largest_error == 0.333333333333
    assert Policy(**plain(policy.model_dump(mode="json"))) == policy
    assert "largest_error" not in Policy(task="regression").model_dump()


def test_a_loss_of_numbers_may_be_asked_to_fall_by_any_amount() -> None:
    policy = Policy(task="regression", min_gain=1e6, guardrails={"absolute_error": 250})
    assert (policy.min_gain, policy.guardrails["absolute_error"]) == (1e6, 250)


def test_classes_may_be_tested_to_a_declared_horizon() -> None:
    assert Policy(task="multiclass", horizon={"disagreements": 100}).horizon is not None  # type: ignore[arg-type]
