"""The section of a report on one challenger."""

from __future__ import annotations

from analysis.any_look.forecast import Forecast
from analysis.any_look.planning import fewest_disagreements
from analysis.any_look.process import Method
from analysis.one_look.clusters import ClusteredDifference, ClusteredTest
from analysis.one_look.labels import label_share_p_value
from analysis.one_look.segments import exact_homogeneity_p_value
from analysis.policy import Policy
from analysis.policy.planned import PlannedLook
from analysis.tables.counts import Undefined
from analysis.tables.intervals import Interval
from analysis.tables.measure import Measure
from analysis.tables.metrics import Difference
from analysis.verdict.assess import RECENT_BATCHES, shown_metric
from analysis.verdict.checks import needed
from analysis.verdict.judge import Assessment
from analysis.verdict.label_checks import LabelChecks
from tasks.base.markdown import e_value, escape, interval_text, level_text, p_value, table
from tasks.reports.report_numbers import numbers

__all__ = ["challenger"]

_METHODS: dict[Method, str] = {
    "rows": "the exact process of rows won and lost",
    "entities": "the exact process of entities won and lost, each in its first batch",
    "precision": "the process of rows flagged, the worst case over the champion's own value",
    "cost": "the exact process of saved cost a row",
    "losses": "the exact process of clipped losses",
    "asymptotic": "an asymptotic process, valid in the limit of many rows",
    "batches": "batches as units",
    "sampled": "the exact process of labelled rows, each weighed by 1 / its probability of being labelled",
}


def challenger(a: Assessment, policy: Policy) -> str:
    """Everything on one challenger: reasons, tables, metrics, guardrails, repeated looks, segments."""
    version = a.evidence.challenger.version
    reasons = "\n".join(f"- {escape(r)}" for r in a.reasons)
    parts = [
        f"## Version {version} against version {a.evidence.champion.version}: {a.verdict.value}",
        reasons,
        *numbers(a, policy),
        _labels(a, policy),
        _guardrails(a, policy),
        _sequential(a, policy),
        _segments(a),
    ]
    return "\n\n".join(p for p in parts if p)


def _labels(a: Assessment, policy: Policy) -> str:
    """Whether labels follow the decisions, where any is missing, and what the missing ones could overturn."""
    found, counts = a.measured.labels, a.evidence.counts
    if not found.missing and (policy.task != "regression" or isinstance(found.log_e, Undefined)):
        return ""
    invalid, covered = "20 or more makes the judgement invalid", "covered by the setting `unlabelled`"
    missing = "missing at one rate, whichever model alone flagged, within each class"
    rows = [
        [
            "labelled as often as the probabilities say, in all four pairs of decisions"
            if policy.sampling
            else missing,
            _against(found.log_e),
            invalid if policy.unlabelled == "refuse" else covered,
        ],
        [
            f"late, or corrected late, at one rate, within each class, in {found.audited} batches",
            _against(found.log_e_audit),
            invalid if policy.unlabelled != "worst_case" else covered,
        ],
    ]
    if policy.task == "binary" and not policy.sampling:
        share = label_share_p_value(counts)
        harmless = "a small p may be harmless: what both flag may have another base rate, and be looked into more often"
        rows.append(["labelled equally often in all four pairs of decisions", _tested(share), harmless])
    header = ["are labels independent of the decisions?", "evidence against", ""]
    return f"{table(header, rows)}\n\n{_what_it_rests_on(found, policy)}"


def _what_it_rests_on(found: LabelChecks, policy: Policy) -> str:
    """The assumption about labels that never came, and how many of them would overturn the proof."""
    said = f"{found.missing:,} of the {found.disagreements:,} rows on which the two disagree have no label"
    if policy.sampling:
        return f"{said}, by design. A label counts for 1 / its probability rows; what that rests on is that the probabilities are right."
    if policy.unlabelled == "worst_case":
        return f"{said}. Whatever they are, the verdict stands: they count for the other side."
    assumed = f"{said}. The verdict takes it that within each class they went missing whatever the models said"
    cure = "Labels that never come cannot be asked; `unlabelled: worst_case` lets the worst of them decide."
    tipping = found.tipping_point
    if tipping is None:
        return f"{assumed}. {cure}"
    share = f"{tipping.needed:,} or more of the {tipping.missing:,} missing labels of {tipping.rows}"
    return f"{assumed}. **Tipping point**: the proof would be gone if {share} were {tipping.label}. {cure}"


