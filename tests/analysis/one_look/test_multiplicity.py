"""The closure of the mean of e-values."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
from analysis_examples import PROPERTY, oracle
from hypothesis import given
from hypothesis import strategies as st
from scipy import special, stats

from analysis.any_look.eprocess import log_e_array
from analysis.one_look.multiplicity import e_closure

LOG_E = st.one_of(st.floats(-30, 30), st.sampled_from([0.0, -math.inf, 7e8]))


def brute_force(log_e: list[float]) -> list[float]:
    """The closed test: of every subset that holds j, the smallest mean."""
    members = range(len(log_e))
    subsets = [s for size in members for s in itertools.combinations(members, size + 1)]
    means = {s: float(special.logsumexp([log_e[i] for i in s])) - math.log(len(s)) for s in subsets}
    return [min(mean for s, mean in means.items() if j in s) for j in members]


@pytest.mark.parametrize("case", oracle("multiplicity")["e_closure"], ids=lambda c: str(c["e"][0]))
def test_e_closure_against_the_oracle(case: dict[str, Any]) -> None:
    adjusted = e_closure([math.log(e) for e in case["e"]])
    assert np.exp(adjusted).tolist() == pytest.approx(case["adjusted"], rel=1e-9)


@PROPERTY
@given(st.lists(LOG_E, min_size=1, max_size=6))
def test_e_closure_against_brute_force_over_all_subsets(log_e: list[float]) -> None:
    assert e_closure(log_e) == pytest.approx(brute_force(log_e), rel=1e-12, abs=1e-12)


@PROPERTY
@given(st.lists(LOG_E, max_size=12))
def test_e_closure_never_exceeds_e_keeps_its_order_and_dominates_bonferroni(log_e: list[float]) -> None:
    adjusted = e_closure(log_e)
    assert len(adjusted) == len(log_e)
    for before, after in zip(log_e, adjusted, strict=True):
        assert not math.isnan(after)
        assert after <= before
        assert after >= before - math.log(len(log_e)) - 1e-9 * abs(before) - 1e-9 or before == -math.inf
    order = sorted(range(len(log_e)), key=log_e.__getitem__)
    for low, high in itertools.pairwise(order):
        assert adjusted[low] <= adjusted[high] + 1e-9


def test_a_challenger_alone_is_not_adjusted() -> None:
    assert e_closure([2.5]) == [2.5]
    assert e_closure([]) == []


def test_twelve_challengers_of_which_one_is_overwhelming() -> None:
    adjusted = e_closure([50.0] + [-math.inf] * 11)
    assert adjusted[0] == pytest.approx(50 - math.log(12))
    assert adjusted[1:] == [-math.inf] * 11


def test_the_error_in_the_family_is_at_most_alpha_under_simulation() -> None:
    """Five equal challengers, 20 looks, 2000 seeded runs: any rejection at 20 in at most 5 % (99.9 % binomial bound)."""
    rng = np.random.default_rng(11)
    runs, k, looks = 2000, 5, 20
    wins = rng.binomial(10, 0.5, size=(runs, k, looks)).cumsum(axis=-1)
    log_e = log_e_array(wins, 10 * np.arange(1, looks + 1) - wins, 0)
    candidates = log_e.max(axis=1) >= math.log(20)  # adjusted e-values never exceed e: only these looks can reject
    rejected = {
        int(run)
        for run, look in np.argwhere(candidates)
        if max(e_closure(log_e[run, :, look].tolist())) >= math.log(20)
    }
    assert candidates.any(axis=1).mean() > 0.03
    assert stats.binomtest(len(rejected), runs).proportion_ci(0.998).low <= 0.05
    assert len(rejected) < candidates.any(axis=1).sum()
