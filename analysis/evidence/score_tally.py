"""The score sums of a batch, which are stored beside its tally."""

from __future__ import annotations

import numpy as np
import polars as pl

from analysis.kinds.score_sums import sums_frame
from analysis.policy import Policy
from analysis.tables.metrics import Floats

__all__ = ["score_tally"]


def score_tally(joined: pl.DataFrame, policy: Policy) -> pl.DataFrame:
    """A frame of score sums (``analysis.kinds.score_sums``) of every pair of versions over the labelled rows that count.

    ``joined`` has ``excluded``, ``label`` and ``s<version>`` for every version that scored the batch. A measure that is undefined in the
    batch has no row.
    """
    labelled = pl.col("label").is_not_null()
    usable = joined.filter(pl.col("excluded").is_null() & labelled)
    scores = _scores(usable)
    if usable.is_empty() or len(scores) < 2:
        return sums_frame([])
    sums = policy.kind.score_sums(
        usable["label"].to_numpy().astype(np.float64),
        scores,
        _scores(joined.filter(~labelled)),
        named=(policy.primary, *policy.guardrails),
        largest_error=policy.largest_error,
    )
    return sums_frame(sums)


def _scores(rows: pl.DataFrame) -> dict[str, Floats]:
    return {c[1:]: rows[c].to_numpy() for c in rows.columns if c.startswith("s") and c[1:].isdigit()}
