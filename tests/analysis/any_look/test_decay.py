"""The alarm on one model's level: against numerical integration and enumeration, and by simulation."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from analysis_examples import PROPERTY
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, stats
from statsmodels.stats.proportion import proportion_confint

from analysis.any_look.decay import FIRST_BATCHES, Share, alarm, lower_level

WEEK = 7
ENOUGH = -math.log(0.05)


def share(total: list[float], n: list[float], every: int = WEEK) -> Share:
    days = np.datetime64("2024-01-07") + every * np.arange(len(n))
    return Share(np.array(total, dtype=np.float64), np.array(n, dtype=np.float64), days)


@PROPERTY
@given(st.integers(0, 300), st.integers(0, 300), st.floats(0.05, 0.95))
def test_the_evidence_of_one_batch_is_the_integral_over_the_bets(good: int, bad: int, level: float) -> None:
    found = alarm(share([good], [good + bad]), level, begins=0, threshold=ENOUGH)
    assert found is not None

    def log_capital(u: float) -> float:
        return good * math.log1p(-u) + bad * math.log1p(u * level / (1 - level))

    best = bad / (good + bad) - (1 - level) if good + bad else 0.0
    mode = min(max(best / level, 1e-9), 1 - 1e-9)
    top = log_capital(mode)
    points = sorted({mode, *np.geomspace(1e-4, 0.5, 8)})
    mixture, _ = integrate.quad(lambda u: math.exp(log_capital(u) - top), 0, 1 - 1e-12, points=points, limit=300)
    weight = WEEK / 365
    expected = np.logaddexp(math.log(weight) + top + math.log(mixture), math.log1p(-weight))
    assert found.log_e == pytest.approx(expected, rel=1e-3, abs=5e-3)


@pytest.mark.parametrize(("p", "level"), [(0.5, 0.5), (0.7, 0.7), (0.8, 0.6), (0.55, 0.5)])
def test_e_is_at_most_one_on_average_over_all_outcomes(p: float, level: float) -> None:
    """Three batches of three: at the level itself the mean is 1 as long as nothing is divided, else it is not above."""
    total = 0.0
    for found in itertools.product(range(4), repeat=3):
        probability = math.prod(float(stats.binom.pmf(k, 3, p)) for k in found)
        after = alarm(share(list(found), [3, 3, 3]), level, begins=0, threshold=ENOUGH)
        assert after is not None
        total += probability * math.exp(after.log_e)
    assert total <= 1 + 1e-9
    assert total > 0.9


@PROPERTY
@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), min_size=1, max_size=70), st.floats(0.1, 0.9))
def test_fewer_found_is_never_less_evidence_against_a_floor(counts: list[tuple[int, int]], level: float) -> None:
    good, bad = ([float(c[i]) for c in counts] for i in (0, 1))
    n = [g + b for g, b in zip(good, bad, strict=True)]
    worse = [g if i < len(good) - 1 else 0.0 for i, g in enumerate(good)]
    before, after = (alarm(share(x, n), level, begins=0, threshold=ENOUGH) for x in (good, worse))
    assert before is not None
    assert after is not None
    assert after.log_e >= before.log_e - 1e-9


def test_batches_that_vary_as_chance_does_have_wilsons_limit() -> None:
    rng = np.random.default_rng(7)
    n = np.full(3000, 50.0)
    found = rng.binomial(50, 0.6, 3000).astype(np.float64)
    level = lower_level(share(list(found), list(n)))
    wilson, _ = proportion_confint(found.sum(), n.sum(), alpha=0.05, method="wilson")
    assert level == pytest.approx(wilson, abs=2e-4)


def test_batches_that_vary_more_have_a_lower_level_and_slow_the_alarm() -> None:
    even, uneven = [60.0] * 8, [40.0, 80.0] * 4
    after = [20.0] * 3
    levels = [lower_level(share(x, [100.0] * 8)) for x in (even, uneven)]
    assert levels[0] > 0.5 > levels[1] > 0
    alarms = [alarm(share(x + after, [100.0] * 11), 0.5, begins=8, threshold=ENOUGH) for x in (even, uneven)]
    assert [a is not None and a.reached for a in alarms] == [8, None]


def test_it_says_since_when_and_with_which_batch_it_was_told() -> None:
    before, fallen = [62.0, 58.0] * 15, [20.0] * 6
    found = alarm(share(before + fallen, [100.0] * 36), 0.5, begins=FIRST_BATCHES, threshold=ENOUGH)
    assert found is not None
    assert (found.since, found.reached) == (30, 30)
    assert found.log_e > ENOUGH


def test_a_year_later_another_year_begins() -> None:
    """What fell and was put right in the first year is no alarm of the second one."""
    total = [60.0] * 8 + [20.0] * 4 + [60.0] * 60
    n = [100.0] * len(total)
    within = alarm(share(total[:50], n[:50]), 0.5, begins=8, threshold=ENOUGH)
    later = alarm(share(total, n), 0.5, begins=8, threshold=ENOUGH)
    assert within is not None
    assert later is not None
    assert (within.reached, later.reached) == (8, None)


def test_daily_batches_and_yearly_gaps_have_weights_of_at_most_one() -> None:
    """With nothing found or missed E is the sum of all weights and of what is not used: 1."""
    for every in (0, 1, 7, 30, 364, 800):
        found = alarm(share([0.0] * 400, [0.0] * 400, every), 0.5, begins=0, threshold=ENOUGH)
        assert found is not None
        assert found.log_e == pytest.approx(0.0, abs=1e-9)


def test_nothing_is_told_before_it_begins() -> None:
    assert alarm(share([1.0] * 8, [2.0] * 8), 0.5, begins=8, threshold=ENOUGH) is None
    assert lower_level(share([], [])) == 0.0
    assert lower_level(share([3.0], [4.0])) < 0.1


@pytest.mark.slow
@pytest.mark.parametrize(("positives", "shock"), [(30, 0.0), (1000, 0.05)])
def test_false_alarms_are_rare_in_a_year_and_a_fall_is_told_in_weeks(positives: int, shock: float) -> None:
    rng = np.random.default_rng(11)
    false, told = 0, []
    for _ in range(100):
        for fall in (0.0, 0.3):
            true = np.full(60, 0.6) + rng.normal(0, shock, 60) if shock else np.full(60, 0.6)
            true[20:] -= fall
            n = rng.poisson(positives, 60)
            found = rng.binomial(n, np.clip(true, 0, 1))
            x = share(list(found), list(n))
            rang = alarm(x, lower_level(x.of(slice(8))), begins=8, threshold=ENOUGH)
            assert rang is not None
            if fall:
                told.append(60 if rang.reached is None else rang.reached - 20)
            else:
                false += rang.reached is not None
    assert stats.binomtest(false, 100, 0.05, alternative="greater").pvalue > 0.001
    assert np.median(told) <= 10
