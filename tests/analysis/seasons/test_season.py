"""A season played again under other rules, on hand-made tallies."""

from __future__ import annotations

from datetime import date

import pytest
from analysis_examples import batch_tally, contender, evidence
from season_examples import GOOD, MATURITY, VERSIONS, day, replay, season

from analysis.evidence import Evidence, gather
from analysis.evidence.pair_counts import pair_table
from analysis.one_look.mcnemar import mcnemar
from analysis.policy import Horizon, Policy
from analysis.policy.budget import allowance
from analysis.seasons.season import (
    NAIVE_RULES,
    Replay,
    Switch,
    bootstrap_rule,
    leader_on,
    mcnemar_rule,
    policy_rule,
    seed_rule,
)
from analysis.tables.counts import Confusion, PairedCounts, Undefined
from analysis.tables.metrics import metric
from analysis.verdict.judge import judge


def test_a_batch_is_seen_from_its_closing_day_on() -> None:
    """Batch 0 closes on day 10, so the look of day 14 is the first to see it."""
    switches = replay(season(("2",), ("2",), ("2",))).switches(["1", "2"], seed_rule, first="1")
    assert switches == [Switch(day(14), "1", "2", "recall 0.9565 > 0.8696")]
    exact = Replay(season(("2",)), [day(9), day(10)], MATURITY, Policy()).switches(["1", "2"], seed_rule, first="1")
    assert [s.date for s in exact] == [day(10)]


def test_evidence_restarts_after_a_switch() -> None:
    """Version 2 took over on day 14; what 1 had won before cannot bring it back, only batches scored from then on."""
    seen: list[tuple[str, list[date]]] = []

    def watch(e: Evidence) -> str | None:
        seen.append((e.champion.version, [b.date for b in e.batches]))
        return seed_rule(e)

    closed = season(("2",), ("2",), ("1",), ("1",), ("1",))
    switches = replay(closed).switches(["1", "2"], watch, first="1")
    assert [(s.date, s.before, s.after) for s in switches] == [(day(14), "1", "2"), (day(35), "2", "1")]
    assert seen[0] == ("1", [day(0)])
    assert all(min(dates) > day(14) for leader, dates in seen if leader == "2")


def test_a_batch_of_the_day_of_the_switch_belongs_to_the_old_reign() -> None:
    """The batch of day 14 was still scored by version 1, and does not count for the new reign."""
    closed = season(("2",), ("2",), ("1",), (), ())
    switches = replay(closed).switches(["1", "2"], seed_rule, first="1")
    assert [(s.date, s.after) for s in switches] == [(day(14), "2")]
    assert [leader_on(day(n), switches, "1") for n in (0, 13, 14, 15, 99)] == ["1", "1", "1", "2", "2"]


def test_of_several_proven_the_one_with_the_highest_recall_leads() -> None:
    closed = [batch_tally(day(0), {(1, 0, 1, 1): 5, (1, 0, 0, 1): 2, (1, 1, 0, 0): 1, (0, 0, 0, 0): 9}, VERSIONS)]
    for versions in (VERSIONS, VERSIONS[::-1]):
        assert [s.after for s in replay(closed).switches(versions, seed_rule, first="1")] == ["3"]
    assert [s.after for s in replay(closed).switches(["1", "2"], seed_rule, first="1")] == ["2"]


def test_no_batch_and_no_rival_mean_no_switch() -> None:
    assert replay([]).switches(VERSIONS, seed_rule, first="1") == []
    assert replay(season(("2",), ("3",))).switches(["1"], seed_rule, first="1") == []


def test_the_order_in_which_batches_are_given_does_not_matter() -> None:
    closed = season(("2",), ("3",), ("1",), ("3",), ("2",), ("2",))
    straight, reverse = (replay(c).switches(VERSIONS, seed_rule, first="1") for c in (closed, closed[::-1]))
    assert straight == reverse
    assert len(straight) > 1


