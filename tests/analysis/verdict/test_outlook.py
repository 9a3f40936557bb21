"""When the evidence may decide: each kind of evidence is continued by its own forecast, up to the threshold that is left."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from analysis_examples import evidence
from task_examples import loss_evidence, numbers

from analysis.any_look.asymptotic import rho_squared
from analysis.any_look.cost import CostMatrix, expected_cost
from analysis.any_look.forecast import Forecast, forecast, forecast_batches, forecast_estimate, forecast_losses
from analysis.kinds.score_sums import merge_losses
from analysis.one_look.missing_labels import corrected_difference
from analysis.policy import Costs, Horizon, Policy
from analysis.tables.counts import PairedCounts, Undefined
from analysis.tables.metrics import Difference, difference
from analysis.verdict.assess import measure
from analysis.verdict.outlook import outlook_of

FIRST = PairedCounts((1800, 40, 30, 130, 40, 30, 24, 150))
SECOND = PairedCounts((900, 20, 16, 70, 20, 16, 15, 80))
LOG_20, LESS = math.log(20), 0.7  # the family takes so much off the evidence
COSTS = Costs(fp=1, fn=4)


def policy(primary: str, **changes: object) -> Policy:
    return Policy.model_validate({"primary": primary, "guardrails": {}, "costs": COSTS} | changes)


def outlook(p: Policy, *batches: PairedCounts, less: float = LESS) -> Forecast | Undefined | None:
    e = evidence(*batches)
    m = measure(e, p, rng=np.random.default_rng(1))
    return outlook_of(e, m, m.log_e - less, p, np.random.default_rng(3))


@pytest.mark.parametrize("batches", [(FIRST,), (FIRST, SECOND)], ids=["one-batch", "two-batches"])
def test_wins_and_losses_are_continued_as_rows(batches: tuple[PairedCounts, ...]) -> None:
    pairs = sum(batches, PairedCounts()).outcomes("recall")
    expected = forecast(
        pairs, rows_per_batch=pairs.n / len(batches), null_gain=0.005, threshold=LOG_20 + LESS, prior=2.0,
        rng=np.random.default_rng(3),
    )  # fmt: skip
    assert isinstance(expected, Forecast)
    assert 0.02 < expected.probability < 0.98
    assert outlook(policy("recall", min_gain=0.005, prior=2.0), *batches) == expected


def test_batches_are_continued_as_units() -> None:
    parts = [c.outcomes("recall") for c in (FIRST, SECOND, FIRST)]
    x = np.array([(p.wins - p.losses - 0.005 * p.n) / math.sqrt(p.discordant) for p in parts])
    expected = forecast_batches(x, null_gain=0.005, threshold=LOG_20 + LESS, rng=np.random.default_rng(3))
    found = outlook(policy("recall", unit="batch", min_gain=0.005), FIRST, SECOND, FIRST)
    assert isinstance(expected, Forecast)
    assert isinstance(found, Forecast)
    assert 0.02 < expected.probability < 0.98
    assert found == expected


@pytest.mark.parametrize(("primary", "sign"), [("f1", 1), ("precision", 1), ("cost", -1)])
def test_what_is_no_count_of_wins_is_continued_as_an_estimate(primary: str, sign: int) -> None:
    total = FIRST + SECOND
    found = expected_cost(total, CostMatrix(fp=1, fn=4)) if primary == "cost" else difference(primary, total)  # type: ignore[arg-type]
    assert isinstance(found, Difference)
    rows = FIRST.n + SECOND.n
    expected = forecast_estimate(
        sign * found.value - 0.001, found.standard_error, rows=rows, rows_per_batch=rows / 2,
        rho2=rho_squared(0.1, rows / 2 * 13), threshold=LOG_20 + LESS, rng=np.random.default_rng(3),
    )  # fmt: skip
    assert 0 < expected.probability < 1
    assert outlook(policy(primary, min_gain=0.001), FIRST, SECOND) == expected


@pytest.mark.parametrize("primary", ["recall", "accuracy"])
def test_what_the_policy_assumes_of_missing_labels_goes_on(primary: str) -> None:
    unlabelled = [PairedCounts(c.labelled, (50, 1, 2, 300)) for c in (FIRST, SECOND, FIRST)]
    assumed = policy(primary, unlabelled="worst_case")
    as_told = policy(primary)
    worst = [b.counts for b in evidence(*unlabelled).assuming_the_worst().batches]
    found = outlook(assumed, *unlabelled)
    assert isinstance(found, Forecast)
    assert 0 < found.probability < 1
    assert found == outlook(as_told, *worst)
    assert found != outlook(as_told, *unlabelled)
    labelled = [PairedCounts(c.labelled) for c in unlabelled]
    for gain in (0.0, 0.002):
        told = policy(primary, min_gain=gain)
        assert outlook(told, *unlabelled) == outlook(told, *labelled), "nothing is assumed of them"


def test_what_is_corrected_is_continued_as_the_corrected_estimate() -> None:
    """Half of the challenger's own flags are labelled, and all of the champion's."""
    seen = PairedCounts((1600, 40, 80, 100, 80, 26, 40, 300), (200, 60, 0, 0))
    corrected = corrected_difference(seen + seen, "recall")
    assert isinstance(corrected, Difference)
    expected = forecast_estimate(
        corrected.value, corrected.standard_error, rows=2 * seen.n, rows_per_batch=seen.n,
        rho2=rho_squared(0.1, seen.n * 13), threshold=LOG_20 + LESS, rng=np.random.default_rng(3),
    )  # fmt: skip
    assert 0.02 < expected.probability < 0.98
    assert outlook(policy("recall", unlabelled="begg_greenes"), seen, seen) == expected


def test_clipped_losses_are_continued_by_their_own_process() -> None:
    """A clip far beyond the errors costs evidence, and the forecast knows it."""
    rng = np.random.default_rng(2)
    weeks = [numbers(rng, 400, champion=1.0, challenger=0.93) for _ in range(4)]
    chances = []
    for clip in (5, 30):
        p = Policy(task="regression", largest_error=clip, guardrails={})
        e = loss_evidence(*weeks, policy=p)
        m = measure(e, p, rng=np.random.default_rng(1))
        assert m.method == "losses"
        found = outlook_of(e, m, m.log_e, p, np.random.default_rng(3))
        assert isinstance(found, Forecast)
        chances.append(found.probability)
    assert chances[0] > 0.5
    assert chances[1] < 0.05
    (week,) = loss_evidence(weeks[0], policy=p).batches
    one = replace(e, batches=(week,))
    m = measure(one, p, rng=np.random.default_rng(1))
    expected = forecast_losses(
        merge_losses([week.scores["squared_error"]]), bound=900, rows_per_batch=400, null_gain=0.0,
        threshold=LOG_20 + LESS, rng=np.random.default_rng(3),
    )  # fmt: skip
    assert outlook_of(one, m, m.log_e - LESS, p, np.random.default_rng(3)) == expected
    nothing = loss_evidence(policy=p)
    m = measure(nothing, p, rng=np.random.default_rng(1))
    assert outlook_of(nothing, m, m.log_e, p, rng) == Undefined("no disagreement to extrapolate from")


def test_what_has_decided_or_is_planned_has_no_outlook() -> None:
    e, p = evidence(FIRST), policy("recall")
    m = measure(e, p, rng=np.random.default_rng(1))
    assert outlook_of(e, m, -math.log(p.alpha), p, np.random.default_rng(3)) is None
    assert outlook_of(e, m, -math.log(p.alpha) - 1e-9, p, np.random.default_rng(3)) is not None
    assert outlook(policy("recall", horizon=Horizon(disagreements=100, spending="pocock")), FIRST) is None


def test_where_there_is_nothing_to_extrapolate_from_the_reason_is_given() -> None:
    same = PairedCounts((1800, 0, 0, 130, 40, 0, 0, 150))
    few = outlook(policy("f1"), same)
    assert isinstance(few, Undefined)
    assert "fewer than 20 disagreements" in few.reason
    assert outlook(policy("precision"), same) == Undefined("no disagreement to extrapolate from")
    assert outlook(policy("recall")) == Undefined("no labelled row to extrapolate from")
