"""A pair's own numbers as a report names them: counts and metrics of decisions or classes, or the losses of numbers.

Their tables are in ``templates/decisions.md.j2``, ``classes.md.j2``, ``losses.md.j2`` and ``metrics.md.j2``. A value that is not
defined is ``Undefined``, with its reason.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from analysis.one_look.bootstrap import Bootstrap
from analysis.one_look.by_class import ByClass
from analysis.one_look.losses import PairedT
from analysis.one_look.marginals import TableTest
from analysis.one_look.mcnemar import McNemar
from analysis.policy import Policy
from analysis.tables.counts import PairedCounts, Undefined
from analysis.tables.intervals import Interval
from analysis.tables.metrics import Difference
from analysis.verdict.assess import Measured

__all__ = ["Classes", "Decisions", "Losses", "numbers"]

_MOST_CLASSES = 30  # shown, those with most rows; the record holds all


@dataclass(frozen=True, slots=True)
class _TwoByTwo:
    """Labelled rows of one class, by which of the two models flagged them."""

    label: int
    neither: int
    challenger_alone: int
    champion_alone: int
    both: int

    @property
    def rows(self) -> int:
        return self.neither + self.challenger_alone + self.champion_alone + self.both


@dataclass(frozen=True, slots=True)
class _Metric:
    """A metric of both models; ``interval``, of the bootstrap, and ``mcnemar`` are None where the metric has none."""

    name: str
    difference: Difference | Undefined
    interval: Interval | Undefined | None
    mcnemar: McNemar | None


@dataclass(frozen=True, slots=True)
class Decisions:
    """The numbers on decisions of 0 and 1; ``drawn`` is how the bootstrap draws."""

    two_by_two: tuple[_TwoByTwo, _TwoByTwo]
    metrics: list[_Metric]
    drawn: str


@dataclass(frozen=True, slots=True)
class _Class:
    name: str
    recall: ByClass | Undefined


@dataclass(frozen=True, slots=True)
class Classes:
    """The numbers on several classes. ``stuart_maxwell``: how the predictions moved, which no label is needed for."""

    classes: list[_Class]
    classes_left_out: int
    stuart_maxwell: TableTest | Undefined
    metrics: list[_Metric]
    drawn: str


@dataclass(frozen=True, slots=True)
class _Root:
    """The root of a mean squared error of both models."""

    champion: float
    challenger: float


@dataclass(frozen=True, slots=True)
class _Loss:
    """A mean loss of both models; ``interval`` is of challenger minus champion."""

    measure: str
    name: str
    difference: Difference | Undefined
    test: PairedT | Undefined
    interval: Interval | Undefined
    root: _Root | None


@dataclass(frozen=True, slots=True)
class Losses:
    """The numbers on predicted numbers."""

    losses: list[_Loss]


def numbers(m: Measured, policy: Policy) -> Decisions | Classes | Losses:
    """The numbers that the task has."""
    if policy.task == "regression":
        return Losses([_loss(m, name, test) for name, test in m.losses.items()])
    if policy.task == "binary":
        return Decisions(_two_by_two(m.counts.as_recorded()), _metrics(m), _drawn(m))
    most = sorted(m.classes, key=lambda name: -_rows_of(m.classes[name]))[:_MOST_CLASSES]
    classes = [_Class(name, recall) for name, recall in m.classes.items() if name in most]
    return Classes(classes, len(m.classes) - len(classes), m.marginals["stuart_maxwell"], _metrics(m), _drawn(m))


def _two_by_two(counts: PairedCounts) -> tuple[_TwoByTwo, _TwoByTwo]:
    n = counts.labelled
    return _TwoByTwo(1, *n[4:]), _TwoByTwo(0, *n[:4])


def _metrics(m: Measured) -> list[_Metric]:
    metrics = []
    for name, difference in m.metrics.items():
        drawn = m.bootstrap.get(name)
        interval = drawn.interval if isinstance(drawn, Bootstrap) else drawn
        mcnemar = m.mcnemar.get(name)  # most metrics have none
        metrics.append(_Metric(name.replace("_", " "), difference, interval, mcnemar))
    return metrics


def _drawn(m: Measured) -> str:
    """How the bootstrap draws: rows that are corrected or weighed are resampled, else the cells are smoothed."""
    corrected = any(isinstance(b, Bootstrap) and b.method == "multinomial" for b in m.bootstrap.values())
    return "multinomial" if corrected else "Dirichlet-½"


def _rows_of(recall: ByClass | Undefined) -> int:
    return 0 if isinstance(recall, Undefined) else recall.pairs.n


def _loss(m: Measured, name: str, test: PairedT | Undefined) -> _Loss:
    difference = m.metrics[name]
    root = None
    if name == "squared_error" and isinstance(difference, Difference):
        root = _Root(math.sqrt(difference.champion), math.sqrt(difference.challenger))
    return _Loss(name, name.replace("_", " "), difference, test, _turned(test), root)


def _turned(test: PairedT | Undefined) -> Interval | Undefined:
    """The interval of challenger minus champion: that of the gain, with the sign turned."""
    if isinstance(test, Undefined):
        return test
    gain = test.interval
    return Interval(0.0 - gain.high, 0.0 - gain.low, gain.confidence_level)
