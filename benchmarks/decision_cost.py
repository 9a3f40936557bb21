"""What a decision costs: the bootstrap from counts and the whole judgement, beside bootstraps of the rows themselves.

Run ``python -m benchmarks.decision_cost``; two minutes and 2 GB. mlxtend is timed where it is installed.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import scipy
import sklearn
from numpy.typing import NDArray
from sklearn.metrics import recall_score
from sklearn.utils import resample

from analysis.evidence import Contender, Evidence, PairedBatch
from analysis.one_look.bootstrap import bootstrap
from analysis.one_look.bootstrap_intervals import IntervalKind
from analysis.policy import Policy
from analysis.tables.counts import PairedCounts
from analysis.verdict.judge import judge

SIZES = (10**4, 10**5, 10**6, 10**7)
B = 10_000
LEVEL = 0.95
SIX: tuple[str, ...] = ("recall", "precision", "specificity", "accuracy", "f1", "mcc")
OURS = "**both**"
THREE: tuple[IntervalKind, ...] = ("percentile", "bca", "studentized")

Column = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Data:
    """Label and both decisions of n rows, their table, and the tables of eight weeks of them."""

    y: Column
    c: Column
    h: Column
    table: PairedCounts
    weeks: tuple[PairedCounts, ...]


@dataclass(frozen=True, slots=True)
class Way:
    """A way to an interval; ``replicates`` are those really drawn at each size, all B unless it would take hours."""

    name: str
    run: Callable[[Data, int], object]
    replicates: tuple[int, ...] = (B,) * len(SIZES)


def main() -> None:
    ways = _ways()
    seconds: dict[str, list[float | None]] = {way.name: [] for way in ways}
    for i, size in enumerate(SIZES):
        data = _data(size)
        for way in ways:
            seconds[way.name].append(_seconds(way, data, way.replicates[i]))
    _print(ways, seconds)


def _ways() -> tuple[Way, ...]:
    return (
        Way("table of the rows by `np.bincount`", lambda data, _: _table(data.y, data.c, data.h)),
        Way("bootstrap from the table, recall", lambda data, n: _bootstraps(data.table, ["recall"], n)),
        Way(OURS, lambda data, n: _bootstraps(_table(data.y, data.c, data.h), ["recall"], n)),
        Way("both, six metrics", lambda data, n: _bootstraps(_table(data.y, data.c, data.h), SIX, n)),
        Way(
            "both, recall by percentile, BCa and studentized",
            lambda data, n: _bootstraps(_table(data.y, data.c, data.h), ["recall"], n, THREE),
        ),
        Way("`judge()` from eight tables", lambda data, n: _judged(data.weeks, n)),
        Way("`scipy.stats.bootstrap`, paired, vectorised", _scipy, (500, 200, 30, 5)),
        Way("`sklearn.utils.resample`, `recall_score` twice", _sklearn, (200, 50, 10, 3)),
        Way("`mlxtend.evaluate.bootstrap`", _mlxtend, (500, 200, 30, 5)),
    )


def _data(n: int) -> Data:
    """5 % positives, and two models of the same quality that disagree on a tenth of them and on 1 % of the negatives."""
    rng = np.random.default_rng([2026, n])
    y, u = rng.random(n) < 0.05, rng.random(n)
    both = np.where(y, u < 0.65, u < 0.03)
    c_only = np.where(y, u > 0.95, u > 0.995)
    h_only = np.where(y, u > 0.90, u > 0.99) & ~c_only
    columns = tuple(column.astype(np.uint8) for column in (y, both | c_only, both | h_only))
    weeks = tuple(_table(*parts) for parts in zip(*(np.array_split(c, 8) for c in columns), strict=True))
    return Data(*columns, _table(*columns), weeks)


def _table(y: Column, c: Column, h: Column) -> PairedCounts:
    return PairedCounts(tuple(np.bincount(4 * y + 2 * c + h, minlength=8).tolist()))


def _bootstraps(
    counts: PairedCounts, metrics: Sequence[str], n: int, kinds: Sequence[IntervalKind] = ("percentile",)
) -> object:
    return [
        bootstrap(counts, metrics, rng=np.random.default_rng(1), confidence_level=LEVEL, n_resamples=n, interval=kind)
        for kind in kinds
    ]


def _judged(weeks: Sequence[PairedCounts], n: int) -> object:
    first = date(2026, 1, 5)
    batches = tuple(PairedBatch(f"week {i}", first + timedelta(weeks=i), counts, {}) for i, counts in enumerate(weeks))
    evidence = Evidence(Contender("1", "a", 0.5, None), Contender("2", "b", 0.5, None), batches)
    return judge([evidence], Policy(n_resamples=n), seed=1)


def _scipy(data: Data, n: int) -> object:
    def recall_difference(y: Column, c: Column, h: Column, axis: int = -1) -> NDArray[np.float64]:
        positives, old, new = (x.sum(axis=axis, dtype=np.int64) for x in (y, y & c, y & h))
        return np.asarray((new - old) / positives)

    return scipy.stats.bootstrap(
        (data.y, data.c, data.h),
        recall_difference,
        paired=True,
        vectorized=True,
        method="percentile",
        n_resamples=n,
        batch=max(1, 10**6 // len(data.y)),  # more at once is slower, and 8 n bytes a replicate
        confidence_level=LEVEL,
        rng=np.random.default_rng(1),
    )


def _sklearn(data: Data, n: int) -> object:
    differences = []
    for i in range(n):
        y, c, h = resample(data.y, data.c, data.h, random_state=i)
        differences.append(recall_score(y, h) - recall_score(y, c))
    return np.quantile(differences, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])


def _mlxtend(data: Data, n: int) -> object:
    from mlxtend.evaluate import bootstrap as bootstrap_rows

    def recall_difference(rows: Column) -> float:
        positives = rows[rows[:, 0] == 1]
        return float(positives[:, 2].mean() - positives[:, 1].mean())

    rows = np.column_stack([data.y, data.c, data.h])
    return bootstrap_rows(rows, func=recall_difference, num_rounds=n, ci=LEVEL, seed=1)


def _seconds(way: Way, data: Data, replicates: int) -> float | None:
    """For B replicates, the best of ten runs; from one run of few where they are few. None without the package."""
    try:
        if len(data.y) == SIZES[0]:
            way.run(data, replicates // 10)  # imports and first calls
        return min(_time(way, data, replicates) for _ in range(10 if replicates == B else 1)) * B / replicates
    except ModuleNotFoundError:
        return None


def _time(way: Way, data: Data, replicates: int) -> float:
    start = time.process_time()  # all of it runs in one thread; the wall clock would time the neighbours too
    way.run(data, replicates)
    return time.process_time() - start


def _print(ways: Sequence[Way], seconds: dict[str, list[float | None]]) -> None:
    versions = f"numpy {np.__version__}, scipy {scipy.__version__}, scikit-learn {sklearn.__version__}"
    print(
        f"CPU seconds for {B:,} replicates (times those of **both**); Python {platform.python_version()}, {versions}\n"
    )
    print("| rows | " + " | ".join(f"{size:,}" for size in SIZES) + " |")
    print("| --- |" + " ---: |" * len(SIZES))
    for way in ways:
        cells = map(_cell, seconds[way.name], seconds[OURS], way.replicates)
        print(f"| {way.name} | " + " | ".join(cells) + " |")
    few = [f"{way.name} {', '.join(map(str, way.replicates))}" for way in ways if B not in way.replicates]
    print(f"\n\\* extrapolated linearly from fewer replicates: {'; '.join(few)}")


def _cell(found: float | None, ours: float | None, replicates: int) -> str:
    if found is None or ours is None:
        return "not installed"
    star = "" if replicates == B else "\\*"
    return f"{_short(found)}{star} ({_short(found / ours)}×)"


def _short(x: float) -> str:
    return f"{x:,.0f}" if x >= 10 else f"{x:.2g}"


if __name__ == "__main__":
    main()
