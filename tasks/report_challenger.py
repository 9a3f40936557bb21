"""The section of a report on one challenger."""

from __future__ import annotations

from analysis.bootstrap import Bootstrap
from analysis.counts import PairedCounts, Undefined
from analysis.forecast import Forecast
from analysis.intervals import Interval
from analysis.judge import Assessment
from analysis.metrics import METRICS, Difference
from analysis.policy import Policy
from tasks.markdown import e_value, escape, interval_text, level_text, p_value, table

__all__ = ["challenger"]


def challenger(a: Assessment, policy: Policy) -> str:
    """Everything on one challenger: reasons, tables, metrics, guardrails, repeated looks, segments."""
    m, version = a.measured, a.evidence.challenger.version
    reasons = "\n".join(f"- {escape(r)}" for r in a.reasons)
    return "\n\n".join(
        [
            f"## Version {version} against version {a.evidence.champion.version}: {a.verdict.value}",
            reasons,
            _two_by_two(m.counts),
            _metrics(a),
            f"Intervals: {level_text(1 - 2 * policy.alpha)} percentile bootstrap from {policy.n_resamples:,} Dirichlet-½ draws, one look.",
            _guardrails(a, policy),
            _sequential(a, policy),
            _segments(a),
        ]
    )


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
    for name in METRICS:
        found, interval = a.measured.metrics[name], a.measured.bootstrap[name]
        label = name.replace("_", " ")
        if isinstance(found, Undefined):
            rows.append([label, f"undefined: {escape(found.reason)}", "", "", "", ""])
            continue
        test = a.measured.mcnemar.get(name)  # type: ignore[arg-type]
        rows.append(
            [
                label,
                f"{found.champion:.4f}",
                f"{found.challenger:.4f}",
                f"{found.value:+.4f} ± {found.standard_error:.4f}",
                interval_text(interval.interval) if isinstance(interval, Bootstrap) else escape(interval.reason),
                f"McNemar mid-p {p_value(test.p_value)} ({test.wins:,} : {test.losses:,})" if test else "",
            ]
        )
    return table(
        ["metric", "champion", "challenger", "difference ± standard error", "interval", "test (one-sided)"], rows
    )


def _guardrails(a: Assessment, policy: Policy) -> str:
    if not a.measured.guardrails:
        return "No guardrails."
    rows = []
    for g in a.measured.guardrails:
        found = a.measured.metrics[g.metric]
        value = f"{found.value:+.4f}" if isinstance(found, Difference) else "undefined"
        rows.append(
            [f"**{g.metric}**", f"−{g.margin:g}", value, e_value(g.log_e), e_value(g.log_e_reverse), f"**{g.status}**"]
        )
    header = [
        "guardrail",
        "margin",
        "difference",
        "E: not worse",
        "E: worse",
        f"status (E ≥ {1 / policy.alpha:g} decides)",
    ]
    return table(header, rows)


def _sequential(a: Assessment, policy: Policy) -> str:
    m = a.measured
    anytime = f"{interval_text(m.interval)} ({level_text(m.interval.confidence_level)} confidence sequence: valid at every look)"
    single = (
        f"{interval_text(m.paired_interval)} (Newcombe)"
        if isinstance(m.paired_interval, Interval)
        else m.paired_interval.reason
    )
    spread = "too few batches" if isinstance(m.overdispersion, Undefined) else f"p {p_value(m.overdispersion.p_value)}"
    rows = [
        [
            "E, adjusted for all challengers",
            f"**{e_value(a.log_e_adjusted)}** of {1 / policy.alpha:g} (unadjusted {e_value(m.log_e)})",
        ],
        [f"gain in {policy.primary}", anytime],
        ["the same at one look", single],
        ["disagreements", f"{m.pairs.discordant:,}: {m.pairs.wins:,} won, {m.pairs.losses:,} lost"],
        ["win share between batches", f"{spread}; batches as units: E = {e_value(m.log_e_batch_unit)}"],
        [
            "forecast",
            "E has reached its threshold" if a.forecast is None else _forecast(a.forecast),
        ],
    ]
    return table(["repeated looks", ""], rows)


def _forecast(f: Forecast | Undefined) -> str:
    if isinstance(f, Undefined):
        return f.reason
    even = (
        f"even odds within {f.batches_50} more batch{'es' if f.batches_50 > 1 else ''}"
        if f.batches_50
        else f"no even odds within {f.horizon} batches"
    )
    likely = f", 80% within {f.batches_80}" if f.batches_80 else ""
    return f"{even}{likely}; E reaches its threshold within {f.horizon} batches with probability {f.probability:.0%}"


def _segments(a: Assessment) -> str:
    if not a.measured.segments:
        return ""
    rows = [
        [
            escape(f"{s.column}: {s.value}"),
            f"{s.pairs.n:,}",
            f"{s.pairs.wins:,} : {s.pairs.losses:,}",
            f"{s.difference:+.4f}",
            interval_text(s.interval),
        ]
        for s in a.measured.segments
    ]
    tests = [
        f"Win share equal across {escape(c)}: {'not tested, ' + p.reason if isinstance(p, Undefined) else f'p {p_value(p)}'}."
        for c, p in a.measured.homogeneity_p_value.items()
    ]
    return (
        table(["segment", "rows", "won : lost", "difference", "interval (Newcombe)"], rows) + "\n\n" + " ".join(tests)
    )
