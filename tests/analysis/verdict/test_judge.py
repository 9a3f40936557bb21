"""Judging: every verdict, every check on its own, and the choice among several challengers."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from analysis_examples import SLOW_PROPERTY, evidence
from hypothesis import given
from hypothesis import strategies as st
from judge_examples import BLUNT, EQUAL, GOOD, IDENTICAL, POLICY, failed, only, with_positives

from analysis.one_look.bootstrap import Bootstrap
from analysis.one_look.multiplicity import e_closure
from analysis.policy import Policy
from analysis.tables.counts import PairedCounts, Undefined
from analysis.tables.intervals import Interval
from analysis.verdict.assess import Measured, measure
from analysis.verdict.checks import checks
from analysis.verdict.judge import Verdict, judge


def test_a_challenger_that_passes_every_check_is_promoted_for_all_of_them() -> None:
    found = only(*[GOOD] * 10)
    assert found.verdict is Verdict.PROMOTE
    assert failed(found) == []
    names = [c.name for c in found.checks]
    assert names[:5] == ["batches", "disagreement", "evidence", "mcnemar", "bootstrap"]
    assert sorted(names[5:]) == ["accuracy", "precision"]
    assert found.reasons == tuple(c.finding for c in found.checks)


@pytest.mark.parametrize(
    ("batches", "policy", "name"),
    [
        ([GOOD] * 3, POLICY, "batches"),
        ([GOOD] * 10, Policy(min_batches=11), "batches"),
        ([with_positives(4, 2), with_positives(3, 2)] * 5, POLICY, "evidence"),
        ([with_positives(20, 4, fp_challenger=20)] * 10, POLICY, "precision"),
        (
            [with_positives(20, 4, fp_challenger=36)] * 10,
            Policy(guardrails={"precision": 0.3, "accuracy": 0.005}),
            "accuracy",
        ),
        ([with_positives(40, 4), with_positives(3, 12)] * 5, Policy(guardrails={}), "batch unit"),
    ],
)
def test_one_check_that_fails_alone_means_wait(batches: list[PairedCounts], policy: Policy, name: str) -> None:
    """The reasons are its finding and, where E is what is missing, the forecast."""
    found = only(*batches, policy=policy)
    assert failed(found) == [name]
    assert found.verdict is Verdict.WAIT
    finding = next(c.finding for c in found.checks if c.name == name)
    assert found.reasons[0] == finding
    assert [r.partition(":")[0] for r in found.reasons[1:]] == (["forecast"] if name == "evidence" else [])
    assert (found.forecast is None) == (name != "evidence")


def test_checks_that_evidence_would_fail_with_too_fail_alone_when_their_number_is_replaced() -> None:
    """McNemar and the bootstrap agree with E on real counts, so their numbers are replaced one at a time."""
    e = evidence(*[GOOD] * 10)
    m = measure(e, POLICY, rng=np.random.default_rng(1))
    boot = m.bootstrap["recall"]
    assert isinstance(boot, Bootstrap)

    def without(**changes: Any) -> list[str]:
        return [c.name for c in checks(e, dataclasses.replace(m, **changes), m.log_e, POLICY) if not c.passed]

    tied = dataclasses.replace(m.mcnemar["recall"], p_value=0.05)
    at_zero = dataclasses.replace(boot, interval=Interval(0.0, 0.1, 0.9))
    assert without() == []
    assert without(mcnemar={**m.mcnemar, "recall": tied}) == ["mcnemar"]
    assert without(bootstrap={**m.bootstrap, "recall": at_zero}) == ["bootstrap"]
    assert without(bootstrap={**m.bootstrap, "recall": Undefined("0/0")}) == ["bootstrap"]
    assert without(uneven=True, log_e_batch_unit=2.9) == ["batch unit"]
    assert without(uneven=True, log_e_batch_unit=3.0) == []
    assert without(uneven=False, log_e_batch_unit=-9.0) == []


def test_the_evidence_is_that_adjusted_for_the_family() -> None:
    """Alone it is promoted; beside hopeless ones its E is divided among them and no longer suffices."""
    close = [with_positives(5, 3)] * 18
    alone = only(*close)
    assert alone.verdict is Verdict.PROMOTE
    family = [evidence(*close)] + [evidence(*[with_positives(1, 9)] * 18, challenger=str(v)) for v in range(3, 9)]
    judgement = judge(family, POLICY, seed=0)
    assert judgement.promote is None
    assert failed(judgement.assessments[0]) == ["evidence"]
    assert judgement.assessments[0].measured.log_e == alone.measured.log_e
    expected = e_closure([a.measured.log_e for a in judgement.assessments])
    assert [a.log_e_adjusted for a in judgement.assessments] == expected


def test_no_disagreement_is_never_promoted() -> None:
    found = only(*[IDENTICAL] * 30)
    assert found.verdict is Verdict.WAIT
    assert {"disagreement", "evidence", "mcnemar"} <= set(failed(found))
    assert "disagreed on 0 of the 4800 rows" in found.reasons[0]


def test_a_score_that_was_never_kept_waits_and_says_that_no_row_has_one() -> None:
    found = only(*[GOOD] * 5, policy=Policy(primary="brier", guardrails={"auc": 0.01}))
    assert found.verdict is Verdict.WAIT
    findings = {c.name: c.finding for c in found.checks if not c.passed}
    assert findings["one look"] == "brier is not defined: no labelled row with scores"
    assert findings["auc"] == "the evidence that auc is not more than 0.01 worse is E = 1 (20 needed)"


def test_no_batch_at_all_waits() -> None:
    found = only()
    assert found.verdict is Verdict.WAIT
    assert found.reasons[0] == "0 closed batches with evidence (4 needed)"
    assert "no forecast" in found.reasons[-1]


def test_of_several_proven_the_one_with_the_highest_lower_limit_leads() -> None:
    """Whatever the order in which they are listed; the others are proven too."""
    family = [
        evidence(*[with_positives(20, 4)] * 10, challenger="2"),
        evidence(*[with_positives(30, 4)] * 10, challenger="3"),
        evidence(*[with_positives(15, 4)] * 10, challenger="4"),
        evidence(*[BLUNT] * 10, challenger="5"),
    ]
    for listed in (family, family[::-1]):
        judgement = judge(listed, POLICY, seed=0)
        assert judgement.promote == "3"
        assert judgement.choice is not None
        assert judge(family[:2], POLICY, seed=0).choice is not None
        assert judge(family[:1], POLICY, seed=0).choice is None, "there was nothing to choose"
        verdicts = {a.evidence.challenger.version: a.verdict for a in judgement.assessments}
        assert verdicts == {"2": "PROMOTE", "3": "PROMOTE", "4": "PROMOTE", "5": "RETIRE"}


def test_a_promising_estimate_from_few_rows_does_not_lead_before_a_smaller_one_that_is_certain() -> None:
    few = evidence(*[with_positives(22, 4)] * 4, challenger="2")
    many = evidence(*[with_positives(20, 4)] * 10, challenger="3")
    judgement = judge([few, many], POLICY, seed=0)
    of_few, of_many = (a.measured.interval for a in judgement.assessments)
    assert [a.verdict for a in judgement.assessments] == ["PROMOTE", "PROMOTE"]
    assert of_few.high > of_many.high
    assert of_few.low < of_many.low
    assert judgement.promote == "3"


def test_without_challengers_there_is_nothing_to_judge() -> None:
    judgement = judge([], POLICY, seed=0)
    assert (judgement.assessments, judgement.promote) == ((), None)


def test_the_same_evidence_policy_and_seed_give_the_same_judgement() -> None:
    family = [evidence(*[GOOD] * 5), evidence(*[EQUAL] * 5, challenger="3")]
    assert judge(family, POLICY, seed=7) == judge(family, POLICY, seed=7)


def test_another_seed_moves_only_what_is_drawn() -> None:
    one, two = (judge([evidence(*[EQUAL] * 5)], POLICY, seed=s).assessments[0] for s in (1, 2))
    assert one.verdict is two.verdict
    assert one.measured.bootstrap != two.measured.bootstrap
    assert one.forecast != two.forecast
    assert dataclasses.replace(one.measured, bootstrap={}) == dataclasses.replace(two.measured, bootstrap={})


def test_each_challenger_draws_its_own_numbers() -> None:
    """Two challengers with the same counts do not share their bootstrap draws, and a second one leaves the first alone."""
    twins = judge([evidence(*[EQUAL] * 5), evidence(*[EQUAL] * 5, challenger="3")], POLICY, seed=1).assessments
    assert twins[0].measured.bootstrap != twins[1].measured.bootstrap
    assert twins[0].measured == judge([evidence(*[EQUAL] * 5)], POLICY, seed=1).assessments[0].measured


def test_measured_numbers_are_of_the_sum_of_all_batches() -> None:
    found: Measured = only(GOOD, EQUAL, GOOD, EQUAL).measured
    total = GOOD + EQUAL + GOOD + EQUAL
    assert found.counts == total
    assert found.pairs == total.outcomes("recall")
    whole = measure(evidence(GOOD + GOOD, EQUAL + EQUAL), POLICY, rng=np.random.default_rng([0, 0]))
    assert found == dataclasses.replace(
        whole,
        overdispersion=found.overdispersion,
        uneven=found.uneven,
        labels=found.labels,
        log_e_batch_unit=found.log_e_batch_unit,
        log_e_batch_unit_reverse=found.log_e_batch_unit_reverse,
        guardrails=found.guardrails,
    )
    for merged, split in zip(whole.guardrails, found.guardrails, strict=True):
        units = {n: getattr(split, n) for n in ("log_e_batch_unit", "log_e_batch_unit_reverse")}
        assert dataclasses.replace(merged, **units, status=split.status) == split


CELL = st.sampled_from([0, 0, 1, 3, 30, 2000, 10**9])
TABLE = st.builds(PairedCounts, st.tuples(*[CELL] * 8), st.tuples(*[CELL] * 4))


@SLOW_PROPERTY
@given(st.lists(st.lists(TABLE, max_size=5), max_size=3), st.sampled_from(["recall", "specificity"]))
def test_any_evidence_gets_a_verdict_with_reasons(tables: list[list[PairedCounts]], primary: Any) -> None:
    policy = Policy(primary=primary, n_resamples=1000)
    judgement = judge([evidence(*t, challenger=str(i + 2)) for i, t in enumerate(tables)], policy, seed=0)
    promoted = [a.evidence.challenger.version for a in judgement.assessments if a.verdict is Verdict.PROMOTE]
    assert (judgement.promote in promoted) if promoted else judgement.promote is None
    for a in judgement.assessments:
        assert a.reasons
        assert (a.verdict is Verdict.PROMOTE) <= all(c.passed for c in a.checks)
        assert not any("nan" in reason for reason in a.reasons)
