"""Guardrails: held, open or broken, each by its own e-process."""

from __future__ import annotations

import numpy as np
import pytest
from analysis_examples import FIRST_DAY, MODEST_COUNTS, SLOW_PROPERTY, contender, evidence
from hypothesis import given

from analysis.any_look.batch_unit import log_e_batch_unit, overdispersion
from analysis.any_look.eprocess import confidence_sequence, log_e
from analysis.any_look.precision import log_e_precision
from analysis.evidence import Evidence, PairedBatch
from analysis.one_look.segments import paired_interval, reversals
from analysis.policy import Policy
from analysis.tables.counts import PairedCounts, Undefined
from analysis.tables.intervals import Interval
from analysis.tables.metrics import METRICS, Difference, difference
from analysis.verdict.assess import measure
from analysis.verdict.guardrails import guardrail

POLICY = Policy()
ALL: tuple[str, ...] = ("recall", "specificity", "accuracy", "precision")


@pytest.mark.parametrize("name", ALL)
def test_with_enough_rows_equal_models_hold_and_much_worse_ones_break(name: str) -> None:
    equal = PairedCounts((9000, 50, 50, 300, 200, 60, 60, 2000))
    worse = PairedCounts((9000, 900, 50, 300, 200, 60, 500, 2000))
    assert guardrail(evidence(equal), name, 0.05, POLICY).status == "held"
    assert guardrail(evidence(worse), name, 0.05, POLICY).status == "broken"
    assert guardrail(evidence(worse.swap()), name, 0.05, POLICY).status == "held"


@pytest.mark.parametrize("name", ALL)
def test_few_rows_leave_it_open(name: str) -> None:
    found = guardrail(evidence(PairedCounts((9, 1, 1, 3, 2, 1, 1, 5))), name, 0.01, POLICY)
    assert (found.status, found.metric, found.margin) == ("open", name, 0.01)


@pytest.mark.parametrize("name", ["recall", "specificity", "accuracy"])
def test_held_and_broken_say_what_the_confidence_sequence_says(name: str) -> None:
    """Held: the lower limit lies above -margin; broken: the upper limit lies below it."""
    seen = set()
    for k in range(0, 401, 5):
        counts = PairedCounts((4000, k, 40, 300, 200, 40, k, 2000))
        found = guardrail(evidence(counts), name, 0.02, POLICY)
        interval = confidence_sequence(counts.outcomes(name), alpha=0.05)  # type: ignore[arg-type]
        assert (found.status == "held") == (interval.low > -0.02)
        assert (found.status == "broken") == (interval.high < -0.02)
        seen.add(found.status)
    assert seen == {"held", "open", "broken"}


def test_the_numbers_are_those_of_the_e_processes() -> None:
    counts = PairedCounts((4000, 60, 40, 300, 200, 40, 70, 2000))
    recall, precision = (
        guardrail(evidence(counts), "recall", 0.02, POLICY),
        guardrail(evidence(counts), "precision", 0.03, POLICY),
    )
    assert recall.log_e == log_e(counts.outcomes("recall"), null_gain=-0.02)
    assert recall.log_e_reverse == log_e(counts.swap().outcomes("recall"), null_gain=0.02)
    assert precision.log_e == log_e_precision(counts, null_gain=-0.03)
    assert precision.log_e_reverse == log_e_precision(counts.swap(), null_gain=0.03)


def test_alpha_and_prior_are_the_policys() -> None:
    counts = PairedCounts((9000, 50, 50, 300, 200, 60, 60, 2000))
    assert guardrail(evidence(counts), "recall", 0.02, POLICY).status == "held"
    assert guardrail(evidence(counts), "recall", 0.02, Policy(alpha=1e-9)).status == "open"
    prior = guardrail(evidence(counts), "recall", 0.02, Policy(prior=50))
    assert prior.log_e == log_e(counts.outcomes("recall"), null_gain=-0.02, prior=50)