def test_the_evidence_of_a_tape_is_what_gathering_gives() -> None:
    closed = season(("2",), ("3",), ("1",))
    found = replay(closed).evidence([0, 2], "1", "3")
    expected = gather(contender("1"), contender("3"), [closed[0], closed[2]])
    assert found.batches == expected.batches
    assert found.counts == pair_table(closed[0].frame, "1", "3") + pair_table(closed[2].frame, "1", "3")


def test_the_seeds_rule_promotes_at_a_single_row() -> None:
    one_more = PairedCounts((10, 0, 0, 0, 5, 1, 0, 94))
    assert seed_rule(evidence(one_more)) == "recall 0.9500 > 0.9400"
    assert seed_rule(evidence(one_more.swap())) is None
    assert seed_rule(evidence(PairedCounts((10, 0, 0, 0, 5, 3, 3, 94)))) is None
    assert seed_rule(evidence(PairedCounts((10, 5, 5, 0, 0, 0, 0, 0)))) is None


@pytest.mark.parametrize(("wins", "losses"), [(4, 0), (5, 0), (10, 4), (11, 4), (30, 19), (30, 20), (0, 9), (0, 0)])
def test_the_mcnemar_rule_is_the_mid_p_below_five_percent(wins: int, losses: int) -> None:
    counts = PairedCounts((500, 9, 0, 5, 20, wins, losses, 70))
    assert (mcnemar_rule(evidence(counts)) is not None) == (mcnemar(counts.outcomes("recall")).p_value < 0.05)


def test_mcnemar_and_bootstrap_rules_at_clear_and_unclear_leads() -> None:
    for rule in (mcnemar_rule, bootstrap_rule):
        assert rule(evidence(PairedCounts((500, 9, 0, 5, 20, 30, 5, 70)))) is not None
        assert rule(evidence(PairedCounts((500, 9, 0, 5, 20, 5, 30, 70)))) is None
        assert rule(evidence(PairedCounts((500, 9, 0, 5, 20, 10, 8, 70)))) is None
        assert rule(evidence(PairedCounts((500, 9, 5, 5, 0, 0, 0, 0)))) is None
        assert rule(evidence(PairedCounts((500, 9, 5, 5, 20, 0, 0, 70)))) is None, "an interval from 0 to 0"
    assert set(NAIVE_RULES.values()) == {seed_rule, mcnemar_rule, bootstrap_rule}


@pytest.mark.parametrize("policy", [Policy(), Policy(alpha=0.01), Policy(min_gain=0.05), Policy(min_batches=2)])
def test_the_policys_rule_is_the_judgement_of_a_challenger_alone(policy: Policy) -> None:
    rule, proven = policy_rule(policy), set()
    first = {"2": allowance(policy.error_budget, policy.alpha, wave=1, order=1, promotions=0)}
    for table in (GOOD, GOOD.swap(), PairedCounts((1800, 10, 10, 30, 10, 4, 3, 150)), PairedCounts((99,) * 8)):
        for batches in (1, 3, 4, 9):
            e = evidence(*[table] * batches)
            found = rule(e)
            assert (found is not None) == (judge([e], policy, seed=0, allowances=first).promote is not None)
            proven.add(found is not None)
    assert proven == {True, False}


def test_the_policys_rule_follows_a_declared_horizon_and_not_the_e_value() -> None:
    lead = evidence(*[PairedCounts((1800, 10, 10, 30, 10, 7, 3, 150))] * 4)
    policy = Policy(guardrails={}, horizon=Horizon(disagreements=40, spending="pocock"))
    assert policy_rule(policy)(lead) is not None
    assert policy_rule(Policy(guardrails={}))(lead) is None


def test_the_policys_rule_promotes_nobody_of_whom_there_is_no_evidence_yet() -> None:
    few = evidence(*[PairedCounts((90, 1, 0, 3, 2, 2, 1, 9))] * 4)
    assert policy_rule(Policy(primary="f1", guardrails={}))(few) is None


