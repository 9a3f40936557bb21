"""The score sums of a batch, which are stored beside its tally."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np
import polars as pl

from analysis.kinds.score_sums import ScoredRows, sums_frame
from analysis.policy import Policy
from analysis.tables.metrics import Floats

__all__ = ["score_tally"]


def score_tally(blocks: Callable[[], Iterable[pl.DataFrame]], policy: Policy) -> pl.DataFrame:
    """A frame of score sums (``analysis.kinds.score_sums``) of every pair of versions over the labelled rows that count.

    ``blocks`` gives the rows of the batch, whenever it is called, in one frame at least: ``excluded``, ``label`` and ``s<version>`` for
    every version that scored the batch. How the rows are cut changes the sums by no more than rounding. A measure that is undefined in
    the batch has no row.
    """

    def scored() -> Iterator[ScoredRows]:
        labelled = pl.col("label").is_not_null()
        for block in blocks():
            usable = block.filter(pl.col("excluded").is_null() & labelled)
            yield ScoredRows(
                usable["label"].to_numpy().astype(np.float64), _scores(usable), _scores(block.filter(~labelled))
            )

    first = next(iter(blocks()))
    if len(_score_columns(first)) < 2:
        return sums_frame([])
    return sums_frame(
        policy.kind.score_sums(scored, named=(policy.primary, *policy.guardrails), largest_error=policy.largest_error)
    )


def _score_columns(rows: pl.DataFrame) -> list[str]:
    return [c for c in rows.columns if c.startswith("s") and c[1:].isdigit()]


def _scores(rows: pl.DataFrame) -> dict[str, Floats]:
    return {c[1:]: rows[c].to_numpy() for c in _score_columns(rows)}
