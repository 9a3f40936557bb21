"""Paired AUC and losses: against the oracle, brute force and scikit-learn; sums add over batches."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from scipy import stats
from sklearn.metrics import average_precision_score, brier_score_loss, log_loss, roc_auc_score

from analysis.evidence.score_tally import score_tally as score_tally_of
from analysis.evidence.tally import score_column
from analysis.kinds import BINARY
from analysis.kinds.score_sums import ScoredRows, ScoreSums, merge, pair_sums
from analysis.one_look.average_precision import paired_average_precision
from analysis.one_look.scores import SCORE_LOSSES, auc_covariance
from analysis.policy import Policy
from analysis.tables.counts import Undefined
from analysis.tables.metrics import Difference

CASE = json.loads((Path(__file__).resolve().parents[2] / "oracles" / "delong.json").read_text())["synthetic"]


def covariance(labels: object, champion: object, challenger: object) -> tuple[list[float], list[list[float]]]:
    found = auc_covariance(labels, [champion, challenger])  # type: ignore[arg-type, list-item]
    assert not isinstance(found, Undefined)
    return found[0].tolist(), found[1].tolist()


def auc(labels: object, champion: object, challenger: object) -> ScoreSums:
    """Both AUCs and the variance of their difference, as they are kept of a batch."""
    (old, new), s = covariance(labels, champion, challenger)
    positives = int(np.sum(labels))  # type: ignore[arg-type]
    negatives = len(labels) - positives  # type: ignore[arg-type]
    return ScoreSums(positives * negatives, old, new, max(s[0][0] + s[1][1] - 2 * s[0][1], 0.0))


def two_sided(found: Difference) -> tuple[float, float]:
    """DeLong's z and p; 0 and 1 where no placement varies."""
    z = found.value / found.standard_error if found.standard_error else 0.0
    return z, float(2 * stats.norm.sf(abs(z)))


def kept(y: object, *scores: object) -> pl.DataFrame:
    """The sums of one batch with the labels ``y``, of version 1 and those after it."""
    joined = pl.DataFrame({"label": y, **{score_column(str(i)): s for i, s in enumerate(scores, start=1)}})
    return score_tally(joined.with_columns(excluded=pl.lit(None, dtype=pl.String)), Policy(primary="average_precision"))


def score_tally(joined: pl.DataFrame, policy: Policy) -> pl.DataFrame:
    """The score sums of rows in one block."""
    return score_tally_of(lambda: [joined], policy)


def test_a_batch_in_which_both_rank_every_positive_first_keeps_no_average_precision() -> None:
    """No replicate of its bootstrap differs from another, so it says nothing of the spread; its AUC does."""
    y = np.repeat([1, 0], 20)
    right, lower = np.where(y == 1, 0.9, 0.1), np.where(y == 1, 0.7, 0.3)
    assert kept(y, right, lower)["metric"].to_list() == ["brier", "log_loss", "auc"]
    lower[:5] = 0.2
    assert kept(y, right, lower)["metric"].to_list() == ["brier", "log_loss", "auc", "average_precision"]


def scored(rng: np.random.Generator, n: int, digits: int = 6) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    y = (rng.random(n) < 0.2).astype(int)
    latent = rng.standard_normal(n) + y
    a, b = (1 / (1 + np.exp(-(latent + rng.standard_normal(n)))) for _ in range(2))
    return y, np.round(a, digits), np.round(b, digits)


def test_delong_against_the_oracle() -> None:
    both, s = covariance(CASE["y"], CASE["champion"], CASE["challenger"])
    assert both == pytest.approx(CASE["auc"], abs=1e-9)
    assert s == [pytest.approx(row, abs=1e-11) for row in CASE["cov"]]
    found = auc(CASE["y"], CASE["champion"], CASE["challenger"]).difference
    assert (found.value, found.standard_error) == pytest.approx((CASE["diff"], CASE["se"]), abs=1e-9)
    assert two_sided(found) == pytest.approx((CASE["z"], CASE["p"]), abs=1e-8)


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
    assert (found.difference.value, *two_sided(found.difference)) == (0.0, 0.0, 1.0)


