"""Simulated batches have the rates they are drawn with, and the rules that are played on them are those that ship."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from analysis_examples import PROPERTY
from hypothesis import given, reject
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

from analysis.any_look.batch_unit import Overdispersion, effective_batches, log_e_batch_unit, overdispersion
from analysis.any_look.eprocess import log_e_array
from analysis.kinds import BINARY
from analysis.one_look.mcnemar import mcnemar
from analysis.one_look.scores import RANK_METRICS, SCORE_LOSSES
from analysis.policy import Policy
from analysis.policy.budget import Allowance, allowance
from analysis.seasons.season import mcnemar_rule, policy_rule, seed_rule
from analysis.seasons.simulate import Promotions, Scenario, draw, evidence_of, play, trial_of_policy, trial_of_rule
from analysis.tables.counts import Undefined
from analysis.tables.metrics import METRICS, difference
from analysis.verdict.judge import judge
from analysis.verdict.proof import UNEVEN_LEVEL

BASE = Scenario(100, 900, recall=0.6, false_positive_rate=0.02, disagreement_positives=0.1, disagreement_negatives=0.01)
PLAIN = Policy(guardrails={}, n_resamples=1000)
COSTS = {"fp": 1.0, "fn": 8.0}
RATE = st.floats(0, 1)


def rng(seed: int = 1) -> np.random.Generator:
    return np.random.default_rng(seed)


@PROPERTY
@given(RATE, RATE, RATE, RATE, st.floats(-0.5, 0.5), st.sampled_from(["recall", "specificity", "accuracy"]))
def test_the_challenger_differs_by_the_gain_and_the_champion_stays_as_it_is(
    recall: float, fpr: float, d1: float, d0: float, gain: float, primary: str
) -> None:
    """Marginal rates from the eight cells: champion flags cells 2, 3 and 6, 7; challenger 1, 3 and 5, 7."""
    champion = Scenario(40, 160, recall, fpr, min(d1, 2 * recall, 2 * (1 - recall)), min(d0, 2 * fpr, 2 * (1 - fpr)))
    try:
        found = champion.improved(primary, gain)
    except ValueError:
        reject()
    s = np.array(found.shares())
    assert s.min() >= 0
    assert s[:4].sum() == pytest.approx(1)
    assert s[4:].sum() == pytest.approx(1)
    assert (s[6] + s[7], s[2] + s[3]) == pytest.approx((recall, fpr), abs=1e-9)
    assert found.gain_in(primary, Policy(primary=primary)) == pytest.approx(gain, abs=1e-9)
    of_positives, of_negatives = s[5] - s[6], s[2] - s[1]
    assert {"recall": of_negatives, "specificity": of_positives, "accuracy": 0.0}[primary] == pytest.approx(0, abs=1e-9)
    assert s[5] + s[6] == pytest.approx(found.disagreement_positives, abs=1e-9)


def test_accuracy_is_gained_with_one_share_of_wins_in_both_classes() -> None:
    s = BASE.improved("accuracy", 0.005).shares()
    assert s[5] / (s[5] + s[6]) == pytest.approx(s[2] / (s[2] + s[1]))
    assert s[5] > s[6]


@pytest.mark.parametrize(
    "primary", [m for m in METRICS if m not in ("recall", "specificity", "accuracy", "alert_rate")]
)
def test_any_other_gain_is_one_in_recall_and_what_it_is_in_the_metric_is_that_of_the_expected_table(
    primary: str,
) -> None:
    found = replace(BASE, positives=1000, negatives=9000).improved(primary, 0.05)
    assert found == replace(BASE, positives=1000, negatives=9000).improved("recall", 0.05)
    counts = evidence_of(np.rint(found.expected()).astype(int)[None, None, :])[0].counts
    expected = difference(primary, counts)
    assert not isinstance(expected, Undefined)
    assert found.gain_in(primary, Policy(primary=primary)) == pytest.approx(expected.value, abs=1e-12)
    assert expected.value > 0


def test_a_gain_in_recall_saves_the_cost_of_the_misses_it_avoids() -> None:
    policy = Policy(primary="cost", costs=COSTS, guardrails={})
    assert BASE.improved("cost", 0.05).gain_in("recall", policy) == pytest.approx(0.05)
    assert BASE.improved("cost", 0.05).gain_in("cost", policy) == pytest.approx(0.1 * 0.05 * 8.0)


def test_what_scores_are_worth_is_not_said() -> None:
    assert isinstance(BASE.gain_in("auc", Policy(primary="auc")), Undefined)
    silent = Scenario(10, 90, 0.0, 0.0, 0.0, 0.0)
    assert isinstance(silent.gain_in("precision", Policy(primary="precision", guardrails={})), Undefined)


def test_disagreement_gives_way_to_the_gain() -> None:
    assert BASE.improved("recall", 0.05).disagreement_positives == 0.1
    assert BASE.improved("recall", 0.3).disagreement_positives == 0.3
    assert BASE.improved("recall", 0.4).disagreement_positives == pytest.approx(0.4), "every miss is won"
    wide = replace(BASE, recall=0.9, disagreement_positives=0.2)
    assert wide.improved("recall", 0.06).disagreement_positives == pytest.approx(0.14), "0.10 are left to be won"


def test_a_gain_that_the_champion_leaves_no_room_for_is_refused() -> None:
    with pytest.raises(ValueError, match=r"a gain of 0.5 is more than the champion leaves room for \(0.4\)"):
        BASE.improved("recall", 0.5)
    with pytest.raises(ValueError, match=r"a gain of -0.7 is more than the champion leaves room for \(0.6\)"):
        BASE.improved("recall", -0.7)
    with pytest.raises(ValueError, match=r"a gain of 0\.03 is more"):
        BASE.improved("specificity", 0.03)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"positives": 0}, "a batch needs at least one positive and one negative, not 0 and 900"),
        ({"recall": 1.2}, "the recall must lie between 0 and 1, not 1.2"),
        ({"false_positive_rate": -0.1}, "the false positive rate must lie between 0 and 1, not -0.1"),
        ({"disagreement_negatives": -0.5}, "the disagreement negatives must lie between"),
    ],
)
def test_rates_that_no_models_have_are_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(BASE, **change)
    too_many = replace(BASE, disagreement_negatives=0.5)
    with pytest.raises(ValueError, match="no two models can have these rates"):
        draw(too_many, runs=1, batches=1, rng=rng())
    assert too_many.improved("recall", 0.0).disagreement_negatives == pytest.approx(0.04)


def test_one_row_of_each_label_and_a_champion_that_flags_everything_can_be_drawn() -> None:
    least = Scenario(1, 1, 1.0, 1.0, 0.3, 0.7, gain_recall=-0.3, gain_specificity=0.7)
    cells = draw(least, runs=500, batches=1, rng=rng())[:, 0, 0]
    assert (cells[:, :4].sum(axis=1) == 1).all()
    assert cells[:, [0, 1, 4, 5]].sum() == 0
    assert cells.mean(axis=0)[[2, 6]] == pytest.approx([0.7, 0.3], abs=4 * math.sqrt(0.21 / 500))


def test_each_cell_is_multinomial_within_its_label() -> None:
    """Means, variances and the covariance of wins and losses, n p, n p (1 - p) and -n p q, each within 4 standard errors."""
    scenario = BASE.improved("recall", 0.04)
    cells = draw(scenario, runs=4000, batches=5, rng=rng()).reshape(-1, 8).astype(float)
    p, n = np.array(scenario.shares()), np.repeat([900, 100], 4)
    assert (cells[:, :4].sum(axis=1) == 900).all()
    assert (cells[:, 4:].sum(axis=1) == 100).all()
    error = np.sqrt(n * p * (1 - p) / len(cells))
    assert (np.abs(cells.mean(axis=0) - n * p) < 4 * error).all()
    assert cells.var(axis=0) == pytest.approx(n * p * (1 - p), rel=4 * math.sqrt(2.5 / len(cells)))
    wins, losses = cells[:, 5] - 100 * p[5], cells[:, 6] - 100 * p[6]
    product = wins * losses
    assert abs(product.mean() + 100 * p[5] * p[6]) < 4 * product.std() / math.sqrt(len(cells))


def test_challengers_share_the_champion_and_are_independent_given_it() -> None:
    cells = draw(BASE, runs=2000, batches=1, challengers=2, rng=rng())[:, 0]
    champion = cells[..., [2, 6]] + cells[..., [3, 7]]
    assert (champion[:, 0] == champion[:, 1]).all()
    lost = cells[..., 6] / champion[..., 1]
    assert abs(stats.pearsonr(lost[:, 0], lost[:, 1]).statistic) < 4 / math.sqrt(2000)


def test_evidence_has_one_batch_a_week_and_is_of_each_challenger() -> None:
    (run,) = draw(BASE, runs=1, batches=3, challengers=2, rng=rng())
    found = evidence_of(run)
    assert [e.challenger.version for e in found] == ["2", "3"]
    assert len({e.challenger.digest for e in found} | {found[0].champion.digest}) == 3
    assert [b.counts.labelled for b in found[1].batches] == [tuple(batch) for batch in run[:, 1].tolist()]
    assert len(found[0].until(found[0].batches[1].date).batches) == 2


def test_the_first_promotion_ends_a_run() -> None:
    cells = draw(BASE, runs=3, batches=6, rng=rng())
    looks: list[int] = []

    def at_the_fourth(evidence: Any) -> bool:
        looks.append(len(evidence[0].batches))
        return len(evidence[0].batches) == 4

    assert play(cells, at_the_fourth) == Promotions(3, (0, 0, 0, 3, 0, 0))
    assert looks == [1, 2, 3, 4] * 3
    assert play(cells, lambda _: False) == Promotions(3, (0,) * 6)


def test_an_equal_challenger_is_promoted_at_most_at_alpha_and_by_the_naive_rules_far_more_often() -> None:
    """26 weekly looks: the policy keeps within what a probability of alpha allows, the naive rules leave it far behind."""
    cells = draw(BASE, runs=100, batches=26, rng=rng())
    beyond_chance = stats.binom.ppf(0.999, 100, PLAIN.alpha)
    assert play(cells, trial_of_policy(PLAIN)).promoted <= beyond_chance
    for rule in (seed_rule, mcnemar_rule):
        assert play(cells, trial_of_rule(rule)).promoted > beyond_chance


def test_the_larger_the_gain_the_more_and_the_sooner() -> None:
    found = [
        play(draw(BASE.improved("recall", gain), runs=25, batches=12, rng=rng()), trial_of_policy(PLAIN))
        for gain in (0.0, 0.03, 0.08)
    ]
    assert found[0].promoted < found[1].promoted < found[2].promoted == 25
    assert found[0].mean_batches > found[1].mean_batches > found[2].mean_batches


def test_without_guardrails_the_batches_are_those_of_the_closed_form() -> None:
    """E of the cumulative wins and losses at 1/alpha from the fourth batch on, with McNemar's test and even batches beside it."""
    cells = draw(BASE.improved("recall", 0.05), runs=80, batches=16, rng=rng(7))
    total = cells[:, :, 0].cumsum(axis=1)
    reached = log_e_array(total[..., 5], total[..., 6], 0) >= math.log(20)
    reached[:, : PLAIN.min_batches - 1] = False
    soonest, expected = [], []
    for run, looks in enumerate(reached):
        outcomes = [b.counts.outcomes("recall") for b in evidence_of(cells[run])[0].batches]
        fine = [i for i in np.flatnonzero(looks) if _even(outcomes[: i + 1])]
        assert all(mcnemar(_sum(outcomes[: i + 1])).p_value < 0.05 for i in fine)
        soonest.append(next(iter(np.flatnonzero(looks)), 15) + 1)
        expected.append(fine[0] + 1 if fine else None)
    found = play(cells, trial_of_policy(PLAIN))
    assert found.at_batch == tuple(expected.count(i) for i in range(1, 17))
    assert found.mean_batches == pytest.approx(np.mean([e or 16 for e in expected]))
    assert np.mean(soonest) <= found.mean_batches < np.mean(soonest) + 1


