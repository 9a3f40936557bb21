"""The report of a decision, as markdown: a plain sentence first, then everything needed to check it.

Its words, headings and tables are in ``templates/report.md.j2`` and what that includes; here are the values that these name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from analysis.policy import Policy
from tasks.base.project import Project
from tasks.base.templates import fill
from tasks.batches.failures import LOST
from tasks.decisions import Decision
from tasks.reigns import Reign
from tasks.reigns.approvals import Denial, denials_list
from tasks.reports.report_challenger import challenger_values
from tasks.reports.report_replays import replays
from tasks.reports.report_verdicts import TEMPLATES, former_looks_better, judged_versions, sentence

__all__ = ["render"]


def render(
    project: Project, look: Decision, reigns: Sequence[Reign], plots: Mapping[str, str], denials: Sequence[Denial] = ()
) -> str:
    """The whole report. ``plots`` maps a plot's name to what an image link should point at; ``denials`` are those so far."""
    record, policy = look.record, project.policy
    basis = record["basis"]
    challengers = [challenger_values(a, policy) for a in look.judgement.assessments]
    models = _models(basis)
    return fill(
        TEMPLATES / "report.md.j2",
        project=project,
        policy=policy,
        plots=plots,
        decision=look.id,
        as_of=record["as_of"],
        seed=record["seed"],
        sentence=sentence(project, look),
        versions=judged_versions(look, policy),
        promote=look.promote,
        reason_of_choice=look.judgement.choice.reason if look.judgement.choice else "",
        what_failed_batches_mean=LOST if record["failures"] else "",
        notes=record.get("notes", ()),
        former_looks_better=former_looks_better(look, reigns),
        denials=denials_list(denials),
        champion=basis["champion"]["version"],
        reign=basis["reign"],
        led_since=reigns[basis["reign"] - 1].since,
        margins=_margins(policy),
        alpha_spent=record["alpha_spent"],
        batches=_days(look.batches),
        silent_batches=_days(basis["silent"]),
        maturity_days=basis["maturity_days"],
        absent=basis["absent"],
        policy_changed=record.get("policy_changed"),  # decisions from before it was noted have no such key
        models=models,
        untagged=[m.version for m in models if not m.trained_through],
        reasons_left_out=sorted({reason for c in challengers for reason in c.rows.left_out}),
        challengers=challengers,
        replays=[r for e in look.evidence if (r := replays(e, look.batches, policy))],
        wins_and_losses_decide=policy.measure(policy.primary).counts_outcomes,
    )


@dataclass(frozen=True, slots=True)
class _Model:
    """A version that was judged, as champion or as challenger; ``digest`` is the beginning of it."""

    version: str
    role: str
    threshold: float | None
    trained_through: str | None
    digest: str


def _models(basis: Mapping[str, Any]) -> list[_Model]:
    roles = [("champion", basis["champion"]), *(("challenger", c) for c in basis["challengers"])]
    return [_Model(c["version"], role, c["threshold"], c["trained_through"], c["digest"][:16]) for role, c in roles]


@dataclass(frozen=True, slots=True)
class _Margin:
    """How much worse a metric may be at most, on all rows or in any segment."""

    metric: str
    margin: float
    in_any_segment: bool


def _margins(policy: Policy) -> list[_Margin]:
    return [
        *(_Margin(metric, margin, False) for metric, margin in policy.guardrails.items()),
        *(_Margin(metric, margin, True) for metric, margin in policy.segment_guardrails.items()),
    ]


def _days(batches: Iterable[Mapping[str, str]]) -> list[str]:
    """The dates of these batches, the earliest first."""
    return sorted(b["date"] for b in batches)
