"""The path of evidence and metrics, batch by batch."""

from __future__ import annotations

import dataclasses
import itertools
from datetime import timedelta

import numpy as np
import polars as pl
import pytest
from analysis_examples import FIRST_DAY, batch_tally, contender, evidence
from task_examples import numbers, summed

from analysis.any_look.batch_unit import log_e_batch_unit
from analysis.any_look.eprocess import log_e
from analysis.evidence import BatchTally
from analysis.one_look.multiplicity import e_closure
from analysis.policy import Costs, Policy
from analysis.tables.counts import PairedCounts
from analysis.verdict.judge import judge
from analysis.verdict.trajectory import evidence_path, metric_path, spread

A = PairedCounts((900, 6, 4, 30, 20, 14, 5, 120))
B = PairedCounts((900, 5, 7, 30, 20, 6, 9, 120))


@pytest.mark.parametrize("policy", [Policy(), Policy(min_gain=0.01, prior=10, guardrails={}, primary="accuracy")])
def test_each_point_is_the_evidence_of_all_batches_so_far(policy: Policy) -> None:
    (path,) = evidence_path([evidence(A, B, A)], policy).values()
    for k, point in enumerate(path, start=1):
        so_far = [A, B, A][:k]
        pairs = sum(so_far, PairedCounts()).outcomes(policy.primary)
        assert point.date == FIRST_DAY + timedelta(weeks=k - 1)
        assert point.log_e_adjusted == log_e(pairs, null_gain=policy.min_gain, prior=policy.prior)
        units = [c.outcomes(policy.primary) for c in so_far]
        assert point.log_e_batch_unit == log_e_batch_unit(units, null_gain=policy.min_gain)
    assert len(path) == 3


def test_the_last_point_is_what_the_judgement_says() -> None:
    family = [evidence(A, B, A, A), evidence(B, B, B, B, challenger="3"), evidence(A, A, A, A, challenger="4")]
    paths = evidence_path(family, Policy())
    for assessment in judge(family, Policy(), seed=0).assessments:
        last = paths[assessment.evidence.challenger.version][-1]
        assert last.log_e_adjusted == assessment.log_e_adjusted
        assert last.log_e_batch_unit == assessment.measured.log_e_batch_unit


def test_a_challenger_without_a_batch_on_a_day_keeps_its_evidence_in_the_family() -> None:
    """The younger challenger joins with the third batch: before, it stands in the family with E = 1."""
    young = evidence(A, A, A, challenger="3")
    young = dataclasses.replace(young, batches=young.batches[2:])
    paths = evidence_path([evidence(A, B, A), young], Policy())
    assert [p.date for p in paths["3"]] == [p.date for p in paths["2"]]
    first = e_closure([log_e(A.outcomes("recall")), 0.0])
    assert [paths["2"][0].log_e_adjusted, paths["3"][0].log_e_adjusted] == first
    last = e_closure([log_e((A + B + A).outcomes("recall")), log_e(A.outcomes("recall"))])
    assert [paths["2"][2].log_e_adjusted, paths["3"][2].log_e_adjusted] == last


def test_two_batches_of_one_day_make_one_point() -> None:
    both = evidence(A, B)
    same_day = dataclasses.replace(both, batches=tuple(dataclasses.replace(b, date=FIRST_DAY) for b in both.batches))
    ((point,),) = evidence_path([same_day], Policy()).values()
    assert point.log_e_adjusted == log_e((A + B).outcomes("recall"))


def test_without_evidence_the_paths_are_empty() -> None:
    assert evidence_path([], Policy()) == {}
    assert evidence_path([evidence()], Policy()) == {"2": []}


def test_the_path_of_a_metric_leaves_out_batches_where_it_is_undefined() -> None:
    week = timedelta(weeks=1)
    closed = [
        batch_tally(FIRST_DAY + 2 * week, {(1, 1, 0): 1, (1, 0, 0): 1}),
        batch_tally(FIRST_DAY, {(1, 1, 0): 3, (1, 0, 1): 1, (0, 1, 1): 9}),
        batch_tally(FIRST_DAY + week, {(0, 1, 0): 5, (None, 1, 1): 5}),
    ]
    assert metric_path(closed, "1", "recall", Policy()) == [(FIRST_DAY, 0.75), (FIRST_DAY + 2 * week, 0.5)]
    assert metric_path(closed, "2", "recall", Policy()) == [(FIRST_DAY, 0.25), (FIRST_DAY + 2 * week, 0.0)]
    assert metric_path(closed, "1", "precision", Policy())[1] == (FIRST_DAY + week, 0.0)
    assert metric_path(closed, "9", "recall", Policy()) == []