@pytest.mark.parametrize("scores", [[0.1, 0.2, math.nan, 0.4], [0.1, 0.2, 0.3], [[0.1, 0.2, 0.3, 0.4]]])
def test_scores_that_are_not_one_number_a_row_are_refused(scores: list[float]) -> None:
    good = [0.4, 0.3, 0.2, 0.1]
    for pair in ((good, scores), (scores, good)):
        with pytest.raises(ValueError, match="one score that is a number"):
            auc_covariance([1, 0, 1, 0], pair)


@pytest.mark.parametrize("y", [[1, 0, 1, 0], [1, 1, 1, 1]])
@pytest.mark.parametrize("scores", [[0.1, 0.2, math.nan, 0.4], [0.1, 0.2, 0.3], [[0.1, 0.2, 0.3, 0.4]], [0.1]])
def test_of_such_scores_no_loss_is_kept_either(y: list[int], scores: list[float]) -> None:
    """Of one class there is no AUC that would refuse them."""
    good, labels = np.array([0.4, 0.3, 0.2, 0.1]), np.array(y, dtype=float)
    for pair in ((good, scores), (scores, good)):
        both = {str(i): np.array(s) for i, s in enumerate(pair, start=1)}
        with pytest.raises(ValueError, match="one score that is a number"):
            BINARY.score_sums(lambda: [ScoredRows(labels, both, {})], named=(), largest_error=None)  # noqa: B023


@pytest.mark.parametrize("labels", [[1, 1, 1, 1], [1, 0, 0, 0], []])
def test_one_class_has_no_auc(labels: list[int]) -> None:
    assert isinstance(auc_covariance(labels, [[0.1] * len(labels), [0.2] * len(labels)]), Undefined)


def test_two_rows_of_either_class_have_an_auc_and_a_spread_by_hand() -> None:
    """The champion ranks one positive above both negatives and one between them, the challenger all: V10 is 1, 1/2, V01 1, 1/2."""
    both, s = covariance([1, 1, 0, 0], [0.9, 0.4, 0.6, 0.1], [0.9, 0.8, 0.2, 0.1])
    assert both == [0.75, 1.0]
    assert s == [[0.125, 0.0], [0.0, 0.0]]


@pytest.mark.slow
def test_delongs_test_and_its_sum_over_batches_keep_their_size() -> None:
    """2000 tables of exchangeable scores: two-sided rejections at .05, of one batch of 600 and of three of 200."""
    rng = np.random.default_rng(6)
    whole = parts = 0
    for _ in range(2000):
        y, a, b = scored(rng, 600)
        whole += two_sided(auc(y, a, b).difference)[1] < 0.05
        batches = [auc(y[s], a[s], b[s]) for s in (slice(0, 200), slice(200, 400), slice(400, 600))]
        combined = merge("auc", batches)
        assert isinstance(combined, Difference)
        parts += 2 * stats.norm.sf(abs(combined.value) / combined.standard_error) < 0.05
    for rejected in (whole, parts):
        assert stats.binomtest(rejected, 2000, 0.05).pvalue > 1e-3


def test_one_batch_merged_is_itself_and_none_is_undefined() -> None:
    one = auc(CASE["y"], CASE["champion"], CASE["challenger"])
    merged = merge("auc", [one])
    assert isinstance(merged, Difference)
    assert dataclasses.astuple(merged) == pytest.approx(dataclasses.astuple(one.difference))
    assert isinstance(merge("auc", []), Undefined)


@pytest.mark.parametrize(("loss", "peer"), [("brier", brier_score_loss), ("log_loss", log_loss)])
def test_mean_losses_against_scikit_learn(loss: str, peer: Callable[..., float]) -> None:
    y, a, _ = scored(np.random.default_rng(3), 500)
    assert SCORE_LOSSES[loss].loss(y, a).mean() == pytest.approx(peer(y, a))


def test_log_loss_is_clipped_where_a_score_is_certain_and_wrong() -> None:
    found = SCORE_LOSSES["log_loss"].loss(np.array([1.0, 0.0]), np.array([0.0, 1.0]))
    assert found == pytest.approx(-math.log(1e-6), rel=1e-5)


