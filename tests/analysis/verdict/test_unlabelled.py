"""What a policy makes of rows without a label: bounds that no label can undo, or a correction that is used throughout."""

from __future__ import annotations

import itertools
import math
from datetime import timedelta

import numpy as np
import pytest
from analysis_examples import FIRST_DAY, batch_tally, contender, evidence
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.any_look.batch_unit import Overdispersion
from analysis.any_look.forecast import Forecast
from analysis.any_look.process import OutcomeProcess, WorstCaseProcess
from analysis.evidence import Evidence, PairedBatch, gather
from analysis.evidence.gains import batch_differences, total_difference
from analysis.one_look.bootstrap import Bootstrap
from analysis.one_look.missing_labels import begg_greenes, corrected_difference
from analysis.policy import Policy
from analysis.tables.counts import PairedCounts
from analysis.tables.metrics import METRICS, OUTCOME_METRICS, Difference
from analysis.verdict.assess import measure
from analysis.verdict.choice import Candidate, choose
from analysis.verdict.guardrails import guardrail, segment_guardrails
from analysis.verdict.judge import Assessment, Verdict, judge
from analysis.verdict.process_choice import batch_process, process
from analysis.verdict.proof import Proof

WORST = Policy(unlabelled="worst_case", guardrails={}, n_resamples=1000)
CORRECTED = Policy(unlabelled="begg_greenes", guardrails={}, n_resamples=1000)
# the champion's flags are all labelled, of the challenger's own 3 in 10, of the others 1 in 10; its true gain is .15
FOLLOWS_CHAMPION = PairedCounts((450, 12, 40, 20, 4, 33, 50, 200), (4086, 105, 0, 0))


def every_labelling(counts: PairedCounts) -> list[PairedCounts]:
    """The tables that the missing labels could turn out to make."""
    found = []
    for positives in itertools.product(*(range(u + 1) for u in counts.unlabelled)):
        negatives = [u - p for u, p in zip(counts.unlabelled, positives, strict=True)]
        cells = [n + k for n, k in zip(counts.labelled, [*negatives, *positives], strict=True)]
        found.append(PairedCounts(tuple(cells)))  # type: ignore[arg-type]
    return found


def under(policy: Policy, name: str, counts: PairedCounts) -> WorstCaseProcess:
    found = process(evidence(counts), name, policy)
    assert isinstance(found, WorstCaseProcess)
    return found


FEW = st.tuples(*[st.integers(0, 4)] * 8)


@settings(max_examples=40, deadline=None)
@given(FEW, st.tuples(*[st.integers(0, 2)] * 4), st.sampled_from(OUTCOME_METRICS))
def test_no_labels_make_the_evidence_weaker_by_enumeration(
    labelled: tuple[int, ...], unlabelled: tuple[int, ...], name: str
) -> None:
    counts = PairedCounts(labelled, unlabelled)  # type: ignore[arg-type]
    bound = under(WORST, name, counts)
    assert bound.method == "rows"
    for null in (-0.2, 0.0, 0.1):
        truths = [OutcomeProcess(t.outcomes(name), WORST.prior) for t in every_labelling(counts)]
        assert bound.log_e(null) <= min(t.log_e(null) for t in truths) + 1e-9
        assert bound.log_e_reverse(null) <= min(t.log_e_reverse(null) for t in truths) + 1e-9


def test_the_interval_covers_that_of_every_labelling_and_ends_where_the_evidence_reaches_its_threshold() -> None:
    ahead = PairedCounts((90, 2, 3, 5, 10, 25, 2, 20), (1, 1, 1, 1))
    for counts in (ahead, ahead.swap(), PairedCounts((90, 2, 3, 5, 10, 5, 4, 20), (1, 1, 1, 1))):
        for name in OUTCOME_METRICS:
            bound = under(WORST, name, counts)
            found = bound.interval(0.05)
            each = [OutcomeProcess(t.outcomes(name), WORST.prior).interval(0.05) for t in every_labelling(counts)]
            assert found.confidence_level == 0.9
            assert found.low <= min(i.low for i in each) + 1e-9
            assert found.high >= max(i.high for i in each) - 1e-9
            assert bound.log_e(found.low) == pytest.approx(math.log(20), abs=1e-6)
            assert bound.log_e_reverse(found.high) == pytest.approx(math.log(20), abs=1e-6)


def test_rows_without_a_label_that_may_be_ties_count_against_a_gain_that_matters() -> None:
    """60 wins and 10 losses of 260 positives show a gain of .1; 4000 more positives on which both decide alike would not."""
    counts = PairedCounts((500, 0, 0, 10, 100, 60, 10, 90), (2000, 0, 0, 2000))
    plain = process(evidence(counts), "recall", Policy())
    bound = under(WORST, "recall", counts)
    assert isinstance(plain, OutcomeProcess)
    assert plain.log_e(0.1) > math.log(20)
    assert bound.log_e(0.1) < 0
    assert bound.log_e(0.0) == plain.log_e(0.0)
    assert 0 < bound.interval(0.05).low < 0.012 < plain.interval(0.05).low


