"""What holds of the e-process for any counts."""

from __future__ import annotations

import math

import pytest
from analysis_examples import MODEST_OUTCOMES, OUTCOMES, PRIORS, PROPERTY, SLOW_PROPERTY
from hypothesis import assume, given
from hypothesis import strategies as st

from analysis.any_look.eprocess import confidence_sequence, log_e, log_e_array
from analysis.tables.counts import PairedCounts, PairedOutcomes

GAINS = st.sampled_from([-0.3, -0.05, -0.005, 0.0, 0.001, 0.01, 0.2])
ALPHAS = st.sampled_from([0.001, 0.01, 0.05, 0.2, 0.45])


@PROPERTY
@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 1), st.integers(0, 1)), max_size=60), st.randoms(), GAINS)
def test_evidence_does_not_depend_on_the_order_or_the_split_of_the_rows(
    rows: list[tuple[int, int, int]], random: object, gain: float
) -> None:
    """Rows counted one by one, shuffled, or in two halves give the same E to the last bit."""

    def counted(part: list[tuple[int, int, int]]) -> PairedCounts:
        total = PairedCounts()
        for y, c, h in part:
            cells = [0] * 8
            cells[4 * y + 2 * c + h] = 1
            total += PairedCounts(tuple(cells))  # type: ignore[arg-type]
        return total

    shuffled = list(rows)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    half = len(rows) // 2
    whole = log_e(counted(rows).outcomes("accuracy"), null_gain=gain)
    assert log_e(counted(shuffled).outcomes("accuracy"), null_gain=gain) == whole
    assert log_e((counted(rows[half:]) + counted(rows[:half])).outcomes("accuracy"), null_gain=gain) == whole


@PROPERTY
@given(MODEST_OUTCOMES, PRIORS)
def test_quadrature_at_a_vanishing_gain_is_the_closed_form(pairs: PairedOutcomes, prior: float) -> None:
    closed = log_e(pairs, prior=prior)
    assume(closed > -600)  # below, the closed form's tail underflows and it says that no evidence is left
    assert log_e(pairs, null_gain=1e-13, prior=prior) == pytest.approx(closed, rel=1e-9, abs=1e-8)
    assert log_e(pairs, null_gain=-1e-13, prior=prior) == pytest.approx(closed, rel=1e-9, abs=1e-8)


@PROPERTY
@given(MODEST_OUTCOMES, GAINS, ALPHAS, PRIORS)
def test_lower_limit_above_a_gain_exactly_when_its_evidence_has_reached_the_threshold(
    pairs: PairedOutcomes, gain: float, alpha: float, prior: float
) -> None:
    interval = confidence_sequence(pairs, alpha=alpha, prior=prior)
    if abs(interval.low - gain) > 1e-9:
        assert (interval.low > gain) == (log_e(pairs, null_gain=gain, prior=prior) >= -math.log(alpha))
    if abs(interval.high - gain) > 1e-9:
        reverse = log_e(pairs.swap(), null_gain=-gain, prior=prior)
        assert (interval.high < gain) == (reverse >= -math.log(alpha))


@PROPERTY
@given(OUTCOMES, ALPHAS, PRIORS)
def test_confidence_sequence_holds_the_estimate_and_mirrors_when_swapped(
    pairs: PairedOutcomes, alpha: float, prior: float
) -> None:
    there = confidence_sequence(pairs, alpha=alpha, prior=prior)
    back = confidence_sequence(pairs.swap(), alpha=alpha, prior=prior)
    assert (back.low, back.high) == (-there.high, -there.low)
    assert -1 <= there.low < there.high <= 1
    if pairs.n:
        assert there.low - 1e-9 <= (pairs.wins - pairs.losses) / pairs.n <= there.high + 1e-9


@PROPERTY
@given(OUTCOMES, PRIORS)
def test_evidence_falls_in_the_gain_and_is_at_most_one_at_the_observed_gain(
    pairs: PairedOutcomes, prior: float
) -> None:
    gains = [-0.9, -0.1, -0.005, -1e-6, 1e-6, 0.005, 0.1, 0.9]
    values = [log_e(pairs, null_gain=g, prior=prior) for g in gains]
    for low, high in zip(values[1:], values[:-1], strict=True):
        assert low <= high + 1e-7 * max(1, abs(high))
    if pairs.n:
        observed = (pairs.wins - pairs.losses) / pairs.n
        if -1 < observed < 1:
            assert log_e(pairs, null_gain=observed, prior=prior) <= 1e-6


@PROPERTY
@given(MODEST_OUTCOMES, PRIORS)
def test_a_win_raises_the_evidence_a_loss_lowers_it_and_a_tie_does_nothing(pairs: PairedOutcomes, prior: float) -> None:
    w, l, t = pairs.wins, pairs.losses, pairs.ties
    here = log_e(pairs, prior=prior)
    assume(math.isfinite(here) and here > -600)
    assert log_e(PairedOutcomes(w + 1, l, t), prior=prior) > here
    assert log_e(PairedOutcomes(w, l + 1, t), prior=prior) < here
    assert log_e(PairedOutcomes(w, l, t + 1), prior=prior) == here


@PROPERTY
@given(OUTCOMES, GAINS, PRIORS)
def test_log_e_is_a_number_or_minus_infinity_and_never_positive_for_both_directions(
    pairs: PairedOutcomes, gain: float, prior: float
) -> None:
    """Both directions can not be proven: E against g and against -g of the swapped pair are not both above 2."""
    there, back = log_e(pairs, null_gain=gain, prior=prior), log_e(pairs.swap(), null_gain=-gain, prior=prior)
    for value in (there, back, float(log_e_array(pairs.wins, pairs.losses, pairs.ties, null_gain=gain, prior=prior))):
        assert not math.isnan(value)
        assert value < math.inf
    assert min(there, back) <= math.log(2)


@SLOW_PROPERTY
@given(MODEST_OUTCOMES)
def test_a_wider_confidence_takes_in_the_narrower_one(pairs: PairedOutcomes) -> None:
    wide, narrow = confidence_sequence(pairs, alpha=0.01), confidence_sequence(pairs, alpha=0.1)
    assert wide.low <= narrow.low
    assert narrow.high <= wide.high