@pytest.mark.parametrize("name", ["brier", "log_loss"])
def test_losses_of_batches_merge_to_those_of_all_rows(name: str) -> None:
    y, a, b = scored(np.random.default_rng(4), 90)
    merged = merge(name, [pair_sums(score_tally(_joined(y[s], a[s], b[s]), Policy()), "1", "2")[name] for s in PARTS])
    whole = merge(name, [pair_sums(score_tally(_joined(y, a, b), Policy()), "1", "2")[name]])
    assert isinstance(merged, Difference)
    assert isinstance(whole, Difference)
    for one, other in zip(dataclasses.astuple(merged), dataclasses.astuple(whole), strict=True):
        assert one == pytest.approx(other)
    d = SCORE_LOSSES["brier"].loss(y, b) - SCORE_LOSSES["brier"].loss(y, a)
    if name == "brier":
        assert merged.value == pytest.approx(d.mean())
        assert merged.standard_error == pytest.approx(d.std() / math.sqrt(90))


PARTS = (slice(0, 20), slice(20, 25), slice(25, 90))


def _joined(y: np.ndarray, a: np.ndarray, b: np.ndarray) -> pl.DataFrame:
    return pl.DataFrame({"label": y.astype(int), "s1": a, "s2": b}).with_columns(excluded=pl.lit(None, dtype=pl.String))


def test_the_sums_of_a_batch_are_there_for_every_pair_that_scored_it() -> None:
    y, a, b = scored(np.random.default_rng(5), 200)
    policy = Policy(primary="average_precision", guardrails={})
    joined = _joined(y, a, b).with_columns(s10=pl.Series((a + b) / 2))
    frame = score_tally(joined, policy)
    assert set(zip(frame["first"], frame["second"], strict=True)) == {("1", "2"), ("1", "10"), ("2", "10")}
    found = pair_sums(frame, "2", "1")
    assert set(found) == {"brier", "log_loss", "auc", "average_precision"}
    assert found["auc"].champion == pytest.approx(roc_auc_score(y, b))
    assert found["auc"].challenger == pytest.approx(roc_auc_score(y, a))
    assert found["auc"].variance == pytest.approx(auc(y, a, b).variance)
    assert found["average_precision"].champion == pytest.approx(average_precision_score(y, b))
    assert found == {name: sums.swap() for name, sums in pair_sums(frame, "1", "2").items()}
    assert "average_precision" not in set(score_tally(joined, Policy())["metric"])


def test_the_weight_of_a_batch_is_its_pairs_of_rows_for_auc_and_its_positives_for_average_precision() -> None:
    y, a, b = scored(np.random.default_rng(5), 200)
    found = pair_sums(score_tally(_joined(y, a, b), Policy(primary="average_precision", guardrails={})), "1", "2")
    positives = int(y.sum())
    assert found["auc"].n == positives * (200 - positives)
    assert found["average_precision"].n == positives


def test_the_spread_of_average_precision_is_drawn_from_a_seed_of_the_batch_so_the_same_batch_gives_the_same_sums() -> (
    None
):
    y, a, b = scored(np.random.default_rng(5), 200)
    found = pair_sums(score_tally(_joined(y, a, b), Policy(primary="average_precision", guardrails={})), "1", "2")
    drawn = paired_average_precision(
        y, a, b, rng=np.random.default_rng([200, int(y.sum()), 1, 2]), confidence_level=0.95, n_resamples=200
    )
    assert not isinstance(drawn, Undefined)
    assert found["average_precision"].variance == drawn.standard_error**2


def test_decisions_and_segments_beside_the_scores_do_not_matter() -> None:
    y, a, b = scored(np.random.default_rng(5), 50)
    joined = _joined(y, a, b)
    beside = joined.with_columns(
        pl.Series("v1", (a > 0.9).astype(int)), pl.Series("v2", (b > 0.9).astype(int)), pl.lit("x").alias("segment.s")
    )
    assert score_tally(beside, Policy()).equals(score_tally(joined, Policy()))


def test_a_batch_of_one_class_or_one_version_has_no_sums_of_what_it_does_not_define() -> None:
    y, a, b = scored(np.random.default_rng(5), 50)
    assert set(score_tally(_joined(np.ones(50), a, b), Policy())["metric"]) == {"brier", "log_loss"}
    assert score_tally(_joined(y, a, b).drop("s2"), Policy()).is_empty()
    none = _joined(y, a, b).with_columns(excluded=pl.lit("duplicate id"))
    assert score_tally(none, Policy(primary="average_precision", guardrails={})).is_empty()