def test_a_challenger_is_not_retired_for_losses_that_only_missing_labels_could_show() -> None:
    """All labelled rows are ties; the champion's own flags without a label would be losses if they are positives."""
    unlucky = PairedCounts((900, 5, 5, 30, 20, 3, 3, 120), (0, 0, 60, 0))
    policy = Policy(unlabelled="worst_case", guardrails={"accuracy": 0.005}, segment_guardrails={"recall": 0.05})
    (found,) = judge([evidence(*[unlucky] * 6, segment="north")], policy, seed=1).assessments
    assert found.verdict is Verdict.WAIT
    (held,) = found.measured.guardrails
    assert held.status == "open"
    assert [g.status for g in found.measured.segment_guardrails] == ["open"]
    lucky = PairedCounts((900, 5, 5, 30, 20, 3, 3, 120), (0, 60, 0, 0))
    assert guardrail(evidence(*[lucky] * 6), "accuracy", 0.005, policy).status == "open"


def test_what_no_missing_label_can_undo_is_proven_either_way() -> None:
    ahead = [PairedCounts((900, 5, 5, 30, 20, 60, 6, 120), (400, 3, 5, 9))] * 6
    (found,) = judge([evidence(*ahead)], WORST, seed=1).assessments
    assert found.verdict is Verdict.PROMOTE
    (found,) = judge([evidence(*[c.swap() for c in ahead])], WORST, seed=1).assessments
    assert found.verdict is Verdict.RETIRE


def test_segment_guardrails_hold_in_each_segment_whatever_the_labels() -> None:
    north = PairedCounts((900, 9, 9, 30, 20, 60, 60, 4000), (0, 5, 5, 0))
    south = PairedCounts((900, 9, 9, 30, 20, 60, 60, 4000), (0, 900, 900, 0))
    policy = Policy(unlabelled="worst_case", segment_guardrails={"recall": 0.05})
    parts = PairedBatch("b", FIRST_DAY, north + south, {("region", "north"): north, ("region", "south"): south})
    found = segment_guardrails(Evidence(contender("1"), contender("2"), (parts,)), policy)
    assert [(g.value, g.status) for g in found] == [("north", "held"), ("south", "open")]


def test_harm_that_varies_between_batches_has_to_be_proven_by_them_at_their_best() -> None:
    """Were all missing labels negative, every other week would be won: rows alone say nothing of the next batch then."""
    weeks = [
        PairedCounts((900, 5, 5, 30, 20, 4, 40, 120), (0, 3, 30, 0)),
        PairedCounts((900, 5, 5, 30, 20, 15, 3, 120), (0, 3, 30, 0)),
    ]
    (found,) = judge([evidence(*weeks * 6)], WORST, seed=1).assessments
    best = evidence(*weeks * 6).assuming_the_best()
    assert found.measured.interval.high < 0  # type: ignore[union-attr]
    plain = batch_process(best, "recall", Policy())
    assert found.measured.log_e_batch_unit_reverse == plain.log_e_reverse(0.0) < math.log(20)
    assert found.verdict is Verdict.WAIT
    ends = [Proof(e, "recall", Policy()).overdispersion for e in (evidence(*weeks * 6).assuming_the_worst(), best)]
    assert found.measured.overdispersion == min(ends, key=lambda o: o.p_value) == ends[1] != ends[0]  # type: ignore[union-attr]
    worst = batch_process(evidence(*weeks * 6).assuming_the_worst(), "recall", Policy())
    assert found.measured.log_e_batch_unit == worst.log_e(0.0)


def test_a_batch_without_any_label_counts_for_the_champion_where_the_two_disagree() -> None:
    labelled = batch_tally(FIRST_DAY, {(1, 0, 1): 20, (1, 1, 0): 5, (0, 0, 0): 50})
    silent = batch_tally(FIRST_DAY + timedelta(weeks=1), {(None, 0, 1): 20, (None, 1, 0): 30, (None, 1, 1): 9})
    agreed = batch_tally(FIRST_DAY + timedelta(weeks=2), {(None, 1, 1): 9})
    one_way = [batch_tally(FIRST_DAY, {(None, *d): 4}) for d in ((0, 1), (1, 0))]
    pair = contender("1"), contender("2")
    assert all(len(gather(*pair, [t], policy=WORST).batches) == 1 for t in one_way)
    kept = gather(*pair, [labelled, silent, agreed], policy=WORST)
    assert [b.counts.unlabelled for b in kept.batches] == [(0, 0, 0, 0), (0, 20, 30, 9)]
    assert process(kept, "recall", WORST).log_e(0.0) < 0  # type: ignore[union-attr]
    for policy in (Policy(), Policy(unlabelled="begg_greenes", guardrails={})):
        assert len(gather(*pair, [labelled, silent, agreed], policy=policy).batches) == 1


