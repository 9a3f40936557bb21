"""Paired AUC and losses: against the oracle, brute force and scikit-learn; sums add over batches."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import brier_score_loss, log_loss, roc_auc_score

from analysis.counts import Undefined
from analysis.scores import AucComponents, LossSums, ScoreLoss, auc_components, combine_auc, loss_sums

CASE = json.loads((Path(__file__).resolve().parents[1] / "oracles" / "delong.json").read_text())["synthetic"]


def auc(labels: object, champion: object, challenger: object) -> AucComponents:
    found = auc_components(labels, champion, challenger)  # type: ignore[arg-type]
    assert isinstance(found, AucComponents)
    return found


def scored(rng: np.random.Generator, n: int, digits: int = 6) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    y = (rng.random(n) < 0.2).astype(int)
    latent = rng.standard_normal(n) + y
    a, b = (1 / (1 + np.exp(-(latent + rng.standard_normal(n)))) for _ in range(2))
    return y, np.round(a, digits), np.round(b, digits)


def test_delong_against_the_oracle() -> None:
    found = auc(CASE["y"], CASE["champion"], CASE["challenger"])
    assert [found.champion, found.challenger] == pytest.approx(CASE["auc"], abs=1e-9)
    assert [[found.var_champion, found.covariance], [found.covariance, found.var_challenger]] == [
        pytest.approx(row, abs=1e-11) for row in CASE["cov"]
    ]
    assert (found.difference, math.sqrt(found.variance)) == pytest.approx((CASE["diff"], CASE["se"]), abs=1e-9)
    assert (found.z, found.p_value) == pytest.approx((CASE["z"], CASE["p"]), abs=1e-8)


def test_delong_against_brute_force_with_ties() -> None:
    """Structural components by comparing every positive with every negative."""
    y, a, b = scored(np.random.default_rng(1), 300, digits=1)
    found = auc(y, a, b)
    placements = []
    for s in (a, b):
        wins = (s[y == 1][:, None] > s[y == 0]) + 0.5 * (s[y == 1][:, None] == s[y == 0])
        placements.append((wins.mean(axis=1), wins.mean(axis=0)))
    cov = np.cov([p[0] for p in placements]) / y.sum() + np.cov([p[1] for p in placements]) / (1 - y).sum()
    assert found.champion == pytest.approx(roc_auc_score(y, a))
    assert found.challenger == pytest.approx(roc_auc_score(y, b))
    assert found.variance == pytest.approx(cov[0, 0] + cov[1, 1] - 2 * cov[0, 1])


def test_identical_scores_do_not_differ() -> None:
    y, a, _ = scored(np.random.default_rng(2), 200)
    found = auc(y, a, a)
    assert (found.difference, found.z, found.p_value) == (0.0, 0.0, 1.0)


@pytest.mark.parametrize("labels", [[1, 1, 1, 1], [1, 0, 0, 0], []])
def test_one_class_has_no_auc(labels: list[int]) -> None:
    assert isinstance(auc_components(labels, [0.1] * len(labels), [0.2] * len(labels)), Undefined)


def test_delongs_test_and_its_sum_over_batches_keep_their_size() -> None:
    """2000 tables of exchangeable scores: two-sided rejections at .05, of one batch of 600 and of three of 200."""
    rng = np.random.default_rng(6)
    whole = parts = 0
    for _ in range(2000):
        y, a, b = scored(rng, 600)
        whole += auc(y, a, b).p_value < 0.05
        batches = [auc(y[s], a[s], b[s]) for s in (slice(0, 200), slice(200, 400), slice(400, 600))]
        combined = combine_auc(batches)
        assert isinstance(combined, AucComponents)
        parts += combined.p_value < 0.05
    for rejected in (whole, parts):
        assert stats.binomtest(rejected, 2000, 0.05).pvalue > 1e-3


def test_one_batch_combined_is_itself_and_none_is_undefined() -> None:
    one = auc(CASE["y"], CASE["champion"], CASE["challenger"])
    assert combine_auc([one]) == one
    assert combine_auc([]) == Undefined("no batch")


@pytest.mark.parametrize(("loss", "peer"), [("brier", brier_score_loss), ("log", log_loss)])
def test_mean_losses_against_scikit_learn(loss: ScoreLoss, peer: object) -> None:
    y, a, b = scored(np.random.default_rng(3), 500)
    found = loss_sums(y, a, b, loss=loss)
    assert found.mean == pytest.approx(peer(y, a) - peer(y, b))  # type: ignore[operator]
    test = stats.ttest_1samp((a - y) ** 2 - (b - y) ** 2, 0)
    if loss == "brier":
        assert found.mean / found.standard_error == pytest.approx(test.statistic)


def test_log_loss_is_clipped_where_a_score_is_certain_and_wrong() -> None:
    found = loss_sums([1, 1], [0.0, 0.5], [1.0, 0.5], loss="log")
    assert found.total == pytest.approx(-math.log(1e-6), rel=1e-5)


def test_sums_of_batches_are_the_sums_of_their_rows() -> None:
    y, a, b = scored(np.random.default_rng(4), 90)
    whole = loss_sums(y, a, b, loss="brier")
    parts = loss_sums(y[:30], a[:30], b[:30], loss="brier") + loss_sums(y[30:], a[30:], b[30:], loss="brier")
    assert (parts.n, parts.total, parts.square) == pytest.approx((whole.n, whole.total, whole.square))
    assert LossSums(2, 2.0, 2.0).standard_error == 0.0
