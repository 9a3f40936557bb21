"""The plots of a report, as SVG that is the same to the last byte whenever it is drawn again."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from io import BytesIO
from typing import Any, ParamSpec

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.dates import ConciseDateFormatter, date2num
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
from analysis.verdict.trajectory import evidence_path, metric_path
from tasks.reigns import Reign

__all__ = [
    "_STYLE",
    "difference_forest",
    "evidence_over_looks",
    "segment_forest",
    "styled",
    "version_color",
    "weekly_metrics",
]

P = ParamSpec("P")

_INK, _FAINT, _GOOD, _BAD = "#1f2933", "#9aa5b1", "#2f855a", "#c53030"
_VERSIONS = ["#3e4c59", "#2b6cb0", "#d97706", "#7c3aed", "#0f766e", "#be185d", "#4d7c0f", "#b91c1c"]
_STYLE = {
    "svg.hashsalt": "dethrone",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": _FAINT,
    "axes.labelcolor": _INK,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "text.color": _INK,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "legend.frameon": False,
}


def version_color(version: str) -> str:
    """One colour a version, the same in every plot."""
    return _VERSIONS[(int(version) - 1) % len(_VERSIONS)]


def styled(draw: Callable[P, Figure | None]) -> Callable[P, bytes | None]:
    """Draw in the house style and save as SVG, which is the same to the last byte whenever it is drawn again."""

    @functools.wraps(draw)
    def drawn(*args: P.args, **kwargs: P.kwargs) -> bytes | None:
        with mpl.rc_context(_STYLE):  # type: ignore[arg-type]
            figure = draw(*args, **kwargs)
            return _svg(figure) if figure else None

    return drawn


def _svg(figure: Figure) -> bytes:
    buffer = BytesIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None}, facecolor="white")
    return buffer.getvalue()


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
        for row, name in enumerate(reversed(names)):
            difference, interval = a.measured.metrics[name], _interval(a, name)
            if not isinstance(difference, Difference) or interval is None:
                continue
            unit = difference.champion / 100 if policy.measure(name).family == "numbers" else 1.0
            if not unit:
                continue  # the champion is never wrong
            main = name == policy.primary or name in policy.guardrails
            low, high = interval.low / unit, interval.high / unit
            _whisker(axes, row, difference.value / unit, low, high, _INK if main else _FAINT)
            if name == policy.primary and policy.min_gain:
                _margin(axes, row, policy.measure(name).sign * policy.min_gain / unit, _GOOD)
            elif name in policy.guardrails:
                _margin(axes, row, -policy.measure(name).sign * policy.guardrails[name] / unit, _BAD)
        axes.axvline(0, color=_FAINT, linewidth=0.8)
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


def _whisker(axes: Axes, row: float, value: float, low: float, high: float, color: str) -> None:
    axes.plot([low, high], [row, row], color=color, linewidth=2, solid_capstyle="round")
    axes.plot([value], [row], "o", color=color, markersize=5)


def _margin(axes: Axes, row: float, at: float, color: str) -> None:
    axes.plot([at, at], [row - 0.38, row + 0.38], color=color, linewidth=1.6)


@styled
def segment_forest(assessments: Sequence[Assessment], policy: Policy) -> Figure | None:
    """The primary difference in every segment; None without segments."""
    labels = sorted({f"{s.column}: {s.value}" for a in assessments for s in a.measured.segments})
    if not labels:
        return None
    figure, panels = _panels(len(assessments), 3.1 * len(assessments) + 1.2, 1.4 + 0.26 * len(labels))
    rows = {label: len(labels) - 1 - i for i, label in enumerate(labels)}
    for axes, a in zip(panels, assessments, strict=True):
        for s in a.measured.segments:
            _whisker(axes, rows[f"{s.column}: {s.value}"], s.difference, s.interval.low, s.interval.high, _INK)
        total = a.measured.metrics[shown_metric(policy)]
        if isinstance(total, Difference):
            axes.axvline(total.value, color=version_color(a.evidence.challenger.version), linewidth=1.2, linestyle="--")
        axes.axvline(0, color=_FAINT, linewidth=0.8)
        axes.set_yticks(list(rows.values()), list(rows))
        axes.set_ylim(-0.6, len(labels) - 0.4)
        axes.set_title(f"version {a.evidence.challenger.version}")
        axes.set_xlabel(f"difference in {shown_metric(policy)}")
        axes.locator_params(axis="x", nbins=4)
    return figure


@styled
def evidence_over_looks(assessments: Sequence[Assessment], policy: Policy, waves: Mapping[str, int]) -> Figure:
    """The e-value of every challenger after each closed batch, against the threshold of each alpha that is spent on one."""
    paths = evidence_path([a.evidence for a in assessments], policy, waves)
    figure, (axes,) = _panels(1, 7.4, 3.0)
    thresholds = {needed(a.alpha): -math.log10(a.alpha) for a in assessments}
    threshold = max(thresholds.values())
    top, bottom = 3 * threshold, -2 * threshold
    for version, path in paths.items():
        days: list[Any] = [p.date for p in path]
        rows = [_clip(p.log_e_adjusted, bottom, top) for p in path]
        units = [_clip(p.log_e_batch_unit, bottom, top) for p in path]
        color = version_color(version)
        axes.plot(days, rows, "o-", color=color, markersize=3, linewidth=1.4, label=f"version {version}")
        axes.plot(days, units, "--", color=color, linewidth=1)
    for text, height in thresholds.items():
        axes.axhline(height, color=_GOOD, linewidth=1.2, linestyle="--")
        axes.text(
            0.995,
            height,
            f" E = {text} promotes",
            color=_GOOD,
            ha="right",
            va="bottom",
            transform=axes.get_yaxis_transform(),
        )
    axes.axhline(0, color=_FAINT, linewidth=0.8)
    axes.set_ylim(bottom * 1.05, top * 1.05)
    axes.set_ylabel("log10 E (beyond the frame: at its edge)")
    axes.set_title(f"Evidence of a gain above {policy.min_gain:g} in {policy.primary.replace('_', ' ')}")
    _dates(axes, [p.date for path in paths.values() for p in path])
    axes.plot([], [], "--", color=_FAINT, label="batches as units")
    figure.legend(loc="outside upper right", ncols=5)
    return figure


@styled
def weekly_metrics(
    closed: Sequence[BatchTally], versions: Sequence[str], reigns: Sequence[Reign], policy: Policy
) -> Figure:
    """The primary metric and one more of every version in each closed batch; lines mark the beginning of a reign."""
    figure = Figure(figsize=(7.4, 4.4), layout="constrained")
    panels = figure.subplots(2, 1, sharex=True)
    names = list(dict.fromkeys([policy.primary, *policy.kind.trend]))[:2]
    for axes, name in zip(panels, names, strict=True):
        for version in versions:
            path = metric_path(closed, version, name, policy)
            axes.plot(
                [d for d, _ in path], [v for _, v in path], "o-",
                color=version_color(version), markersize=2.5, linewidth=1.2, label=f"version {version}",
            )  # fmt: skip
        for reign in reigns:
            axes.axvline(reign.since, color=version_color(reign.version), linewidth=1.2, linestyle="--")
        axes.set_title(name.replace("_", " ") + (" (lower is better)" if policy.measure(name).lower_is_better else ""))
        if policy.measure(name).largest_difference == 1:
            axes.set_ylim(0, 1)
        else:
            axes.margins(y=0.2)  # room for who leads
    for reign in reigns:
        panels[0].text(
            reign.since,
            panels[0].get_ylim()[1],
            f" {reign.version} leads",
            color=version_color(reign.version),
            fontsize=8,
            va="top",
        )
    _dates(panels[-1], [*(t.date for t in closed), *(r.since for r in reigns)])
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper right", ncols=5)
    return figure


def _clip(log_e: float, bottom: float, top: float) -> float:
    """Natural to common logarithm, kept inside the frame."""
    return min(max(log_e / math.log(10), bottom), top)


def _dates(axes: Axes, days: Sequence[date]) -> None:
    """A date axis over these days with a week to spare, also where there is only one."""
    if days:
        axes.set_xlim(date2num(min(days)) - 7, date2num(max(days)) + 7)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(axes.xaxis.get_major_locator()))
