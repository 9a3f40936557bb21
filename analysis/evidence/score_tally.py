"""The sums of a batch's scores, for every pair of versions: what lies beside its tally."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Mapping

import numpy as np
import polars as pl

from analysis.evidence.score_sums import PREDICTED, PREDICTED_UNLABELLED, ScoreSums, sums_frame
from analysis.one_look.average_precision import paired_average_precision
from analysis.one_look.losses import RegressionLoss, paired_losses, regression_losses
from analysis.one_look.measures import REGRESSION_LOSSES, Measure, loss_bound
from analysis.one_look.scores import auc_covariance, row_losses
from analysis.policy import Policy
from analysis.tables.counts import Undefined
from analysis.tables.metrics import Floats

__all__ = ["score_tally"]

_RESAMPLES = 200  # for the standard error of average precision within one batch

_Row = tuple[Measure, str, str, ScoreSums]
_Loss = Callable[[Floats, Floats], Floats]  # of labels and scores, one loss a row

_OF_SCORES: dict[Measure, _Loss] = {
    "brier": functools.partial(row_losses, loss="brier"),
    "log_loss": functools.partial(row_losses, loss="log"),
}


def score_tally(joined: pl.DataFrame, policy: Policy) -> pl.DataFrame:
    """Brier score, log loss and AUC of every pair of versions over the labelled rows that count, as a frame of sums.

    Where the task is to predict numbers, the squared and the absolute error, clipped at the policy's ``largest_error``;
    where it is to name classes, nothing.
    ``joined`` has ``excluded``, ``label`` and a ``s<version>`` for every version that scored the batch. Average
    precision needs a bootstrap, so it is there only if the policy names it. A metric that the batch does not define
    has no row.
    """
    usable = joined.filter(pl.col("excluded").is_null() & pl.col("label").is_not_null())
    scores = _scores(usable)
    if usable.is_empty() or len(scores) < 2:
        return sums_frame([])
    y = usable["label"].to_numpy().astype(np.float64)
    if policy.task == "regression":
        missing = _scores(joined.filter(pl.col("label").is_null()))
        gaps = (
            [*_predicted(PREDICTED, scores), *_predicted(PREDICTED_UNLABELLED, missing)]
            if len(missing[min(missing)])
            else []
        )
        return sums_frame([*(row for name in REGRESSION_LOSSES for row in _numbers(y, scores, name, policy)), *gaps])
    rows = [*_losses(y, scores, _OF_SCORES), *_auc(y, scores)]
    if "average_precision" in (policy.primary, *policy.guardrails):
        rows += _average_precision(y, scores)
    return sums_frame(rows)


def _scores(rows: pl.DataFrame) -> dict[str, Floats]:
    return {c[1:]: rows[c].to_numpy() for c in rows.columns if c.startswith("s") and c[1:].isdigit()}


def _predicted(name: Measure, scores: Mapping[str, Floats]) -> list[_Row]:
    """The predictions themselves: whether labels follow them shows in how the models differ with and without one."""
    return _losses(np.zeros(0), scores, {name: lambda _, predicted: predicted})


def _pairs(scores: Mapping[str, Floats]) -> list[tuple[str, str]]:
    return list(itertools.combinations(sorted(scores, key=int), 2))


def _losses(
    y: Floats, scores: Mapping[str, Floats], losses: Mapping[Measure, _Loss], bound: float | None = None
) -> list[_Row]:
    rows: list[_Row] = []
    for name, loss in losses.items():
        each = {v: loss(y, given) for v, given in scores.items()}
        for a, b in _pairs(scores):
            sums = paired_losses(each[a], each[b])
            n, variance = sums.n, sums.deviation / sums.n / sums.n
            rows.append((name, a, b, ScoreSums(n, sums.champion / n, sums.challenger / n, variance, bound)))
    return rows


def _numbers(y: Floats, predicted: Mapping[str, Floats], name: RegressionLoss, policy: Policy) -> list[_Row]:
    bound = loss_bound(name, policy.largest_error)
    return _losses(y, predicted, {name: functools.partial(regression_losses, loss=name, clip=bound)}, bound)


def _auc(y: Floats, scores: Mapping[str, Floats]) -> list[_Row]:
    versions = sorted(scores, key=int)
    found = auc_covariance(y, [scores[v] for v in versions])
    if isinstance(found, Undefined):
        return []
    auc, s = found
    positives = int(y.sum())
    n = positives * (len(y) - positives)
    rows: list[_Row] = []
    for i, j in itertools.combinations(range(len(versions)), 2):
        variance = max(float(s[i, i] + s[j, j] - 2 * s[i, j]), 0.0)
        rows.append(("auc", versions[i], versions[j], ScoreSums(n, float(auc[i]), float(auc[j]), variance)))
    return rows


def _average_precision(y: Floats, scores: Mapping[str, Floats]) -> list[_Row]:
    rows: list[_Row] = []
    for a, b in _pairs(scores):
        rng = np.random.default_rng([len(y), int(y.sum()), int(a), int(b)])
        found = paired_average_precision(
            y, scores[a], scores[b], rng=rng, confidence_level=0.95, n_resamples=_RESAMPLES
        )
        if not isinstance(found, Undefined):
            sums = ScoreSums(int(y.sum()), found.champion, found.challenger, found.standard_error**2)
            rows.append(("average_precision", a, b, sums))
    return rows
