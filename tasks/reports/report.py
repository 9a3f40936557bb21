"""The report of a decision, as markdown: a plain sentence first, then everything needed to check it.

Its words, headings and tables are in ``templates/report.md.j2`` and what that includes; here are the values that these name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from analysis.policy import Policy
from analysis.tables.counts import Undefined
from analysis.verdict.checks import needed
from analysis.verdict.watch import TOO_FEW, Watched
from tasks.base.project import Project
from tasks.base.templates import fill
from tasks.batches.failures import LOST
from tasks.decisions import Decision
from tasks.decisions.watching import alarm_sentence, rung_of
from tasks.reigns import Reign
from tasks.reigns.approvals import Denial, denials_list
from tasks.reports.limits import MOST_CHALLENGERS, MOST_DENIALS, MOST_LINES, MOST_PANELS, most_telling, whole_lines
from tasks.reports.report_challenger import challenger_values
from tasks.reports.report_replays import replays
from tasks.reports.report_rows import counted_rows
from tasks.reports.report_segments import chosen_segments
from tasks.reports.report_verdicts import TEMPLATES, former_looks_better, judged_versions, sentence

__all__ = ["page", "page_values", "render"]


def render(
    project: Project,
    look: Decision,
    reigns: Sequence[Reign],
    plots: Mapping[str, str],
    denials: Sequence[Denial] = (),
    watched: list[Watched] | Undefined = TOO_FEW,
) -> str:
    """The whole report. ``plots`` maps a plot's name to what an image link should point at; ``denials`` are those so far."""
    return page(page_values(project, look, reigns, denials, watched), plots)


def page(values: Mapping[str, Any], plots: Mapping[str, str], plots_left_out: Sequence[str] = ()) -> str:
    """The report of these ``page_values``, of at most ``LARGEST_PAGE`` bytes; ``plots_left_out`` names plots that are in the store only."""
    return whole_lines(fill(TEMPLATES / "report.md.j2", plots=plots, plots_left_out=plots_left_out, **values))


def page_values(
    project: Project,
    look: Decision,
    reigns: Sequence[Reign],
    denials: Sequence[Denial],
    watched: list[Watched] | Undefined,
) -> Mapping[str, Any]:
    """What the template names, without the plots."""
    record, policy = look.record, project.policy
    basis, assessments = record["basis"], look.judgement.assessments
    listed, told = most_telling(assessments, MOST_LINES), most_telling(assessments, MOST_CHALLENGERS)
    chosen = chosen_segments(told)
    versions, models = judged_versions(look, policy), _models(basis)
    in_lines = {basis["champion"]["version"], *(a.evidence.challenger.version for a in listed)}
    shown = [v for v in versions if v.version in in_lines or not v.verdict][:MOST_LINES]
    counted = counted_rows(listed, policy)
    notes = record.get("notes", ())
    return {
        "project": project,
        "policy": policy,
        "decision": look.id,
        "as_of": record["as_of"],
        "seed": record["seed"],
        "sentence": sentence(project, look),
        "versions": shown,
        "versions_left_out": len(versions) - len(shown),
        "promote": look.promote,
        "reason_of_choice": look.judgement.choice.reason if look.judgement.choice else "",
        "what_failed_batches_mean": LOST if record["failures"] else "",
        "notes": notes[:MOST_LINES],
        "notes_left_out": len(notes[MOST_LINES:]),
        "former_looks_better": former_looks_better(look, reigns),
        "alarms": [alarm_sentence(look.reign, w) for w in rung_of(watched)],
        "watched": watched,
        "denials": denials_list(denials[-MOST_DENIALS:]),
        "denials_left_out": len(denials[:-MOST_DENIALS]),
        "champion": basis["champion"]["version"],
        "reign": basis["reign"],
        "led_since": reigns[basis["reign"] - 1].since,
        "margins": _margins(policy),
        "allowed": [_Allowed(a.evidence.challenger.version, a.alpha, needed(a.alpha)) for a in listed],
        "alpha_spent": record["alpha_spent"],
        "batches": _days(look.batches),
        "silent_batches": _days(basis["silent"]),
        "maturity_days": basis["maturity_days"],
        "absent": basis["absent"],
        "policy_changed": record.get("policy_changed"),  # decisions from before it was noted have no such key
        "models": [m for m in models if m.version in in_lines],
        "untagged": [m.version for m in models if m.version in in_lines and not m.trained_through],
        "counted": counted,
        "replays": [r for a in listed if (r := replays(a.evidence, look.batches, policy))],
        "challengers": [challenger_values(a, policy, chosen) for a in told],
        "all_challengers": len(assessments),
        "panels": min(len(assessments), MOST_PANELS),
        "wins_and_losses_decide": policy.measure(policy.primary).counts_outcomes,
    }


@dataclass(frozen=True, slots=True)
class _Allowed:
    """The alpha of one challenger, and the e-value that decides at it, for a reader."""

    version: str
    alpha: float
    e_needed: str


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
