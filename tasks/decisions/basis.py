"""The basis of a decision: everything that its judgement is a function of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

from analysis.evidence import Contender, Feed
from analysis.policy import Policy
from analysis.policy.budget import Allowance
from analysis.policy.rules import RULES
from analysis.tables.record import plain
from tasks.base.project import Absent, LabelValues, Project
from tasks.batches.predictions import Manifest
from tasks.labels.tallying import Closed, ClosedBatch
from tasks.reigns import Reign

__all__ = [
    "by_date",
    "departed_contenders",
    "feed_basis",
    "feed_of",
    "in_order_of_use",
    "known_allowances",
    "label_values",
    "latest_contenders",
    "make_basis",
    "recorded_policy",
    "retired_setting",
]


def feed_basis(
    batches: Sequence[ClosedBatch],
    scored: Sequence[Manifest],
    contenders: Mapping[str, Contender],
    settled: AbstractSet[str],
    *,
    absent: Absent,
    min_batches: int,
) -> dict[str, Any]:
    """The part of the basis on how labels and scores came in the closed ``batches`` of a reign.

    ``scored`` are all batches of the reign, closed or not; ``settled`` are the ids of batches with a settled tally.
    """
    newest = scored[-min_batches:]
    failed = [(s.version, m.batch) for m in newest for s in m.scored if s.failure and s.version in contenders]
    value = plain(
        {
            "absent": absent,
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
    """The feed in this basis, as a judgement needs it."""
    failed = {version: tuple(batches) for version, batches in basis["failed_lately"].items()}
    silent = tuple(s["reasons"] for s in basis["silent"])
    return Feed(silent, basis["absent"] == "negative", failed, basis["looked_again"])


def by_date(closed: Closed) -> list[Manifest]:
    """The manifests of all batches, closed or not, oldest first."""
    manifests = [*(b.manifest for b in closed.batches), *closed.waiting]
    return sorted(manifests, key=lambda m: (m.date, m.batch))


def latest_contenders(scored: list[Manifest]) -> dict[str, Contender]:
    """Version to contender of the versions in the last batch, also of those that failed there, as they last scored."""
    latest: dict[str, Contender] = {}
    for manifest in scored:
        latest.update(manifest.contenders())
    live = {s.version for s in scored[-1].scored}
    return {v: c for v, c in sorted(latest.items(), key=lambda item: int(item[0])) if v in live}


def label_values(labels: LabelValues | None) -> dict[str, Any] | None:
    """The setting ``labels`` as plain values."""
    return None if labels is None else labels.model_dump(mode="json")


def known_allowances(basis: dict[str, Any] | None, reign: Reign) -> dict[tuple[int, str], Allowance]:
    """The allowances in the latest ``basis`` of the reign, by reign and digest: a batch that is scored late does not change them."""
    if basis is None:
        return {}
    by_digest = {c["digest"]: basis["allowances"][c["version"]] for c in basis["challengers"]}
    by_digest |= {d["contender"]["digest"]: d["allowance"] for d in basis.get("departed", ())}
    return {(reign.number, contender_digest): Allowance(**a) for contender_digest, a in by_digest.items()}


def in_order_of_use(basis: dict[str, Any] | None, batches: list[ClosedBatch]) -> list[ClosedBatch]:
    """The batches in the order of the reign's latest ``basis``, and then, by date, those that no decision has used yet.

    So a batch that is scored late comes after those that were judged before it, even if it is older: the evidence of earlier
    looks does not change afterwards.
    """
    used = [b["batch"] for b in basis["batches"]] if basis else []
    position = {batch: i for i, batch in enumerate(used)}
    return sorted(batches, key=lambda b: (position.get(b.manifest.batch, len(used)), b.manifest.date, b.manifest.batch))


def departed_contenders(scored: list[Manifest], live: Mapping[str, Contender], champion: Contender) -> list[Contender]:
    """The challengers of these batches that are not ``live`` any more: retired, or changed to another contender."""
    competing = {c.digest for c in (champion, *live.values())}
    challengers = {
        s.contender.digest: s.contender for m in scored for s in m.scored if s.contender and s.version != m.champion
    }
    return [c for contender_digest, c in challengers.items() if contender_digest not in competing]


def make_basis(
    project: Project,
    reign: Reign,
    champion: Contender,
    challengers: list[Contender],
    batches: list[ClosedBatch],
    allowances: Mapping[str, Allowance],
    departed: Sequence[tuple[Contender, Allowance]],
) -> dict[str, Any]:
    """The basis as plain values, without the part on the feed."""
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
            "labels": label_values(project.labels),
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