def _even(outcomes: list[Any]) -> bool:
    tested = overdispersion(outcomes)
    uneven = isinstance(tested, Overdispersion) and tested.p_value < UNEVEN_LEVEL
    few = effective_batches([o.discordant for o in outcomes]) <= PLAIN.min_batches - 1
    return not (uneven or few) or log_e_batch_unit(outcomes) >= math.log(20)


def _sum(outcomes: list[Any]) -> Any:
    return replace(
        outcomes[0], **{name: sum(getattr(o, name) for o in outcomes) for name in ("wins", "losses", "ties")}
    )


POLICIES = [
    {},
    {"guardrails": {"precision": 0.2, "accuracy": 0.01, "f1": 0.1}, "min_gain": 0.01},
    {"unit": "batch", "guardrails": {"specificity": 0.01}},
    {"primary": "f1", "guardrails": {"precision": 0.2}},
    {"primary": "cost", "costs": COSTS, "guardrails": {}, "alpha": 0.02},
]


@pytest.mark.parametrize("settings", POLICIES)
def test_what_is_played_is_the_rule_that_ships(settings: dict[str, Any]) -> None:
    """The quick conditions before the judgement keep nothing from being promoted that it would promote."""
    policy = Policy(**settings, n_resamples=1000)
    better = replace(BASE.improved("recall", 0.1), disagreement_negatives=0.01, gain_specificity=0.005)
    first = {"2": allowance(policy.error_budget, policy.alpha, wave=1, order=1, promotions=0)}
    trial, rule = trial_of_policy(policy, first), policy_rule(policy)
    seen = set()
    for run in draw(better, runs=1, batches=14, rng=rng(3)):
        (whole,) = evidence_of(run)
        for batch in whole.batches[::3]:
            evidence = whole.until(batch.date)
            seen.add(trial([evidence]))
            assert trial([evidence]) == (rule(evidence) is not None)
            assert trial([evidence]) == (judge([evidence], policy, seed=0, allowances=first).promote is not None)
    assert True in seen
    assert False in seen


