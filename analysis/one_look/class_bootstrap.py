"""The bootstrap of multiclass metrics from counts: its cost grows with the occupied cells, not with the rows.

A row bootstrap is a multinomial draw of the occupied cells. The default adds to it what ``analysis.one_look.bootstrap`` adds to
eight cells, half a row each: here half a row for each of the four outcomes of a class (both models right, either one
alone, none). Half a row in each of the K^3 cells would be K^2 / 4 times as many and would outweigh the data.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

import numpy as np
import scipy

from analysis.one_look.bootstrap import Bootstrap, Resampling, percentile_interval, summary
from analysis.one_look.class_metrics import class_difference, class_metric_array
from analysis.tables.class_counts import ClassCounts
from analysis.tables.counts import Undefined
from analysis.tables.metrics import Floats

__all__ = ["class_bootstrap"]

_BLOCK = 2_000_000  # numbers drawn at once, so that memory does not grow with cells x resamples


def class_bootstrap(
    counts: ClassCounts,
    metrics: Collection[str],
    *,
    rng: np.random.Generator,
    confidence_level: float,
    n_resamples: int = 10_000,
    method: Resampling = "dirichlet",
) -> dict[str, Bootstrap | Undefined]:
    """Bootstrap the paired difference of every metric from the same draws, the classes averaged over being fixed.

    ``dirichlet``: an occupied cell weighs Gamma(N), and each outcome of each class among the labels Gamma(1/2) more,
    which falls on wrong predictions that are picked at random in every replicate. So the shares of outcomes within a
    class are Dirichlet(N + 1/2), and with two classes, both among the labels, the draws are those of the binary
    bootstrap. ``multinomial``: the textbook bootstrap of rows; replicates that lose a class are undefined, left out
    and counted, and above 1 % of them no interval is given. Undefined where the observed difference is.
    """
    observed = {name: class_difference(name, counts) for name in metrics}
    defined = [name for name, value in observed.items() if not isinstance(value, Undefined)]
    results: dict[str, Bootstrap | Undefined] = {
        name: value for name, value in observed.items() if isinstance(value, Undefined)
    }
    if defined:
        blocks = [
            [class_metric_array(name, *new) - class_metric_array(name, *old) for name in defined]
            for old, new in _replicates(counts, rng, n_resamples, method)
        ]
        for name, *values in zip(defined, *blocks, strict=True):
            differences = np.concatenate(values)
            results[name] = summary(differences, percentile_interval(differences, confidence_level), method)
    return {name: results[name] for name in metrics}


_Margins = tuple[Floats, Floats, Floats]  # right, labelled, predicted: replicates x classes among the labels


def _replicates(
    counts: ClassCounts, rng: np.random.Generator, n_resamples: int, method: Resampling
) -> Iterator[tuple[_Margins, _Margins]]:
    """The margins of champion and challenger, block by block."""
    cells = np.array([n for _, n in counts.labelled])
    sums = _margin_sums(counts)
    named = max(len({name for key, _ in counts.labelled for name in key}), 2)  # a lone class has an unnamed rival
    size = max(_BLOCK // len(cells), 1)
    for start in range(0, n_resamples, size):
        rows = min(size, n_resamples - start)
        if method == "dirichlet":
            draws = rng.standard_gamma(cells, size=(rows, len(cells)))
        else:
            draws = rng.multinomial(counts.n, cells / counts.n, size=rows).astype(np.float64)
        labelled, old_right, new_right, old_predicted, new_predicted = np.split((sums @ draws.T).T, 5, axis=1)
        if method == "dirichlet":
            both, only_old, only_new, none = rng.standard_gamma(0.5, size=(4, *labelled.shape))
            labelled += both + only_old + only_new + none
            old_right += both + only_old
            new_right += both + only_new
            old_predicted += both + only_old + _misplaced((only_new, none), rng, named)
            new_predicted += both + only_new + _misplaced((only_old, none), rng, named)
        yield (old_right, labelled, old_predicted), (new_right, labelled, new_predicted)


def _margin_sums(counts: ClassCounts) -> scipy.sparse.csr_array:
    """The matrix that sums cells to labelled, right (champion, challenger) and predicted (champion, challenger) rows of each class."""
    position = {name: i for i, name in enumerate(counts.labels)}
    k = len(position)
    entries = []
    for j, ((y, c, h), _) in enumerate(counts.labelled):
        entries.append((position[y], j))
        for model, prediction in enumerate((c, h)):
            if prediction == y:
                entries.append(((1 + model) * k + position[y], j))
            if prediction in position:
                entries.append(((3 + model) * k + position[prediction], j))
    rows, columns = zip(*entries, strict=True)
    return scipy.sparse.csr_array((np.ones(len(entries)), (rows, columns)), shape=(5 * k, len(counts.labelled)))


def _misplaced(weights: Sequence[Floats], rng: np.random.Generator, named: int) -> Floats:
    """The weights (replicates x true classes) by the wrong class, picked at random, that they are predicted to be."""
    total = np.zeros_like(weights[0])
    rows, k = total.shape
    for weight in weights:
        picked = (np.arange(k) + rng.integers(1, named, size=(rows, k))) % named
        flat = np.bincount((picked + named * np.arange(rows)[:, None]).ravel(), weight.ravel(), named * rows)
        total += flat.reshape(rows, named)[:, :k]
    return total
