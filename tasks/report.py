"""The report of a decision, as markdown: a plain sentence first, then everything needed to check it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from analysis.bootstrap import Bootstrap
from analysis.counts import PairedCounts, Undefined
from analysis.forecast import Forecast
from analysis.intervals import Interval
from analysis.judge import Assessment, Verdict, uneven
from analysis.metrics import METRICS, Difference
from analysis.policy import Policy
from tasks.decisions import Look
from tasks.markdown import e_value, escape, interval_text, level_text, p_value, table
from tasks.project import Project
from tasks.reigns import Reign

__all__ = ["render", "sentence", "since_then", "why"]

_UNTAGGED = "not tagged"
_SAID = {
    Verdict.PROMOTE: "it takes over",
    Verdict.WAIT: "not enough evidence yet",
    Verdict.RETIRE: "stop scoring it",
    Verdict.INVALID: "the data cannot carry a judgement",
}


def sentence(project: Project, look: Look) -> str:
    """The decision in one plain sentence."""
    champion = look.record["basis"]["champion"]["version"]
    chosen = next((a for a in look.judgement.assessments if a.evidence.challenger.version == look.promote), None)
    if chosen:
        return f"Version {look.promote} takes over from version {champion} in {project.name}: {why(chosen, project.policy)}."
    verdicts = ", ".join(
        f"version {a.evidence.challenger.version}: {a.verdict.value}" for a in look.judgement.assessments
    )
    return (
        f"Version {champion} stays the champion of {project.name}: no challenger has proven to be better ({verdicts})."
    )


def why(a: Assessment, policy: Policy) -> str:
    """The one reason that matters most.

    Where the lead varies between batches, the rows' confidence sequence says too much; then the proof is of
    ``min_gain`` alone.
    """
    if a.verdict is not Verdict.PROMOTE:
        return a.reasons[0]
    by = f"by more than {policy.min_gain:g}" if uneven(a.measured) else f"by at least {a.measured.interval.low:.4f}"
    return f"its {policy.primary} is proven to be higher {by}, and every guardrail is proven to hold"


def since_then(look: Look, newest: Reign) -> str:
    """What has become of the reign that was judged, if it is over."""
    if look.reign == newest:
        return ""
    return f" Since then: reign {newest.number}, version {newest.version}, by {newest.kind}."


def _said(a: Assessment, look: Look) -> str:
    if a.verdict is Verdict.PROMOTE and a.evidence.challenger.version != look.promote:
        return f"it has earned it too, but version {look.promote} has the higher lower limit"
    return _SAID[a.verdict]


def render(project: Project, look: Look, reigns: Sequence[Reign], plots: Mapping[str, str]) -> str:
    """The whole report. ``plots`` maps a plot's name to what an image link should point at."""
    record, policy = look.record, project.policy
    assessments = look.judgement.assessments
    head = f"PROMOTE version {look.promote}" if look.promote else "No change"
    parts = [
        f"# {project.name}: who leads, judged as of {record['as_of']}",
        f"> **{head}.** {sentence(project, look)}",
        table(
            ["challenger", "verdict", "why"],
            [
                [
                    f"version {a.evidence.challenger.version}",
                    f"**{a.verdict.value}**: {_said(a, look)}",
                    escape(why(a, policy)),
                ]
                for a in assessments
            ],
        ),
        _image(plots, "evidence", "evidence over looks"),
        "## What was judged",
        _identity(project, look, reigns),
        "## Which rows count",
        _accounting(assessments),
        *(
            f"Version {f['version']} has no decisions in batch {escape(f['batch'])}: it {escape(f['failure'])}."
            for f in record["failures"]
        ),
        _image(plots, "differences", "paired differences with the margins of the policy"),
        *(_challenger(a, policy) for a in assessments),
        "## Segments and trend",
        _image(plots, "segments", "the primary difference by segment"),
        _image(plots, "trend", "metrics by batch; dashed lines mark the beginning of a reign"),
        "## What this does not say",
        _limitations(policy),
        "## Check it",
        _reproduce(project, look),
    ]
    return "\n\n".join(p for p in parts if p) + "\n"


def _image(plots: Mapping[str, str], name: str, alt: str) -> str:
    return f"![{alt}]({plots[name]})" if name in plots else ""