def test_measure_reports_every_metric_and_segment_at_the_policys_confidence() -> None:
    batches = [PairedCounts((900, 6, 4, 30, 20, 14, 9, 120)), PairedCounts((900, 5, 7, 30, 20, 12, 9, 120))]
    policy = Policy(alpha=0.1, min_gain=0.01, prior=10)
    found = measure(evidence(*batches, segment="north"), policy, rng=np.random.default_rng(1))
    total = batches[0] + batches[1]
    assert isinstance(found.interval, Interval)
    assert found.metrics == {name: difference(name, total) for name in METRICS}
    assert set(found.bootstrap) == set(METRICS)
    assert found.log_e == log_e(total.outcomes("recall"), null_gain=0.01, prior=10)
    assert found.interval == confidence_sequence(total.outcomes("recall"), alpha=0.1, prior=10)
    assert found.interval.confidence_level == found.segments[0].interval.confidence_level == pytest.approx(0.8)
    assert [(s.column, s.value, s.pairs) for s in found.segments] == [("region", "north", total.outcomes("recall"))]
    assert set(found.homogeneity_p_value) == {"region"}
    assert set(found.mcnemar) == {"recall", "specificity", "accuracy"}
    assert found.mcnemar["specificity"].wins == total.outcomes("specificity").wins
    units = [b.outcomes("recall") for b in batches]
    assert found.log_e_batch_unit == pytest.approx(log_e_batch_unit(units, null_gain=0.01))
    assert found.log_e_batch_unit_reverse == pytest.approx(log_e_batch_unit([b.swap() for b in units], null_gain=-0.01))
    assert found.overdispersion == overdispersion(units)
    recall = found.metrics["recall"]
    assert isinstance(recall, Difference)
    assert recall.value == pytest.approx((26 - 18) / total.positives)


def test_decisions_of_two_classes_have_no_losses_and_no_table_by_class() -> None:
    found = measure(evidence(PairedCounts((900, 6, 4, 30, 20, 14, 9, 120))), POLICY, rng=np.random.default_rng(1))
    assert (found.losses, found.classes, found.marginals, found.class_counts) == ({}, {}, {}, {})


def test_a_measure_that_has_no_process_yet_is_no_evidence() -> None:
    found = measure(
        evidence(PairedCounts((90, 2, 1, 3, 2, 4, 2, 12))),
        Policy(primary="f1", guardrails={}),
        rng=np.random.default_rng(1),
    )
    assert isinstance(found.method, Undefined)
    assert found.log_e == 0.0


@SLOW_PROPERTY
@given(MODEST_COUNTS)
def test_a_guardrail_is_never_held_and_broken(counts: PairedCounts) -> None:
    for name in ALL:
        found = guardrail(evidence(counts), name, 0.02, POLICY)
        assert min(found.log_e, found.log_e_reverse) < np.log(20)
        assert found.status in {"held", "open", "broken"}


def test_the_newest_eight_batches_are_measured_by_themselves_too() -> None:
    each = [PairedCounts((900, 6, 4, 30, 20, 10 + i, 5, 120)) for i in range(10)]
    found = measure(evidence(*each), POLICY, rng=np.random.default_rng(1))
    assert found.recent == difference("recall", sum(each[2:], PairedCounts()))


def test_the_interval_of_one_look_leaves_alpha_out_on_each_side() -> None:
    counts, policy = PairedCounts((900, 6, 4, 30, 20, 14, 5, 120)), Policy(alpha=0.02)
    found = measure(evidence(counts), policy, rng=np.random.default_rng(1))
    assert found.paired_interval == paired_interval(counts, "recall", confidence_level=0.96)


def test_a_total_that_contradicts_its_segments_is_measured() -> None:
    """Where precision is low the challenger flags less and more precisely, where it is high it flags more."""
    parts = {
        ("region", "a"): PairedCounts((0, 100, 0, 10, 0, 800, 0, 90)),
        ("region", "b"): PairedCounts((0, 0, 719, 81, 0, 0, 181, 19)),
    }
    total = sum(parts.values(), PairedCounts())
    batch = PairedBatch("b", FIRST_DAY, total, parts)
    found = measure(Evidence(contender("1"), contender("2"), (batch,)), POLICY, rng=np.random.default_rng(1))
    assert list(found.reversals) == reversals(parts)
    assert "precision" in {r.metric for r in found.reversals}
