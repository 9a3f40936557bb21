"""Single-look intervals and the non-inferiority test against published tables, and against what they are made of."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from analysis_examples import PROPERTY
from hypothesis import given
from hypothesis import strategies as st

from analysis.one_look.mcnemar import mcnemar
from analysis.tables.counts import PairedOutcomes, Undefined
from analysis.tables.intervals import Interval
from calibration.peers.paired_difference import IntervalMethod, NonInferiority, noninferiority, paired_difference

ORACLES = Path(__file__).resolve().parents[2] / "oracles"
CASES = json.loads((ORACLES / "paired_ci.json").read_text())
METHODS: dict[str, IntervalMethod] = {
    "wald": "wald",
    "agresti_min": "agresti-min",
    "bonett_price": "bonett-price",
    "tango": "tango",
}
OUTCOMES = st.builds(PairedOutcomes, *[st.sampled_from([0, 1, 2, 7, 60, 4000, 10**9])] * 3)


def first_against_second(case: dict[str, Any]) -> PairedOutcomes:
    return PairedOutcomes(case["only_first"], case["only_second"], case["n11"] + case["n00"])


def interval(pairs: PairedOutcomes, method: IntervalMethod, level: float = 0.95) -> Interval:
    found = paired_difference(pairs, method=method, confidence_level=level)
    assert isinstance(found, Interval)
    return found


@pytest.mark.parametrize("case", CASES, ids=lambda c: c["name"])
@pytest.mark.parametrize("key", METHODS)
def test_intervals_against_the_oracle(case: dict[str, Any], key: str) -> None:
    found = interval(first_against_second(case), METHODS[key], 1 - case["alpha"])
    assert (found.low, found.high) == pytest.approx(case["computed"][key], abs=1e-9)


@pytest.mark.parametrize("case", [c for c in CASES if {"wald", "tango"} & set(c["published"])], ids=lambda c: c["name"])
def test_intervals_against_the_printed_digits(case: dict[str, Any]) -> None:
    """DTComPair prints eight digits of an interval that it solves to six; the others print three."""
    for key in {"wald", "tango"} & set(case["published"]):
        found = interval(first_against_second(case), METHODS[key], 1 - case["alpha"])
        tolerance = 5e-4 if all(round(x, 3) == x for x in case["published"][key]) else 2e-6
        assert (found.low, found.high) == pytest.approx(case["published"][key], abs=tolerance)


@pytest.mark.parametrize("case", json.loads((ORACLES / "tango_ni.json").read_text()), ids=str)
def test_noninferiority_against_the_oracle(case: dict[str, Any]) -> None:
    pairs = PairedOutcomes(case["w"], case["l"], case["n"] - case["w"] - case["l"])
    found = noninferiority(pairs, margin=case["margin"])
    assert isinstance(found, NonInferiority)
    assert found.statistic == pytest.approx(case["z"], abs=1e-8)
    assert found.p_value == pytest.approx(case["p_one_sided"], abs=1e-8)


@PROPERTY
@given(OUTCOMES)
def test_noninferiority_at_no_margin_is_the_asymptotic_mcnemar_test(pairs: PairedOutcomes) -> None:
    found = noninferiority(pairs, margin=0.0)
    if pairs.n == 0:
        assert isinstance(found, Undefined)
    else:
        assert isinstance(found, NonInferiority)
        assert found.p_value == pytest.approx(mcnemar(pairs, method="asymptotic").p_value, abs=1e-12)


@PROPERTY
@given(OUTCOMES, st.sampled_from(list(METHODS.values())), st.sampled_from([0.5, 0.9, 0.999]))
def test_any_outcomes_give_a_proper_interval_and_swapping_the_models_negates_it(
    pairs: PairedOutcomes, method: IntervalMethod, level: float
) -> None:
    found = paired_difference(pairs, method=method, confidence_level=level)
    swapped = paired_difference(pairs.swap(), method=method, confidence_level=level)
    if pairs.n == 0:
        assert isinstance(found, Undefined)
        return
    assert isinstance(found, Interval)
    assert isinstance(swapped, Interval)
    assert math.isfinite(found.low)
    assert math.isfinite(found.high)
    assert found.low <= found.high
    assert (found.low, found.high) == pytest.approx((-swapped.high, -swapped.low), abs=1e-9)
    if method in {"bonett-price", "tango"}:
        assert found.low >= -1
        assert found.high <= 1


def test_tangos_interval_holds_what_its_score_test_does_not_reject() -> None:
    """Every margin inside the interval is not rejected at its level, every one outside is."""
    pairs = PairedOutcomes(9, 14, 177)
    low = interval(pairs, "tango", 0.9).low
    for margin in np.linspace(0.001, 0.2, 60):
        found = noninferiority(pairs, margin=float(margin))
        assert isinstance(found, NonInferiority)
        assert (found.p_value < 0.05) == (-margin < low)


@pytest.mark.parametrize(("n", "margin"), [(30, 0.01), (200, 0.05), (3, 0.3)])
def test_without_a_disagreement_tangos_statistic_has_a_closed_form(n: int, margin: float) -> None:
    """The constrained share of losses is the margin itself, so T = n d / sqrt(n d (1 - d))."""
    found = noninferiority(PairedOutcomes(0, 0, n), margin=margin)
    assert isinstance(found, NonInferiority)
    assert found.statistic == pytest.approx(math.sqrt(n * margin / (1 - margin)), rel=1e-12)


def test_a_margin_that_makes_no_sense_is_refused() -> None:
    with pytest.raises(ValueError, match=r"a margin lies in \[0, 1\), not -0.1"):
        noninferiority(PairedOutcomes(1, 1, 1), margin=-0.1)


@pytest.mark.parametrize("level", [0.0, 1.0, 1.5, math.nan])
@pytest.mark.parametrize("method", ["wald", "agresti-min", "bonett-price", "tango"])
def test_a_level_that_makes_no_sense_is_refused(method: Any, level: float) -> None:
    with pytest.raises(ValueError, match=r"a confidence level lies in \(0, 1\)"):
        paired_difference(PairedOutcomes(5, 2, 9), method=method, confidence_level=level)


def test_a_margin_of_everything_is_refused() -> None:
    with pytest.raises(ValueError, match="not 1"):
        noninferiority(PairedOutcomes(1, 1, 1), margin=1)
