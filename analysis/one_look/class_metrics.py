"""Metrics of models with more than two classes, their paired differences and influence-function standard errors.

A macro metric is the mean over the classes that occur as a label, the same for both models. A class that is only ever
predicted is not one of them: such a prediction is an error on its row and nothing else.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from analysis.one_look.mcnemar import Alternative, mcnemar
from analysis.one_look.multiplicity import holm
from analysis.tables.class_counts import ClassCounts
from analysis.tables.counts import Confusion, PairedOutcomes, Undefined
from analysis.tables.measure import Measure
from analysis.tables.metrics import Difference, Floats

__all__ = [
    "CLASS_METRICS",
    "ClassMetric",
    "ClassRecall",
    "class_difference",
    "class_metric",
    "class_metric_array",
    "recall_by_class",
]

_Slopes = tuple[Floats, Floats, Floats, float]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ClassMetric(Measure):
    """A function of the rows that are right, labelled and predicted in each class that occurs as a label.

    ``value`` takes the three, with classes on the last axis; not-a-number where it is undefined. ``slopes`` takes the three and the
    value, and gives the derivatives in right_k, labelled_k and predicted_k for each class k, and in n, of which the value is a share.
    """

    value: Callable[[Floats, Floats, Floats], Floats]
    slopes: Callable[[Floats, Floats, Floats, float], _Slopes]


def _macro_f1_slopes(right: Floats, labelled: Floats, predicted: Floats, value: float) -> _Slopes:
    shared = -2 * right / (labelled + predicted) ** 2 / len(right)
    return 2 / (labelled + predicted) / len(right), shared, shared, 0.0


CLASS_METRICS: dict[str, ClassMetric] = {
    m.name: m
    for m in (
        ClassMetric(
            name="accuracy", family="classes", process="outcomes",
            value=lambda right, labelled, predicted: right.sum(axis=-1) / labelled.sum(axis=-1),
            slopes=lambda r, s, p, value: (0 * r + 1 / float(s.sum()), 0 * s, 0 * p, -value / float(s.sum())),
        ),
        ClassMetric(
            name="macro_recall", family="classes",
            value=lambda right, labelled, predicted: np.mean(right / labelled, axis=-1),
            slopes=lambda r, s, p, value: (1 / s / len(r), -r / s**2 / len(r), 0 * p, 0.0),
        ),
        ClassMetric(
            name="macro_precision", family="classes",
            value=lambda right, labelled, predicted: np.mean(right / predicted, axis=-1),
            slopes=lambda r, s, p, value: (1 / p / len(r), 0 * s, -r / p**2 / len(r), 0.0),
        ),
        ClassMetric(
            name="macro_f1", family="classes",
            value=lambda right, labelled, predicted: np.mean(2 * right / (labelled + predicted), axis=-1),
            slopes=_macro_f1_slopes,
        ),
    )
}  # fmt: skip
"""By name: to add a metric of classes is to add an entry here, and a test."""


@dataclass(frozen=True, slots=True)
class ClassRecall:
    """Recall of one class under both models, with McNemar's mid-p and the same adjusted for all classes (Holm)."""

    pairs: PairedOutcomes
    champion: float
    challenger: float
    p_value: float
    adjusted_p_value: float


