"""Classes and numbers through the whole judgement: right verdicts, checks that apply, and no number that is none."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from analysis_examples import SLOW_PROPERTY, contender
from class_examples import ANY_ROWS, FEW_ROWS, simulated
from hypothesis import example, given
from hypothesis import strategies as st
from scipy import stats
from task_examples import class_evidence, loss_evidence, numbers
from test_any_counts import numbers as floats_in

from analysis.any_look.process import OutcomeProcess
from analysis.evidence import Evidence
from analysis.kinds import KINDS
from analysis.one_look.by_class import by_class, marginal_tests
from analysis.one_look.class_bootstrap import class_bootstrap
from analysis.one_look.losses import PairedT
from analysis.policy import Policy
from analysis.seasons.season import naive_rules, policy_rule
from analysis.tables.class_counts import ClassCounts
from analysis.tables.counts import Undefined
from analysis.tables.record import canonical_json
from analysis.verdict.assess import measure
from analysis.verdict.guardrails import guardrail
from analysis.verdict.judge import Assessment, Verdict, judge
from analysis.verdict.trajectory import evidence_path

CLASSES = Policy(task="multiclass", n_resamples=1000)
NUMBERS = Policy(task="regression", guardrails={"absolute_error": 0.1}, n_resamples=1000)


def classes_of(gain: float, batches: int = 5, n: int = 800, seed: int = 1) -> list[ClassCounts]:
    rng = np.random.default_rng(seed)
    return [simulated(rng, n, gain=gain) for _ in range(batches)]


def assessed(evidence: Evidence, policy: Policy) -> Assessment:
    (found,) = judge([evidence], policy, seed=1).assessments
    return found


class TestClasses:
    def test_a_better_challenger_is_promoted_an_equal_one_waits_and_a_worse_one_retires(self) -> None:
        better, equal = classes_of(0.06), classes_of(0.0)
        assert assessed(class_evidence(*better), CLASSES).verdict is Verdict.PROMOTE
        assert assessed(class_evidence(*equal), CLASSES).verdict is Verdict.WAIT
        worse = assessed(class_evidence(*(c.swap() for c in better)), CLASSES)
        assert worse.verdict is Verdict.RETIRE
        assert any(reason.startswith("harm: accuracy is proven to be worse") for reason in worse.reasons)

    def test_accuracy_has_the_exact_process_of_rows_won_and_lost(self) -> None:
        batches = classes_of(0.06)
        found = assessed(class_evidence(*batches), CLASSES)
        total = sum(batches, ClassCounts())
        exact = OutcomeProcess(total.outcomes(), CLASSES.prior)
        assert (found.measured.method, found.measured.log_e) == ("rows", exact.log_e(0.0))
        assert found.measured.interval == exact.interval(CLASSES.alpha)
        assert (found.measured.classes, found.measured.marginals) == (by_class(total), marginal_tests(total))
        assert [c.name for c in found.checks] == [
            "batches", "disagreement", "evidence", "mcnemar", "bootstrap", "macro_recall",
        ]  # fmt: skip
        d, n = found.measured.pairs.discordant, total.n
        assert found.checks[1].finding == f"exactly one of the two was right on {d} of the {n} rows"

    @pytest.mark.parametrize("primary", ["macro_recall", "macro_precision", "macro_f1"])
    def test_an_average_over_classes_has_an_asymptotic_process_and_its_own_bootstrap(self, primary: str) -> None:
        policy = Policy(task="multiclass", primary=primary, n_resamples=1000)
        batches = classes_of(0.08)
        found = assessed(class_evidence(*batches), policy)
        assert (found.verdict, found.measured.method) == (Verdict.PROMOTE, "asymptotic")
        alone = class_bootstrap(
            sum(batches, ClassCounts()), tuple(KINDS["multiclass"].measures),
            rng=np.random.default_rng([1, 0]), confidence_level=0.9, n_resamples=1000,
        )  # fmt: skip
        assert found.measured.bootstrap[primary] == alone[primary]  # type: ignore[index]
        assert f"starts at {alone[primary].interval.low:.4f} " in {c.name: c.finding for c in found.checks}["bootstrap"]  # type: ignore[union-attr, index]
        assert [c.name for c in found.checks][:4] == ["batches", "disagreement", "evidence", "bootstrap"]

    def test_models_that_never_differ_are_never_promoted(self) -> None:
        same = ClassCounts.of(((y, c, c), n) for (y, c, _), n in classes_of(0.0)[0].labelled)
        found = assessed(class_evidence(*[same] * 6), Policy(task="multiclass", primary="macro_f1", guardrails={}))
        assert found.verdict is Verdict.WAIT
        assert found.reasons[0].startswith("exactly one of the two was right on 0 of the ")

    def test_labels_of_one_class_cannot_carry_a_judgement(self) -> None:
        one = ClassCounts.of([(("cat", "dog", "cat"), 90), (("cat", "cat", "dog"), 10)])
        found = assessed(class_evidence(*[one] * 4), CLASSES)
        said = "all 400 labels are of one class; what has closed stays so, and a cure counts from the next batches on"
        assert (found.verdict, found.reasons) == (
            Verdict.INVALID,
            (said,),
        )
        assert assessed(class_evidence(one), CLASSES).verdict is Verdict.WAIT

    def test_the_champions_own_model_is_invalid_without_a_word_on_thresholds(self) -> None:
        evidence = class_evidence(*classes_of(0.06))
        twin = dataclasses.replace(evidence, challenger=contender("2", digest="digest-1"))
        assert assessed(twin, CLASSES).reasons == ("the challenger is the champion's own model",)


class TestNumbers:
    def batches(self, challenger: float, count: int = 5, n: int = 800) -> list[tuple[np.ndarray, ...]]:
        rng = np.random.default_rng(7)
        return [numbers(rng, n, challenger=challenger) for _ in range(count)]

    def test_a_better_challenger_is_promoted_an_equal_one_waits_and_a_worse_one_retires(self) -> None:
        verdicts = [assessed(loss_evidence(*self.batches(sd)), NUMBERS).verdict for sd in (0.7, 1.0, 1.4)]
        assert verdicts == [Verdict.PROMOTE, Verdict.WAIT, Verdict.RETIRE]

    def test_its_checks_are_those_that_apply_and_the_one_look_is_students(self) -> None:
        batches = self.batches(0.7)
        found = assessed(loss_evidence(*batches), NUMBERS)
        assert [c.name for c in found.checks] == ["batches", "evidence", "paired t", "absolute_error"]
        y, c, h = (np.concatenate(parts) for parts in zip(*batches, strict=True))
        student = stats.ttest_rel((c - y) ** 2, (h - y) ** 2, alternative="greater")
        ours = found.measured.losses["squared_error"]
        assert isinstance(ours, PairedT)
        assert (ours.statistic, ours.p_value) == pytest.approx((student.statistic, student.pvalue), rel=1e-9)
        low = student.confidence_interval(0.95).low
        assert ours.interval.low == pytest.approx(low, rel=1e-9)
        assert (
            found.checks[2].finding
            == f"by a paired t test the gain in squared_error is at least {low:.5g} (above 0 needed)"
        )

    def test_what_it_does_not_have_is_empty(self) -> None:
        m = assessed(loss_evidence(*self.batches(0.7)), NUMBERS).measured
        assert not any((m.bootstrap, m.mcnemar, m.segments, m.reversals, m.classes, m.marginals, m.homogeneity_p_value))
        assert list(m.metrics) == list(m.losses) == ["squared_error", "absolute_error"]
        assert m.labels.log_e == Undefined("no batch has rows with a label and rows without one")

    def test_losses_that_differ_by_one_amount_on_every_row_are_no_evidence(self) -> None:
        y = np.arange(50.0)
        found = assessed(loss_evidence(*[(y, y + 2.0, y + 1.0)] * 5), Policy(task="regression"))
        assert found.verdict is Verdict.WAIT
        assert "no spread to judge it by" in found.reasons[0]

    def test_few_rows_are_called_rows(self) -> None:
        y = np.arange(3.0)
        found = assessed(loss_evidence((y, y + y, y)), Policy(task="regression"))
        assert found.measured.method == Undefined("fewer than 20 labelled rows, too few for an asymptotic statement")

    def test_a_gain_of_less_than_what_matters_is_futile_and_said_in_the_scale_of_the_loss(self) -> None:
        scaled = [(1e4 * y, 1e4 * c, 1e4 * h) for y, c, h in self.batches(0.98, count=20, n=4000)]
        found = assessed(loss_evidence(*scaled), Policy(task="regression", min_gain=1e8))
        assert found.verdict is Verdict.RETIRE
        assert not found.measured.uneven
        assert found.reasons[0].startswith("futility: the gain in squared_error is proven to be at most ")
        assert "e+0" in found.reasons[0]


class TestLabelSelection:
    def test_labels_that_follow_the_champion_invalidate_a_judgement(self) -> None:
        batch = simulated(np.random.default_rng(3), 600, gain=0.06)
        half = [(key, n) for key, n in batch.labelled if key[1] == "k00"]
        silent = [((c, h), 5 * n) for (_, c, h), n in batch.labelled if c != "k00"]
        found = assessed(class_evidence(*[ClassCounts.of([*half, *batch.labelled], silent)] * 4), CLASSES)
        assert found.verdict is Verdict.INVALID
        assert "rows on which the two name different classes lack a label at different rates" in found.reasons[0]

    def test_numbers_are_compared_with_and_without_a_label(self) -> None:
        """Of equal models, rows on which the champion predicts much lack their label: what is left favours it."""
        rng, follows, random = np.random.default_rng(5), [], []
        for _ in range(14):
            y, c, h = numbers(rng, 400, challenger=1.0)
            for parts, gone in ((follows, c > np.quantile(c, 0.8)), (random, rng.random(400) < 0.2)):
                parts.append(([None if g else float(v) for v, g in zip(y, gone, strict=True)], c, h))
        invalid, fine = (assessed(loss_evidence(*parts), NUMBERS) for parts in (follows, random))
        assert invalid.verdict is Verdict.INVALID
        assert "rows on which the two predict different numbers lack a label" in invalid.reasons[0]
        assert fine.verdict is Verdict.WAIT


def assert_a_verdict_and_no_nan(e: Evidence, policy: Policy) -> None:
    found = assessed(e, policy)
    assert found.reasons
    assert canonical_json(found)
    measured = measure(e, policy, rng=np.random.default_rng(1))
    guardrails = [guardrail(e, name, 0.01, policy) for name in policy.kind.measures]
    assert not any(math.isnan(x) for x in floats_in([found, measured, guardrails, evidence_path([e], policy)]))
    for rule in (*naive_rules(policy).values(), policy_rule(policy)):
        reason = rule(e)
        assert reason is None or "nan" not in reason


@SLOW_PROPERTY
@given(
    st.lists(st.one_of(FEW_ROWS, ANY_ROWS), max_size=4),
    st.sampled_from(KINDS["multiclass"].deciding()),
    st.sampled_from(["row", "batch"]),
)
@example([], "macro_f1", "row")
def test_any_classes_get_a_verdict_and_no_number_that_is_none(
    tables: list[ClassCounts], primary: str, unit: str
) -> None:
    policy = Policy(task="multiclass", primary=primary, unit=unit, n_resamples=1000)  # type: ignore[arg-type]
    e = class_evidence(*(t for t in tables if t.n))
    assert_a_verdict_and_no_nan(e, policy)


FINITE = st.floats(-1e60, 1e60, width=64)
ROWS = st.lists(st.tuples(FINITE, FINITE, FINITE), min_size=1, max_size=40)


@SLOW_PROPERTY
@given(st.lists(ROWS, max_size=4), st.sampled_from(KINDS["regression"].deciding()), st.sampled_from(["row", "batch"]))
@example([], "absolute_error", "row")
@example([[(-1e60, 1e60, 1e60), (1e60, -1e60, 1e60)] * 20] * 4, "squared_error", "row")
@example([[(0.0, 0.0, 0.0)] * 40] * 4, "squared_error", "batch")
def test_any_numbers_get_a_verdict_and_no_number_that_is_none(
    batches: list[list[tuple[float, float, float]]], primary: str, unit: str
) -> None:
    policy = Policy(task="regression", primary=primary, unit=unit, n_resamples=1000)  # type: ignore[arg-type]
    e = loss_evidence(*(tuple(np.array(column) for column in zip(*rows, strict=True)) for rows in batches))
    assert_a_verdict_and_no_nan(e, policy)


def test_right_or_wrong_is_where_wins_and_losses_are() -> None:
    counts = simulated(np.random.default_rng(1), 300)
    assert counts.as_recorded().outcomes("accuracy") == counts.outcomes()
    assert math.isclose(counts.as_recorded().positives, counts.n)
