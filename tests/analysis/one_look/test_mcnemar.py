"""McNemar's test against tables, packages and enumeration."""

from __future__ import annotations

from math import comb
from typing import Any

import pytest
from analysis_examples import HUGE, OUTCOMES, PROPERTY, oracle
from hypothesis import given
from statsmodels.stats.contingency_tables import mcnemar as statsmodels_mcnemar

from analysis.one_look.mcnemar import Alternative, Method, mcnemar
from analysis.tables.counts import PairedOutcomes

CASES = oracle("mcnemar")["cases"] + [
    {"w": c["only_first"], "l": c["only_second"], **c["mcnemar"]} for c in oracle("paired_ci")
]
COLUMNS: list[tuple[str, Alternative, Method]] = [
    ("exact1", "greater", "exact"),
    ("midp1", "greater", "mid-p"),
    ("asym1", "greater", "asymptotic"),
    ("exact2", "two-sided", "exact"),
    ("midp2", "two-sided", "mid-p"),
    ("asym2", "two-sided", "asymptotic"),
    ("edwards2", "two-sided", "edwards"),
]


@pytest.mark.parametrize("case", CASES, ids=lambda c: f"w{c['w']}-l{c['l']}")
def test_every_method_against_the_oracle(case: dict[str, Any]) -> None:
    pairs = PairedOutcomes(case["w"], case["l"], 7)
    for column, alternative, method in COLUMNS:
        found = mcnemar(pairs, alternative=alternative, method=method)
        assert found.p_value == pytest.approx(case[column], rel=1e-8), column
        assert (found.wins, found.losses) == (case["w"], case["l"])


def test_published_p_values_of_the_airway_example() -> None:
    """Fagerland, Lydersen and Laake 2013: asymptotic .034, exact .070, mid-p .039."""
    pairs = PairedOutcomes(1, 7, 13)
    published: list[tuple[Method, float]] = [("asymptotic", 0.034), ("exact", 0.070), ("mid-p", 0.039)]
    for method, value in published:
        assert round(mcnemar(pairs, alternative="two-sided", method=method).p_value, 3) == value


@pytest.mark.parametrize(("w", "l"), [(0, 1), (5, 5), (3, 11), (16, 6), (53, 22), (1000, 900)])
def test_two_sided_exact_against_statsmodels(w: int, l: int) -> None:
    expected = statsmodels_mcnemar([[40, w], [l, 30]], exact=True).pvalue
    assert mcnemar(PairedOutcomes(w, l, 70), alternative="two-sided", method="exact").p_value == pytest.approx(expected)


@pytest.mark.parametrize(("w", "l"), [(5, 4), (16, 6), (53, 22)])
def test_two_sided_asymptotic_against_statsmodels_without_correction(w: int, l: int) -> None:
    expected = statsmodels_mcnemar([[40, w], [l, 30]], exact=False, correction=False).pvalue
    found = mcnemar(PairedOutcomes(w, l, 70), alternative="two-sided", method="asymptotic").p_value
    assert found == pytest.approx(expected)


def test_mid_p_and_exact_against_enumeration_of_all_outcomes() -> None:
    """Every table with 1 to 12 disagreements, from sums of binomial coefficients."""
    for d in range(1, 13):
        pmf = [comb(d, k) / 2**d for k in range(d + 1)]
        for w in range(d + 1):
            pairs = PairedOutcomes(w, d - w, 0)
            above = sum(pmf[w + 1 :])
            two_sided = sum(p for k, p in enumerate(pmf) if abs(2 * k - d) > abs(2 * w - d))
            as_far = sum(p for k, p in enumerate(pmf) if abs(2 * k - d) == abs(2 * w - d))
            assert mcnemar(pairs).p_value == pytest.approx(above + pmf[w] / 2)
            assert mcnemar(pairs, method="exact").p_value == pytest.approx(above + pmf[w])
            assert mcnemar(pairs, alternative="two-sided").p_value == pytest.approx(two_sided + as_far / 2)
            exact = mcnemar(pairs, alternative="two-sided", method="exact").p_value
            assert exact == pytest.approx(two_sided + as_far)


def test_no_disagreement_is_no_evidence() -> None:
    """Packages report p = 0 here; nothing has been shown."""
    nothing = PairedOutcomes(0, 0, 500)
    assert mcnemar(nothing).p_value == 0.5
    assert mcnemar(nothing, method="exact").p_value == 1
    assert mcnemar(nothing, method="asymptotic").p_value == 0.5
    for method in ("mid-p", "exact", "asymptotic"):
        assert mcnemar(nothing, alternative="two-sided", method=method).p_value == 1


def test_the_default_is_the_one_sided_mid_p() -> None:
    pairs = PairedOutcomes(16, 6, 0)
    found = mcnemar(pairs)
    assert (found.alternative, found.method) == ("greater", "mid-p")
    assert found == mcnemar(pairs, alternative="greater", method="mid-p")


@PROPERTY
@given(OUTCOMES)
def test_one_sided_mid_p_of_the_swapped_pair_is_the_complement(pairs: PairedOutcomes) -> None:
    assert mcnemar(pairs).p_value + mcnemar(pairs.swap()).p_value == pytest.approx(1, abs=1e-7)


@PROPERTY
@given(OUTCOMES)
def test_p_values_are_shares_and_two_sided_ones_do_not_know_who_is_who(pairs: PairedOutcomes) -> None:
    for _, alternative, method in COLUMNS:
        p = mcnemar(pairs, alternative=alternative, method=method).p_value
        assert -1e-200 <= p <= 1 + 1e-12
        if alternative == "two-sided":
            assert p == mcnemar(pairs.swap(), alternative=alternative, method=method).p_value


def test_at_a_billion_disagreements_the_methods_agree() -> None:
    pairs = PairedOutcomes(HUGE // 2 + 30_000, HUGE // 2 - 30_000, 0)
    asymptotic = mcnemar(pairs, method="asymptotic").p_value
    assert mcnemar(pairs).p_value == pytest.approx(asymptotic, rel=1e-3)
    assert mcnemar(pairs, method="exact").p_value == pytest.approx(asymptotic, rel=1e-3)


def test_edwards_is_two_sided_only() -> None:
    with pytest.raises(ValueError, match="Edwards' test is two-sided"):
        mcnemar(PairedOutcomes(5, 3, 10), method="edwards")


def test_edwards_is_clamped_where_other_packages_are_not() -> None:
    """Five against five is no evidence, and neither is nothing at all."""
    for pairs in (PairedOutcomes(5, 5, 10), PairedOutcomes(0, 0, 10), PairedOutcomes(4, 5, 0)):
        assert mcnemar(pairs, alternative="two-sided", method="edwards").p_value == 1.0