def test_the_policys_rule_says_what_is_proven() -> None:
    assert policy_rule(Policy(min_gain=0.01))(evidence(*[GOOD] * 10)) == "proven better by more than 0.01"


def test_the_policys_rule_in_a_season_waits_for_its_batches() -> None:
    """Version 2 is far ahead; the rule asks for 4 closed batches, the seed's rule takes the first."""
    closed = season(*[("2",)] * 8)
    switches = replay(closed).switches(["1", "2"], policy_rule(Policy(guardrails={})), first="1")
    assert [(s.date, s.after) for s in switches] == [(day(35), "2")]


def test_the_outcome_counts_switches_that_the_rest_of_the_season_does_not_bear_out() -> None:
    """On day 14 from 1 to 2, which is worse from then on: the next batches tell."""
    closed = season(("2",), ("2",), ("2",), ("1",), ("1",), ("2",))
    bad, good = Switch(day(14), "1", "2", ""), Switch(day(14), "2", "1", "")
    policy = Policy(guardrails={})
    assert replay(closed, policy).outcome([bad], first="1").not_better == 1
    assert replay(closed, policy).outcome([good], first="2").not_better == 0
    assert replay(closed, Policy(guardrails={}, min_gain=0.05)).outcome([good], first="2").not_better == 1
    alike = Switch(day(14), "1", "3", "")
    level = replay(season(("2",), ("2",), ("2",), (), ()), policy)
    assert level.outcome([alike], first="1").not_better == 1, "no gain at all"
    late = Switch(day(35), "1", "2", "")
    assert replay(closed, policy).outcome([late], first="1").not_better == 1, "nothing came after it"


def test_the_outcome_counts_switches_that_broke_a_guardrail() -> None:
    noisy = {(0, 0, 1, 0): 100, (1, 0, 1, 0): 10, (1, 1, 1, 1): 100, (0, 0, 0, 0): 900}
    closed = [batch_tally(day(7 * i), noisy, VERSIONS) for i in range(4)]
    switch = Switch(day(7), "1", "2", "")
    found = replay(closed, Policy()).outcome([switch], first="1")
    assert (found.not_better, found.broke_guardrail) == (0, 1)
    one_of_two = Policy(guardrails={"precision": 0.6, "accuracy": 0.005})
    assert replay(closed, one_of_two).outcome([switch], first="1").broke_guardrail == 1
    wide = Policy(guardrails={"precision": 0.6, "accuracy": 0.2})
    assert replay(closed, wide).outcome([switch], first="1").broke_guardrail == 0
    assert replay(closed, Policy()).outcome([Switch(day(7), "1", "3", "")], first="1").broke_guardrail == 0


def test_recall_and_precision_are_of_whoever_led_on_each_day() -> None:
    """Version 1 serves the batches of days 0, 7 and 14, version 2 that of day 21."""
    closed = season(("1",), ("2",), ("1",), ("2",))
    found = replay(closed, Policy()).outcome([Switch(day(14), "1", "2", "")], first="1")
    served = Confusion(tp=110 + 100 + 110 + 110, fp=0, fn=5 + 15 + 5 + 5, tn=4000)
    assert found.served["recall"] == metric("recall", served)
    assert found.served["precision"] == 1
    assert found.served["alert_rate"] == pytest.approx(430 / 4460)
    assert found.switches == (Switch(day(14), "1", "2", ""),)
    never = replay(closed, Policy()).outcome([], first="1")
    assert never.served["recall"] == pytest.approx((110 + 100 + 110 + 100) / 460)


def test_a_season_without_batches_is_worth_nothing_that_could_be_said() -> None:
    found = replay([], Policy()).outcome([], first="1")
    assert list(found.served) == ["recall", "precision", "alert_rate"]
    assert all(isinstance(value, Undefined) for value in found.served.values())
