"""The report of a decision, as markdown: a plain sentence first, then everything needed to check it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from analysis.kinds import Task
from analysis.policy import Policy
from analysis.verdict.checks import needed
from analysis.verdict.judge import Assessment
from tasks.base.markdown import escape, table
from tasks.base.project import Project
from tasks.batches.failures import LOST
from tasks.decisions import Look
from tasks.reigns import Reign
from tasks.reigns.approvals import Denial, denials_list
from tasks.reports.report_challenger import challenger
from tasks.reports.report_verdicts import rollback_guard, sentence, verdicts

__all__ = ["render"]

_UNTAGGED = "not tagged"
_WHAT_E_IS = (
    "An e-value E is what a bet against an assumption has made of a stake of 1. If the assumption holds, E reaches 20 with probability at "
    "most 1/20, however often somebody looks."
)
_MISSING = {
    "worst_case": "evidence is what no missing label can undo: where the two disagree it counts for the other side",
    "begg_greenes": "corrected (Begg and Greenes), taking labels as missing at random given both decisions",
}
_NO_SEGMENTS = "Segments are compared where decisions are; losses of numbers are not summed by segment."
_ONE_LOOK: dict[Task, str] = {
    "binary": (
        "McNemar's p and the bootstrap interval are those of one look and would promote equal models if they decided alone, "
        "week after week."
    ),
    "multiclass": (
        "McNemar's p, the table by class and the bootstrap interval are those of one look and would promote equal models if they "
        "decided alone, week after week."
    ),
    "regression": (
        "Student's t is that of one look and would promote equal models if it decided alone, week after week."
    ),
}
_OF_THE_TASK: dict[Task, str] = {
    "binary": "The e-process for precision is derived for this project and supported by simulation; no published proof is known to us.",
    "multiclass": (
        "Accuracy has an exact process. Averages over classes have an asymptotic one, which holds in the limit of many rows of every "
        "class, and they average over the classes that occur among the labels."
    ),
    "regression": (
        "Losses have an asymptotic process, which holds in the limit of many rows. That limit is far where a few huge errors make up "
        "a loss: a challenger that is a little better on most rows and far worse on one in a thousand can be promoted before that "
        "row comes. `largest_error` in the policy clips errors, and the process is then exact."
    ),
}


def _clipped(largest_error: float) -> str:
    return (
        f"Losses are clipped: an error beyond {largest_error:g} counts as {largest_error:g}. Every number about losses here is about "
        "the clipped loss; beyond that size, a worse error goes unseen."
    )


def render(
    project: Project, look: Look, reigns: Sequence[Reign], plots: Mapping[str, str], denials: Sequence[Denial] = ()
) -> str:
    """The whole report. ``plots`` maps a plot's name to what an image link should point at; ``denials`` are those so far."""
    record, policy = look.record, project.policy
    assessments = look.judgement.assessments
    head = f"PROMOTE version {look.promote}" if look.promote else "No change"
    parts = [
        f"# {project.name}: who leads, judged as of {record['as_of']}",
        f"> **{head}.** {sentence(project, look)}",
        table(["challenger", "verdict", "why"], verdicts(look, policy)),
        _WHAT_E_IS,
        f"{LOST}." if record["failures"] else "",
        "\n".join(f"- **{escape(note)}**" for note in record.get("notes", ())),
        rollback_guard(look, reigns),
        f"Promotions that were not approved:\n\n{denials_list(denials)}" if denials else "",
        _image(plots, "evidence", "evidence over looks"),
        "## What was judged",
        _identity(project, look, reigns),
        "## Which rows count",
        _accounting(assessments, policy),
        _image(plots, "differences", "paired differences with the margins of the policy"),
        *(challenger(a, policy) for a in assessments),
        "## Segments and trend",
        _image(plots, "segments", "the primary difference by segment"),
        _NO_SEGMENTS if project.segments and project.task == "regression" else "",
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
        *_policy(project.policy, look),
        ["closed batches", _span(basis["batches"])],
        *([["due, without any label", _span(basis["silent"])]] if basis["silent"] else []),
        ["maturity window", f"{basis['maturity_days']} days; a day ends at midnight UTC"],
        *([["silence", "rows of which no label came are negatives"]] if basis["absent"] == "negative" else []),
    ]
    people = [
        [
            f"version {c['version']}",
            role,
            *([] if c["threshold"] is None else [f"{c['threshold']:.6g}"]),
            c["trained_through"] or _UNTAGGED,
            f"`{c['digest'][:16]}`",
        ]
        for role, c in [("champion", basis["champion"]), *(("challenger", c) for c in basis["challengers"])]
    ]
    untagged = [row[0] for row in people if row[-2] == _UNTAGGED]
    warning = (
        f"\n\n**{' and '.join(untagged)} have no tag `trained_through`**: whether they learned from these batches is not known."
        if untagged
        else ""
    )
    threshold = ["threshold"] if project.task == "binary" else []
    header = ["model", "role", *threshold, "trained through", "digest"]
    return table(["", ""], rows) + _changed(look) + "\n\n" + table(header, people) + warning