def class_metric_array(name: str, right: Floats, labelled: Floats, predicted: Floats) -> Floats:
    """``name`` for counts or weights whose last axis is the classes that occur as a label; not-a-number where undefined.

    ``right`` of the ``labelled`` rows of a class, and of the ``predicted`` ones, are those on which the model is right.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(CLASS_METRICS[name].value(right, labelled, predicted))


def class_metric(name: str, confusions: Mapping[str, Confusion]) -> float | Undefined:
    """The value of ``name`` in [0, 1] from each class against the rest, or why it does not exist.

    Equal to scikit-learn's with ``labels`` = the classes among the labels, and without ``labels`` too where every
    predicted class is one of them (macro recall: ``balanced_accuracy_score``). The precision of a class that the model
    never names is 0/0: macro precision is then Undefined, where scikit-learn warns and takes ``zero_division``.
    """
    margins = _margins(confusions)
    if not margins.names:
        return Undefined("no labelled row")
    if name == "macro_precision" and not margins.predicted.all():
        never = margins.names[int(np.argmin(margins.predicted))]
        return Undefined(f"class {never} is among the labels and was never predicted, so it has no precision")
    return float(class_metric_array(name, margins.right, margins.labelled, margins.predicted))


def class_difference(name: str, counts: ClassCounts) -> Difference | Undefined:
    """Challenger minus champion with its influence-function standard error, the classes averaged over being fixed.

    Homogeneous of degree 0 in the counts, so the standard error is sqrt(sum_j N_j (d theta / dN_j)^2) over the occupied
    cells (delta method). One more row with label y and prediction k moves the metric of a model by the derivative in
    labelled_y, that in predicted_k and, where y = k, that in right_y.
    """
    confusions = counts.champion, counts.challenger
    values = []
    for value in (class_metric(name, c) for c in confusions):
        if isinstance(value, Undefined):
            return value
        values.append(value)
    old, new = (_influence(name, _margins(c), value) for c, value in zip(confusions, values, strict=True))
    variance = sum(n * (new(y, h) - old(y, c)) ** 2 for (y, c, h), n in counts.labelled)
    return Difference(values[0], values[1], values[1] - values[0], math.sqrt(variance))


def recall_by_class(counts: ClassCounts, *, alternative: Alternative = "greater") -> dict[str, ClassRecall | Undefined]:
    """McNemar's mid-p test on the rows of each class, at one look; Holm adjusts over the classes that have a label.

    A class without a labelled row is no hypothesis: Undefined, and not counted in the adjustment.
    """
    pairs = {name: counts.outcomes_of(name) for name in counts.classes}
    tested = [name for name, p in pairs.items() if p.n]
    p_values = [mcnemar(pairs[name], alternative=alternative).p_value for name in tested]
    adjusted = dict(zip(tested, zip(p_values, holm(p_values), strict=True), strict=True))
    old, new = counts.champion, counts.challenger
    results: dict[str, ClassRecall | Undefined] = {}
    for name, p in pairs.items():
        if name in adjusted:
            results[name] = ClassRecall(p, old[name].tp / p.n, new[name].tp / p.n, *adjusted[name])
        else:
            results[name] = Undefined(f"no labelled row of class {name}")
    return results


@dataclass(frozen=True, slots=True)
class _Margins:
    """One model's counts of each class that occurs as a label."""

    names: tuple[str, ...]
    right: Floats
    labelled: Floats
    predicted: Floats


def _margins(confusions: Mapping[str, Confusion]) -> _Margins:
    kept = {name: k for name, k in sorted(confusions.items()) if k.tp + k.fn}
    right, labelled, predicted = (
        np.array(counts, dtype=np.float64)
        for counts in (
            [k.tp for k in kept.values()],
            [k.tp + k.fn for k in kept.values()],
            [k.tp + k.fp for k in kept.values()],
        )
    )
    return _Margins(tuple(kept), right, labelled, predicted)


def _influence(name: str, margins: _Margins, value: float) -> Callable[[str, str], float]:
    """The derivative of ``name``, whose value is ``value``, in the number of rows with a label and a prediction."""
    right, labelled, predicted, every = CLASS_METRICS[name].slopes(
        margins.right, margins.labelled, margins.predicted, value
    )
    position = {label: i for i, label in enumerate(margins.names)}

    def derivative(label: str, prediction: str) -> float:
        i, j = position[label], position.get(prediction)
        own = every + labelled[i] + (right[i] if i == j else 0.0)
        return float(own if j is None else own + predicted[j])

    return derivative
