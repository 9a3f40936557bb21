"""Evidence on classes and on numbers, from rows that a test can compute everything from again."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import numpy as np
import polars as pl
from analysis_examples import FIRST_DAY, contender

from analysis.evidence import Evidence, PairedBatch
from analysis.evidence.score_tally import score_tally
from analysis.kinds import MULTICLASS, REGRESSION
from analysis.kinds.score_sums import pair_sums
from analysis.policy import Policy
from analysis.tables.class_counts import ClassCounts
from analysis.tables.metrics import Floats
from analysis.tables.number_counts import NumberCounts


def class_evidence(*batches: ClassCounts) -> Evidence:
    """Evidence of version 1 against version 2, one batch a week."""
    paired = tuple(PairedBatch(f"b{i:02}", FIRST_DAY + timedelta(weeks=i), c, {}) for i, c in enumerate(batches))
    return Evidence(contender("1"), contender("2"), paired, kind=MULTICLASS)


def loss_evidence(
    *batches: tuple[Floats, Floats, Floats],
    policy: Policy = Policy(task="regression"),  # noqa: B008
) -> Evidence:
    """The same of numbers: label, champion and challenger of every row of each batch."""
    paired = tuple(
        PairedBatch(
            f"b{i:02}",
            FIRST_DAY + timedelta(weeks=i),
            NumberCounts(len(y)),
            {},
            pair_sums(summed(y, c, h, policy=policy), "1", "2"),
        )
        for i, (y, c, h) in enumerate(batches)
    )
    return Evidence(contender("1"), contender("2"), paired, kind=REGRESSION)


def summed(
    y: Floats,
    *predictions: Floats,
    excluded: Sequence[str | None] | None = None,
    policy: Policy = Policy(task="regression"),  # noqa: B008
) -> pl.DataFrame:
    """The sums of losses of one batch, of version 1 and those after it."""
    joined = pl.DataFrame({"label": y, **{f"s{i}": p for i, p in enumerate(predictions, start=1)}})
    given = pl.Series("excluded", [None] * len(y) if excluded is None else list(excluded), dtype=pl.String)
    return score_tally(lambda: [joined.with_columns(given)], policy)


def numbers(
    rng: np.random.Generator, n: int, *, champion: float = 1.0, challenger: float = 1.0
) -> tuple[Floats, Floats, Floats]:
    """Labels, and predictions of two models with errors of these standard deviations beside one that they share."""
    y, shared = rng.gamma(3, 4, n), rng.normal(0, 1, n)
    return y, y + shared + rng.normal(0, champion, n), y + shared + rng.normal(0, challenger, n)
