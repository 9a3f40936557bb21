"""What a decision rests on: all that its judgement is a function of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

from analysis.evidence import Contender, Feed
from analysis.policy import Policy
from analysis.policy.budget import Allowance
from analysis.policy.rules import RULES
from analysis.tables.record import plain
from tasks.base.project import Project
from tasks.batches.predictions import Manifest
from tasks.labels.tallying import Closed, ClosedBatch
from tasks.reigns import Reign

__all__ = [
    "by_date",
    "contenders_of",
    "departed_of",
    "feed_basis",
    "feed_of",
    "in_order_of_use",
    "known_allowances",
    "label_values",
    "make_basis",
    "recorded_policy",
    "retired_setting",
]


def feed_basis(
    project: Project,
    batches: Sequence[ClosedBatch],
    scored: Sequence[Manifest],
    contenders: Mapping[str, Contender],
    settled: AbstractSet[str],
) -> dict[str, Any]:
    """How labels and scores of the reign's closed ``batches`` came; ``scored`` are all batches of it, closed or not."""
    newest = scored[-project.policy.min_batches :]
    failed = [(s.version, m.batch) for m in newest for s in m.scored if s.failure and s.version in contenders]
    value = plain(
        {
            "absent": project.absent,
            "silent": [
                {"batch": b.manifest.batch, "date": b.manifest.date, "reasons": b.silent}
                for b in batches
                if b.silent is not None
            ],
            "failed_lately": {version: [b for v, b in failed if v == version] for version, _ in failed},
            "looked_again": any(b.manifest.batch in settled for b in batches),
        }
    )
    assert isinstance(value, dict)
    return value


def feed_of(basis: Mapping[str, Any]) -> Feed:
    """The same, as a judgement takes it."""
    failed = {version: tuple(batches) for version, batches in basis["failed_lately"].items()}
    silent = tuple(s["reasons"] for s in basis["silent"])
    return Feed(silent, basis["absent"] == "negative", failed, basis["looked_again"])


def by_date(closed: Closed) -> list[Manifest]:
    """The manifests of all batches, closed or not, oldest first."""
    manifests = [*(b.manifest for b in closed.batches), *closed.waiting]
    return sorted(manifests, key=lambda m: (m.date, m.batch))


def contenders_of(scored: list[Manifest]) -> dict[str, Contender]:
    """The contenders of the last batch, as they were when they last scored; one that failed there still competes."""
    found: dict[str, Contender] = {}
    for manifest in scored:
        found.update(manifest.contenders())
    live = {s.version for s in scored[-1].scored}
    return {v: c for v, c in sorted(found.items(), key=lambda item: int(item[0])) if v in live}


def label_values(project: Project) -> dict[str, Any] | None:
    return None if project.labels is None else project.labels.model_dump(mode="json")


def known_allowances(basis: dict[str, Any] | None, reign: Reign) -> dict[tuple[int, str], Allowance]:
    """What the contenders of the reign have been given before: a batch that is scored late changes nothing of it."""
    if basis is None:
        return {}
    given = {c["digest"]: basis["allowances"][c["version"]] for c in basis["challengers"]}
    given |= {d["contender"]["digest"]: d["allowance"] for d in basis.get("departed", ())}
    return {(reign.number, digest_of_it): Allowance(**a) for digest_of_it, a in given.items()}


def in_order_of_use(basis: dict[str, Any] | None, batches: list[ClosedBatch]) -> list[ClosedBatch]:
    """As the latest decision of the reign, which rests on ``basis``, has them; then, by date, those that no decision has used yet.

    A batch that is scored late may be older than others that were looked at already. In front of them it would change their evidence in
    hindsight.
    """
    used = [b["batch"] for b in basis["batches"]] if basis else []
    position = {batch: i for i, batch in enumerate(used)}
    return sorted(batches, key=lambda b: (position.get(b.manifest.batch, len(used)), b.manifest.date, b.manifest.batch))


def departed_of(scored: list[Manifest], live: Mapping[str, Contender], champion: Contender) -> list[Contender]:
    """Who has challenged in these batches and does not compete any more: retired, or another contender by now."""
    known = {c.digest for c in (champion, *live.values())}
    found = {
        s.contender.digest: s.contender for m in scored for s in m.scored if s.contender and s.version != m.champion
    }
    return [c for digest_of_it, c in found.items() if digest_of_it not in known]


def make_basis(
    project: Project,
    reign: Reign,
    champion: Contender,
    challengers: list[Contender],
    batches: list[ClosedBatch],
    allowances: Mapping[str, Allowance],
    departed: Sequence[tuple[Contender, Allowance]],
) -> dict[str, Any]:
    """All that a judgement is a function of."""
    value = plain(
        {
            "rules": RULES,
            "reign": reign.number,
            "champion": champion,
            "challengers": challengers,
            "policy": project.policy.model_dump(mode="json"),
            "allowances": allowances,
            "departed": [{"contender": c, "allowance": a} for c, a in departed],
            "maturity_days": project.maturity_days,
            "labels": label_values(project),
            "batches": [{"batch": b.manifest.batch, "date": b.manifest.date, "files": b.files} for b in batches],
        }
    )
    assert isinstance(value, dict)
    return value


_RETIRED = ("planned_win_share", "prefer")


def recorded_policy(basis: Mapping[str, Any]) -> Policy:
    """The policy of a decision, without settings that are no more. ``planned_win_share`` only set the prior, which is on record too."""
    return Policy.model_validate({k: v for k, v in basis["policy"].items() if k not in _RETIRED})


def retired_setting(basis: Mapping[str, Any]) -> str | None:
    """A setting that is no more and could have decided among proven challengers, if the decision was taken with it."""
    return "prefer" if basis["policy"].get("prefer") else None