def _against(log_e: float | Undefined) -> str:
    return f"not tested, {log_e.reason}" if isinstance(log_e, Undefined) else f"E = {e_value(log_e)}"


def _tested(p: float | Undefined) -> str:
    return f"not tested, {p.reason}" if isinstance(p, Undefined) else f"p {p_value(p)}"


def _guardrails(a: Assessment, policy: Policy) -> str:
    if not a.measured.guardrails:
        return "No guardrails."
    rows = []
    for g in a.measured.guardrails:
        found = a.measured.metrics.get(g.metric)
        value = (
            policy.measure(g.metric).amount(found.value, sign=True) if isinstance(found, Difference) else "undefined"
        )
        unit = "" if g.log_e_batch_unit is None else f"; batches as units {e_value(g.log_e_batch_unit)}"
        bound = "+" if policy.measure(g.metric).lower_is_better else "−"
        rows.append(
            [
                f"**{g.metric}**",
                f"{bound}{g.margin:g}",
                value,
                e_value(g.log_e) + unit,
                e_value(g.log_e_reverse),
                f"**{g.status}**",
            ]
        )
    header = [
        "guardrail",
        "margin",
        "difference",
        "E: not worse",
        "E: worse",
        f"status (E ≥ {needed(a.alpha)} decides)",
    ]
    return table(header, rows)


_UNIT = {"entities": ", as a share of entities"}


def _sequential(a: Assessment, policy: Policy) -> str:
    m, primary, measure = a.measured, policy.primary, policy.measure(policy.primary)
    anytime = (
        f"{_limits(measure, m.interval)} ({level_text(m.interval.confidence_level)} confidence sequence: valid at every look)"
        if isinstance(m.interval, Interval)
        else m.interval.reason
    )
    single = (
        f"{_limits(measure, m.paired_interval)} ({_interval_method(policy)})"
        if isinstance(m.paired_interval, Interval)
        else m.paired_interval.reason
    )
    spread = "too few batches" if isinstance(m.overdispersion, Undefined) else f"p {p_value(m.overdispersion.p_value)}"
    rows = [
        [
            "E-value, adjusted for all challengers",
            f"**{e_value(a.log_e_adjusted)}** (≥ {needed(a.alpha)} required; unadjusted {e_value(m.log_e)})",
        ],
        ["method", _METHODS[m.method] if isinstance(m.method, str) else m.method.reason],
        [f"gain in {primary}{_UNIT.get(str(m.method), '')}", anytime],
        [_at_one_look(measure, policy), single],
        *_disagreements(a, policy),
        ["variation between batches", f"{spread}; batches as units: E = {e_value(m.log_e_batch_unit)}"],
        [f"last {RECENT_BATCHES} batches", _recent(m.recent, policy)],
        *_planned(m.planned),
        *_entities(a, 1 - 2 * a.alpha),
        [
            "forecast",
            "E has reached its threshold" if a.forecast is None else _forecast(a.forecast),
        ],
    ]
    return table(["repeated looks", ""], rows)


def _interval_method(policy: Policy) -> str:
    if policy.sampling:
        return "normal, of weighted rows"
    return "paired t" if policy.measure(policy.primary).family == "numbers" else "Newcombe"


def _limits(measure: Measure, interval: Interval) -> str:
    return f"{measure.amount(interval.low, sign=True)} to {measure.amount(interval.high, sign=True)}"