def test_under_a_declared_horizon_the_boundary_decides() -> None:
    """At the end of the plan, 40 disagreements, O'Brien and Fleming's boundary asks for less than an e-process."""
    policy = Policy(guardrails={}, horizon={"disagreements": 40}, n_resamples=1000)
    cells = draw(BASE.improved("recall", 0.04), runs=8, batches=4, rng=rng())
    promoted = [judge(evidence_of(run), policy, seed=0).promote is not None for run in cells]
    assert play(cells, trial_of_policy(policy)) == Promotions(8, (0, 0, 0, sum(promoted)))
    assert sum(promoted) > play(cells, trial_of_policy(PLAIN)).promoted


def test_several_challengers_share_alpha_and_one_of_them_is_promoted() -> None:
    cells = draw(BASE.improved("recall", 0.08), runs=6, batches=8, challengers=3, rng=rng())
    found = play(cells, trial_of_policy(PLAIN))
    assert found.promoted == 6
    evidence = evidence_of(cells[0])
    assert trial_of_policy(PLAIN)(evidence) == (judge(evidence, PLAIN, seed=0).promote is not None)


def test_one_challenger_of_several_that_is_better_is_enough() -> None:
    equal = draw(BASE, runs=1, batches=8, challengers=2, rng=rng())[0]
    better = draw(BASE.improved("recall", 0.1), runs=1, batches=8, rng=rng(2))[0]
    evidence = evidence_of(np.concatenate([equal, better], axis=1))
    assert [policy_rule(PLAIN)(e) is not None for e in evidence] == [False, False, True]
    for family, promoted in ((evidence, True), (evidence[:2], False), (evidence[2:], True)):
        assert trial_of_policy(PLAIN)(family) is promoted
        assert trial_of_rule(policy_rule(PLAIN))(family) is promoted


