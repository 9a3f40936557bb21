"""The tables of a pair's own numbers in a report: counts and metrics of decisions or classes, or the losses of numbers."""

from __future__ import annotations

import math
from collections.abc import Callable

from analysis.one_look.bootstrap import Bootstrap
from analysis.one_look.by_class import ByClass
from analysis.one_look.losses import REGRESSION_LOSSES, PairedT
from analysis.policy import Policy
from analysis.tables.counts import PairedCounts, Undefined
from analysis.tables.metrics import Difference
from analysis.verdict.assess import Measured
from analysis.verdict.judge import Assessment
from tasks.base.markdown import escape, interval_text, level_text, p_value, table

__all__ = ["numbers"]

_MOST_CLASSES = 30  # shown, those with most rows; the record holds all

_MARGINALS: dict[str, str] = {
    "bowker": "each pair swapped equally often either way (Bowker)",
    "stuart_maxwell": "each class named equally often (Stuart-Maxwell)",
    "bhapkar": "the same (Bhapkar)",
}

_WEIGHED = (
    "These are labelled rows, counted as they are. Every rate, difference, interval and e-value below weighs each by 1 / the probability "
    "with which it was chosen to be labelled."
)


def numbers(a: Assessment, policy: Policy) -> list[str]:
    """The tables, and how their intervals were made."""
    m, level = a.measured, level_text(1 - 2 * a.alpha)
    if policy.task == "regression":
        return [_losses(m), f"Intervals: {level}, Student's paired t, one look. {_ABOUT_LOSSES}"]
    weighed = [_WEIGHED] if policy.sampling else []
    counts = (
        [_two_by_two(m.counts.as_recorded()), *weighed] if policy.task == "binary" else [_by_class(m), _marginals(m)]
    )
    made = f"Intervals: {level} percentile bootstrap from {policy.n_resamples:,} {_drawn(m)} draws, one look."
    return [*counts, _metrics(a), made]


def _drawn(m: Measured) -> str:
    """How the bootstrap draws: rows that are corrected or weighed are resampled, else the cells are smoothed."""
    corrected = any(isinstance(b, Bootstrap) and b.method == "multinomial" for b in m.bootstrap.values())
    return "multinomial" if corrected else "Dirichlet-½"


def _two_by_two(counts: PairedCounts) -> str:
    n = counts.labelled
    return "\n\n".join(
        table(
            [f"{title} ({sum(cells):,})", "challenger flags", "challenger passes"],
            [
                ["**champion flags**", f"{cells[3]:,}", f"{cells[2]:,}"],
                ["**champion passes**", f"{cells[1]:,}", f"{cells[0]:,}"],
            ],
        )
        for title, cells in (("label 1", n[4:]), ("label 0", n[:4]))
    )


def _metrics(a: Assessment) -> str:
    rows = []
    for name, found in a.measured.metrics.items():
        interval = a.measured.bootstrap.get(name)
        label = name.replace("_", " ")
        if isinstance(found, Undefined):
            rows.append([label, f"undefined: {escape(found.reason)}", "", "", "", ""])
            continue
        test = a.measured.mcnemar.get(name)
        rows.append(
            [
                label,
                f"{found.champion:.4f}",
                f"{found.challenger:.4f}",
                f"{found.value:+.4f} ± {found.standard_error:.4f}",
                _bootstrapped(interval),
                f"McNemar mid-p {p_value(test.p_value)} ({test.wins:,} : {test.losses:,})" if test else "",
            ]
        )
    return table(
        ["metric", "champion", "challenger", "difference ± standard error", "interval", "test (one-sided)"], rows
    )


def _bootstrapped(interval: Bootstrap | Undefined | None) -> str:
    if interval is None:
        return ""
    return interval_text(interval.interval) if isinstance(interval, Bootstrap) else escape(interval.reason)


def _by_class(m: Measured) -> str:
    """Every class by itself, in the order of their names."""
    most = sorted(m.classes, key=lambda name: -_rows_of(m.classes[name]))[:_MOST_CLASSES]
    rows = [_class_row(name, found) for name, found in m.classes.items() if name in most]
    header = [
        "class",
        "rows",
        "recall: champion",
        "challenger",
        "difference",
        "won : lost",
        "better, Holm's p",
        "worse, Holm's p",
    ]
    left_out = len(m.classes) - len(rows)
    note = f"\n\n{left_out} classes with fewer rows are in `report.json`." if left_out else ""
    return table(header, rows) + note if rows else "No class yet."


def _rows_of(found: ByClass | Undefined) -> int:
    return 0 if isinstance(found, Undefined) else found.pairs.n


def _class_row(name: str, found: ByClass | Undefined) -> list[str]:
    if isinstance(found, Undefined):
        return [f"**{escape(name)}**", "0", "only ever predicted", *[""] * 5]
    return [
        f"**{escape(name)}**",
        f"{found.pairs.n:,}",
        f"{found.champion:.4f}",
        f"{found.challenger:.4f}",
        f"{found.challenger - found.champion:+.4f}",
        f"{found.pairs.wins:,} : {found.pairs.losses:,}",
        p_value(found.p_better).removeprefix("= "),
        p_value(found.p_worse).removeprefix("= "),
    ]


def _marginals(m: Measured) -> str:
    """How the predictions moved, which no label is needed for."""
    about, said = "Do the two name the classes alike? Over all rows, labelled or not: ", []
    for name, claim in _MARGINALS.items():
        found = m.marginals[name]
        if isinstance(found, Undefined):
            return f"{about}{found.reason}."
        said.append(f"{claim} χ² {found.statistic:.2f}, {found.degrees_of_freedom} df, p {p_value(found.p_value)}")
    return f"{about}{'; '.join(said)}. That does not say which is better."


_ABOUT_LOSSES = "What is tested are means of losses; their roots (RMSE) are for reading."


def _losses(m: Measured) -> str:
    rows = []
    for name, test in m.losses.items():
        label, found = f"mean {name.replace('_', ' ')}", m.metrics[name]
        if isinstance(found, Undefined):
            rows.append([label, f"undefined: {escape(found.reason)}", *[""] * 4])
            continue
        amount = REGRESSION_LOSSES[name].amount
        value = f"{amount(found.value, sign=True)} ± {amount(found.standard_error)}"
        rows.append([label, amount(found.champion), amount(found.challenger), value, *_student(test, amount)])
        if name == "squared_error":
            rows.append(_root(found, amount))
    header = ["loss", "champion", "challenger", "difference ± standard error", "interval", "paired t (one-sided)"]
    return table(header, rows)


def _root(found: Difference, amount: Callable[..., str]) -> list[str]:
    old, new = math.sqrt(found.champion), math.sqrt(found.challenger)
    return [
        "its root (RMSE)",
        *(amount(v) for v in (old, new)),
        amount(new - old, sign=True),
        "",
        "",
    ]


def _student(test: PairedT | Undefined, amount: Callable[..., str]) -> list[str]:
    """The interval of challenger minus champion: that of the gain, the other way round."""
    if isinstance(test, Undefined):
        return [escape(test.reason), ""]
    low, high = (amount(0.0 - end, sign=True) for end in (test.interval.high, test.interval.low))
    return [f"{low} to {high}", f"t {test.statistic:.2f}, {test.degrees_of_freedom:,} df, p {p_value(test.p_value)}"]
