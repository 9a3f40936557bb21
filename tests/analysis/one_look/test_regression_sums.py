"""Losses of numbers beside a tally: sums of batches that give back what all rows say."""

from __future__ import annotations

import numpy as np
import pytest
from analysis_examples import PROPERTY
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import mean_absolute_error, mean_squared_error
from task_examples import loss_evidence, numbers, summed

from analysis.any_look.asymptotic import rho_squared
from analysis.any_look.batch_unit import log_e_symmetric
from analysis.kinds.score_sums import merge, merge_losses, pair_sums, version_value
from analysis.one_look.losses import PairedLosses, PairedT, paired_losses, paired_t
from analysis.policy import Policy
from analysis.tables.counts import Undefined
from analysis.verdict.process_choice import process

LOSS = {"squared_error": lambda e: e**2, "absolute_error": np.abs}


def batches(count: int = 4, seed: int = 2, n: int = 300) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    rng = np.random.default_rng(seed)
    return [numbers(rng, n + 50 * i, challenger=0.8) for i in range(count)]


def whole(parts: list[tuple[np.ndarray, np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    y, c, h = (np.concatenate(p) for p in zip(*parts, strict=True))
    return y, c, h


def test_the_means_are_those_of_scikit_learn_whichever_way_round() -> None:
    ((y, c, h),) = batches(1)
    frame = summed(y, c, h)
    for name, loss in (("squared_error", mean_squared_error), ("absolute_error", mean_absolute_error)):
        sums = pair_sums(frame, "1", "2")[name]  # type: ignore[index]
        assert (sums.n, sums.champion, sums.challenger) == pytest.approx((len(y), loss(y, c), loss(y, h)))
        assert pair_sums(frame, "2", "1")[name] == sums.swap()  # type: ignore[index]
        assert version_value(frame, name, "2") == (len(y), sums.challenger)  # type: ignore[arg-type]
    assert version_value(frame, "squared_error", "7") is None
    assert version_value(frame, "brier", "1") is None


def test_every_pair_of_versions_has_its_sums() -> None:
    ((y, c, h),) = batches(1)
    frame = summed(y, c, h, c)
    assert frame.select("metric", "first", "second").rows() == [
        (name, *pair) for name in ("squared_error", "absolute_error") for pair in (("1", "2"), ("1", "3"), ("2", "3"))
    ]
    assert pair_sums(frame, "1", "3")["squared_error"].difference.value == 0


def test_rows_that_are_excluded_or_unlabelled_do_not_count() -> None:
    y = np.array([1.0, 2.0, 3.0])
    frame = summed(y, y + 1, y + 2, excluded=[None, "duplicate id", None])
    assert pair_sums(frame, "1", "2")["squared_error"].n == 2
    assert summed(y, y, excluded=[None] * 3).is_empty(), "nobody to compare with"
    assert summed(y[:0], y[:0], y[:0]).is_empty()


@pytest.mark.parametrize("name", ["squared_error", "absolute_error"])
def test_batches_add_up_to_the_difference_over_all_rows_and_its_standard_error(name: str) -> None:
    parts = batches()
    y, c, h = whole(parts)
    d = LOSS[name](h - y) - LOSS[name](c - y)  # type: ignore[index, operator]
    found = merge(name, [pair_sums(summed(*p), "1", "2")[name] for p in parts])
    assert (found.value, found.standard_error) == pytest.approx((d.mean(), d.std() / len(d) ** 0.5), rel=1e-12)  # type: ignore[union-attr]


def test_a_paired_t_of_the_sums_is_that_of_the_rows() -> None:
    parts = batches()
    y, c, h = whole(parts)
    sums = merge_losses([pair_sums(summed(*p), "1", "2")["absolute_error"] for p in parts])
    found = paired_t(sums, confidence_level=0.9)
    student = stats.ttest_rel(np.abs(c - y), np.abs(h - y), alternative="greater")
    assert isinstance(found, PairedT)
    assert (found.statistic, found.p_value) == pytest.approx((student.statistic, student.pvalue), rel=1e-9)
    d = np.abs(c - y) - np.abs(h - y)
    assert sums.largest >= np.abs(d).max()
    assert merge_losses([]) == PairedLosses()


def test_losses_far_above_their_difference_keep_its_spread() -> None:
    """Sums of squares would lose all digits: losses of 1e12 that differ by about 1."""
    rng = np.random.default_rng(5)
    y = np.zeros(2000)
    c = 1e6 + rng.normal(0, 1e-6, 2000)
    h = c - 5e-7 - rng.normal(0, 1e-7, 2000)
    d = (h.astype(np.longdouble) ** 2 - c.astype(np.longdouble) ** 2).astype(np.float64)
    sums = pair_sums(summed(y, c, h), "1", "2")["squared_error"]
    assert sums.difference.standard_error == pytest.approx(d.std() / len(d) ** 0.5, rel=1e-2)
    assert sums.difference.value == pytest.approx(d.mean(), rel=1e-3)


def test_merged_losses_are_those_of_all_rows() -> None:
    parts = batches()
    y, c, h = whole(parts)
    merged = merge_losses([pair_sums(summed(*part), "1", "2")["squared_error"] for part in parts])
    rows = paired_losses((c - y) ** 2, (h - y) ** 2)
    for field in ("n", "champion", "challenger", "gain", "deviation"):
        assert getattr(merged, field) == pytest.approx(getattr(rows, field), rel=1e-9)
    assert (merged.differing, merged.largest >= rows.largest) == (rows.n, True), "what they can be at most"


def test_the_evidence_is_the_asymptotic_process_of_all_rows_tightest_after_a_quarter() -> None:
    parts = batches()
    y, c, h = whole(parts)
    gain = (c - y) ** 2 - (h - y) ** 2
    n, sd = len(gain), gain.std()
    rho2 = rho_squared(0.1, 13 * len(parts[0][0]))
    found = process(loss_evidence(*parts), "squared_error", Policy(task="regression"))
    for null in (0.0, 0.05, -0.05):
        expected = log_e_symmetric((gain.mean() - null) * n / sd, n, rho=rho2)
        assert found.log_e(null) == pytest.approx(float(expected), rel=1e-9)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        (19, "fewer than 20 labelled rows, too few for an asymptotic statement"),
        (20, "squared_error differs by the same amount on every row, so there is no spread to judge it by"),
    ],
)
def test_what_an_asymptotic_process_lacks_is_said(rows: int, reason: str) -> None:
    """The champion errs by 1 on every row, the challenger never."""
    y = np.zeros(rows)
    found = process(loss_evidence((y, y + 1, y)), "squared_error", Policy(task="regression"))
    assert found == Undefined(reason)


FINITE = st.floats(-1e6, 1e6)


@PROPERTY
@given(st.lists(st.tuples(FINITE, FINITE, FINITE), min_size=2, max_size=40), st.integers(1, 39))
def test_any_split_of_the_rows_gives_the_same_difference(rows: list[tuple[float, float, float]], cut: int) -> None:
    y, c, h = (np.array(column) for column in zip(*rows, strict=True))
    at = min(cut, len(y) - 1)
    parts = [pair_sums(summed(*(a[s] for a in (y, c, h))), "1", "2") for s in (slice(at), slice(at, None))]
    one = pair_sums(summed(y, c, h), "1", "2")
    scale = max(float(np.abs([y, c, h]).max()), 1e-150) ** 2
    for name, total in one.items():
        merged = merge(name, [p[name] for p in parts])
        assert merged.value == pytest.approx(total.difference.value, abs=1e-9 * scale)  # type: ignore[union-attr]
        assert merged.standard_error == pytest.approx(total.difference.standard_error, abs=1e-7 * scale)  # type: ignore[union-attr]
