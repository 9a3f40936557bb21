"""Labels of rows that were chosen with known probabilities: estimates, intervals, evidence, and the test of the probabilities."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
from analysis_examples import FIRST_DAY, batch_tally, contender
from hypothesis import given
from hypothesis import strategies as st
from judge_examples import failed

from analysis.any_look.batch_unit import outcome_gains
from analysis.any_look.cost import CostMatrix, expected_cost, log_e_cost
from analysis.any_look.eprocess import confidence_sequence, log_e
from analysis.any_look.process import SampledProcess
from analysis.any_look.sampled import (
    SampledCounts,
    confidence_sequence_sampled,
    log_e_declared,
    log_e_sampled,
    outcome_payoffs,
    sampled_difference,
    sampled_gains,
    sampled_mean_difference,
)
from analysis.any_look.sampled_bootstrap import sampled_bootstrap
from analysis.evidence import WITHOUT_PROBABILITIES, Evidence, PairedBatch, gather
from analysis.one_look.bootstrap import Bootstrap, bootstrap
from analysis.policy import Costs, Policy
from analysis.tables.counts import PairedCounts, Undefined
from analysis.tables.metrics import METRICS, OUTCOME_METRICS, Difference, difference
from analysis.verdict.judge import Verdict, judge
from analysis.verdict.process_choice import batch_process, process

TABLE = (900, 12, 20, 30, 25, 24, 9, 80)
ALL = (1.0, 1.0)
cells = st.tuples(*[st.integers(0, 40)] * 8)


def certain(table: tuple[int, ...]) -> SampledCounts:
    return SampledCounts.of([(1.0, table)])  # type: ignore[list-item]


@given(cells, st.sampled_from(OUTCOME_METRICS), st.sampled_from([-0.1, -0.01, 0.0, 0.02, 0.3]))
def test_with_all_probabilities_one_it_is_the_e_process_of_rows(table: Any, name: Any, null: float) -> None:
    pairs = PairedCounts(table).outcomes(name)
    found = log_e_sampled(certain(table), outcome_payoffs(name), span=1, heaviest=ALL, null_gain=null, prior=3)
    assert found == pytest.approx(log_e(pairs, null_gain=null), rel=1e-8, abs=1e-8)
    interval = confidence_sequence_sampled(
        certain(table), outcome_payoffs(name), span=1, heaviest=ALL, alpha=0.05, prior=3
    )
    if pairs.n:
        expected = confidence_sequence(pairs, alpha=0.05)
        assert (interval.low, interval.high) == pytest.approx((expected.low, expected.high), abs=1e-7)
    else:
        assert (interval.low, interval.high) == (-1.0, 1.0)


@given(cells)
def test_and_the_differences_standard_errors_and_costs_are_those_of_rows(table: Any) -> None:
    for name in METRICS:
        expected, found = difference(name, PairedCounts(table)), sampled_difference(certain(table), name)
        if isinstance(expected, Undefined):
            assert isinstance(found, Undefined)
        else:
            assert isinstance(found, Difference)
            assert (found.value, found.standard_error) == pytest.approx((expected.value, expected.standard_error))
    costs = CostMatrix(fp=1, fn=4)
    whole, weighed = (
        expected_cost(PairedCounts(table), costs),
        sampled_mean_difference(certain(table), *costs.by_cell()),
    )
    if isinstance(whole, Difference):
        assert isinstance(weighed, Difference)
        assert (weighed.champion, weighed.value) == pytest.approx((whole.champion, whole.value))
        assert weighed.standard_error == pytest.approx(whole.standard_error, abs=1e-12)
        saved = log_e_cost(PairedCounts(table), costs, null_saving=0.1)
        mine = log_e_sampled(certain(table), costs.saved(), span=costs.span, heaviest=ALL, null_gain=0.1, prior=3)
        assert mine == pytest.approx(saved, rel=1e-8, abs=1e-8)


@given(st.lists(cells, min_size=1, max_size=4), st.sampled_from(OUTCOME_METRICS))
def test_and_the_gains_of_batches_have_the_same_scales(tables: Any, name: Any) -> None:
    mine = sampled_gains([certain(t) for t in tables], name)
    rows = outcome_gains([PairedCounts(t).outcomes(name) for t in tables])
    for field in ("gains", "scales", "expected", "share"):
        assert getattr(mine, field) == pytest.approx(getattr(rows, field))


@pytest.mark.parametrize("null", [-0.2, 0.0, 0.25])
@pytest.mark.parametrize("name", OUTCOME_METRICS)
def test_no_choice_of_labels_makes_the_mean_factor_exceed_one(name: Any, null: float) -> None:
    """One row of a population whose mean gain is the null, for every bet: labelled with its probability it gives a mean of 1."""
    payoffs = outcome_payoffs(name)
    counted = [j for j in range(8) if not math.isnan(payoffs[j])]
    win, loss = (next(j for j in counted if payoffs[j] == sign) for sign in (1, -1))
    agreed = next(j for j in counted if payoffs[j] == 0)
    share_lost, share_agreed = (
        0.2,
        0.1,
    )  # of rows that are lost, and tied; the others win or lose so that the mean is the null
    share = {loss: share_lost, agreed: share_agreed, win: null + share_lost}
    rest = 1 - sum(share.values())
    assert rest >= 0
    share[agreed] += rest
    chance = {loss: 0.5, win: 0.8, agreed: 0.1}
    empty = log_e_sampled(SampledCounts(), payoffs, span=1, heaviest=(10, 2), null_gain=null, prior=3)
    mean = 0.0
    for cell, part in share.items():
        one = [0] * 8
        one[cell] = 1
        counts = SampledCounts.of([(chance[cell], tuple(one))])  # type: ignore[list-item]
        e = math.exp(log_e_sampled(counts, payoffs, span=1, heaviest=(10, 2), null_gain=null, prior=3))
        mean += part * (chance[cell] * e + (1 - chance[cell]) * math.exp(empty))
    assert mean == pytest.approx(1, abs=1e-9)


def test_an_estimate_is_unbiased_over_all_samples_of_a_small_population() -> None:
    """Enumerated: three rows of each kind, each labelled or not."""
    chance = {5: 0.5, 6: 0.8}
    gain = 0.0
    for labelled in itertools.product([0, 1], repeat=4):
        rows = (5, 5, 6, 6)
        probability = math.prod(chance[j] if y else 1 - chance[j] for j, y in zip(rows, labelled, strict=True))
        counts = SampledCounts.of(
            (chance[j], tuple(int(k == j) for k in range(8))) for j, y in zip(rows, labelled, strict=True) if y
        )  # type: ignore[misc]
        gain += probability * float(counts.moment(1) @ np.nan_to_num(outcome_payoffs("recall")))
    assert gain == pytest.approx(0)  # as many won as lost among all of them


def test_many_probabilities_are_rounded_against_the_evidence() -> None:
    rng = np.random.default_rng(5)
    parts = [(float(p), tuple(rng.integers(0, 3, 8).tolist())) for p in rng.uniform(0.05, 1, 400)]
    payoffs = outcome_payoffs("recall")
    exact = 0.0
    bets = {"span": 1.0, "heaviest": (20.0, 20.0), "prior": 3.0}
    counts = SampledCounts.of(parts)
    for null in (-0.1, 0.0, 0.05):
        m_factors = [
            (n, (payoffs[j] - null) / p / (20 * (1 + null)))
            for p, row in counts.by_probability
            for j, n in enumerate(row)
            if n and not math.isnan(payoffs[j])
        ]
        u = np.linspace(0, 1, 20001)[1:-1]
        density = (1 - u**2) ** 2 / np.trapezoid((1 - u**2) ** 2, u)
        logs = sum(n * np.log1p(s * u) for n, s in m_factors) + np.log(density)
        exact = float(np.log(np.trapezoid(np.exp(logs - logs.max()), u)) + logs.max())
        rounded = log_e_sampled(counts, payoffs, null_gain=null, **bets)
        assert exact - 1.5 < rounded <= exact + 1e-3


def test_the_bootstrap_of_weighted_rows_is_that_of_rows_where_all_weigh_the_same() -> None:
    settings: dict[str, Any] = {"confidence_level": 0.9, "n_resamples": 4000}
    half = SampledCounts.of([(0.5, TABLE)])
    mine = sampled_bootstrap(half, METRICS, rng=np.random.default_rng(0), **settings)
    rows = bootstrap(PairedCounts(TABLE), METRICS, rng=np.random.default_rng(1), method="multinomial", **settings)
    for name in METRICS:
        a, b = mine[name], rows[name]
        assert isinstance(a, Bootstrap)
        assert isinstance(b, Bootstrap)
        assert (a.interval.low, a.interval.high) == pytest.approx((b.interval.low, b.interval.high), abs=0.01)
    assert sampled_bootstrap(SampledCounts(), ["recall"], rng=np.random.default_rng(0), **settings) == {
        "recall": Undefined("no labelled row")
    }


def test_the_interval_of_a_weighted_difference_covers_the_truth_as_often_as_it_says() -> None:
    """Stratified samples of a fixed population; 90 % intervals, judged by a binomial one."""
    rng, hits, runs = np.random.default_rng(11), 0, 400
    shares = np.array([0.88, 0.01, 0.02, 0.02, 0.02, 0.012, 0.008, 0.03])
    chance = np.array([0.1, 0.5, 0.9, 1.0] * 2)
    for _ in range(runs):
        full = rng.multinomial(5000, shares)
        kept = rng.binomial(full, chance)
        counts = SampledCounts.of(
            (float(p), tuple(int(k == j) * int(n) for k in range(8)))
            for j, (p, n) in enumerate(zip(chance, kept, strict=True))
        )  # type: ignore[misc]
        found = sampled_difference(counts, "recall")
        assert isinstance(found, Difference)
        truth = 0.004 / 0.07
        hits += abs(found.value - truth) <= 1.645 * found.standard_error
    assert abs(hits / runs - 0.9) < 3.3 * math.sqrt(0.9 * 0.1 / runs)


def declared(chance: tuple[float, float, float, float], told: tuple[float, float, float, float], weeks: int) -> float:
    """Log E after so many weeks of labels that come with ``chance`` and say ``told``, by pair of decisions."""
    rng, rows, counts = np.random.default_rng(3), PairedCounts(), SampledCounts()
    for _ in range(weeks):
        full = rng.multinomial(2000, np.array(TABLE) / sum(TABLE))
        kept = rng.binomial(full, chance * 2)
        parts = ((told[j & 3], tuple(int(k == j) * int(n) for k in range(8))) for j, n in enumerate(kept))
        counts += SampledCounts.of(parts)  # type: ignore[arg-type]
        missing = tuple(int(full[i] + full[4 + i] - kept[i] - kept[4 + i]) for i in range(4))
        rows += PairedCounts(tuple(int(k) for k in kept), missing)  # type: ignore[arg-type]
    return log_e_declared(rows, counts, heaviest=(20, 5), prior=3)


@pytest.mark.parametrize(
    ("chance", "wrong"),
    [
        ((0.05, 0.2, 0.9, 1.0), False),
        ((0.05, 0.2, 0.6, 1.0), True),
        ((0.1, 0.2, 0.9, 1.0), True),
        ((0.05, 0.2, 0.9, 0.5), True),
    ],
)
def test_probabilities_that_are_not_what_they_say_are_found(chance: Any, *, wrong: bool) -> None:
    found = declared(chance, (0.05, 0.2, 0.9, 1.0), 26)
    assert (found >= math.log(20)) == wrong
    assert wrong or found < 0


def test_the_mean_of_one_row_is_one_where_the_probability_is_right() -> None:
    for pair, p in itertools.product(range(4), (0.2, 0.7, 1.0)):
        one, none = [0] * 8, [0] * 4
        one[pair], none[pair] = 1, 1
        labelled = log_e_declared(
            PairedCounts(tuple(one)),
            SampledCounts.of([(p, tuple(one))]),
            heaviest=(5, 5),
            prior=3,  # type: ignore[arg-type, list-item]
        )
        missing = log_e_declared(PairedCounts((0,) * 8, tuple(none)), SampledCounts(), heaviest=(5, 5), prior=3)  # type: ignore[arg-type]
        assert p * math.exp(labelled) + (1 - p) * math.exp(missing) == pytest.approx(1)


POLICY = Policy(sampling={"least": 0.05, "disagreements": 0.5}, n_resamples=1000, error_budget="family")  # type: ignore[arg-type]


def evidence_of(weeks: int, found: tuple[int, int, int], chance: tuple[float, float] = (0.5, 1.0)) -> Evidence:
    """Each week ``found`` = labelled wins, losses and hits of both; their alerts are labelled with ``chance``, the rest with 0.05."""
    wins, losses, both = found
    own, lost = chance
    batches = []
    for i in range(weeks):
        labelled = (90, round(10 * own), round(10 * lost), 30, 5, wins, losses, both)
        missing = (
            1805,
            round((10 + wins / own) - 10 * own - wins),
            round(10 + losses / lost - 10 * lost - losses),
            80 - both,
        )
        rows = PairedCounts(labelled, missing)  # type: ignore[arg-type]
        sampled = SampledCounts.of(
            (p, tuple(n if (j & 3) in pairs else 0 for j, n in enumerate(labelled)))  # type: ignore[misc]
            for p, pairs in ((0.05, {0}), (own, {1}), (lost, {2}), (1.0, {3}))
        )
        batches.append(PairedBatch(f"b{i}", FIRST_DAY, rows, {}, sampled=sampled))
    return Evidence(contender("1"), contender("2"), tuple(batches))


def test_a_challenger_whose_finds_are_labelled_half_as_often_is_promoted_on_its_true_gain() -> None:
    """It finds 40 that the champion misses for 20 the other way round; 20 of the 40 have a label, so raw counts say that they are equal."""
    better = evidence_of(8, (20, 20, 80))
    assessment = judge([better], POLICY, seed=0).assessments[0]
    assert (assessment.verdict, failed(assessment)) == (Verdict.PROMOTE, [])
    recall = assessment.measured.metrics["recall"]
    assert isinstance(recall, Difference)
    assert recall.value == pytest.approx(20 / (5 * 20 + 40 + 20 + 80))
    assert assessment.measured.method == "sampled"
    assert "mcnemar" not in {c.name for c in assessment.checks}
    plain = judge([better], Policy(n_resamples=1000), seed=0).assessments[0]
    assert plain.verdict is not Verdict.PROMOTE


def test_a_challenger_that_only_looks_better_because_its_alerts_are_all_labelled_is_not() -> None:
    """Both find 20 that the other misses; of the champion's half have a label."""
    equal = evidence_of(8, (20, 10, 80), chance=(1.0, 0.5))
    assessment = judge([equal], POLICY, seed=0).assessments[0]
    assert assessment.verdict is Verdict.WAIT
    assert {"evidence", "bootstrap"} <= set(failed(assessment))
    assert assessment.measured.log_e < 0
    recall = assessment.measured.metrics["recall"]
    assert isinstance(recall, Difference)
    assert recall.value == pytest.approx(0, abs=1e-12)


def test_labels_that_come_less_often_than_they_say_are_invalid() -> None:
    assessment = judge([evidence_of(8, (20, 20, 48))], POLICY, seed=0).assessments[0]
    assert assessment.verdict is Verdict.INVALID
    assert assessment.reasons[0].startswith("labels come more or less often than their probabilities say")


def test_batches_as_units_and_cost_are_weighed_too() -> None:
    found = evidence_of(6, (20, 20, 80))
    assert batch_process(found, "recall", POLICY).log_e(0.0) > 0
    costly = POLICY.model_copy(update={"costs": Costs(fp=1, fn=5)})
    cost = process(found, "cost", costly)
    assert isinstance(cost, SampledProcess)
    assert cost.log_e(0.0) > 0 > cost.log_e_reverse(0.0)
    assert cost.interval(0.05).low > 0


def test_a_batch_that_closed_without_probabilities_counts_for_nothing() -> None:
    closed = [batch_tally(FIRST_DAY, {(1, 0, 1): 20})]
    found = gather(contender("1"), contender("2"), closed, policy=POLICY)
    assert (found.batches, found.excluded) == ((), {WITHOUT_PROBABILITIES: 20})
