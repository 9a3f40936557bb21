"""Score sums: measures of scores or of numbers, per batch and in a form that adds over batches. They are stored beside a tally.

A frame of score sums has one row for each measure and pair of versions: ``metric`` (its name), ``first``, ``second``,
``n`` (rows, or positive-negative pairs for AUC, or positives for average precision), ``value_first``, ``value_second``,
``variance`` (of their difference) and ``bound`` (the largest loss per row, if losses were clipped).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import polars as pl

from analysis.one_look.losses import PairedLosses, paired_losses
from analysis.one_look.scores import RANK_METRICS
from analysis.tables.counts import Undefined
from analysis.tables.metrics import Difference, Floats

__all__ = [
    "PREDICTED",
    "PREDICTED_UNLABELLED",
    "SCHEMA",
    "LossSums",
    "ScoreSums",
    "ScoredBlocks",
    "ScoredRows",
    "Sums",
    "merge",
    "merge_losses",
    "pair_sums",
    "pairs_of",
    "stacked_sums",
    "sums_frame",
    "sums_of_pair",
    "version_value",
]

PREDICTED: str = "prediction"
PREDICTED_UNLABELLED: str = "prediction_unlabelled"
"""Names in the column ``metric`` that are no measures: the mean predicted number over rows with a label, and over rows without."""

SCHEMA = {
    "metric": pl.String,
    "first": pl.String,
    "second": pl.String,
    "n": pl.Int64,
    "value_first": pl.Float64,
    "value_second": pl.Float64,
    "variance": pl.Float64,
    "bound": pl.Float64,
}


@dataclass(frozen=True, slots=True)
class ScoreSums:
    """One measure of a pair in one batch: mean values over ``n`` units and the variance of the difference of these means.

    ``bound`` is the largest loss per row if losses were clipped.
    """

    n: int
    champion: float
    challenger: float
    variance: float
    bound: float | None = field(default=None, metadata={"record": False})  # follows from the recorded policy

    @property
    def difference(self) -> Difference:
        return Difference(self.champion, self.challenger, self.challenger - self.champion, math.sqrt(self.variance))

    def swap(self) -> ScoreSums:
        """The same rows with the roles of the two models exchanged."""
        return ScoreSums(self.n, self.challenger, self.champion, self.variance, self.bound)


Sums = tuple[str, str, str, ScoreSums]
"""The name of a measure, two versions, and the sums of the pair."""


@dataclass(frozen=True, slots=True)
class ScoredRows:
    """Some rows of a batch: labels ``y`` (n,) and scores (n,) by version of those that count, scores of those without a label."""

    y: Floats
    scores: Mapping[str, Floats]
    unlabelled: Mapping[str, Floats]


ScoredBlocks = Callable[[], Iterable[ScoredRows]]
"""The rows of a batch, in the same order and blocks whenever it is called; no more of them than one block need be held."""


def pairs_of(versions: Iterable[str]) -> list[tuple[str, str]]:
    """Every pair of versions, the older first."""
    return list(itertools.combinations(sorted(versions, key=int), 2))


class LossSums:
    """The sums of a loss for every pair of versions, block by block; ``loss`` maps labels and scores to losses per row.

    ``bound`` is the largest loss per row if losses are clipped.
    """

    def __init__(self, name: str, loss: Callable[[Floats, Floats], Floats], bound: float | None = None) -> None:
        self._name, self._loss, self._bound = name, loss, bound
        self._sums: dict[tuple[str, str], PairedLosses] = {}

    def add(self, y: Floats, scores: Mapping[str, Floats]) -> None:
        """Add the losses of these rows. Raises ValueError if one is not finite."""
        losses = {version: self._loss(y, values) for version, values in scores.items()}
        for a, b in pairs_of(scores):
            sums = paired_losses(losses[a], losses[b])
            self._sums[a, b] = self._sums[a, b] + sums if (a, b) in self._sums else sums

    def rows(self) -> list[Sums]:
        """The sums of all rows that were added; none if there was no row."""
        return [
            (
                self._name,
                a,
                b,
                ScoreSums(s.n, s.champion / s.n, s.challenger / s.n, s.deviation / s.n / s.n, self._bound),
            )
            for (a, b), s in self._sums.items()
            if s.n
        ]


def merge(name: str, batches: Sequence[ScoreSums]) -> Difference | Undefined:
    """The difference in a measure over several batches; Undefined if they have no units.

    A loss is a mean over rows; with d the difference of a row, the sums of d and d^2 give exactly the variance over all
    rows. A rank metric compares rows within a batch only and weights batches by ``n``, so a drift of the scores between
    batches does no harm.
    """
    n = sum(b.n for b in batches)
    if n == 0:
        return Undefined("no labelled row with scores")
    champion = sum(b.n * b.champion for b in batches) / n
    challenger = sum(b.n * b.challenger for b in batches) / n
    value = sum(b.n * (b.challenger - b.champion) for b in batches) / n
    if name in RANK_METRICS:
        variance = sum((b.n / n) ** 2 * b.variance for b in batches)
    else:
        square = sum(b.n * (b.n * b.variance + (b.challenger - b.champion - value) ** 2) for b in batches)
        variance = square / n / n
    return Difference(champion, challenger, value, math.sqrt(variance))


def merge_losses(batches: Sequence[ScoreSums]) -> PairedLosses:
    """The losses of several batches as the sums that a paired test needs.

    ``largest`` and ``differing`` are not stored; here they are upper bounds.
    """
    total = PairedLosses()
    for b in batches:
        gain, deviation = b.champion - b.challenger, b.variance * b.n * b.n
        largest = min(abs(gain) + math.sqrt(deviation), math.inf if b.bound is None else b.bound)
        total += PairedLosses(b.n, b.n * b.champion, b.n * b.challenger, gain, deviation, largest, b.n)
    return total


def sums_frame(rows: Sequence[Sums]) -> pl.DataFrame:
    """The frame of these sums, with the columns of ``SCHEMA``."""
    cells = [(m, a, b, s.n, s.champion, s.challenger, s.variance, s.bound) for m, a, b, s in rows]
    return pl.DataFrame(cells, schema=SCHEMA, orient="row")


def pair_sums(frame: pl.DataFrame, champion: str, challenger: str) -> dict[str, ScoreSums]:
    """The sums of one pair by the name of the measure, whichever of the two versions was stored first."""
    return sums_of_pair(stacked_sums([frame]), champion, challenger).get(0, {})


def stacked_sums(frames: Sequence[pl.DataFrame | None]) -> pl.DataFrame:
    """One frame of all; the column ``at`` is the position of the one that a row is of."""
    given = [(i, f) for i, f in enumerate(frames) if f is not None]
    at = np.repeat(np.array([i for i, _ in given], dtype=np.int64), [f.height for _, f in given])
    parts = [pl.DataFrame(schema=SCHEMA), *(f for _, f in given)]
    return pl.concat(parts, how="diagonal_relaxed").with_columns(pl.Series("at", at))


def sums_of_pair(stacked: pl.DataFrame, champion: str, challenger: str) -> dict[int, dict[str, ScoreSums]]:
    """``pair_sums`` of each of the frames that were stacked, by its position; those without a sum are left out."""
    first, second = pl.col("first"), pl.col("second")
    of_pair = ((first == champion) & (second == challenger)) | ((first == challenger) & (second == champion))
    found: dict[int, dict[str, ScoreSums]] = {}
    for name, older, _, *sums, at in stacked.filter(of_pair).iter_rows():
        found.setdefault(at, {})[name] = ScoreSums(*sums) if older == champion else ScoreSums(*sums).swap()
    return found


def version_value(
    frame: pl.DataFrame, name: str, version: str, *, bound: float | None = None
) -> tuple[int, float] | None:
    """The number of units and the value of ``name`` for one version, from any pair that it is in.

    None if there is no value that was clipped at ``bound``.
    """
    for metric, first, second, *stored in frame.iter_rows():
        sums = ScoreSums(*stored)
        if metric == name and version in (first, second) and sums.bound == bound:
            return sums.n, sums.champion if version == first else sums.challenger
    return None
