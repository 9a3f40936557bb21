"""The conditions of a promotion one by one: on which side of its limit each passes, and what it says where there is nothing."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from analysis_examples import evidence
from scipy import stats
from task_examples import loss_evidence, numbers

from analysis.any_look.batch_unit import Overdispersion
from analysis.evidence.entities import EntityEvidence
from analysis.one_look.clusters import ClusteredTest
from analysis.policy import Policy
from analysis.tables.counts import PairedCounts, PairedOutcomes, Undefined
from analysis.tables.intervals import Interval
from analysis.tables.metrics import Difference
from analysis.verdict.assess import Measured, measure
from analysis.verdict.checks import Check, checks, e_text, p_text
from analysis.verdict.guardrails import SegmentGuardrail, guardrail, segment_guardrails

GOOD = PairedCounts((1800, 10, 10, 30, 10, 20, 4, 150))
FOUR = (GOOD,) * 4
AT_LIMIT = -math.log(0.05)
JUST_BELOW = math.nextafter(AT_LIMIT, 0)


def found(policy: Policy, *batches: PairedCounts, adjusted: float = 10.0, **changes: Any) -> dict[str, Check]:
    """The checks of this evidence by name, with some of the numbers replaced."""
    e = evidence(*(batches or FOUR))
    m = replace(measure(e, policy, rng=np.random.default_rng(1)), **changes)
    return {c.name: c for c in checks(e, m, adjusted, policy)}


def measured(policy: Policy) -> Measured:
    return measure(evidence(*FOUR), policy, rng=np.random.default_rng(1))


@pytest.mark.parametrize(("adjusted", "passed"), [(AT_LIMIT, True), (JUST_BELOW, False)])
def test_evidence_of_exactly_one_over_alpha_is_enough(adjusted: float, passed: bool) -> None:
    assert found(Policy(), adjusted=adjusted)["evidence"].passed == passed


@pytest.mark.parametrize(("log_e", "passed"), [(AT_LIMIT, True), (JUST_BELOW, False)])
def test_so_it_is_with_batches_as_units(log_e: float, passed: bool) -> None:
    assert found(Policy(), uneven=True, log_e_batch_unit=log_e)["batch unit"].passed == passed


@pytest.mark.parametrize(
    ("primary", "what"), [("recall", "the win share"), ("f1", "the gain in f1"), ("accuracy", "the win share")]
)
def test_what_varies_and_how_much_the_batches_prove_is_said(primary: Any, what: str) -> None:
    policy = Policy(primary=primary, guardrails={}, alpha=0.1)
    said = found(policy, uneven=True, log_e_batch_unit=math.log(4))["batch unit"]
    assert said.finding == (
        f"{what} varies between batches, or lies in a few of them, so the batches as units have to carry the proof too: "
        "E = 4 (10 needed)"
    )


@pytest.mark.parametrize(("status", "passed"), [("held", True), ("open", False), ("broken", False)])
def test_a_guardrail_of_a_segment_has_to_be_held(status: Any, passed: bool) -> None:
    one = SegmentGuardrail("region", "north", "recall", 0.05, 0.012, 0.9, status)
    check = found(Policy(), segment_guardrails=(one,))["recall in region = north"]
    finding = "recall not more than 0.05 worse in region = north: p = 0.012 (0.05 needed)"
    assert check == Check("recall in region = north", passed, finding)


def test_rows_of_entities_are_tested_by_entity_as_well() -> None:
    one = ClusteredTest("obuchowski", 20, 1.6, 0.05)
    for clustered, p, passed in (
        (one, "0.05", False), (replace(one, p_value=0.049), "0.049", True), (Undefined("one entity"), "1", False),
    ):  # fmt: skip
        e = evidence(*FOUR)
        pairs = {"recall": tuple(b.counts.outcomes("recall") for b in e.batches)}
        shared = replace(e, entities=EntityEvidence(pairs, 0.0, {"recall": clustered}))  # type: ignore[arg-type]
        said = {c.name: c for c in checks(shared, measured(Policy()), 10.0, Policy())}["entities"]
        assert said == Check("entities", passed, f"over all rows of every entity p is {p} (below 0.05 needed)")


def test_a_paired_t_interval_has_to_start_above_the_gain_that_matters() -> None:
    policy = Policy(task="regression", min_gain=0.5, guardrails={})
    e = loss_evidence(numbers(np.random.default_rng(1), 100))
    m = measure(e, policy, rng=np.random.default_rng(1))
    for interval, passed, said in (
        (
            Interval(0.5, 1, 0.9),
            False,
            "by a paired t test the gain in squared_error is at least 0.5 (above 0.5 needed)",
        ),
        (
            Interval(0.6, 1, 0.9),
            True,
            "by a paired t test the gain in squared_error is at least 0.6 (above 0.5 needed)",
        ),
        (Undefined("one row"), False, "no paired t test: one row"),
    ):
        by_name = {c.name: c for c in checks(e, replace(m, paired_interval=interval), 10.0, policy)}  # type: ignore[arg-type]
        assert by_name["paired t"] == Check("paired t", passed, said)


def swinging(by: int) -> list[PairedCounts]:
    """Ten batches of 20 disagreements about recall, in every other one of which the challenger wins by more."""
    return [PairedCounts((900, 5, 5, 30, 20, 10 + s * by, 10 - s * by, 150)) for s in (1, -1) * 5]


@pytest.mark.parametrize(("by", "uneven"), [(2, False), (3, True)])
def test_batches_carry_the_proof_where_the_lead_varies_at_the_level_of_two_in_ten(by: int, uneven: bool) -> None:
    m = measure(evidence(*swinging(by)), Policy(), rng=np.random.default_rng(1))
    assert isinstance(m.overdispersion, Overdispersion)
    assert (m.overdispersion.p_value < 0.2) == m.uneven == uneven


@pytest.mark.parametrize(
    ("weights", "uneven"), [((1, 1, 1, 1), False), ((1, 1, 1, 4), True), ((1, 1, 1, 40), True), ((1, 1, 1), False)]
)
def test_and_where_most_of_it_lies_in_few_batches_once_there_are_enough(weights: tuple[int, ...], uneven: bool) -> None:
    one = PairedCounts((900, 5, 5, 30, 20, 12, 8, 150))
    batches = [PairedCounts(tuple(k * n for n in one.labelled)) for k in weights]  # type: ignore[arg-type]
    assert measure(evidence(*batches), Policy(), rng=np.random.default_rng(1)).uneven == uneven


@pytest.mark.parametrize(("discordant", "passed"), [(0, False), (1, True)])
def test_one_disagreement_is_a_disagreement(discordant: int, passed: bool) -> None:
    assert found(Policy(), pairs=PairedOutcomes(discordant, 0, 90))["disagreement"].passed == passed


def test_a_p_value_of_alpha_is_not_below_it() -> None:
    same = measured(Policy()).mcnemar["recall"]
    for p, passed in ((0.05, False), (math.nextafter(0.05, 0), True)):
        assert found(Policy(), mcnemar={"recall": replace(same, p_value=p)})["mcnemar"].passed == passed


def test_a_bootstrap_interval_has_to_start_above_the_gain_that_matters() -> None:
    policy = Policy(min_gain=0.02)
    same = measured(policy).bootstrap["recall"]
    assert not isinstance(same, Undefined)
    for low, passed in ((0.02, False), (0.0201, True)):
        bootstrap = {"recall": replace(same, interval=Interval(low, 0.5, 0.9))}
        assert found(policy, bootstrap=bootstrap)["bootstrap"].passed == passed
    nothing = found(policy, bootstrap={"recall": Undefined("no row")})["bootstrap"]
    assert nothing == Check("bootstrap", False, "no bootstrap interval: no row")


@pytest.mark.parametrize(("sign", "primary"), [(-1, "brier"), (1, "auc")])
def test_at_one_look_the_gain_less_its_normal_margin_has_to_exceed_the_gain_that_matters(
    sign: int, primary: Any
) -> None:
    """A score has no bootstrap interval of counts: z is that of a one-sided test at alpha."""
    policy, error = Policy(primary=primary, guardrails={}, min_gain=0.01), 0.004
    limit = 0.01 + stats.norm.isf(0.05) * error
    for gain, passed in ((limit - 1e-9, False), (limit + 1e-9, True), (0.9, True)):
        total = {primary: Difference(0.5, 0.5 + sign * gain, sign * gain, error)}
        check = found(policy, metrics=total)["one look"]
        assert check.passed == passed
        low = gain - stats.norm.isf(0.05) * error
        assert check.finding == f"at one look the gain in {primary} is at least {low:.4f} (above 0.01 needed)"


def test_without_evidence_no_check_of_it_passes_and_the_reason_is_given() -> None:
    few = PairedCounts((180, 4, 3, 13, 4, 6, 6, 15))
    said = found(Policy(primary="f1", guardrails={"mcc": 0.1}), few)
    reason = "fewer than 20 disagreements, too few for an asymptotic statement"
    assert said["evidence"] == Check("evidence", False, f"there is no evidence for a gain in f1 yet: {reason}")
    assert said["mcc"] == Check("mcc", False, f"there is no evidence on mcc yet: {reason}")


def test_a_plan_that_has_not_begun_has_no_evidence() -> None:
    policy = Policy(horizon={"disagreements": 100}, guardrails={})  # type: ignore[arg-type]
    same = PairedCounts((1800, 0, 0, 30, 10, 0, 0, 150))
    sentence = "the declared horizon has not begun: there is no disagreement yet"
    assert found(policy, same)["evidence"] == Check("evidence", False, sentence)


def test_probabilities_and_evidence_are_written_without_a_row_of_zeros() -> None:
    assert (p_text(1e-6), p_text(9.9e-7)) == ("1e-06", "less than one in a million")
    assert (e_text(math.log(1e6)), e_text(math.log(1e6) + 1e-9)) == ("1e+06", "more than a million")
    assert (e_text(0.0), e_text(-1000.0)) == ("1", "0")


HARMFUL = PairedCounts((1800, 30, 4, 30, 10, 8, 40, 130))


def around(alpha: float) -> list[float]:
    """The twenty levels next to this one on each side."""
    below, above = [alpha], [alpha]
    for _ in range(20):
        below.append(math.nextafter(below[-1], 0))
        above.append(math.nextafter(above[-1], 1))
    return [*below[:0:-1], *above]


class TestGuardrails:
    @pytest.mark.parametrize(("counts", "status"), [(GOOD, "held"), (HARMFUL, "broken")])
    def test_it_is_held_or_broken_from_one_over_alpha_on(self, counts: PairedCounts, status: str) -> None:
        """Alpha is moved past what the evidence bears, bit by bit."""
        e = evidence(counts)
        one = guardrail(e, "precision", 0.03, Policy())
        decisive = one.log_e if status == "held" else one.log_e_reverse
        needed = [-math.log(alpha) for alpha in around(math.exp(-decisive))]
        found = [guardrail(e, "precision", 0.03, Policy(alpha=alpha)) for alpha in around(math.exp(-decisive))]
        assert [g.status for g in found] == [status if decisive >= n else "open" for n in needed]
        assert min(needed) < decisive < max(needed)
        assert decisive in needed

    def test_without_evidence_it_is_open_and_says_one(self) -> None:
        few = evidence(PairedCounts((180, 4, 3, 13, 4, 6, 6, 15)))
        nothing = guardrail(few, "mcc", 0.1, Policy(guardrails={"mcc": 0.1}))
        assert isinstance(nothing.method, Undefined)
        assert (nothing.log_e, nothing.log_e_reverse, nothing.status) == (0, 0, "open")

    @pytest.mark.parametrize(("counts", "status"), [(GOOD, "held"), (HARMFUL, "broken")])
    def test_so_it_is_in_a_segment(self, counts: PairedCounts, status: str) -> None:
        e = evidence(counts, segment="north")

        def at(alpha: float) -> SegmentGuardrail:
            (found,) = segment_guardrails(e, Policy(guardrails={}, segment_guardrails={"recall": 0.05}, alpha=alpha))
            return found

        p = at(0.05).p_value if status == "held" else at(0.05).p_value_reverse
        log_e = guardrail(e, "recall", 0.05, Policy())
        assert p == math.exp(-(log_e.log_e if status == "held" else log_e.log_e_reverse))
        assert [at(alpha).status for alpha in (math.nextafter(p, 1), p, math.nextafter(p, 0))] == [
            status,
            status,
            "open",
        ]

    def test_evidence_below_one_is_a_p_value_of_one(self) -> None:
        policy = Policy(guardrails={}, segment_guardrails={"specificity": 0.001})
        (one,) = segment_guardrails(evidence(GOOD, segment="north"), policy)
        assert one.p_value > 0.5 or one.p_value_reverse > 0.5
        worse = PairedCounts((1800, 60, 4, 30, 10, 20, 4, 150))
        (bad,) = segment_guardrails(evidence(worse, segment="north"), policy)
        assert bad.p_value == 1.0