def test_a_forecast_counts_ties_that_may_come_to_light_against_a_gain_that_matters() -> None:
    counts = PairedCounts((500, 0, 0, 10, 100, 60, 10, 90), (2000, 0, 0, 2000))
    policy = Policy(unlabelled="worst_case", guardrails={}, min_gain=0.02, n_resamples=1000)
    (found,) = judge([evidence(counts)], policy, seed=1).assessments
    assert isinstance(found.forecast, Forecast)
    assert found.forecast.probability < 0.5
    (sure,) = judge([evidence(PairedCounts(counts.labelled))], policy, seed=1).assessments
    assert sure.forecast is None


def test_two_proven_challengers_are_compared_on_corrected_numbers_too() -> None:
    seen = []

    def head_to_head(first: str, second: str) -> Evidence:
        seen.append((first, second))
        return evidence(FOLLOWS_CHAMPION, FOLLOWS_CHAMPION)

    candidates = [Candidate("2", 0.1), Candidate("3", 0.05)]
    assert choose(candidates, CORRECTED, head_to_head).tied == ("2",)
    total = corrected_difference(FOLLOWS_CHAMPION + FOLLOWS_CHAMPION, "recall")
    assert isinstance(total, Difference)
    assert abs(total.value) > 3 * total.standard_error
    assert seen == [("2", "3")]


def test_weeks_whose_labels_come_at_other_rates_are_not_uneven_once_they_are_corrected() -> None:
    """The same rows every week, labelled to four fifths where the champion flags and to a fifth elsewhere, and the other way round."""
    every = (4500, 40, 40, 20, 40, 110, 50, 200)

    def week(flagged: float, passed: float) -> PairedCounts:
        share = [flagged if c else passed for c in (0, 0, 1, 1)] * 2
        known = [round(n * s) for n, s in zip(every, share, strict=True)]
        missing = [every[i] + every[4 + i] - known[i] - known[4 + i] for i in range(4)]
        return PairedCounts(tuple(known), tuple(missing))  # type: ignore[arg-type]

    found = corrected_judgement(*[week(0.8, 0.2), week(0.2, 0.8)] * 5)
    assert isinstance(found.measured.overdispersion, Overdispersion)
    assert found.measured.overdispersion.p_value > 0.9
    assert found.verdict is Verdict.PROMOTE
    units = batch_process(found.evidence, "recall", CORRECTED)
    assert found.measured.log_e_batch_unit == units.log_e(0.0) > 1


def corrected_judgement(*batches: PairedCounts) -> Assessment:
    (found,) = judge([evidence(*batches)], CORRECTED, seed=1).assessments
    return found


def test_a_better_challenger_whose_own_flags_are_rarely_labelled_is_promoted_after_correction() -> None:
    """On the labelled rows alone it looks worse: nothing that is asked for may rest on those."""
    batches = [FOLLOWS_CHAMPION] * 10
    found = corrected_judgement(*batches)
    assert found.verdict is Verdict.PROMOTE
    assert [c.name for c in found.checks] == ["batches", "disagreement", "evidence", "bootstrap"]
    (naive,) = judge([evidence(*batches)], Policy(guardrails={}, n_resamples=1000), seed=1).assessments
    assert naive.verdict is Verdict.INVALID
    assert corrected_judgement(*[c.swap() for c in batches]).verdict is Verdict.RETIRE


def test_every_number_of_a_corrected_judgement_is_corrected() -> None:
    e = evidence(FOLLOWS_CHAMPION, FOLLOWS_CHAMPION)
    found = measure(e, CORRECTED, rng=np.random.default_rng(1))
    assert found.method == "asymptotic"
    assert found.metrics == {name: corrected_difference(e.counts, name) for name in METRICS}
    drawn = begg_greenes(e.counts, METRICS, rng=np.random.default_rng(1), confidence_level=0.9, n_resamples=1000)
    assert found.bootstrap == drawn
    assert all(isinstance(b, Bootstrap) for b in drawn.values())
    for name in METRICS:
        assert total_difference(e, name, CORRECTED) == corrected_difference(e.counts, name)
        assert batch_differences(e, name, CORRECTED) == [corrected_difference(FOLLOWS_CHAMPION, name)] * 2


def test_with_every_label_there_is_nothing_to_correct_and_the_process_is_exact() -> None:
    whole = PairedCounts((900, 5, 5, 30, 20, 60, 6, 120))
    plain, found = (
        measure(evidence(*[whole] * 3), p, rng=np.random.default_rng(1))
        for p in (Policy(guardrails={}, n_resamples=1000), CORRECTED)
    )
    assert found == plain
