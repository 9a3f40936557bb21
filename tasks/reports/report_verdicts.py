"""What a report says of a decision as a whole: its sentence, the verdict on each version, and a warning about the last promotion.

The words are in ``templates/sentence.md.j2``, ``verdicts.md.j2`` and ``words.md.j2``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from analysis.any_look.process import Method
from analysis.policy import Policy
from analysis.tables.counts import Undefined
from analysis.verdict.judge import Assessment, Verdict
from tasks.base.project import Project
from tasks.base.templates import fill
from tasks.decisions import Decision
from tasks.reigns import Reign

__all__ = [
    "TEMPLATES", "FormerChampion", "Judged", "former_looks_better", "judged_versions", "sentence", "since_then",
]  # fmt: skip

TEMPLATES = Path(__file__).parent / "templates"

_ROLLBACK_ALPHA = 0.2


@dataclass(frozen=True, slots=True)
class _Failed:
    """How often a version failed, ``failed`` of ``batches`` where that was counted, and how it failed in the last ``batch``."""

    batch: str
    failure: str
    failed: int | None
    batches: int | None


@dataclass(frozen=True, slots=True)
class Judged:
    """The verdict on one version; ``verdict`` is None for one that failed in every batch, so that nothing was judged.

    ``least_gain`` is the proven lower limit of the gain in the primary metric, None where ``min_gain`` is all that is proven.
    """

    version: str
    verdict: str | None
    reasons: tuple[str, ...]
    method: Method | Undefined | None
    lower_is_better: bool
    least_gain: float | None
    failure: _Failed | None


def sentence(project: Project, look: Decision) -> str:
    """The decision in one plain sentence."""
    versions = judged_versions(look, project.policy)
    filled = fill(
        TEMPLATES / "sentence.md.j2",
        project=project,
        policy=project.policy,
        champion=look.record["basis"]["champion"]["version"],
        promoted=next((v for v in versions if v.verdict and v.version == look.promote), None),
        versions=versions,
    )
    return filled.rstrip("\n")


def judged_versions(look: Decision, policy: Policy) -> list[Judged]:
    """Every challenger, by version, also one that failed in every batch and so has nothing to be judged on."""
    failures = {f["version"]: _failure(f) for f in look.record["failures"]}
    lower_is_better = policy.measure(policy.primary).lower_is_better
    judged = {
        version: Judged(version, None, (), None, lower_is_better, None, failure)
        for version, failure in failures.items()
    }
    for a in look.judgement.assessments:
        version = a.evidence.challenger.version
        judged[version] = Judged(
            version,
            a.verdict.value,
            a.reasons,
            a.measured.method,
            lower_is_better,
            _least_gain(a, policy),
            failures.get(version),
        )
    return sorted(judged.values(), key=lambda j: int(j.version))


def _failure(failure: Mapping[str, Any]) -> _Failed:
    """Decisions from before failures were counted name the last batch alone."""
    counted = failure.get("failed"), failure.get("batches")
    return _Failed(failure["batch"], failure["failure"], *counted)


def _least_gain(a: Assessment, policy: Policy) -> float | None:
    """The lower end of the confidence sequence; where the lead varies between batches, that of the rows says too much."""
    interval = a.measured.interval
    if a.measured.uneven or policy.horizon or isinstance(interval, Undefined):
        return None
    return interval.low


def since_then(look: Decision, newest: Reign) -> str:
    """What has become of the reign that was judged, if it is over."""
    if look.reign == newest:
        return ""
    return f" Since then: reign {newest.number}, version {newest.version}, by {newest.kind}."


@dataclass(frozen=True, slots=True)
class FormerChampion:
    """Who led before, and the log e-value for it being better than its successor; ``alpha`` is the level at which it counts."""

    version: str
    log_e: float
    alpha: float


def former_looks_better(look: Decision, reigns: Sequence[Reign]) -> FormerChampion | None:
    """The former champion, if the evidence since its demotion favours it at an alpha that would be too large for a promotion."""
    if look.reign.kind != "promotion" or look.reign != reigns[-1] or look.promote:
        return None
    champion = look.reign.version
    former = next((r.version for r in reversed(reigns[: look.reign.number - 1]) if r.version != champion), None)
    for a in look.judgement.assessments:
        if a.evidence.challenger.version == former and a.verdict is Verdict.WAIT:
            log_e = a.measured.log_e
            return FormerChampion(former, log_e, _ROLLBACK_ALPHA) if log_e >= -math.log(_ROLLBACK_ALPHA) else None
    return None
