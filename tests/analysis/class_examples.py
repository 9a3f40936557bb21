"""What the tests of multiclass comparisons share: strategies for counts, and the rows that counts stand for."""

from __future__ import annotations

import numpy as np
from analysis_examples import HUGE
from hypothesis import strategies as st

from analysis.tables.class_counts import ClassCounts
from analysis.tables.counts import PairedCounts

NAME = st.sampled_from(["ant", "bee", "cat", "dog"])
_CELL = st.tuples(NAME, NAME, NAME)
_PAIR = st.tuples(NAME, NAME)


def class_counts(largest: st.SearchStrategy[int]) -> st.SearchStrategy[ClassCounts]:
    """Up to four classes, few or many cells occupied, with or without unlabelled rows."""
    entries = st.dictionaries(_CELL, largest, max_size=30), st.dictionaries(_PAIR, largest, max_size=5)
    return st.builds(lambda cells, pairs: ClassCounts.of(cells.items(), pairs.items()), *entries)


FEW_ROWS = class_counts(st.integers(1, 6))
ANY_ROWS = class_counts(st.one_of(st.integers(1, 20), st.integers(1, 3000), st.just(HUGE)))


def rows(counts: ClassCounts) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Label, champion and challenger of every labelled row."""
    each = [key for key, n in counts.labelled for _ in range(n)]
    y, c, h = (np.array([key[i] for key in each], dtype="<U4") for i in range(3))
    return y, c, h


def counted(y: np.ndarray, c: np.ndarray, h: np.ndarray) -> ClassCounts:
    """The counts of rows."""
    return ClassCounts.of((key, 1) for key in zip(y.tolist(), c.tolist(), h.tolist(), strict=True))


def one_vs_rest(counts: ClassCounts, name: str) -> PairedCounts:
    """The 2x2x2 table of "it is ``name``" against "it is not"."""
    labelled, unlabelled = [0] * 8, [0] * 4
    for (y, c, h), n in counts.labelled:
        labelled[4 * (y == name) + 2 * (c == name) + (h == name)] += n
    for (c, h), n in counts.unlabelled:
        unlabelled[2 * (c == name) + (h == name)] += n
    return PairedCounts(tuple(labelled), tuple(unlabelled))


def simulated(rng: np.random.Generator, n: int, *, classes: int = 4, gain: float = 0.05) -> ClassCounts:
    """Rows of unequal classes; both models err in half of the cases alike, and the challenger less by ``gain``."""
    share = 1 / np.arange(1, classes + 1)
    y = rng.choice(classes, size=n, p=share / share.sum())
    shared = rng.random(n) < 0.5
    u = rng.random(n), rng.random(n)
    slip = rng.integers(1, classes, size=(3, n))
    c = np.where(u[0] < 0.3, (y + slip[0]) % classes, y)
    own = np.where(u[1] < 0.3 - 2 * gain, (y + slip[1]) % classes, y)
    names = np.array([f"k{i:02}" for i in range(classes)])
    return counted(names[y], names[c], names[np.where(shared, c, own)])