def test_a_path_of_classes_is_the_metric_of_one_version_among_its_labelled_rows() -> None:
    cells = [("cat", "cat", "dog", 6), ("dog", "cat", "dog", 2), ("dog", "dog", "dog", 1), (None, "dog", "cat", 9)]
    schema = {"label": pl.String, "v1": pl.String, "v2": pl.String, "n": pl.Int64}
    frame = pl.DataFrame(cells, schema=schema, orient="row").with_columns(excluded=pl.lit(None, dtype=pl.String))
    closed = [BatchTally("b", FIRST_DAY, frame, {v: contender(v) for v in "12"})]
    assert metric_path(closed, "1", "accuracy", Policy(task="multiclass")) == [(FIRST_DAY, pytest.approx(7 / 9))]
    assert metric_path(closed, "1", "macro_recall", Policy(task="multiclass")) == [
        (FIRST_DAY, pytest.approx((1 + 1 / 3) / 2))
    ]
    assert metric_path(closed, "2", "accuracy", Policy(task="multiclass")) == [(FIRST_DAY, pytest.approx(3 / 9))]
    assert metric_path(closed, "2", "macro_precision", Policy(task="multiclass")) == [], "it never names a cat"
    assert metric_path(closed, "9", "accuracy", Policy(task="multiclass")) == []


def test_a_path_of_losses_is_their_mean_in_each_batch_with_a_prediction() -> None:
    y, c, h = numbers(np.random.default_rng(1), 50)
    scores = [summed(y, c, h), None, summed(y[:20], c[:20], h[:20])]
    closed = [
        dataclasses.replace(batch_tally(FIRST_DAY + timedelta(weeks=i), {(1, 1, 1): 50}), scores=s)
        for i, s in enumerate(scores)
    ]
    found = metric_path(closed, "2", "squared_error", Policy(task="regression"))
    assert found == [
        (FIRST_DAY, pytest.approx(np.mean((h - y) ** 2))),
        (FIRST_DAY + timedelta(weeks=2), pytest.approx(np.mean((h[:20] - y[:20]) ** 2))),
    ]
    assert metric_path(closed, "9", "squared_error", Policy(task="regression")) == []


def test_a_path_of_costs_needs_their_prices() -> None:
    closed = [batch_tally(FIRST_DAY, {(1, 1, 0): 3, (0, 1, 0): 5, (0, 0, 0): 2})]
    priced = Policy(costs=Costs(fp=1, fn=20))
    assert metric_path(closed, "1", "cost", priced) == [(FIRST_DAY, pytest.approx(5 / 10))]
    assert metric_path(closed, "2", "cost", priced) == [(FIRST_DAY, pytest.approx(60 / 10))]
    assert metric_path(closed, "1", "cost", Policy()) == []


def test_a_path_of_clipped_losses_leaves_out_batches_that_were_clipped_elsewhere() -> None:
    y, c, h = numbers(np.random.default_rng(1), 50)
    policies = [Policy(task="regression", largest_error=clip) for clip in (1, 2)]
    closed = [
        dataclasses.replace(
            batch_tally(FIRST_DAY + timedelta(weeks=i), {(1, 1, 1): 50}), scores=summed(y, c, h, policy=p)
        )
        for i, p in enumerate(policies)
    ]
    for i, p in enumerate(policies):
        ((day, value),) = metric_path(closed, "2", "absolute_error", p)
        assert day == FIRST_DAY + timedelta(weeks=i)
        assert value == pytest.approx(np.minimum(np.abs(h - y), i + 1).mean())


def test_evidence_that_is_not_defined_yet_is_none() -> None:
    """One to one, E = 1, before an asymptotic process has the 20 disagreements that it needs."""
    few = PairedCounts((180, 4, 3, 13, 4, 6, 6, 15))
    first, second = evidence_path([evidence(few, A)], Policy(primary="f1", guardrails={}))["2"]
    assert first.log_e_adjusted == 0
    assert second.log_e_adjusted != 0


def test_the_accuracy_of_decisions_is_that_of_the_confusion_matrix() -> None:
    closed = [batch_tally(FIRST_DAY, {(1, 1, 0): 3, (0, 1, 0): 5, (0, 0, 0): 2})]
    assert metric_path(closed, "1", "accuracy", Policy()) == [(FIRST_DAY, pytest.approx(5 / 10))]


def test_of_many_days_some_are_taken_evenly_and_the_last_one_always() -> None:
    days = list(range(1000))
    found = spread(days, 40)
    assert len(found) == 40
    assert found[-1] == 999
    assert {b - a for a, b in itertools.pairwise(found)} == {25}
    assert spread(days, 1) == [999]
    assert spread(days[:7], 40) == days[:7]
    assert spread([], 40) == []
    whole = evidence_path([evidence(A, B, A, B)], Policy())["2"]
    assert evidence_path([evidence(A, B, A, B)], Policy(), most=2)["2"] == [whole[1], whole[3]]
