"""Errors clipped at a declared size: bounded losses, whose evidence process is exact."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from analysis_examples import FIRST_DAY, contender, tally_frame
from scipy import stats
from task_examples import loss_evidence, numbers, summed

from analysis.any_look.bounded_losses import log_e_loss
from analysis.any_look.process import AsymptoticProcess, LossProcess
from analysis.evidence import ANOTHER_CLIP, BatchTally, gather
from analysis.kinds.score_sums import merge_losses, pair_sums
from analysis.one_look.losses import REGRESSION_LOSSES, PairedLosses, paired_losses
from analysis.policy import Policy
from analysis.tables.counts import Undefined
from analysis.tables.metrics import METRICS
from analysis.verdict.judge import Verdict, judge
from analysis.verdict.process_choice import process

CLIPPED = Policy(task="regression", largest_error=3, guardrails={})
LOSS = {"squared_error": lambda e: np.minimum(e * e, 9.0), "absolute_error": lambda e: np.minimum(np.abs(e), 3.0)}


@pytest.mark.parametrize("name", LOSS)
def test_the_process_is_that_of_the_clipped_losses_of_all_rows(name: str) -> None:
    rng = np.random.default_rng(1)
    weeks = [numbers(rng, n, champion=2, challenger=1.5) for n in (200, 300, 250)]
    found = process(loss_evidence(*weeks, policy=CLIPPED), name, CLIPPED)
    assert isinstance(found, LossProcess)
    assert found.bound == {"squared_error": 9, "absolute_error": 3}[name]
    y, c, h = (np.concatenate(p) for p in zip(*weeks, strict=True))
    rows = paired_losses(LOSS[name](c - y), LOSS[name](h - y))
    for gain in (-0.1, 0.0, 0.2):
        assert found.log_e(gain) == pytest.approx(log_e_loss(rows, bound=found.bound, null_gain=gain), rel=1e-9)
        assert found.log_e_reverse(gain) == pytest.approx(
            log_e_loss(rows.swap(), bound=found.bound, null_gain=-gain), rel=1e-9
        )
    interval = found.interval(0.05)
    assert interval.low < rows.gain < interval.high
    assert found.log_e(interval.low - 1e-6) > math.log(20) > found.log_e(interval.low + 1e-6)


def test_without_a_row_there_is_no_evidence_and_without_a_clip_an_asymptotic_process() -> None:
    nothing = process(loss_evidence(policy=CLIPPED), "squared_error", CLIPPED)
    assert isinstance(nothing, LossProcess)
    assert nothing.losses == PairedLosses()
    assert (nothing.log_e(0), nothing.log_e_reverse(0)) == pytest.approx((0, 0), abs=1e-12)
    week = numbers(np.random.default_rng(1), 100)
    free = Policy(task="regression", guardrails={})
    assert isinstance(process(loss_evidence(week), "squared_error", free), AsymptoticProcess)


def test_an_error_beyond_the_clip_counts_as_the_clip_and_the_sums_say_so() -> None:
    y = np.zeros(2)
    sums = pair_sums(summed(y, np.array([5.0, 1.0]), np.array([-7.0, 2.0]), policy=CLIPPED), "1", "2")
    assert (sums["squared_error"].champion, sums["squared_error"].challenger) == ((9 + 1) / 2, (9 + 4) / 2)
    assert (sums["absolute_error"].champion, sums["absolute_error"].challenger) == ((3 + 1) / 2, (3 + 2) / 2)
    assert {name: s.bound for name, s in sums.items()} == {"squared_error": 9, "absolute_error": 3}
    assert sums["squared_error"].swap().bound == 9
    free = pair_sums(summed(y, y, y), "1", "2")["squared_error"]
    assert free.bound is None


def test_the_largest_difference_of_a_batch_is_never_more_than_its_bound() -> None:
    """One row of 4 differs, by all that a row can: its deviation alone would allow more."""
    y = np.zeros(4)
    sums = pair_sums(summed(y, np.array([9.0, 0, 0, 0]), y, policy=CLIPPED), "1", "2")["squared_error"]
    assert merge_losses([sums]).largest == 9
    found = process(loss_evidence((y, np.array([9.0, 0, 0, 0]), y), policy=CLIPPED), "squared_error", CLIPPED)
    assert not isinstance(found, Undefined)
    assert found.log_e(0) > 0


def test_batches_that_were_clipped_elsewhere_or_not_at_all_count_for_nothing() -> None:
    rng, both = np.random.default_rng(3), {v: contender(v) for v in ("1", "2")}
    policies = [CLIPPED, Policy(task="regression", largest_error=4), Policy(task="regression")]
    tallies = []
    for i, policy in enumerate(policies):
        y, c, h = numbers(rng, 10 * (i + 1))
        day = FIRST_DAY + timedelta(weeks=i)
        frame = tally_frame({(1, 1, 1): len(y)})
        tallies.append(BatchTally(f"b{i}", day, frame, both, summed(y, c, h, policy=policy)))
    for i, clip in enumerate((3, 4, None)):
        found = gather(both["1"], both["2"], tallies, policy=Policy(task="regression", largest_error=clip))
        assert [b.batch for b in found.batches] == [f"b{i}"]
        assert found.excluded == {ANOTHER_CLIP: 60 - 10 * (i + 1)}


def test_a_challenger_that_is_far_worse_on_one_row_in_a_hundred_is_not_promoted_by_accident() -> None:
    """Before that row comes the asymptotic process has proof of the small gain of the others; the clipped one waits."""
    rng = np.random.default_rng(11)
    runs, rows, weeks = 100, 40, 12
    rare, gain = 0.01, 0.05  # on the others it errs by 1 instead of sqrt(1 + gain), on one in a hundred by 3
    assert rare * (9 - 1) > gain, "on average it is worse"
    promoted = {"clipped": 0, "free": 0}
    for _ in range(runs):
        parts = []
        for _ in range(weeks):
            champion = np.sqrt(1 + gain + rng.normal(0, 0.01, rows))
            challenger = np.where(rng.random(rows) < rare, 3.0, 1.0)
            parts.append((np.zeros(rows), champion, challenger))
        for kind, policy in (("clipped", CLIPPED), ("free", Policy(task="regression", guardrails={}))):
            hit, whole = False, loss_evidence(*parts, policy=policy)
            for seen in range(1, weeks + 1):
                found = process(replace(whole, batches=whole.batches[:seen]), "squared_error", policy)
                hit = hit or (not isinstance(found, Undefined) and found.log_e(0.0) >= math.log(20))
            promoted[kind] += hit
    assert promoted["clipped"] <= stats.binom.ppf(0.999, runs, 0.05)
    assert promoted["free"] > 3 * 0.05 * runs, "else the clip would not be needed"


def test_a_better_challenger_is_promoted_on_clipped_losses() -> None:
    rng = np.random.default_rng(5)
    weeks = [numbers(rng, 1500, champion=1.5, challenger=0.6) for _ in range(8)]
    (assessment,) = judge([loss_evidence(*weeks, policy=CLIPPED)], CLIPPED, seed=1).assessments
    assert assessment.verdict is Verdict.PROMOTE
    assert assessment.measured.method == "losses"


def test_a_clip_bounds_what_two_models_can_differ_by() -> None:
    assert REGRESSION_LOSSES["squared_error"].span(3) == 9
    assert REGRESSION_LOSSES["absolute_error"].span(3) == 3
    assert REGRESSION_LOSSES["squared_error"].span(None) == math.inf
    assert METRICS["recall"].span(3) == 1
