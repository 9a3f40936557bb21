"""Numbers, text and tables as markdown."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from analysis.tables.intervals import Interval

__all__ = ["e_value", "escape", "interval_text", "level_text", "p_value", "percent", "table"]


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A markdown table. Every cell is already markdown: escape text of others with ``escape``."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def escape(text: str) -> str:
    """Escape text from data or models: markdown shows it as it is, on one line, also inside a table."""
    return re.sub(r"([\\`*_{}\[\]<>#|!~$&])", r"\\\1", " ".join(text.split()))


def e_value(log_e: float) -> str:
    """An e-value from its natural logarithm: three digits, or a power of ten where it is very small or large."""
    if log_e == -math.inf:
        return "0"
    exponent = log_e / math.log(10)
    return f"{math.exp(log_e):.3g}" if -4 < exponent < 6 else f"10^{exponent:.0f}"


def p_value(p: float) -> str:
    """A p-value with its sign of relation: "= 0.012", or "< 1e-6"."""
    return f"= {p:.2g}" if p >= 1e-6 else "< 1e-6"


def interval_text(interval: Interval) -> str:
    """Both ends of an interval with four decimals and their signs."""
    return f"{interval.low:+.4f} to {interval.high:+.4f}"


def level_text(level: float) -> str:
    """A confidence level (0 to 1) in per cent."""
    return f"{100 * level:.4g} %"


def percent(share: float) -> str:
    """A share in per cent, to a tenth; what is less than half of that is not called 0."""
    return f"{round(100 * share, 1):g} %" if share >= 0.0005 else f"{100 * share:.1g} %"
