"""Watching the champion: each measure as a share of its own rows, the levels, and what cannot be watched."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import polars as pl
import pytest
from analysis_examples import FIRST_DAY, contender

from analysis.evidence import BatchTally
from analysis.policy import Policy
from analysis.tables.counts import Confusion, Undefined
from analysis.tables.metrics import metric
from analysis.verdict.watch import FALSE_ALARMS, watch

USUAL = Confusion(tp=60, fp=10, fn=40, tn=190)
FALLEN = Confusion(tp=20, fp=10, fn=80, tn=190)
COSTS: Mapping[str, float] = {"fp": 1.0, "fn": 5.0, "tp": -1.0}


def reign(*weeks: Confusion) -> list[BatchTally]:
    """Batches in which version 1 decided like this, and version 2 never flagged; some rows are left out, some have no label."""
    found = []
    for number, c in enumerate(weeks):
        counted = [(1, 1, c.tp), (0, 1, c.fp), (1, 0, c.fn), (0, 0, c.tn), (None, 1, 7)]
        rows = [(None, label, mine, 0, n) for label, mine, n in counted] + [("unknown id", 1, 1, 0, 50)]
        frame = pl.DataFrame(
            rows,
            schema={"excluded": pl.String, "label": pl.Int8, "v1": pl.Int8, "v2": pl.Int8, "n": pl.Int64},
            orient="row",
        )
        day = FIRST_DAY + timedelta(weeks=number)
        found.append(BatchTally(str(day), day, frame, {v: contender(v) for v in ("1", "2")}))
    return found


def policy(**settings: Any) -> Policy:
    return Policy(**{"guardrails": {}, **settings})


@pytest.mark.parametrize("measure", ["recall", "specificity", "precision", "npv", "accuracy"])
def test_a_share_is_what_the_metric_is(measure: str) -> None:
    found = watch("1", reign(*[USUAL] * 12), policy(primary=measure))
    assert isinstance(found, list)
    (one,) = found
    assert one.first == pytest.approx(metric(measure, USUAL))
    assert one.then == pytest.approx(metric(measure, USUAL))
    assert one.level < one.first
    assert (one.alarmed, one.is_floor) == (None, False)


def test_a_fall_rings_with_its_first_batches() -> None:
    found = watch("1", reign(*[USUAL] * 12, *[FALLEN] * 3), policy())
    assert isinstance(found, list)
    (one,) = found
    assert one.since == FIRST_DAY + timedelta(weeks=12)
    assert one.alarmed == FIRST_DAY + timedelta(weeks=12)
    assert (one.first, one.then) == (pytest.approx(0.6), pytest.approx(0.2))


def test_cost_is_in_the_users_money_and_must_not_rise() -> None:
    costly = policy(primary="cost", costs=COSTS, floor={"cost": 0.9})
    per_row = (10 * 1.0 + 40 * 5.0 - 60) / 300
    found = watch("1", reign(*[USUAL] * 10), costly)
    assert isinstance(found, list)
    (one,) = found
    assert (one.level, one.then) == (pytest.approx(0.9), pytest.approx(per_row))
    assert one.alarmed is None
    fallen = watch("1", reign(*[USUAL] * 10, *[FALLEN] * 6), costly)
    assert isinstance(fallen, list)
    assert fallen[0].since == FIRST_DAY + timedelta(weeks=10)
    assert fallen[0].alarmed is not None
    assert fallen[0].alarmed >= fallen[0].since
    assert fallen[0].then == pytest.approx((10 + 400 - 20) / 300)


def test_a_floor_is_watched_from_the_first_batch_and_the_false_alarms_are_shared() -> None:
    found = watch("1", reign(FALLEN), policy(floor={"accuracy": 0.5, "recall": 0.5}))
    assert isinstance(found, list)
    assert [(w.measure, w.level, w.is_floor, w.alarmed) for w in found] == [
        ("accuracy", 0.5, True, None),
        ("recall", 0.5, True, FIRST_DAY),
    ]
    assert {w.threshold for w in found} == {-math.log(FALSE_ALARMS / 2)}


def test_what_cannot_be_watched_says_why() -> None:
    few = watch("1", reign(*[USUAL] * 8), policy())
    assert few == Undefined("fewer than 9 closed batches of its reign have labels for it")
    assert watch("1", [], policy()) == few
    assert watch("1", reign(USUAL), policy(primary="f1")) == Undefined(
        "f1 is no share of rows, and policy.floor names none"
    )
    selective = policy(unlabelled="begg_greenes")
    assert watch("1", reign(USUAL), selective) == Undefined("labels depend on the decisions of the models")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"floor": {"f1": 0.5}}, "floor covers recall, precision, specificity, npv, accuracy, cost for the task binary; remove f1"),
        ({"floor": {"recall": 1.2}}, "a floor must lie between 0 and 1, and recall is 1.2"),
        ({"floor": {"cost": 0.5}}, "cost is named, but there are no costs"),
        ({"floor": {"cost": 9}, "costs": COSTS}, "a row costs -1 to 5; the floor of cost must lie between, not at 9"),
        (
            {"floor": {"recall": 0.5}, "unlabelled": "begg_greenes"},
            "floor needs labels that do not depend on the decisions; remove it, or sampling and unlabelled",
        ),
        (
            {"task": "regression", "floor": {"squared_error": 1.0}},
            "floor covers no measure for the task regression; remove squared_error",
        ),
    ],
)  # fmt: skip
def test_a_floor_that_makes_no_sense_is_refused(settings: Mapping[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said.replace("(", r"\(")):
        Policy(**settings)


def test_a_policy_without_a_floor_is_recorded_as_before() -> None:
    assert "floor" not in policy().model_dump(mode="json")
