"""A season of classes or of numbers, played again under other rules."""

from __future__ import annotations

import functools
from datetime import date

import numpy as np
import polars as pl
import pytest
from analysis_examples import contender, tally_frame
from class_examples import simulated
from scipy import stats
from season_examples import MATURITY, VERSIONS, day, replay
from task_examples import class_evidence, loss_evidence, numbers, summed

from analysis.evidence import BatchTally
from analysis.evidence.score_tally import score_tally
from analysis.one_look.mcnemar import mcnemar
from analysis.policy import Policy
from analysis.seasons.season import (
    NAIVE_RULES,
    Replay,
    Switch,
    loss_rule,
    naive_rules,
)
from analysis.tables.counts import Undefined


def test_the_rules_of_classes_look_at_accuracy() -> None:
    rules = naive_rules(Policy(task="multiclass"))
    assert list(rules) == [name.replace("recall", "accuracy") for name in NAIVE_RULES]
    better = simulated(np.random.default_rng(1), 2000, gain=0.06)
    pairs = better.outcomes()
    said = [rule(class_evidence(better)) for rule in rules.values()]
    assert said[0] is not None
    assert said[0].startswith("accuracy 0.")
    assert said[1] == f"McNemar p = {mcnemar(pairs).p_value:.2g}"
    assert said[2] is not None
    assert [rule(class_evidence(better.swap())) for rule in rules.values()] == [None] * 3


def test_the_rules_of_numbers_look_at_the_primary_loss() -> None:
    y, c, h = numbers(np.random.default_rng(1), 2000, challenger=0.8)
    rules = naive_rules(Policy(task="regression", primary="absolute_error"))
    assert list(rules) == ["absolute_error < absolute_error_live", "paired t p < 0.05 each week"]
    student = stats.ttest_rel(np.abs(c - y), np.abs(h - y), alternative="greater").pvalue
    assert [rule(loss_evidence((y, c, h))) for rule in rules.values()] == [
        f"absolute_error {np.abs(h - y).mean():.5g} < {np.abs(c - y).mean():.5g}",
        f"paired t p = {student:.2g}",
    ]
    assert [rule(loss_evidence((y, h, c))) for rule in rules.values()] == [None, None]
    assert [rule(loss_evidence()) for rule in rules.values()] == [None, None]
    assert [rule(loss_evidence((y, c, c))) for rule in rules.values()] == [None, None]


def test_of_several_proven_the_one_with_the_lowest_squared_error_leads() -> None:
    rng, y = np.random.default_rng(2), np.linspace(0, 10, 400)
    given = {"1": y + rng.normal(0, 1, 400), "2": y + rng.normal(0, 0.4, 400), "3": y + rng.normal(0, 0.7, 400)}
    joined = pl.DataFrame({"label": y, **{f"s{v}": p for v, p in given.items()}})
    sums = score_tally(lambda: [joined.with_columns(excluded=pl.lit(None, dtype=pl.String))], Policy(task="regression"))
    scored = {v: contender(v) for v in VERSIONS}
    closed = [BatchTally("b", day(0), tally_frame({(1, 1, 1, 1): 400}, VERSIONS), scored, sums)]
    rule = functools.partial(loss_rule, name="squared_error")
    for versions in (VERSIONS, VERSIONS[::-1]):
        assert [s.after for s in replay(closed, Policy(task="regression")).switches(versions, rule, first="1")] == ["2"]


def test_the_rules_of_0_and_1_are_the_naive_ones() -> None:
    assert naive_rules(Policy()) == NAIVE_RULES


def test_what_was_served_is_right_or_wrong_by_class() -> None:
    """Version 1 serves the first batch, version 2 the second."""
    weeks = [[("a", "a", "b", 6), ("b", "a", "b", 3)], [("a", "b", "a", 4), ("b", "b", "a", 1), ("c", "a", "c", 2)]]
    closed = [tally_of_classes(day(7 * i), cells) for i, cells in enumerate(weeks)]
    switch = Switch(day(5), "1", "2", "")
    found = replay(closed, Policy(task="multiclass", guardrails={})).outcome([switch], first="1")
    assert found.served["accuracy"] == pytest.approx((6 + 4 + 2) / 16)
    assert found.served["macro_recall"] == pytest.approx((10 / 10 + 0 / 4 + 2 / 2) / 3)
    assert found.not_better == 0, "6 right of 7 against 1"


def tally_of_classes(date_: date, cells: list[tuple[str, str, str, int]]) -> BatchTally:
    frame = pl.DataFrame(cells, schema=["label", "v1", "v2", "n"], orient="row")
    frame = frame.with_columns(excluded=pl.lit(None, dtype=pl.String))
    return BatchTally(date_.isoformat(), date_, frame, {v: contender(v) for v in ("1", "2")})


def test_the_loss_that_was_served_is_that_of_whoever_led_over_all_rows() -> None:
    rng = np.random.default_rng(2)
    weeks = [numbers(rng, n, challenger=0.5) for n in (100, 300)]
    scored = {v: contender(v) for v in ("1", "2")}
    closed = [
        BatchTally(d.isoformat(), d, tally_frame({(1, 1, 1): len(y)}), scored, summed(y, c, h))
        for d, (y, c, h) in zip((day(0), day(7)), weeks, strict=True)
    ]  # fmt: skip
    policy = Policy(task="regression")
    found = replay(closed, policy).outcome([Switch(day(5), "1", "2", "")], first="1")
    errors = np.concatenate([weeks[0][1] - weeks[0][0], weeks[1][2] - weeks[1][0]])
    assert found.served["squared_error"] == pytest.approx(np.mean(errors**2))
    assert found.served["absolute_error"] == pytest.approx(np.mean(np.abs(errors)))
    assert found.not_better == 0
    nothing = replay([], policy).outcome([], first="1").served
    assert nothing["squared_error"] == Undefined("no labelled row with a prediction")


def test_losses_that_were_clipped_elsewhere_are_not_averaged_with_the_others() -> None:
    rng = np.random.default_rng(2)
    scored = {v: contender(v) for v in ("1", "2")}
    clipped, weeks = Policy(task="regression", largest_error=1), [numbers(rng, n) for n in (100, 300)]
    closed = [
        BatchTally(str(d), d, tally_frame({(1, 1, 1): len(y)}), scored, summed(y, c, h, policy=p))
        for d, (y, c, h), p in zip((day(0), day(7)), weeks, (Policy(task="regression"), clipped), strict=True)
    ]
    for clip, (y, c, _) in zip((None, 1), weeks, strict=True):
        played = Replay(closed, [day(30)], MATURITY, Policy(task="regression", largest_error=clip)).outcome(
            [], first="1"
        )
        each = np.abs(c - y) if clip is None else np.minimum(np.abs(c - y), 1)
        assert played.served["absolute_error"] == pytest.approx(each.mean())
