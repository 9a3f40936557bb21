"""Labels in the order of the hashes of their ids: those of a batch are found without looking at all others."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from tasks.labels.row_ids import as_key

__all__ = ["LabelIndex"]


class LabelIndex:
    """The labels of several files, whose ids are compared in the type ``key``."""

    def __init__(self, files: Sequence[pl.DataFrame], key: pl.DataType) -> None:
        labels = pl.concat([f.with_columns(as_key(f["id"], key)) for f in files], how="diagonal")
        hashes = labels["id"].hash().to_numpy()
        order = np.argsort(hashes)
        self._key, self._hashes, self._labels = key, hashes[order], labels[order]

    def of(self, ids: pl.Series) -> pl.DataFrame:
        """All labels of these ids, and perhaps others whose ids have the same hash."""
        wanted = as_key(ids, self._key).drop_nulls().hash().unique().to_numpy()
        first, behind = (np.searchsorted(self._hashes, wanted, side=s) for s in ("left", "right"))
        found = behind - first
        before = np.cumsum(found) - found
        return self._labels[np.repeat(first - before, found) + np.arange(int(found.sum()))]
