"""What makes a simulation fast changes no answer: a plain loop over ``judge`` and the rules promotes in the same runs at the same looks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from analysis_examples import MODEST_COUNT, SLOW_PROPERTY
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from analysis.any_look.precision import log_e_precision, log_e_precision_at_most
from analysis.evidence import Evidence
from analysis.policy import Policy
from analysis.policy.budget import Allowance
from analysis.policy.planned import may_cross, planned_look
from analysis.policy.policy import Horizon
from analysis.seasons.screens import Ints, screen_of_policy, screen_of_rule
from analysis.seasons.season import NAIVE_RULES, Rule, bootstrap_rule, policy_rule
from analysis.seasons.simulate import Promotions, Scenario, draw, evidence_of, play, trial_of_policy, trial_of_rule
from analysis.tables.counts import PairedCounts, PairedOutcomes
from analysis.verdict.judge import judge
from analysis.verdict.promotes import promotes

BASE = Scenario(60, 440, recall=0.6, false_positive_rate=0.03, disagreement_positives=0.2, disagreement_negatives=0.01)
COSTS = {"fp": 1.0, "fn": 8.0}
POLICIES: dict[str, dict[str, Any]] = {
    "the usual one": {"guardrails": {"accuracy": 0.01, "precision": 0.1}},
    "a least gain": {"min_gain": 0.02, "guardrails": {"specificity": 0.01}},
    "npv, and accuracy": {"primary": "accuracy", "guardrails": {"npv": 0.05}},
    "batches as units": {"unit": "batch", "guardrails": {"specificity": 0.02}},
    "an asymptotic process": {"primary": "f1", "guardrails": {"precision": 0.2}},
    "cost": {"primary": "cost", "costs": COSTS, "guardrails": {"recall": 0.02}},
    "a horizon": {"horizon": {"disagreements": 60}, "guardrails": {"accuracy": 0.02}},
    "the worst of missing labels": {"unlabelled": "worst_case", "guardrails": {"specificity": 0.02}},
    "a programme": {"error_budget": "programme", "guardrails": {}},
}


def plain_loop(cells: Ints, promoted: Callable[[Sequence[Evidence]], bool]) -> list[int | None]:
    """The look at which each run is promoted, counted from 0: all are asked, one after the other."""
    first = []
    for run in cells:
        evidence = evidence_of(run)
        days = [b.date for b in evidence[0].batches]
        first.append(next((i for i, day in enumerate(days) if promoted([e.until(day) for e in evidence])), None))
    return first


def ours(cells: Ints, *contestant: Any) -> list[int | None]:
    """The same by ``play``, run by run."""
    found = [play(run[None], *contestant).at_batch for run in cells]
    return [at_batch.index(1) if sum(at_batch) else None for at_batch in found]


def drawn(gain: float, *, runs: int, batches: int = 12, challengers: int = 1) -> Ints:
    better = replace(BASE.improved("recall", gain), gain_specificity=0.004 if gain else 0.0)
    return draw(better, runs=runs, batches=batches, challengers=challengers, rng=np.random.default_rng(7))


@pytest.mark.parametrize("name", POLICIES)
@pytest.mark.parametrize("challengers", [1, 2])
def test_every_run_of_a_policy_is_promoted_at_the_look_at_which_judge_promotes_first(
    name: str, challengers: int
) -> None:
    policy = Policy(**POLICIES[name], n_resamples=1000)
    allowances = {"2": Allowance(0.03, 1), "3": Allowance(0.02, 2 if challengers == 2 else 1)}
    cells = np.concatenate([drawn(g, runs=2, challengers=challengers) for g in (0.0, 0.1, 0.2)])
    expected = plain_loop(cells, lambda e: judge(e, policy, seed=0, allowances=allowances).promote is not None)
    assert ours(cells, trial_of_policy(policy, allowances), screen_of_policy(policy, allowances)) == expected
    assert len(set(expected)) > 1, "some are promoted and some are not, or at different looks"


@pytest.mark.parametrize("name", NAIVE_RULES)
def test_every_run_of_a_naive_rule_is_promoted_at_the_look_at_which_the_rule_promotes_first(name: str) -> None:
    rule = NAIVE_RULES[name]
    cells = np.concatenate([drawn(0.0, runs=8, challengers=2), drawn(0.05, runs=4, challengers=2)])
    expected = plain_loop(cells, lambda evidence: any(rule(e) is not None for e in evidence))
    assert screen_of_rule(rule) is not None
    assert ours(cells, trial_of_rule(rule), screen_of_rule(rule)) == expected


def test_another_rule_is_asked_at_every_look() -> None:
    other: Rule = policy_rule(Policy())
    assert screen_of_rule(other) is None


FAR_BETTER = PairedCounts((800, 1, 3, 20, 20, 40, 5, 110))
ODD: dict[str, tuple[list[PairedCounts], dict[str, Any]]] = {
    "fewer batches than are needed": ([FAR_BETTER] * 3, {}),
    "no disagreement": ([PairedCounts((800, 0, 0, 20, 20, 0, 0, 110))] * 6, {}),
    "labels of one class": ([PairedCounts((0, 0, 0, 0, 20, 40, 5, 110))] * 6, {}),
    "labels that the challenger made": ([PairedCounts((800, 0, 9, 0, 0, 40, 0, 110))] * 6, {}),
    "a guardrail without a process": ([PairedCounts((8, 0, 0, 2, 2, 3, 0, 11))] * 6, {"guardrails": {"f1": 0.1}}),
    "precision that is not held": (
        [PairedCounts((800, 40, 3, 20, 20, 40, 5, 110))] * 6,
        {"guardrails": {"precision": 0.01}},
    ),
    "accuracy that is not held": (
        [PairedCounts((800, 60, 1, 20, 20, 40, 5, 110))] * 6,
        {"guardrails": {"accuracy": 0.001}},
    ),
    "one batch that has it all": ([PairedCounts((80, 0, 0, 2, 2, 0, 0, 11))] * 5 + [FAR_BETTER], {}),
    "batches that differ": ([FAR_BETTER, FAR_BETTER.swap()] * 3 + [FAR_BETTER] * 8, {}),
    "a horizon that is not reached": ([FAR_BETTER] * 4, {"horizon": {"disagreements": 100_000}}),
    "a horizon that has begun with nothing": (
        [PairedCounts((800, 0, 0, 20, 20, 0, 0, 110))] * 4 + [FAR_BETTER],
        {"horizon": {"disagreements": 45}},
    ),
    "z just at its quantile, and McNemar's p above it": (
        [PairedCounts((800, 0, 0, 20, 20, w, l, 110)) for w, l in ((11, 8), (11, 7), (11, 7), (10, 7))],
        {"horizon": {"disagreements": 72}},
    ),
    "cost": ([FAR_BETTER] * 6, {"primary": "cost", "costs": COSTS}),
    "f1 of few rows": ([PairedCounts((8, 0, 0, 2, 2, 1, 0, 11))] * 4, {"primary": "f1"}),
    "all is well": ([FAR_BETTER] * 6, {}),
}


@pytest.mark.parametrize("name", ODD)
def test_whatever_stands_against_a_promotion_stands_against_it_in_a_simulation(name: str) -> None:
    tables, settings = ODD[name]
    policy = Policy(**{"guardrails": {}, "n_resamples": 1000, **settings})
    evidence = evidence_of(np.array([t.labelled for t in tables])[:, None, :])
    expected = judge(evidence, policy, seed=0).promote is not None
    assert promotes(evidence, policy, seed=0) == expected
    assert expected == (name in ("cost", "all is well"))


def test_the_champions_own_model_is_not_promoted_in_a_simulation() -> None:
    (found,) = evidence_of(np.array([FAR_BETTER.labelled] * 6)[:, None, :])
    own = replace(found, challenger=replace(found.challenger, digest=found.champion.digest))
    policy = Policy(guardrails={}, n_resamples=1000)
    assert promotes([found], policy, seed=0)
    assert not promotes([own], policy, seed=0)
    assert judge([own], policy, seed=0).promote is None


CELLS = st.lists(st.tuples(*[MODEST_COUNT] * 8), min_size=4, max_size=6)


@SLOW_PROPERTY
@given(CELLS, st.sampled_from(sorted(POLICIES)))
def test_any_batches_are_promoted_if_judge_promotes_them(batches: list[tuple[int, ...]], name: str) -> None:
    policy = Policy(**POLICIES[name], n_resamples=1000)
    cells = np.array(batches)[:, None, :]
    if not (cells.sum(axis=2) > 0).all():
        cells[:, :, 0] += 1
    evidence = evidence_of(cells)
    expected = judge(evidence, policy, seed=0).promote is not None
    assert promotes(evidence, policy, seed=0) == expected
    if expected:
        assert screen_of_policy(policy)(cells.cumsum(axis=0)[None])[0, -1]


@SLOW_PROPERTY
@given(st.tuples(*[MODEST_COUNT] * 8), st.sampled_from([-0.1, 0.0, 0.02]), st.sampled_from([1.0, 3.0]))
def test_the_bound_of_precision_is_one(cells: tuple[int, ...], gain: float, prior: float) -> None:
    counts = PairedCounts(cells)  # type: ignore[arg-type]
    assert log_e_precision_at_most(counts, null_gain=gain, prior=prior) >= log_e_precision(
        counts, null_gain=gain, prior=prior
    )


@SLOW_PROPERTY
@given(
    st.lists(st.tuples(st.integers(0, 12), st.integers(0, 6)), min_size=1, max_size=8),
    st.sampled_from(["obrien-fleming", "pocock"]),
)
def test_whatever_crosses_a_planned_boundary_may_cross_it(pairs: list[tuple[int, int]], spending: str) -> None:
    horizon = Horizon(disagreements=40, spending=spending)
    batches = [PairedOutcomes(w, l, 10) for w, l in pairs]
    look = planned_look(batches, horizon, alpha=0.05)
    assert may_cross(batches, horizon, alpha=0.05) or look is None or not look.crossed


def test_a_lead_below_the_screen_of_the_bootstrap_is_never_promoted() -> None:
    """The number of replicates without a lead is binomial; with the probability of the two extremes of rows, all and no rows tied."""
    unlikely = 0.0
    for won in range(1, 80):
        lost = np.arange(won + 1)
        d, lead = won + lost, won - lost
        few, many = stats.binom.cdf(d // 2, d, won / d), stats.skellam.cdf(0, won, np.maximum(lost, 1e-12))
        for without_lead, spread in ((few, d - lead**2 / d), (many, d)):
            below = lead < 1.5 * np.sqrt(np.maximum(spread, 0))
            unlikely = max(unlikely, *stats.binom.cdf(50, 2000, without_lead[below]), 0.0)
    assert unlikely < 1e-15
    cells = np.zeros((1, 1, 1, 8), dtype=np.int64)
    cells[..., [0, 4, 5, 6]] = 900, 60, 12, 5
    screen = screen_of_rule(bootstrap_rule)
    assert screen is not None
    assert screen(cells).all()


def test_progress_is_told_of_every_run() -> None:
    told: list[int] = []
    assert play(drawn(0.0, runs=3, batches=2), lambda _: False, None, told.append) == Promotions(3, (0, 0))
    assert told == [1, 2, 3]