def _span(batches: Sequence[Mapping[str, str]]) -> str:
    if not batches:
        return "none"
    return f"{len(batches)}: {min(b['date'] for b in batches)} to {max(b['date'] for b in batches)}"


def _changed(look: Look) -> str:
    """The promise on false promotions is that of a policy which is fixed before the data are seen."""
    changed = look.record.get("policy_changed")  # decisions from before it was noted have no such key
    if not changed:
        return ""
    return f"\n\n**The policy was changed in this reign, since the decision before: {escape('; '.join(changed))}**"


def _policy(policy: Policy, look: Look) -> list[list[str]]:
    guards = [f"{m} not worse by {v:g}" for m, v in policy.guardrails.items()]
    guards += [f"{m} not worse by {v:g} in any segment" for m, v in policy.segment_guardrails.items()]
    rows = [
        ["has to be proven", f"{policy.primary} better by more than {policy.min_gain:g}"],
        ["guardrails", ", ".join(guards) or "none"],
        ["alpha", f"{policy.alpha:g}{_prior(policy)}"],
        ["error budget", _budget(policy, look)],
        ["least evidence", f"{policy.min_batches} closed batches"],
    ]
    if policy.horizon:
        plan = f"{policy.horizon.disagreements:,} disagreements, alpha spent as {policy.horizon.spending}"
        rows.append(["declared horizon", plan])
    if policy.largest_error:
        rows.append(["errors clipped at", f"{policy.largest_error:g}"])
    if policy.unit == "batch":
        rows.append(["unit of evidence", "the batch"])
    if policy.sampling:
        heaviest = policy.sampling.heaviest
        weights = f"each counts 1 / its probability rows, at most {heaviest[0]:.6g}, or {heaviest[1]:.6g} where models disagree"
        rows.append(["sampled labels", weights])
    if policy.unlabelled != "refuse":
        rows.append(["missing labels", _MISSING[policy.unlabelled]])
    return rows


def _prior(policy: Policy) -> str:
    return "" if policy.task == "regression" else f"; prior Beta({policy.prior:g}, {policy.prior:g})"


def _budget(policy: Policy, look: Look) -> str:
    """What alpha covers, and how much of it has been given out."""
    own = "; ".join(
        f"version {a.evidence.challenger.version} at {a.alpha:.3g}: E ≥ {needed(a.alpha)} decides"
        for a in look.judgement.assessments
    )
    covers = {
        "family": f"{policy.alpha:g} for the challengers judged together (e-closure): {own}",
        "reign": f"{policy.alpha:g} for all challengers of a reign, whenever they come: {own}",
        "programme": f"false discovery rate {policy.alpha:g} over all promotions ever (e-LOND): {own}",
    }
    return f"{covers[policy.error_budget]}; spent in this reign: {look.record['alpha_spent']:.3g}"


def _accounting(assessments: Sequence[Assessment], policy: Policy) -> str:
    binary = policy.task == "binary"
    reasons = sorted({r for a in assessments for r in a.evidence.excluded})
    rows = [
        [
            f"version {a.evidence.challenger.version}",
            f"{a.evidence.counts.n + sum(a.evidence.excluded.values()):,}",
            f"**{a.evidence.counts.n:,}**",
            *([f"{a.evidence.counts.positives:,}"] if binary else []),
            *(f"{a.evidence.excluded.get(r, 0):,}" for r in reasons),
        ]
        for a in assessments
    ]
    positive = ["of them positive"] if binary else []
    return table(["rows against the champion", "all", "counted", *positive, *reasons], rows)


def _limitations(policy: Policy) -> str:
    lead = "win share" if policy.measure(policy.primary).counts_outcomes else "gain"
    return "\n".join(
        f"- {text}"
        for text in (
            (
                f"A promotion says that the challenger was ahead on average over the batches judged, by more than {policy.min_gain:g} in "
                f"{policy.primary}. It does not say that it will stay so: read the trend, and keep the old champion as a challenger."
            ),
            f"The bound on false promotions holds for the promotion rule, which needs E. {_ONE_LOOK[policy.task]}",
            (
                f"An estimate of a winner is biased upwards. Rely on the lower end of the confidence sequence; where the {lead} "
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
            _OF_THE_TASK[policy.task] if policy.largest_error is None else _clipped(policy.largest_error),
        )
    )


def _reproduce(project: Project, look: Look) -> str:
    record = look.record
    return (
        f"`report.json` beside this file holds all that went into the decision and came out: policy, seed {record['seed']}, the digests of "
        f"{len(record['basis']['batches'])} tallies and every count. The same evidence gives the same bytes:\n\n"
        f"    python -m flows.judge {project.name} --as-of {record['as_of']} --dry-run"
    )