def test_a_smaller_allowance_takes_longer() -> None:
    cells = draw(BASE.improved("recall", 0.06), runs=12, batches=14, rng=rng())
    full, tight = (
        play(cells, trial_of_policy(PLAIN, {"2": Allowance(alpha, 1)} if alpha else None)) for alpha in (None, 0.0005)
    )
    assert full.mean_batches < tight.mean_batches
    assert full.promoted > 0


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"task": "multiclass"}, "only decisions of 0 and 1 are simulated; the task is multiclass"),
        ({"task": "regression"}, "only decisions of 0 and 1 are simulated; the task is regression"),
        *(
            ({"guardrails": {name: 0.01}}, f"only decisions are simulated, not scores, .* proof about {name}")
            for name in (*RANK_METRICS, *SCORE_LOSSES)
        ),
        ({"primary": "auc"}, "proof about auc"),
    ],
)
def test_what_simulated_decisions_cannot_prove_is_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        trial_of_policy(Policy(**settings))
    assert {*RANK_METRICS, *SCORE_LOSSES} <= set(BINARY.deciding())


def test_a_summary_of_promotions() -> None:
    """Five runs of ten: at batches 1, 2, 2, 4, 4; the others count as 4 each."""
    found = Promotions(10, (1, 2, 0, 2))
    batches = [1, 2, 2, 4, 4, 4, 4, 4, 4, 4]
    assert found.promoted == 5
    assert found.mean_batches == pytest.approx(np.mean(batches))
    assert found.standard_error == pytest.approx(np.std(batches) / math.sqrt(10))
    assert found.curve() == [0.1, 0.3, 0.3, 0.5]
    assert [found.batches_until(share) for share in (0.1, 0.2, 0.5, 0.6)] == [1, 2, 4, None]


@pytest.mark.parametrize(("promoted", "runs"), [(0, 400), (7, 400), (399, 400), (400, 400), (1, 2)])
def test_the_interval_is_that_of_clopper_and_pearson(promoted: int, runs: int) -> None:
    """As statsmodels computes it; at 0 of n its upper end is 1 - 0.025^(1/n)."""
    found = Promotions(runs, (promoted, 0)).interval
    assert (found.low, found.high) == pytest.approx(proportion_confint(promoted, runs, 0.05, method="beta"))
    assert found.confidence_level == 0.95
    if promoted == 0:
        assert found.high == pytest.approx(1 - 0.025 ** (1 / runs))
