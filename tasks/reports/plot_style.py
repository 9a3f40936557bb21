"""The look of every plot, and the mark of each version, by which it is told from 19 others with or without colours."""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Callable, Sequence
from datetime import date
from io import BytesIO
from typing import Any, ParamSpec

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.dates import ConciseDateFormatter, date2num
from matplotlib.figure import Figure

__all__ = ["BAD", "FAINT", "GOOD", "INK", "date_axis", "styled", "version_color", "version_line"]

P = ParamSpec("P")

INK, FAINT, GOOD, BAD = "#1f2933", "#9aa5b1", "#2f855a", "#c53030"
_STYLE = {
    "svg.hashsalt": "dethrone",
    "svg.fonttype": "none",  # text stays text: as outlines it would be two thirds of a plot
    "font.sans-serif": ["DejaVu Sans", "Verdana"],  # which are equally wide
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "text.color": INK,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "legend.frameon": False,
}

# dark enough (a contrast of 3) for the white ground that every plot brings along, on a dark page too
_COLORS = [
    "#3e4c59", "#2b6cb0", "#d97706", "#7c3aed", "#0f766e", "#be185d", "#4d7c0f", "#b91c1c", "#3c96ff", "#4b0000", "#c378c3", "#000000",
    "#879687", "#ff4b78", "#0000c3", "#002d00", "#ff00ff", "#690087", "#0f004b", "#b400b4",
]  # fmt: skip
_MARKERS = "os^DvPX*<>"
_MOST_MARKERS = 110  # of the lines of a plot together


def version_color(version: str) -> str:
    """One colour a version, the same in every plot; 20 versions in a row have 20 colours."""
    return _COLORS[(int(version) - 1) % len(_COLORS)]


def version_line(version: str, points: int, lines: int) -> dict[str, Any]:
    """How one of so many lines, of so many points each, is drawn: its colour, and its marker, full or hollow, at all points or some."""
    number = int(version) - 1
    color, hollow = version_color(version), number // len(_MARKERS) % 2
    step = math.ceil(points * lines / _MOST_MARKERS) or 1
    return {
        "color": color,
        "marker": _MARKERS[number % len(_MARKERS)],
        "markerfacecolor": "white" if hollow else color,
        "markersize": 3 if step == 1 else 4.5,
        "markevery": (number % step, step),
    }


def styled(draw: Callable[P, Figure | None]) -> Callable[P, bytes | None]:
    """Draw in the house style and save as SVG, which is the same to the last byte whenever it is drawn again."""

    @functools.wraps(draw)
    def drawn(*args: P.args, **kwargs: P.kwargs) -> bytes | None:
        with mpl.rc_context(_STYLE):  # type: ignore[arg-type]
            figure = draw(*args, **kwargs)
            return _svg(figure) if figure else None

    return drawn


def _svg(figure: Figure) -> bytes:
    """The figure without indents, its coordinates, in points, rounded to hundredths: a third of a plot is digits that nobody sees."""
    buffer = BytesIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None}, facecolor="white")
    return re.sub(rb'\b(d|x|y)="[^"]*"', _rounded, re.sub(rb"\n +", b"\n", buffer.getvalue()))


def _rounded(attribute: re.Match[bytes]) -> bytes:
    return re.sub(rb"-?\d+\.\d{3,}", lambda number: b"%g" % round(float(number[0]), 2), attribute[0])


def date_axis(axes: Axes, days: Sequence[date]) -> None:
    """A date axis over these days with a week to spare, also where there is only one."""
    if days:
        axes.set_xlim(date2num(min(days)) - 7, date2num(max(days)) + 7)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(axes.xaxis.get_major_locator()))