def _at_one_look(primary: Measure, policy: Policy) -> str:
    """What the interval beside the confidence sequence is about: accuracy where no interval of one look is known."""
    same = primary.counts_outcomes or primary.family == "numbers"
    if policy.unlabelled == "begg_greenes":
        return f"gain in {shown_metric(policy)} at one look, on labelled rows alone"
    return "the same at one look" if same else f"gain in {shown_metric(policy)} at one look"


def _disagreements(a: Assessment, policy: Policy) -> list[list[str]]:
    if policy.task == "regression":
        return []
    m = a.measured
    counted = f"{m.pairs.discordant:,}: {m.pairs.wins:,} won, {m.pairs.losses:,} lost"
    if m.method in ("rows", "entities") and not policy.horizon:
        needed = fewest_disagreements(alpha=a.alpha, prior=policy.prior)
        if m.pairs.discordant < needed:
            counted += f"; **insufficient evidence**: with fewer than {needed} no difference can be proven"
    return [["disagreements", counted]]


def _recent(recent: Difference | Undefined, policy: Policy) -> str:
    if isinstance(recent, Undefined):
        return escape(recent.reason)
    measure = policy.measure(policy.primary)
    value = f"{measure.amount(recent.value, sign=True)} ± {measure.amount(recent.standard_error)}"
    return f"{measure.name} {value}, challenger minus champion"


def _planned(planned: PlannedLook | None) -> list[list[str]]:
    if planned is None:
        return []
    return [["declared horizon", f"{planned.fraction:.0%} seen; z {planned.z:.2f} against {planned.boundary:.2f}"]]


def _entities(a: Assessment, level: float) -> list[list[str]]:
    """What sharing entities does to the evidence."""
    found = a.evidence.entities
    if found is None:
        return []
    share = f"{found.repeated_share:.0%} of the disagreements are of entities counted in an earlier batch"
    note = "; **they are left out, so much of the evidence is not used**" if found.leaves_much_unused else ""
    rows = [["entities that return", share + note]]
    for name, test in found.clustered.items():
        if isinstance(test, ClusteredTest):
            p = f"p {p_value(test.p_value)} at one look ({test.entities:,} entities)"
            rows.append([f"all rows of every entity, {name}", f"{_clustered(found.differences[name], level)}; {p}"])
    return rows


def _clustered(found: ClusteredDifference | Undefined, level: float) -> str:
    if isinstance(found, Undefined):
        return f"no interval, {found.reason}"
    interval = found.interval(level)
    return f"{found.value:+.4f}, {level_text(level)} interval {interval_text(interval)} (robust to what rows of an entity share)"


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
        f"Win share equal across {escape(c)}: {_homogeneity(a, c, p)}."
        for c, p in a.measured.homogeneity_p_value.items()
    ]
    warnings = [
        f"**Every {escape(r.column)} contradicts the total on {r.metric}** ({r.pooled:+.4f}): Simpson's paradox; believe the segments."
        for r in a.measured.reversals
    ]
    guards = [
        [
            escape(f"{g.column}: {g.value}"),
            g.metric,
            f"−{g.margin:g}",
            p_value(g.p_value),
            p_value(g.p_value_reverse),
            f"**{g.status}**",
        ]
        for g in a.measured.segment_guardrails
    ]
    parts = [
        table(["segment", "rows", "won : lost", "difference", "interval (Newcombe)"], rows),
        " ".join([*tests, *warnings]),
        table(["segment guardrail", "metric", "margin", "p: not worse", "p: worse", "status"], guards)
        if guards
        else "",
    ]
    return "\n\n".join(p for p in parts if p)


def _homogeneity(a: Assessment, column: str, p: float | Undefined) -> str:
    """The chi-square's p, or where disagreements are too few for it, that of the exact test."""
    exact = exact_homogeneity_p_value(a.measured.segments, column) if isinstance(p, Undefined) else p
    if isinstance(p, Undefined) and isinstance(exact, float):
        return f"{_tested(exact)} (exact: {p.reason})"
    return _tested(p)
