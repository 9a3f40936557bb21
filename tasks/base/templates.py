"""Pages of markdown from jinja2 templates, and the filters with which a template writes numbers and the text of others."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from analysis.kinds import MEASURES
from analysis.tables.counts import Undefined
from analysis.tables.intervals import Interval
from tasks.base.markdown import e_value, escape, interval_text, level_text, p_value, percent

__all__ = ["fill"]


def fill(template: Path, **values: Any) -> str:
    """What a template makes of these values. It may include and import the templates of its own folder.

    A name that a template uses and nobody gives raises jinja2.UndefinedError. Nothing is escaped by itself: whatever comes from
    users, data or models goes through the filter ``escaped``.
    """
    page: str = _environment(template.parent).get_template(template.name).render(values)
    return page


@functools.cache
def _environment(folder: Path) -> Environment:
    environment = Environment(
        loader=FileSystemLoader(folder),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701  HTML's escapes are not those of markdown
    )
    environment.filters.update(_FILTERS)
    environment.tests["unknown"] = lambda value: isinstance(value, Undefined)
    return environment


def _digits(value: float, significant: int = 6, *, sign: bool = False) -> str:
    return f"{value:{'+' if sign else ''}.{significant}g}"


def _fixed(value: float, decimals: int = 4) -> str:
    return f"{value:.{decimals}f}"


def _signed(value: float, decimals: int = 4) -> str:
    return f"{value:+.{decimals}f}"


def _p_number(p: float) -> str:
    return p_value(p).removeprefix("= ")


def _rounded(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.4g}"


def _thousands(count: int) -> str:
    return f"{count:,}"


def _percent_range(interval: Interval) -> str:
    return f"{percent(interval.low).removesuffix(' %')} to {percent(interval.high)}"


def _whole_percent(share: float) -> str:
    return f"{share:.0%}"


def _amount(value: float, measure: str, *, sign: bool = False) -> str:
    return MEASURES[measure].amount(value, sign=sign)


_LONGEST = 400


def _escaped(text: str) -> str:
    """Escape text of others, and shorten what no reader reads to its end."""
    more = len(text) - _LONGEST
    return escape(text if more <= 0 else f"{text[:_LONGEST]}… ({_thousands(more)} more characters)")


_FILTERS: dict[str, Callable[..., str]] = {
    "amount": _amount,  # of a measure: {{ low | amount("recall", sign=true) }}
    "digits": _digits,  # significant ones
    "e_value": e_value,  # of its natural logarithm
    "escaped": _escaped,  # and shortened to 400 characters
    "fixed": _fixed,
    "interval": interval_text,
    "level": level_text,
    "p_number": _p_number,  # for a column of p-values: "0.03" or "< 1e-6"
    "p_value": p_value,  # with its sign: "= 0.03" or "< 1e-6"
    "percent": percent,
    "percent_range": _percent_range,  # of an interval of shares
    "rounded": _rounded,  # to a whole number, or where it is below 10 to four digits
    "signed": _signed,
    "thousands": _thousands,
    "whole_percent": _whole_percent,
}
