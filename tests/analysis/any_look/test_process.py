"""Evidence processes: each behind one face, and each with its error rate under repeated looks."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import timedelta

import numpy as np
import pytest
from analysis_examples import FIRST_DAY, MODEST_COUNTS, SLOW_PROPERTY, contender, evidence
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from analysis.any_look.batch_unit import (
    log_e_batch_unit,
    log_e_symmetric,
    overdispersion,
    overdispersion_of_differences,
    scale_free,
)
from analysis.any_look.process import (
    AsymptoticProcess,
    BatchProcess,
    CostProcess,
    OutcomeProcess,
    PrecisionProcess,
    Process,
)
from analysis.evidence import Evidence, PairedBatch
from analysis.evidence.gains import batch_differences, total_difference
from analysis.kinds import BINARY
from analysis.kinds.score_sums import ScoreSums
from analysis.policy import Costs, Policy
from analysis.tables.counts import PairedCounts, PairedOutcomes, Undefined
from analysis.tables.metrics import Difference
from analysis.verdict.guardrails import guardrail, segment_guardrails
from analysis.verdict.process_choice import process
from analysis.verdict.proof import Proof

COSTS = Costs(fp=1, fn=4)
ROWS = PairedCounts((1800, 40, 30, 130, 40, 60, 35, 150))
SCORES: tuple[str, ...] = ("brier", "log_loss", "auc", "average_precision")


def scored(*batches: PairedCounts, gains: tuple[float, ...] = (0.01, 0.02, 0.015, 0.01)) -> Evidence:
    """Evidence with score sums beside the counts; the challenger is better by ``gains`` in each."""
    parts = tuple(
        PairedBatch(
            f"b{i}", FIRST_DAY + timedelta(weeks=i), counts, {},
            {m: ScoreSums(counts.n, 0.5, 0.5 + BINARY.measures[m].sign * gains[i % 4], 1e-4) for m in SCORES},
        )
        for i, counts in enumerate(batches)
    )  # fmt: skip
    return Evidence(contender("1"), contender("2"), parts)


def policy_for(name: str, **changes: object) -> Policy:
    return Policy.model_validate({"primary": name, "guardrails": {}, "costs": COSTS} | changes)


@pytest.mark.parametrize(
    ("name", "kind", "method"),
    [
        ("recall", OutcomeProcess, "rows"),
        ("specificity", OutcomeProcess, "rows"),
        ("accuracy", OutcomeProcess, "rows"),
        ("precision", PrecisionProcess, "precision"),
        ("npv", PrecisionProcess, "precision"),
        ("cost", CostProcess, "cost"),
        ("f1", AsymptoticProcess, "asymptotic"),
        ("mcc", AsymptoticProcess, "asymptotic"),
        ("balanced_accuracy", AsymptoticProcess, "asymptotic"),
        ("brier", AsymptoticProcess, "asymptotic"),
        ("log_loss", AsymptoticProcess, "asymptotic"),
        ("auc", BatchProcess, "batches"),
        ("average_precision", BatchProcess, "batches"),
    ],
)
def test_every_measure_has_its_process(name: str, kind: type, method: str) -> None:
    found = process(scored(*[ROWS] * 5), name, policy_for(name))
    assert isinstance(found, kind)
    assert isinstance(found, OutcomeProcess | PrecisionProcess | CostProcess | AsymptoticProcess | BatchProcess)
    assert found.method == method


def test_every_measure_of_a_binary_task_is_covered_by_that_table() -> None:
    marks = test_every_measure_has_its_process.pytestmark[0].args[1]  # type: ignore[attr-defined]
    assert {row[0] for row in marks} == set(BINARY.deciding())


@pytest.mark.parametrize("name", BINARY.deciding())
@pytest.mark.parametrize("unit", ["row", "batch"])
def test_the_lower_limit_is_above_a_gain_exactly_when_e_against_it_reaches_one_over_alpha(name: str, unit: str) -> None:
    good = PairedCounts((1800, 30, 40, 130, 40, 75, 15, 150))
    policy = policy_for(name, unit=unit)
    found = process(scored(*[good, ROWS] * 8), name, policy)
    assert not isinstance(found, Undefined)
    interval = found.interval(0.05)
    assert interval.low < interval.high
    step = 1e-4 * max(interval.high - interval.low, 1e-6)
    assert found.log_e(interval.low - step) >= math.log(20) > found.log_e(interval.low + step)
    assert found.log_e_reverse(interval.high + step) >= math.log(20) > found.log_e_reverse(interval.high - step)


@pytest.mark.parametrize("name", BINARY.deciding())
@pytest.mark.parametrize("unit", ["row", "batch"])
def test_swapping_the_models_gives_the_reverse(name: str, unit: str) -> None:
    policy = policy_for(name, unit=unit)
    forward = process(scored(ROWS, ROWS, ROWS), name, policy)
    backward = process(_swapped(scored(ROWS, ROWS, ROWS)), name, policy)
    assert not isinstance(forward, Undefined)
    assert not isinstance(backward, Undefined)
    for gain in (-0.02, 0.0, 0.01):
        assert backward.log_e(-gain) == pytest.approx(forward.log_e_reverse(gain), abs=1e-6)


def _swapped(e: Evidence) -> Evidence:
    parts = tuple(
        PairedBatch(b.batch, b.date, b.counts.swap(), {}, {m: s.swap() for m, s in b.scores.items()}) for b in e.batches
    )
    return Evidence(e.champion, e.challenger, parts)


@SLOW_PROPERTY
@given(st.lists(MODEST_COUNTS, max_size=4), st.sampled_from(BINARY.deciding()), st.sampled_from(["row", "batch"]))
def test_forward_and_reverse_never_both_prove_something(tables: list[PairedCounts], name: str, unit: str) -> None:
    found = process(scored(*tables), name, policy_for(name, unit=unit))
    if isinstance(found, Undefined):
        assert found.reason
        return
    for gain in (-0.01, 0.0, 0.01):
        forward, reverse = found.log_e(gain), found.log_e_reverse(gain)
        assert not math.isnan(forward + reverse)
        assert min(forward, reverse) < math.log(20)


def test_an_asymptotic_statement_needs_twenty_disagreements() -> None:
    few = PairedCounts((180, 4, 3, 13, 4, 6, 6, 15))
    assert few.outcomes("accuracy").discordant == 19
    found = process(evidence(few), "f1", policy_for("f1"))
    assert isinstance(found, Undefined)
    assert "20 disagreements" in found.reason
    more = few + PairedCounts((0, 1, 0, 0, 0, 0, 0, 0))
    assert isinstance(process(evidence(more), "f1", policy_for("f1")), AsymptoticProcess)


def test_the_gain_in_a_loss_is_how_much_lower_it_is() -> None:
    e = scored(*[ROWS] * 4, gains=(0.01,) * 4)
    for name in ("brier", "log_loss"):
        found = process(e, name, policy_for(name))
        assert isinstance(found, AsymptoticProcess)
        assert found.gain == pytest.approx(0.01)
    cheaper = PairedCounts((1800, 10, 40, 130, 40, 75, 15, 150))
    saving = process(evidence(cheaper), "cost", policy_for("cost"))
    assert isinstance(saving, CostProcess)
    assert saving.interval(0.05).low > 0
    total = total_difference(evidence(cheaper), "cost", policy_for("cost"))
    assert isinstance(total, Difference)
    assert total.value < 0


def _rejections(
    draw: Callable[[np.random.Generator], list[PairedCounts]], name: str, runs: int, **policy: object
) -> int:
    """In how many of ``runs`` the process against "no gain" reaches 20 at some batch."""
    rng = np.random.default_rng(20260105)
    setting = policy_for(name, **policy)
    hits = 0
    for _ in range(runs):
        batches = draw(rng)
        for last in range(4, len(batches) + 1):
            found = process(evidence(*batches[:last]), name, setting)
            if not isinstance(found, Undefined) and found.log_e(0.0) >= math.log(20):
                hits += 1
                break
    return hits


def _equal(rng: np.random.Generator) -> list[PairedCounts]:
    """26 batches of two models with the same rates of everything."""
    negatives = rng.multinomial(900, [0.93, 0.015, 0.015, 0.04], size=26)
    positives = rng.multinomial(100, [0.3, 0.1, 0.1, 0.5], size=26)
    return [PairedCounts((*map(int, n), *map(int, p))) for n, p in zip(negatives, positives, strict=True)]


@pytest.mark.parametrize("name", ["f1", "mcc", "balanced_accuracy", "cost"])
def test_equal_models_looked_at_after_every_batch_are_rarely_told_apart(name: str) -> None:
    runs = 150
    hits = _rejections(_equal, name, runs)
    assert hits <= stats.binom.ppf(0.999, runs, 0.05)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["recall", "f1"])
def test_batches_as_units_survive_a_shock_that_a_whole_batch_shares(name: str) -> None:
    def shocked(rng: np.random.Generator) -> list[PairedCounts]:
        share = np.clip(rng.normal(0.5, 0.1, size=26), 0, 1)
        wins = rng.binomial(60, share)
        return [PairedCounts((900, 10, 10, 40, 30, int(w), 60 - int(w), 50)) for w in wins]

    runs = 150
    by_rows, by_batches = _rejections(shocked, "recall", runs), _rejections(shocked, name, runs, unit="batch")
    assert by_batches <= stats.binom.ppf(0.999, runs, 0.05)
    assert by_rows > stats.binom.ppf(0.999, runs, 0.05)


def test_a_guardrail_whose_difference_swings_between_batches_needs_their_proof_too() -> None:
    calm = [PairedCounts((9000, 50, 50, 300, 200, 60, 60, 2000))] * 6
    wild = [PairedCounts((9000, 50, 50, 300, 200, w, 120 - w, 2000)) for w in (110, 10, 115, 5, 110, 20)]
    policy = policy_for("accuracy")
    steady, swinging = (
        guardrail(evidence(*calm), "recall", 0.02, policy),
        guardrail(evidence(*wild), "recall", 0.02, policy),
    )
    assert (steady.status, steady.log_e_batch_unit) == ("held", None)
    assert swinging.log_e > math.log(20)
    assert swinging.log_e_batch_unit is not None
    assert swinging.log_e_batch_unit < math.log(20)
    assert swinging.status == "open"
    strict = guardrail(evidence(*wild), "recall", 0.02, policy_for("accuracy", unit="batch"))
    assert (strict.status, strict.log_e) == ("open", swinging.log_e_batch_unit)


def test_unevenness_is_tested_in_every_kind_of_measure() -> None:
    wild = [PairedCounts((9000, 50, 50, 300, 200, w, 120 - w, 2000)) for w in (110, 10, 115, 5, 110, 20)]
    for name in ("recall", "f1", "balanced_accuracy"):
        found = Proof(evidence(*wild), name, policy_for(name)).overdispersion
        assert not isinstance(found, Undefined)
        assert found.p_value < 1e-6
        by_outcomes, by_differences = (
            overdispersion([b.outcomes("recall") for b in wild]),
            overdispersion_of_differences(batch_differences(evidence(*wild), name, policy_for(name))),
        )
        assert found == (by_outcomes if name == "recall" else by_differences)


def test_segment_guardrails_are_holms_over_the_segments() -> None:
    north, south = PairedCounts((900, 9, 9, 30, 20, 6, 6, 400)), PairedCounts((900, 9, 9, 30, 20, 0, 140, 400))
    parts = PairedBatch("b", FIRST_DAY, north + south, {("region", "north"): north, ("region", "south"): south})
    found = segment_guardrails(
        Evidence(contender("1"), contender("2"), (parts,)), Policy(segment_guardrails={"recall": 0.1})
    )
    assert [(g.value, g.status) for g in found] == [("north", "held"), ("south", "broken")]
    alone = math.exp(-OutcomeProcess(north.outcomes("recall"), 3.0).log_e(-0.1))
    assert found[0].p_value == pytest.approx(min(2 * alone, 1))


def test_segment_guardrails_take_batches_as_units_where_the_policy_does() -> None:
    """Four batches prove nothing, however many rows they have, and twenty do."""
    north = PairedCounts((900, 9, 9, 30, 20, 60, 60, 4000))
    for batches, status in ((4, "open"), (20, "held")):
        e = evidence(*[north] * batches, segment="north")
        policy = policy_for("accuracy", unit="batch", segment_guardrails={"recall": 0.05})
        (found,) = segment_guardrails(e, policy)
        assert found.status == status
        by_batch = log_e_batch_unit([north.outcomes("recall")] * batches, null_gain=-0.05)
        assert found.p_value == pytest.approx(math.exp(-by_batch))
        assert found.p_value_reverse == 1


def test_labels_corrected_for_selection_are_judged_on_the_corrected_difference() -> None:
    """All of the champion's flags are labelled and half of the challenger's own: the true recalls are equal."""
    seen = PairedCounts((1600, 40, 80, 100, 80, 20, 40, 300), (200, 60, 0, 0))
    e = evidence(seen)
    plain, corrected = (process(e, "recall", policy_for("recall", unlabelled=u)) for u in ("refuse", "begg_greenes"))
    assert isinstance(plain, OutcomeProcess)
    assert isinstance(corrected, AsymptoticProcess)
    assert corrected.gain == pytest.approx(0.0, abs=1e-9)


def test_assuming_the_worst_gives_every_unlabelled_disagreement_to_the_champion() -> None:
    seen = PairedCounts((1600, 40, 80, 100, 80, 20, 40, 300), (200, 60, 7, 5))
    worst = evidence(seen).assuming_the_worst().counts
    assert worst.labelled == (1600, 100, 80, 100, 80, 20, 47, 300)


def test_no_measure_differs_by_more_than_its_span() -> None:
    best = PairedCounts((0, 0, 50, 0, 0, 50, 0, 0))
    for name in BINARY.deciding():
        found = total_difference(evidence(best), name, policy_for(name))
        if isinstance(found, Difference):
            assert abs(found.value) <= BINARY.measures[name].largest_difference


def test_outcomes_without_a_batch_prove_nothing() -> None:
    empty = Evidence(contender("1"), contender("2"), ())
    for name in BINARY.deciding():
        found: Process | Undefined = process(empty, name, policy_for(name))
        if not isinstance(found, Undefined):
            assert found.log_e(0.0) <= 1e-9
    assert process(empty, "recall", policy_for("recall")) == OutcomeProcess(PairedOutcomes(0, 0, 0), 3.0)


def test_numbers_of_batches_are_made_free_of_their_scale() -> None:
    rng = np.random.default_rng(2)
    x = rng.normal(0.6, 1, size=(300, 40))
    small, large = scale_free(x), scale_free(50 * x)
    assert np.abs(small).max() <= 1.5
    assert small[:, 0] == pytest.approx(np.clip(x[:, 0], -1.5, 1.5))
    found = [log_e_symmetric(f.sum(axis=1), (f**2).sum(axis=1)).mean() for f in (small, large)]
    assert found[1] == pytest.approx(found[0], abs=0.25)


def test_the_scale_of_a_batch_is_that_of_the_batches_before_it() -> None:
    x = np.array([2.0, 4.0, 1.0, 9.0])
    rms = [1.0, 2.0, math.sqrt(10), math.sqrt(7)]
    assert scale_free(x) == pytest.approx([min(v / max(s, 1.0), 1.5) for v, s in zip(x, rms, strict=True)])
    assert scale_free(-x) == pytest.approx(-scale_free(x))
    assert scale_free(np.zeros(0)).shape == (0,)


@pytest.mark.parametrize("name", BINARY.deciding())
def test_an_interval_at_alpha_on_each_side_says_so(name: str) -> None:
    found = process(scored(*[ROWS] * 5), name, policy_for(name))
    assert not isinstance(found, Undefined)
    assert found.interval(0.02).confidence_level == pytest.approx(0.96)
