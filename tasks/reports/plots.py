"""The plots of a report."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.evidence import BatchTally
from analysis.one_look.bootstrap import Bootstrap
from analysis.one_look.losses import PairedT
from analysis.policy import Policy
from analysis.tables.intervals import Interval
from analysis.tables.metrics import Difference
from analysis.verdict.assess import shown_metric
from analysis.verdict.checks import needed
from analysis.verdict.judge import Assessment
from analysis.verdict.trajectory import evidence_path, metric_path, spread
from tasks.reigns import Reign
from tasks.reports.limits import MOST_PANELS
from tasks.reports.plot_style import BAD, FAINT, GOOD, INK, date_axis, styled, version_color, version_line

__all__ = ["difference_forest", "evidence_over_looks", "most_points", "segment_forest", "weekly_metrics"]

_MOST_POINTS = 100  # of a line
_MOST_OF_ALL = 300  # of the lines of a plot together
_MOST_REIGNS = 20
_IN_A_ROW = 5  # of a legend

_Whisker = tuple[float, float, float, float]
"""The row of an interval, the value in it, and its ends."""


def most_points(versions: int) -> int:
    """The most batches that a plot with a line for each of so many versions shows; above that, as many of them, evenly spread."""
    return min(_MOST_POINTS, max(_MOST_OF_ALL // max(versions, 1), 10))


def _panels(count: int, width: float, height: float) -> tuple[Figure, list[Axes]]:
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots(1, count, squeeze=False, sharey=True)
    return figure, list(axes[0])


@styled
def difference_forest(assessments: Sequence[Assessment], policy: Policy) -> Figure:
    """Challenger minus champion for every metric, with the margins that the policy sets.

    Losses of numbers have no scale in common: they are shown as shares of the champion's.
    """
    shown = policy.kind.measures.values()
    names = [m.name for m in shown if m.can_decide and m.family in ("decisions", "classes", "numbers")]
    figure, panels = _panels(len(assessments), 3.1 * len(assessments) + 1.2, 1.4 + 0.25 * len(names))
    for axes, a in zip(panels, assessments, strict=True):
        whiskers: dict[str, list[_Whisker]] = {INK: [], FAINT: []}
        for row, name in enumerate(reversed(names)):
            difference, interval = a.measured.metrics[name], _interval(a, name)
            if not isinstance(difference, Difference) or interval is None:
                continue
            unit = difference.champion / 100 if policy.measure(name).family == "numbers" else 1.0
            if not unit:
                continue  # the champion is never wrong
            color = INK if name == policy.primary or name in policy.guardrails else FAINT
            whiskers[color].append((row, difference.value / unit, interval.low / unit, interval.high / unit))
            if name == policy.primary and policy.min_gain:
                _margin(axes, row, policy.measure(name).sign * policy.min_gain / unit, GOOD)
            elif name in policy.guardrails:
                _margin(axes, row, -policy.measure(name).sign * policy.guardrails[name] / unit, BAD)
        for color, drawn in whiskers.items():
            _whiskers(axes, drawn, color)
        axes.axvline(0, color=FAINT, linewidth=0.8)
        axes.set_yticks(range(len(names)), [n.replace("_", " ") for n in reversed(names)])
        axes.set_title(f"version {a.evidence.challenger.version}: {a.verdict.value}")
        numbers = not policy.kind.right_or_wrong
        axes.set_xlabel("difference, % of the champion's loss" if numbers else "challenger − champion")
        axes.locator_params(axis="x", nbins=5)
    return figure


def _interval(a: Assessment, name: str) -> Interval | None:
    """The interval of challenger minus champion, at one look."""
    if name in a.measured.losses:
        test = a.measured.losses[name]
        gain = test.interval if isinstance(test, PairedT) else None
        return Interval(-gain.high, -gain.low, gain.confidence_level) if gain else None
    replicates = a.measured.bootstrap[name]
    return replicates.interval if isinstance(replicates, Bootstrap) else None


def _whiskers(axes: Axes, drawn: Sequence[_Whisker], color: str) -> None:
    """All intervals in one line with gaps, which takes a tenth of the space of a line each."""
    x = [v for _, _, low, high in drawn for v in (low, high, math.nan)]
    y = [v for row, *_ in drawn for v in (row, row, math.nan)]
    axes.plot(x, y, color=color, linewidth=2, solid_capstyle="round")
    axes.plot([w[1] for w in drawn], [w[0] for w in drawn], "o", color=color, markersize=5)


def _margin(axes: Axes, row: float, at: float, color: str) -> None:
    axes.plot([at, at], [row - 0.38, row + 0.38], color=color, linewidth=1.6)


@styled
def segment_forest(
    assessments: Sequence[Assessment], policy: Policy, chosen: Sequence[tuple[str, str]]
) -> Figure | None:
    """The primary difference in each of the ``chosen`` segments, (column, value), from the top down; None without any."""
    if not chosen:
        return None
    figure, panels = _panels(len(assessments), 3.1 * len(assessments) + 1.2, 1.4 + 0.26 * len(chosen))
    rows = {segment: len(chosen) - 1 - i for i, segment in enumerate(chosen)}
    for axes, a in zip(panels, assessments, strict=True):
        shown = [s for s in a.measured.segments if (s.column, s.value) in rows]
        drawn = [(rows[s.column, s.value], s.difference, s.interval.low, s.interval.high) for s in shown]
        _whiskers(axes, drawn, INK)
        total = a.measured.metrics[shown_metric(policy)]
        if isinstance(total, Difference):
            axes.axvline(total.value, color=version_color(a.evidence.challenger.version), linewidth=1.2, linestyle="--")
        axes.axvline(0, color=FAINT, linewidth=0.8)
        axes.set_yticks(list(rows.values()), [_short(f"{column}: {value}") for column, value in rows])
        axes.set_ylim(-0.6, len(rows) - 0.4)
        axes.set_title(f"version {a.evidence.challenger.version}")
        axes.set_xlabel(f"difference in {shown_metric(policy)}")
        axes.locator_params(axis="x", nbins=4)
    return figure


def _short(label: str, most: int = 40) -> str:
    return label if len(label) <= most else f"{label[: most - 1]}…"


@styled
def evidence_over_looks(assessments: Sequence[Assessment], policy: Policy, waves: Mapping[str, int]) -> Figure:
    """The e-value of every challenger after each closed batch, against the threshold of each alpha that is spent on one.

    Of more than ``most_points`` batches, as many are shown. With batches as units it is drawn beside it for a few challengers.
    """
    most = most_points(len(assessments))
    batches = len({b.date for a in assessments for b in a.evidence.batches})
    paths = evidence_path([a.evidence for a in assessments], policy, waves, most=most)
    figure, (axes,) = _panels(1, 7.4, 3.0 + _legend_height(len(paths)))
    thresholds = {needed(a.alpha): -math.log10(a.alpha) for a in assessments}
    threshold = max(thresholds.values())
    top, bottom = 3 * threshold, -2 * threshold
    for version, path in paths.items():
        days: list[Any] = [p.date for p in path]
        rows = [_clip(p.log_e_adjusted, bottom, top) for p in path]
        units = [_clip(p.log_e_batch_unit, bottom, top) for p in path]
        axes.plot(days, rows, **version_line(version, len(days), len(paths)), linewidth=1.4, label=f"version {version}")
        if len(paths) <= MOST_PANELS:
            axes.plot(days, units, "--", color=version_color(version), linewidth=1)
    for text, height in thresholds.items():
        axes.axhline(height, color=GOOD, linewidth=1.2, linestyle="--")
        axes.text(
            0.995,
            height,
            f" E = {text} promotes",
            color=GOOD,
            ha="right",
            va="bottom",
            transform=axes.get_yaxis_transform(),
        )
    axes.axhline(0, color=FAINT, linewidth=0.8)
    axes.set_ylim(bottom * 1.05, top * 1.05)
    axes.set_ylabel("log10 E (beyond the frame: at its edge)")
    axes.set_title(f"Evidence of a gain above {policy.min_gain:g} in {_readable(policy.primary)}{_of(batches, most)}")
    date_axis(axes, [p.date for path in paths.values() for p in path])
    if len(paths) <= MOST_PANELS:
        axes.plot([], [], "--", color=FAINT, label="batches as units")
    figure.legend(loc="outside upper right", ncols=_IN_A_ROW)
    return figure


@styled
def weekly_metrics(
    closed: Sequence[BatchTally], versions: Sequence[str], reigns: Sequence[Reign], policy: Policy
) -> Figure:
    """The primary metric and one more of every version in each closed batch; lines mark the beginning of a reign.

    Of more than ``most_points`` batches, as many are shown.
    """
    figure = Figure(figsize=(7.4, 4.4 + _legend_height(len(versions))), layout="constrained")
    panels = figure.subplots(2, 1, sharex=True)
    most = most_points(len(versions))
    names = list(dict.fromkeys([policy.primary, *policy.kind.trend]))[:2]
    shown = spread(sorted(closed, key=lambda t: (t.date, t.batch)), most)
    began = [r for r in reigns[-_MOST_REIGNS:] if not shown or r.since >= shown[0].date or r is reigns[-1]]
    for axes, name in zip(panels, names, strict=True):
        for version in versions:
            path = metric_path(shown, version, name, policy)
            axes.plot(
                [d for d, _ in path], [v for _, v in path], **version_line(version, len(path), len(versions)),
                linewidth=1.2, label=f"version {version}",
            )  # fmt: skip
        for reign in began:
            axes.axvline(reign.since, color=version_color(reign.version), linewidth=1.2, linestyle="--")
        lower = " (lower is better)" if policy.measure(name).lower_is_better else ""
        axes.set_title(f"{_readable(name)}{lower}{_of(len(closed), most)}")
        if policy.measure(name).largest_difference == 1:
            axes.set_ylim(0, 1)
        else:
            axes.margins(y=0.2)  # room for who leads
    for reign in began:
        panels[0].text(
            reign.since,
            panels[0].get_ylim()[1],
            f" {reign.version} leads",
            color=version_color(reign.version),
            fontsize=8,
            va="top",
        )
    date_axis(panels[-1], [*(t.date for t in shown), *(r.since for r in began)])
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper right", ncols=_IN_A_ROW)
    return figure


def _legend_height(entries: int) -> float:
    """What a legend of so many entries needs beyond two rows, in inches."""
    return 0.2 * max(math.ceil(entries / _IN_A_ROW) - 2, 0)


def _readable(name: str) -> str:
    return name.replace("_", " ")


def _of(batches: int, most: int) -> str:
    return f", {most} of {batches:,} batches" if batches > most else ""


def _clip(log_e: float, bottom: float, top: float) -> float:
    """Natural to common logarithm, kept inside the frame."""
    return min(max(log_e / math.log(10), bottom), top)
