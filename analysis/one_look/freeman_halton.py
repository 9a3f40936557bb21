"""Fisher's exact test that two kinds of row have the same shares in all groups."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats

from analysis.tables.counts import Undefined
from analysis.tables.metrics import Floats

__all__ = ["freeman_halton"]

Counts = NDArray[np.int64]

_DRAWS = 9_999
_AT_ONCE = 1_000_000  # counts held in memory at a time
_MOST = 10**9  # numpy draws no hypergeometric counts from more
_ROUNDING = 1e-7  # tables closer than this in log probability are equally likely


def freeman_halton(table: Sequence[tuple[int, int]]) -> float | Undefined:
    """Test whether all groups, each a pair of counts, have the same share of the first: P(a table at most as likely as this).

    Given its margins. For two groups Fisher's exact test, two-sided. For more its extension (Freeman and Halton 1951,
    Biometrika 38:141) over 9 999 tables drawn at random: p = (1 + those at most as likely) / 10 000, valid for any number
    of draws (Davison and Hinkley 1997, section 4.2). The table seeds them, so the same groups give the same p in any order,
    and with the two counts exchanged. Undefined below two groups with a count, and from 10^9 counts on.
    """
    groups = sorted((a, b) for a, b in table if a + b)
    groups = min(groups, sorted((b, a) for a, b in groups))
    if len(groups) < 2:
        return Undefined("fewer than two groups to compare")
    first, size = np.array(groups)[:, 0], np.array(groups).sum(axis=1)
    if size.sum() >= _MOST:
        return Undefined("too many rows for an exact test")
    if len(groups) == 2:
        return float(stats.fisher_exact(groups).pvalue)
    rng = np.random.default_rng([n for group in groups for n in group])
    limit, as_rare = _log_choices(size, first) + _ROUNDING, 0
    at_once = max(1, _AT_ONCE // len(groups))
    for begin in range(0, _DRAWS, at_once):
        drawn = rng.multivariate_hypergeometric(
            size, first.sum(), size=min(at_once, _DRAWS - begin), method="marginals"
        )
        as_rare += int(np.sum(_log_choices(size, drawn) <= limit))
    return (1 + as_rare) / (1 + _DRAWS)


def _log_choices(size: Counts, first: Counts) -> Floats:
    """Log of the product of binomial coefficients, to which the probability of a table is proportional."""
    choices = special.gammaln(size + 1) - special.gammaln(first + 1) - special.gammaln(size - first + 1)
    return np.asarray(choices.sum(axis=-1), dtype=np.float64)