def _identity(project: Project, look: Look, reigns: Sequence[Reign]) -> str:
    basis = look.record["basis"]
    rows = [
        ["project", escape(project.name)],
        ["decision", f"`{look.id}`"],
        [
            "reign",
            f"{basis['reign']}, of version {basis['champion']['version']}, since {reigns[basis['reign'] - 1].since}",
        ],
        ["registered model", escape(project.model)],
        *_policy(project.policy),
        ["closed batches", f"{len(basis['batches'])}: {basis['batches'][0]['date']} to {basis['batches'][-1]['date']}"],
        ["maturity window", f"{basis['maturity_days']} days"],
    ]
    people = [
        [
            f"version {c['version']}",
            role,
            f"{c['threshold']:.6g}",
            c["trained_through"] or _UNTAGGED,
            f"`{c['digest'][:16]}`",
        ]
        for role, c in [("champion", basis["champion"]), *(("challenger", c) for c in basis["challengers"])]
    ]
    untagged = [row[0] for row in people if row[3] == _UNTAGGED]
    warning = (
        f"\n\n**{' and '.join(untagged)} have no tag `trained_through`**: whether they learned from these batches is not known."
        if untagged
        else ""
    )
    header = ["model", "role", "threshold", "trained through", "digest"]
    return table(["", ""], rows) + "\n\n" + table(header, people) + warning


def _policy(policy: Policy) -> list[list[str]]:
    guards = ", ".join(f"{m} not worse by {v:g}" for m, v in policy.guardrails.items()) or "none"
    return [
        ["has to be proven", f"{policy.primary} better by more than {policy.min_gain:g}"],
        ["guardrails", guards],
        [
            "alpha",
            f"{policy.alpha:g}: E ≥ {1 / policy.alpha:g} decides; prior Beta({policy.prior:g}, {policy.prior:g})",
        ],
        ["least evidence", f"{policy.min_batches} closed batches"],
    ]


def _accounting(assessments: Sequence[Assessment]) -> str:
    reasons = sorted({r for a in assessments for r in a.evidence.excluded})
    rows = [
        [
            f"version {a.evidence.challenger.version}",
            f"{a.measured.counts.n + sum(a.evidence.excluded.values()):,}",
            f"**{a.measured.counts.n:,}**",
            f"{a.measured.counts.positives:,}",
            *(f"{a.evidence.excluded.get(r, 0):,}" for r in reasons),
        ]
        for a in assessments
    ]
    return table(["rows against the champion", "all", "counted", "of them positive", *reasons], rows)


def _challenger(a: Assessment, policy: Policy) -> str:
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


def _limitations(policy: Policy) -> str:
    return "\n".join(
        f"- {text}"
        for text in (
            (
                f"A promotion says that the challenger was ahead on average over the batches judged, by more than {policy.min_gain:g} in "
                f"{policy.primary}. It does not say that it will stay so: read the trend, and keep the old champion as a challenger."
            ),
            (
                "The bound on false promotions holds for the promotion rule, which needs E. McNemar's p and the bootstrap interval "
                "are those of one look and would promote equal models if they decided alone, week after week."
            ),
            (
                "An estimate of a winner is biased upwards. Rely on the lower end of the confidence sequence; where the win share "
                "varies between batches, on no more than the gain that was asked for."
            ),
            (
                "Guardrails are proven on rows as units. A guardrail whose difference swings from batch to batch can hold on average "
                "and be broken afterwards: read the trend."
            ),
            (
                "Rows are taken as independent given the models. Shocks that a whole batch shares are tested for, and then the "
                "batches have to carry the proof; shocks shared by an entity that returns are not."
            ),
            "The e-process for precision is derived for this project and supported by simulation; no published proof is known to us.",
        )
    )


def _reproduce(project: Project, look: Look) -> str:
    record = look.record
    return (
        f"`report.json` beside this file holds all that went into the decision and came out: policy, seed {record['seed']}, the digests of "
        f"{len(record['basis']['batches'])} tallies and every count. The same evidence gives the same bytes:\n\n"
        f"    python -m flows.judge {project.name} --as-of {record['as_of']} --dry-run"
    )
