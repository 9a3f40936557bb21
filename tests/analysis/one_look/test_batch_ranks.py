"""AUC of a batch that comes in blocks: exact for few rows, and by bins of scores for many, within the bound that is claimed."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from analysis_examples import PROPERTY
from hypothesis import given
from hypothesis import strategies as st

from analysis.one_look import batch_ranks
from analysis.one_look.batch_ranks import BatchRanks
from analysis.one_look.scores import auc_covariance
from analysis.tables.counts import Undefined

Columns = dict[str, np.ndarray]


def blocks(y: np.ndarray, scores: Columns, size: int = 100) -> Iterator[tuple[np.ndarray, Columns]]:
    for first in range(0, len(y), size):
        part = slice(first, first + size)
        yield y[part], {v: s[part] for v, s in scores.items()}


def ranked(y: np.ndarray, scores: Columns, most_exact: int = 0, size: int = 100) -> BatchRanks:
    ranks = BatchRanks(most_exact)
    for block in blocks(y, scores, size):
        ranks.add(*block)
    return ranks


def both(y: np.ndarray, scores: Columns, most_exact: int = 0) -> tuple[BatchRanks, tuple[np.ndarray, np.ndarray]]:
    ranks = ranked(y, scores, most_exact)
    found = ranks.auc_covariance(blocks(y, scores))
    assert not isinstance(found, Undefined)
    return ranks, found


def exact(y: np.ndarray, scores: Columns) -> tuple[np.ndarray, np.ndarray]:
    found = auc_covariance(y, [scores[v] for v in sorted(scores, key=int)])
    assert not isinstance(found, Undefined)
    return found


def made(rng: np.random.Generator, n: int, kind: str) -> tuple[np.ndarray, Columns]:
    y = (rng.random(n) < 0.2).astype(float)
    latent = rng.standard_normal(n) + y
    scores = {v: 1 / (1 + np.exp(-(latent + rng.standard_normal(n)))) for v in ("2", "10")}
    if kind == "rounded":
        scores = {v: np.round(s, 2) for v, s in scores.items()}
    elif kind == "rare":
        scores = {v: s * 1e-4 for v, s in scores.items()}
    elif kind == "certain":
        scores = {v: 1 - s * 1e-4 for v, s in scores.items()}
    return y, scores


@pytest.mark.parametrize("kind", ["spread", "rounded", "rare", "certain"])
def test_bins_move_an_auc_and_a_covariance_by_no_more_than_is_claimed(kind: str) -> None:
    y, scores = made(np.random.default_rng(1), 20_000, kind)
    ranks, (auc, s) = both(y, scores)
    true_auc, true_s = exact(y, scores)
    errors = np.array([ranks.error(v) for v in ranks.versions])
    assert (errors < 1e-4).all()
    assert (np.abs(auc - true_auc) <= errors + 1e-12).all()
    m, n = ranks.positives, ranks.negatives
    bound = 2 * (errors[:, None] + errors) * (1 / (m - 1) + 1 / (n - 1))
    assert (np.abs(s - true_s) <= bound + 1e-12).all()
    assert np.abs(auc - true_auc).max() < 1e-6, "and by far less in fact"


def test_where_every_bin_holds_one_score_nothing_moves() -> None:
    y, scores = made(np.random.default_rng(2), 5000, "rounded")
    ranks, (auc, s) = both(y, scores)
    true_auc, true_s = exact(y, scores)
    assert [ranks.error(v) for v in ranks.versions] == [0, 0]
    assert auc == pytest.approx(true_auc, rel=1e-12)
    assert s == pytest.approx(true_s, rel=1e-9)


@pytest.mark.parametrize("width", [1e-12, 1e-7])
def test_scores_that_bins_cannot_tell_apart_are_ranked_at_once(width: float) -> None:
    y, scores = made(np.random.default_rng(3), 3000, "spread")
    narrow = {v: 0.3 + width * s for v, s in scores.items()}
    ranks, (auc, s) = both(y, narrow)
    assert max(ranks.error(v) for v in ranks.versions) > 1e-4
    assert all(np.array_equal(a, b) for a, b in zip((auc, s), exact(y, narrow), strict=True))


def test_up_to_so_many_rows_it_is_delongs_to_the_last_bit_and_no_row_is_read_again() -> None:
    y, scores = made(np.random.default_rng(4), 1000, "spread")
    ranks = ranked(y, scores, most_exact=1000)
    found = ranks.auc_covariance(iter(()))
    assert not isinstance(found, Undefined)
    assert all(np.array_equal(a, b) for a, b in zip(found, exact(y, scores), strict=True))
    assert ranks.error("2") == 0
    assert (ranks.positives, ranks.negatives) == (int(y.sum()), 1000 - int(y.sum()))


@pytest.mark.parametrize("y", [[1, 1, 1, 1], [1, 0, 0, 0], [0, 0, 0, 0]])
@pytest.mark.parametrize("most_exact", [0, 10])
def test_one_class_has_no_auc(y: list[int], most_exact: int) -> None:
    labels, scores = np.array(y, dtype=float), {"1": np.linspace(0, 1, 4), "2": np.linspace(0, 1, 4)}
    assert isinstance(ranked(labels, scores, most_exact).auc_covariance(blocks(labels, scores)), Undefined)


def test_the_ends_the_middle_and_the_scores_nearest_to_an_end_have_the_bins_that_the_octaves_say() -> None:
    scores = np.array([0.0, 2.0**-20, 0.5, 1 - 2.0**-20, 1.0])
    half = 19 * 2**14 + 1  # 2^-20 is the first bin of 19 octaves
    assert batch_ranks._bin_of(scores).tolist() == [0, 1, half, 2 * half - 1, 2 * half]  # noqa: SLF001
    assert 2 * half + 1 == batch_ranks._BINS  # noqa: SLF001


@PROPERTY
@given(st.lists(st.floats(0, 1) | st.sampled_from([0.0, 0.5, 1.0, 2.0**-20, 5e-324]), min_size=1, max_size=50))
def test_bins_are_in_the_order_of_the_scores(values: list[float]) -> None:
    scores = np.sort(np.array(values))
    bins = batch_ranks._bin_of(scores)  # noqa: SLF001
    assert (np.diff(bins) >= 0).all()
    assert bins[0] >= 0
    assert bins[-1] < batch_ranks._BINS  # noqa: SLF001


@pytest.mark.parametrize("size", [1, 7, 59])
def test_how_the_rows_are_cut_does_not_matter(size: int) -> None:
    y, scores = made(np.random.default_rng(5), 60, "rounded")
    one, other = (ranked(y, scores, size=s).auc_covariance(blocks(y, scores, s)) for s in (size, 60))
    assert not isinstance(one, Undefined)
    assert not isinstance(other, Undefined)
    assert one[0] == pytest.approx(other[0], rel=1e-12)
    assert one[1] == pytest.approx(other[1], rel=1e-9, abs=1e-15)
