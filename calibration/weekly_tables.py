"""Weeks of whole 2 x 2 x 2 tables, many runs at once, and what stands in them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from analysis.tables.counts import PairedCounts
from analysis.tables.metrics import paired_metric, paired_standard_error
from calibration.records import WEEKS, Ints

__all__ = ["cell_shares", "counts_of", "differences", "play_tables"]

Floats = NDArray[np.float64]


def cell_shares(positives: Sequence[float], negatives: Sequence[float]) -> Floats:
    """Expected rows in (neither, challenger alone, champion alone, both) flagged, by label, as shares of all rows."""
    cells = np.array([*negatives, *positives], dtype=np.float64)
    return np.asarray(cells / cells.sum())


def play_tables(shares: Floats, rows: int, runs: int, rng: np.random.Generator) -> Ints:
    """The cells so far at each of 52 looks, ``rows`` new rows a week; shape (runs, weeks, 8)."""
    return np.asarray(rng.multinomial(rows, shares, size=(runs, WEEKS)).cumsum(axis=1), dtype=np.int64)


def differences(name: str, cells: Ints) -> tuple[Floats, Floats]:
    """Challenger minus champion and its standard error, at each look of each run; not-a-number where undefined."""
    flat = cells.reshape(-1, 8).astype(np.float64)
    champion, challenger = paired_metric(name, flat)
    shape = cells.shape[:-1]
    return (challenger - champion).reshape(shape), paired_standard_error(name, flat).reshape(shape)


def counts_of(cells: Ints) -> PairedCounts:
    """One table as the shipped functions take it."""
    return PairedCounts(tuple(int(n) for n in cells))  # type: ignore[arg-type]
