"""The plot of a plan: how soon each gain is promoted, and how often an equal challenger is, by rule."""

from __future__ import annotations

import textwrap

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from analysis.policy import Policy
from analysis.seasons.season import DETHRONE
from tasks.base.markdown import percent
from tasks.plan.plan import Plan
from tasks.reports.plot_style import styled

__all__ = ["draw_plan"]


@styled
def draw_plan(plan: Plan, policy: Policy) -> Figure:
    """How soon each gain is promoted, and how often an equal challenger is, by rule."""
    figure = Figure(figsize=(9.2, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=[4, 3])
    _curves(left, plan)
    _false_promotions(right, plan, policy)
    figure.legend(loc="outside lower left", ncols=6)
    return figure


_GAINS = ["#9aa5b1", "#90cdf4", "#4299e1", "#2b6cb0", "#2a4365"]


def _curves(axes: Axes, plan: Plan) -> None:
    horizon = plan.question.batches
    for i, c in enumerate(plan.courses):
        color = _GAINS[round(i * (len(_GAINS) - 1) / max(len(plan.courses) - 1, 1))]
        share = [0.0, *c.rules[DETHRONE].curve()]
        axes.step(
            range(horizon + 1), share, where="post", color=color, linewidth=1.8, label=f"gain {c.gain:g}", clip_on=False
        )
    axes.set_xlim(0, horizon)
    axes.set_ylim(0, 1.02)
    axes.yaxis.set_major_formatter(PercentFormatter(1))
    axes.set_xlabel("batches")
    axes.set_title(f"{DETHRONE}: promoted by batch")


def _false_promotions(axes: Axes, plan: Plan, policy: Policy) -> None:
    names = [*plan.equal.rules][::-1]
    for row, name in enumerate(names):
        p = plan.equal.rules[name]
        color = "#2f855a" if name == DETHRONE else "#c53030"
        axes.barh(row, p.promoted / p.runs, height=0.55, color=color, linewidth=0)
        axes.plot([p.interval.low, p.interval.high], [row, row], color="#1f2933", linewidth=1.2)
        axes.text(max(p.interval.high, policy.alpha) + 0.03, row, percent(p.promoted / p.runs), va="center")
    axes.axvline(policy.alpha, color="#1f2933", linewidth=1, linestyle="--")
    axes.set_yticks(range(len(names)), [textwrap.fill(n, 22) for n in names])
    axes.set_xlim(0, 1.3)
    axes.set_xticks([0, 0.5, 1])
    axes.xaxis.set_major_formatter(PercentFormatter(1))
    axes.set_xlabel(f"promoted within {plan.question.batches} batches; dashed: alpha", fontsize=8.5)
    axes.set_title("An equal challenger")
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)
