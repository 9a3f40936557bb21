"""The report on a plan: what to expect of the policy, of the naive rules beside it, and what was assumed.

Its words, headings and tables are in ``templates/plan.md.j2`` and what that includes; here are the values that these name.
"""

from __future__ import annotations

import base64
from dataclasses import asdict, dataclass
from pathlib import Path

from analysis.policy import Policy
from analysis.seasons.season import DETHRONE
from analysis.seasons.simulate import Promotions
from analysis.tables.counts import Undefined
from analysis.tables.intervals import Interval
from analysis.tables.record import canonical_json
from tasks.base.project import Project
from tasks.base.templates import fill
from tasks.plan.plan import Course, Plan
from tasks.plan.plan_plot import draw_plan
from tasks.plan.plan_sizes import HORIZON, Sizes, deciding
from tasks.store import Store

__all__ = ["plan_caveats", "plan_sentence", "record_of", "write_plan"]

_TEMPLATES = Path(__file__).parent / "templates"
_ENOUGH = 0.8


def write_plan(store: Store, project: Project, plan: Plan) -> str:
    """Write ``reports/plan/`` with ``plan.md``, ``plan.svg`` and ``plan.json``; returns the markdown with the plot inside it."""
    prefix = f"{project.name}/reports/plan"
    drawn = draw_plan(plan, project.policy) or b""
    store.write(f"{prefix}/plan.svg", drawn)
    store.write(f"{prefix}/plan.json", record_of(project, plan))
    store.write(f"{prefix}/plan.md", _markdown(project, plan, "plan.svg").encode())
    return _markdown(project, plan, f"data:image/svg+xml;base64,{base64.b64encode(drawn).decode()}")


def record_of(project: Project, plan: Plan) -> bytes:
    """Everything that went into the plan and came out of it, as canonical JSON."""
    results = [
        {
            "gain": c.gain,
            "gain_in_primary": c.scenario.gain_in(project.policy.primary, project.policy),
            "scenario": c.scenario,
            "rules": {name: _numbers(p) for name, p in c.rules.items()},
            "sizes": c.sizes,
        }
        for c in plan.courses
    ]
    content = {
        "schema": 1,
        "project": project.name,
        "policy": project.policy.model_dump(mode="json"),
        "as_of": plan.as_of,
        "question": asdict(plan.question),
        "basis": plan.basis,
        "alphas": plan.alphas,
        "results": results,
        "sentence": plan_sentence(project, plan),
    }
    return canonical_json(content)


def _numbers(p: Promotions) -> dict[str, object]:
    return {
        "promoted": p.promoted,
        "share": p.promoted / p.runs,
        "interval": p.interval,
        "mean_batches": p.mean_batches,
        "standard_error": p.standard_error,
        "batches_50": p.batches_until(0.5),
        "batches_80": p.batches_until(_ENOUGH),
        "at_batch": p.at_batch,
    }


def plan_sentence(project: Project, plan: Plan) -> str:
    """The plan in a sentence: the risk of an equal challenger, and the pace of the least gain that is promoted in most runs."""
    policy = project.policy
    better = [c for c in plan.courses if c.gain > 0]
    sure = [c for c in better if c.rules[DETHRONE].promoted >= _ENOUGH * plan.question.runs]
    named = sure[:1] or better[-1:]
    filled = fill(
        _TEMPLATES / "sentence.md.j2",
        policy=policy,
        question=plan.question,
        equal=plan.equal.rules[DETHRONE],
        better=_course(named[0], policy) if named else None,
        gain_is_in_primary=policy.measure(policy.primary).counts_outcomes,
    )
    return filled.rstrip("\n")


def plan_caveats(plan: Plan) -> list[str]:
    """What the closed batches show to be wrong among the assumptions: at most that the gain is the same in all of them."""
    versions = plan.basis.uneven
    return [fill(_TEMPLATES / "uneven.md.j2", versions=versions).rstrip("\n")] if versions else []


@dataclass(frozen=True, slots=True)
class _Promoted:
    """Promotions by one rule in the simulated runs, with 95 % intervals; ``batches_80``: by when 80 % of the runs have one."""

    promoted: int
    share: float
    interval: Interval
    mean_batches: float
    half_width: float
    batches_50: int | None
    batches_80: int | None


@dataclass(frozen=True, slots=True)
class _Course:
    """Challengers that are better by ``gain``: what they win and lose in a batch, and how often Dethrone promotes them."""

    gain: float
    gain_in_primary: float | Undefined
    won: float
    lost: float
    ours: _Promoted
    sizes: Sizes | None


@dataclass(frozen=True, slots=True)
class _Rule:
    """A rule, and what it does in every course."""

    name: str
    ours: bool
    courses: list[_Promoted]


def _markdown(project: Project, plan: Plan, image: str) -> str:
    policy = project.policy
    courses = [_course(c, policy) for c in plan.courses]
    names = [DETHRONE, *(n for n in plan.equal.rules if n != DETHRONE)]
    return fill(
        _TEMPLATES / "plan.md.j2",
        project=project,
        policy=policy,
        question=plan.question,
        as_of=plan.as_of,
        sentence=plan_sentence(project, plan),
        caveats=plan_caveats(plan),
        image=image,
        gain_is_in_primary=policy.measure(policy.primary).counts_outcomes,
        courses=courses,
        courses_with_sizes=[c for c in courses if c.sizes],
        horizon=HORIZON,
        alphas=plan.alphas,
        rules=[_Rule(n, n == DETHRONE, [_promoted(c.rules[n]) for c in plan.courses]) for n in names],
        scenario=plan.basis.scenario,
        assumed=plan.basis.assumed,
    )


def _course(course: Course, policy: Policy) -> _Course:
    cells = course.scenario.expected()
    return _Course(
        gain=course.gain,
        gain_in_primary=course.scenario.gain_in(policy.primary, policy),
        won=deciding(policy, cells[5], cells[2]),
        lost=deciding(policy, cells[6], cells[1]),
        ours=_promoted(course.rules[DETHRONE]),
        sizes=course.sizes,
    )


def _promoted(p: Promotions) -> _Promoted:
    return _Promoted(
        promoted=p.promoted,
        share=p.promoted / p.runs,
        interval=p.interval,
        mean_batches=p.mean_batches,
        half_width=1.96 * p.standard_error,
        batches_50=p.batches_until(0.5),
        batches_80=p.batches_until(_ENOUGH),
    )
