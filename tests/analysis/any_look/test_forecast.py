"""The forecast of when the evidence decides."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest
from analysis_examples import HUGE, OUTCOMES, SLOW_PROPERTY
from hypothesis import given
from hypothesis import strategies as st
from scipy import optimize, stats

from analysis.any_look.asymptotic import log_e_asymptotic
from analysis.any_look.batch_unit import log_e_cosh, log_e_symmetric
from analysis.any_look.bounded_losses import log_e_loss
from analysis.any_look.eprocess import log_e, log_e_array
from analysis.any_look.forecast import Forecast, forecast, forecast_batches, forecast_estimate, forecast_losses
from analysis.one_look.losses import PairedLosses, paired_losses
from analysis.tables.counts import PairedOutcomes, Undefined


def run(pairs: PairedOutcomes, *, seed: int = 1, **changes: Any) -> Forecast:
    options: dict[str, Any] = {"rows_per_batch": 100, "null_gain": 0.0, "threshold": math.log(20), "prior": 3.0}
    found = forecast(pairs, rng=np.random.default_rng(seed), **(options | changes))
    assert isinstance(found, Forecast)
    return found


def test_a_good_start_is_forecast_to_decide_soon() -> None:
    found = run(PairedOutcomes(30, 10, 360))
    assert found.batches_50 is not None
    assert found.batches_80 is not None
    assert 1 <= found.batches_50 <= found.batches_80 <= found.horizon == 26
    assert found.probability > 0.9


def test_a_record_of_losses_is_hopeless() -> None:
    found = run(PairedOutcomes(100, 300, 3600))
    assert (found.batches_50, found.batches_80) == (None, None)
    assert found.probability < 0.01


def test_a_tie_decides_rarely_but_not_never() -> None:
    """Even odds are never reached, yet some paths get lucky or find a real lead."""
    found = run(PairedOutcomes(20, 20, 360))
    assert found.batches_50 is None
    assert 0.02 < found.probability < 0.4


def test_what_is_proven_already_decides_with_the_next_batch() -> None:
    pairs = PairedOutcomes(200, 50, 750)
    assert log_e(pairs) > math.log(1e6)
    assert run(pairs) == Forecast(1, 1, 1.0, 26)


def test_more_is_sooner_and_a_stricter_test_later() -> None:
    """Monotone in wins, rows a batch, threshold and the gain asked for."""
    base = run(PairedOutcomes(18, 10, 372)).probability
    assert run(PairedOutcomes(24, 4, 372)).probability > base
    assert run(PairedOutcomes(18, 10, 372), rows_per_batch=1000).probability > base
    assert run(PairedOutcomes(18, 10, 372), threshold=math.log(1000)).probability < base
    assert run(PairedOutcomes(18, 10, 372), null_gain=0.02).probability < base
    assert run(PairedOutcomes(18, 10, 372), batches=4).probability < base


def test_a_longer_forecast_only_adds_batches() -> None:
    """Even odds within 10 batches are the same odds in any forecast that reaches that far, within Monte-Carlo error."""
    short, long = run(PairedOutcomes(24, 10, 366), batches=20), run(PairedOutcomes(24, 10, 366), batches=40)
    assert short.batches_50 is not None
    assert long.batches_50 is not None
    assert abs(short.batches_50 - long.batches_50) <= 1


@pytest.mark.parametrize(
    ("start", "rows", "batches", "gain", "paths"),
    [((12, 9, 200), 50, 30, 0.0, 8000), ((12, 9, 200), 50, 30, 0.005, 1500), ((1, 0, 1), 20, 3, 0.0, 8000)],
)
def test_the_probability_against_a_loop_batch_by_batch(
    start: tuple[int, int, int], rows: int, batches: int, gain: float, paths: int
) -> None:
    """A path that has once reached the threshold is decided, even if it falls back: within 4 standard errors."""
    w0, l0, n0 = start
    rng = np.random.default_rng(9)
    share, win_share = rng.beta(w0 + l0 + 0.5, n0 - w0 - l0 + 0.5, paths), rng.beta(w0 + 5, l0 + 5, paths)
    w, l = np.full(paths, w0), np.full(paths, l0)
    decided, above = np.zeros(paths, dtype=bool), np.zeros(paths, dtype=bool)
    for batch in range(1, batches + 1):
        d = rng.binomial(rows, share)
        won = rng.binomial(d, win_share)
        w, l = w + won, l + d - won
        above = log_e_array(w, l, n0 + rows * batch - w - l, null_gain=gain) >= math.log(20)
        decided |= above
    found = run(
        PairedOutcomes(w0, l0, n0 - w0 - l0), rows_per_batch=rows, null_gain=gain, batches=batches, n_paths=paths
    )
    p = decided.mean()
    error = 4 * math.sqrt(2 * p * (1 - p) / paths)
    assert found.probability == pytest.approx(p, abs=error)
    if gain == 0 and batches == 30:
        assert p - above.mean() > error, "many fall back, so it makes a difference"


def test_the_same_seed_gives_the_same_forecast() -> None:
    pairs = PairedOutcomes(18, 10, 372)
    assert run(pairs, seed=3) == run(pairs, seed=3)
    assert run(pairs, seed=3).probability != run(pairs, seed=4).probability


def test_without_rows_there_is_nothing_to_extrapolate_from() -> None:
    options: dict[str, Any] = {
        "null_gain": 0.0,
        "threshold": math.log(20),
        "prior": 3.0,
        "rng": np.random.default_rng(1),
    }
    assert isinstance(forecast(PairedOutcomes(0, 0, 0), rows_per_batch=10, **options), Undefined)
    assert isinstance(forecast(PairedOutcomes(3, 1, 2), rows_per_batch=0.3, **options), Undefined)


@SLOW_PROPERTY
@given(OUTCOMES, st.sampled_from([1.0, 70.5, float(HUGE)]), st.sampled_from([-0.01, 0.0, 0.05]))
def test_any_counts_give_ordered_batches_and_a_share(pairs: PairedOutcomes, rows: float, gain: float) -> None:
    found = forecast(
        pairs,
        rows_per_batch=rows,
        null_gain=gain,
        threshold=math.log(20),
        prior=3.0,
        rng=np.random.default_rng(1),
        n_paths=100,
        batches=6,
    )
    if pairs.n == 0:
        assert isinstance(found, Undefined)
        return
    assert isinstance(found, Forecast)
    assert 0 <= found.probability <= 1
    assert (found.batches_50 is not None) == (found.probability >= 0.5)
    assert (found.batches_80 is not None) == (found.probability >= 0.8)
    if found.batches_50 is not None and found.batches_80 is not None:
        assert 1 <= found.batches_50 <= found.batches_80 <= 6


def test_the_probability_of_an_estimate_against_a_loop_batch_by_batch() -> None:
    """Each batch's mean is drawn around the path's true excess, and the estimate is the mean over all rows."""
    excess, error, rows, size, rho2, paths, batches = 0.012, 0.008, 2000.0, 400.0, 0.002, 8000, 10
    rng = np.random.default_rng(5)
    sd = error * math.sqrt(rows)
    true = rng.normal(excess, error, size=paths)
    estimate, n, decided, by_batch = np.full(paths, excess), rows, np.zeros(paths, dtype=bool), []
    for _ in range(batches):
        estimate = (n * estimate + size * rng.normal(true, sd / math.sqrt(size))) / (n + size)
        n += size
        decided |= log_e_asymptotic(estimate / (sd / math.sqrt(n)), n, rho2=rho2) >= math.log(20)
        by_batch.append(float(decided.mean()))
    found = forecast_estimate(
        excess, error, rows=rows, rows_per_batch=size, rho2=rho2, threshold=math.log(20),
        rng=np.random.default_rng(6), batches=batches, n_paths=paths,
    )  # fmt: skip
    p = by_batch[-1]
    assert 0.2 < p < 0.8
    assert found.probability == pytest.approx(p, abs=4 * math.sqrt(2 * p * (1 - p) / paths))
    assert found.horizon == batches


@pytest.mark.parametrize(("null_gain", "needed"), [(0.0, 15), (0.01, 5)])
def test_the_probability_of_batches_as_units_against_a_loop_path_by_path(null_gain: float, needed: float) -> None:
    seen, paths, batches = [1.2, -0.4, 2.5, 0.3, 1.9, 0.1], 3000, 6
    rng = np.random.default_rng(5)
    mean, spread = float(np.mean(seen)), float(np.std(seen, ddof=1))
    free = np.empty((paths, len(seen) + batches))
    for path in free:
        true = rng.normal(mean, spread / math.sqrt(len(seen)))
        square = 0.0
        for i, value in enumerate([*seen, *rng.normal(true, spread, size=batches)]):
            scale = max(math.sqrt(square / i), 1.0) if i else 1.0
            path[i] = max(min(value / scale, 1.5), -1.5)
            square += value**2
    e = log_e_symmetric(free.cumsum(axis=1), (free**2).cumsum(axis=1)) if null_gain else log_e_cosh(free)
    reached = (e[:, len(seen) :] >= math.log(needed)).any(axis=1)
    found = forecast_batches(
        np.array(seen), null_gain=null_gain, threshold=math.log(needed), rng=np.random.default_rng(6), batches=batches, n_paths=paths,
    )  # fmt: skip
    p = float(reached.mean())
    assert 0.2 < p < 0.8
    assert isinstance(found, Forecast)
    assert found.probability == pytest.approx(p, abs=4 * math.sqrt(2 * p * (1 - p) / paths))
    assert found.horizon == batches


def test_one_batch_has_no_spread_to_continue_and_half_a_year_of_batches_is_the_default() -> None:
    options: dict[str, Any] = {"threshold": math.log(20), "rng": np.random.default_rng(1)}
    assert isinstance(forecast_batches(np.array([1.0]), null_gain=0.0, **options), Undefined)
    two = forecast_batches(np.array([1.0, 2.0]), null_gain=0.0, **options)
    assert isinstance(two, Forecast)
    assert two.horizon == 26
    assert forecast_estimate(0.1, 0.1, rows=9, rows_per_batch=3, rho2=0.1, **options).horizon == 26


def test_clipped_losses_reach_the_threshold_as_often_as_batches_drawn_row_by_row_do() -> None:
    """True gain and spread known almost surely: what is left is the chance of the batches to come."""
    rng, bound, size = np.random.default_rng(5), 9.0, 200
    seen = paired_losses(*_clipped(rng, 4000, bound))
    found = forecast_losses(
        seen, bound=bound, rows_per_batch=size, null_gain=0.0, threshold=18.0, rng=np.random.default_rng(1), batches=8
    )
    assert isinstance(found, Forecast)
    runs, hits = 200, 0
    for _ in range(runs):
        total, hit = seen, False
        for _ in range(8):
            total += paired_losses(*_clipped(rng, size, bound))
            hit = hit or log_e_loss(total, bound=bound) >= 18.0
        hits += hit
    assert 0.05 < hits / runs < 0.95
    assert found.probability == pytest.approx(hits / runs, abs=0.2)


def _clipped(rng: np.random.Generator, n: int, bound: float) -> tuple[np.ndarray, np.ndarray]:
    shared = rng.normal(0, 1, n)
    return tuple(np.minimum((shared + rng.normal(0, sd, n)) ** 2, bound) for sd in (1.0, 0.85))  # type: ignore[return-value]


def log_e_of(s: float, v: float) -> float:
    """The e-value of rows with this sum of gains and of their squares, at a bound of 1."""
    n = 10**6
    return log_e_loss(PairedLosses(n, gain=s / n, deviation=v - s * s / n, largest=1.0, differing=n), bound=1)


@pytest.mark.parametrize("gain", [0.0, 0.8])
def test_the_probability_of_clipped_losses_against_a_loop_path_by_path(gain: float) -> None:
    """Within 4 standard errors, by the exact integral over bets."""
    rng, bound, size, batches, paths = np.random.default_rng(8), 9.0, 60, 12, 800
    seen = paired_losses(*_clipped(rng, 300, bound))
    losses = dataclasses.replace(seen, gain=seen.gain + gain)
    scale, hits = bound + gain, 0
    mean, variance = (losses.gain - gain) / scale, losses.deviation / losses.n / scale**2
    for _ in range(paths):
        true = rng.normal(mean, math.sqrt(variance / losses.n))
        s, v = losses.n * mean, losses.n * (variance + mean**2)
        for _ in range(batches):
            s += rng.normal(true * size, math.sqrt(variance * size))
            v += size * (variance + true**2)
            if log_e_of(s, v) >= 0.7:
                hits += 1
                break
    found = forecast_losses(
        losses, bound=bound, rows_per_batch=size, null_gain=gain, threshold=0.7, rng=rng, batches=batches, n_paths=6000
    )
    assert isinstance(found, Forecast)
    p = hits / paths
    assert 0.1 < p < 0.9
    assert found.probability == pytest.approx(p, abs=4 * math.sqrt(p * (1 - p) * (1 / paths + 1 / 6000)))


@pytest.mark.parametrize("threshold", [12.0, 17.0, 22.0])
def test_the_chance_that_one_batch_of_clipped_losses_decides_against_the_normal_distribution(threshold: float) -> None:
    """Gains near the bound, where the scale of the bets and the squares of the gains matter; over 100 true gains."""
    n, size, gain, null, bound = 60, 60, 0.68, 0.2, 1.0
    mean, variance = (gain - null) / (bound + null), 0.05
    losses = PairedLosses(n, 50.0, 50.0 - n * gain, gain, n * variance * (bound + null) ** 2, 1.0, n)
    decided = []
    for true in stats.norm.ppf((np.arange(100) + 0.5) / 100, mean, math.sqrt(variance / n)):
        v = n * (variance + mean**2) + size * (variance + true**2)
        least = optimize.brentq(lambda s: log_e_of(s, v) - threshold, 1.0, 400.0)  # noqa: B023
        decided.append(stats.norm.sf(least - n * mean, true * size, math.sqrt(variance * size)))
    found = forecast_losses(
        losses, bound=bound, rows_per_batch=size, null_gain=null, threshold=threshold, rng=np.random.default_rng(3),
        batches=1, n_paths=10_000,
    )  # fmt: skip
    p = float(np.mean(decided))
    assert isinstance(found, Forecast)
    assert found.probability == pytest.approx(p, abs=4 * math.sqrt(p * (1 - p) / 10_000))


def test_losses_that_do_not_vary_are_not_continued_and_half_a_year_is_the_default() -> None:
    options: dict[str, Any] = {"bound": 9.0, "rows_per_batch": 10, "null_gain": 0.0, "threshold": 3.0}
    rng = np.random.default_rng(1)
    nothing = Undefined("no disagreement to extrapolate from")
    assert forecast_losses(PairedLosses(), rng=rng, **options) == nothing
    assert forecast_losses(paired_losses([1.0, 1.0], [0.0, 0.0]), rng=rng, **options) == nothing
    found = forecast_losses(paired_losses([1.0, 2.0], [0.0, 0.0]), rng=rng, **options)
    assert isinstance(found, Forecast)
    assert found.horizon == 26


def test_a_share_that_is_just_reached_is_reached() -> None:
    """Of two paths one, or of five four."""
    pairs = PairedOutcomes(20, 10, 370)
    seen = set()
    for seed in range(40):
        two, five = (run(pairs, seed=seed, batches=8, n_paths=n) for n in (2, 5))
        assert (two.batches_50 is not None) == (two.probability >= 0.5)
        assert (five.batches_50 is not None) == (five.probability >= 0.6)
        assert (five.batches_80 is not None) == (five.probability >= 0.8)
        seen |= {two.probability, five.probability}
    assert {0.5, 0.4, 0.6, 0.8} <= seen


def test_the_batch_by_which_a_share_has_decided_is_the_shortest_forecast_that_has_it() -> None:
    for pairs, level in ((PairedOutcomes(20, 8, 372), 0.5), (PairedOutcomes(18, 5, 377), 0.8)):
        found = run(pairs, n_paths=4000)
        batches = found.batches_50 if level == 0.5 else found.batches_80
        assert batches == 3
        assert run(pairs, n_paths=4000, batches=3).probability > level > run(pairs, n_paths=4000, batches=2).probability


def test_a_gain_that_matters_is_forecast_with_the_ties_of_every_batch() -> None:
    """All but sure of its shares, the forecast is what the expected counts say: a batch of ties pulls E down."""
    pairs = PairedOutcomes(600_000, 480_000, 5_000_000)
    for gain in (0.018, 0.0198, 0.021):
        found = run(pairs, rows_per_batch=608_000, null_gain=gain, batches=1)
        after = PairedOutcomes(660_000, 528_000, 5_500_000)
        assert (found.probability > 0.5) == (log_e(after, null_gain=gain) >= math.log(20))
