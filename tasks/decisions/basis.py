"""The basis of a decision: everything that its judgement is a function of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

from analysis.evidence import BatchTally, Contender, Feed, labels_unseen
from analysis.policy import Policy
from analysis.policy.budget import Allowance
from analysis.policy.rules import RULES
from analysis.tables.record import plain
from tasks.base.project import Absent, LabelValues, Project
from tasks.batches.contenders import Claim, read_claim
from tasks.batches.predictions import Manifest, Replay
from tasks.labels.tally_files import Closed, ClosedBatch
from tasks.reigns import Reign
from tasks.store import Store

__all__ = [
    "Counted",
    "are_evidence",
    "by_date",
    "counted",
    "departed_contenders",
    "feed_basis",
    "feed_of",
    "in_order_of_use",
    "kind_of_file",
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
    newest = [m.with_replays() for m in scored[-min_batches:]]
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
    """Version to contender of the versions in the last batch, also of those that failed there, as they last scored or were replayed."""
    latest: dict[str, Contender] = {}
    with_replays = [m.with_replays() for m in scored]
    for manifest in with_replays:
        latest.update(manifest.contenders())
    live = {s.version for s in with_replays[-1].scored}
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


@dataclass(frozen=True, slots=True)
class Counted:
    """A tally that a decision reads, and the digests of its files: that of a closed batch, or one of its replays.

    ``replayed`` says of each replayed version when it was first found, and what was claimed about the labels it was chosen on.
    """

    tally: BatchTally
    files: Mapping[str, str]
    labels_from: date | None = None
    replayed: Mapping[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """What tells it from the others."""
        return _tally_key(self.files)

    def entry(self) -> dict[str, Any]:
        """The tally as the basis of a decision names it."""
        replayed = {"labels_from": self.labels_from, "replayed": self.replayed} if self.replayed else {}
        return {"batch": self.tally.batch, "date": self.tally.date, "files": self.files, **replayed}


def counted(store: Store, project_name: str, batches: Sequence[ClosedBatch], as_of: date) -> list[Counted]:
    """All tallies of these closed batches, and which replays in them are evidence, by the claims that were found by ``as_of``."""
    claims: dict[str, Claim | None] = {}
    for contender in {x.contender.digest for b in batches for r in b.replayed for x in r.replays}:
        claim = read_claim(store, project_name, contender)
        claims[contender] = claim if claim and claim.claimed <= as_of else None
    found: list[Counted] = []
    for b in batches:
        found.append(Counted(b.tally, b.files))
        for r in b.replayed:
            seen = {x.scored.version: _seen(x, claims[x.contender.digest], r.first_labels) for x in r.replays}
            tally = replace(r.tally, replayed=are_evidence(r.tally.date, r.labels_from, seen))
            found.append(Counted(tally, r.files, r.labels_from, seen))
    return found


def _seen(replay: Replay, claim: Claim | None, first_labels: Sequence[tuple[date, int]]) -> dict[str, Any]:
    """When the contender was found, what was claimed, and after how many days the first labels of batches had come by then.

    ``first_labels`` are days of first labels, and how many days old their batches were.
    """
    seen: dict[str, Any] = {"found": replay.found}
    if claim and claim.labels_seen_through < replay.found:  # a later one would take away what has counted
        seen |= {"labels_seen_through": claim.labels_seen_through, "author": claim.author, "claimed": claim.claimed}
    ages = [age for came, age in first_labels if came <= _seen_through(seen)]
    return {**seen, "first_labels_after": min(ages, default=None)}


def _seen_through(seen: Mapping[str, Any]) -> date:
    return _day(seen.get("labels_seen_through", seen["found"]))


def are_evidence(batch: date, labels_from: Any, replayed: Mapping[str, Mapping[str, Any]]) -> dict[str, bool]:
    """Of each replayed version, whether it counts: a claim on it decides, or else the day on which it was first found.

    Days may be dates, or texts as in the record of a decision.
    """
    first = None if labels_from is None else _day(labels_from)
    return {
        v: labels_unseen(batch, first, _seen_through(seen), first_labels_after=seen["first_labels_after"])
        for v, seen in replayed.items()
    }


def _day(value: Any) -> date:
    return value if isinstance(value, date) else date.fromisoformat(value)


def _tally_key(files: Iterable[str]) -> str:
    return next(k for k in files if kind_of_file(k) == "tally")


def kind_of_file(key: str) -> str:
    """What a file of a basis is: ``manifest``, ``replay``, ``entry``, ``scores``, ``settled`` or ``tally``."""
    if key.endswith(".json"):
        return "entry" if "/tallies/" in key else "replay" if "/replays/" in key else "manifest"
    return next((kind for kind in ("scores", "settled") if key.endswith(f".{kind}.parquet")), "tally")


def in_order_of_use(entries: Sequence[Mapping[str, Any]], tallies: list[Counted]) -> list[Counted]:
    """The tallies in the order of the ``entries`` of the reign's latest basis, and then, by date, those that no decision has used yet.

    So a batch that is scored late, or on which a version was replayed, comes after what was judged before it, even if it is older:
    the evidence of earlier looks does not change afterwards.
    """
    used = [_tally_key(b["files"]) for b in entries]
    position = {key: i for i, key in enumerate(used)}
    return sorted(tallies, key=lambda c: (position.get(c.key, len(used)), c.tally.date, c.tally.batch, c.key))


def departed_contenders(scored: list[Manifest], live: Mapping[str, Contender], champion: Contender) -> list[Contender]:
    """The challengers of these batches that are not ``live`` any more: retired, or changed to another contender."""
    competing = {c.digest for c in (champion, *live.values())}
    challengers = {
        s.contender.digest: s.contender
        for m in scored
        for s in (*m.scored, *(r.scored for r in m.replays))
        if s.contender and s.version != m.champion
    }
    return [c for contender_digest, c in challengers.items() if contender_digest not in competing]


def make_basis(
    project: Project,
    reign: Reign,
    champion: Contender,
    challengers: list[Contender],
    tallies: Sequence[Counted],
    allowances: Mapping[str, Allowance],
    departed: Sequence[tuple[Contender, Allowance]],
) -> dict[str, Any]:
    """The basis as plain values, without the part on the feed, and with the entry of every batch."""
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
            "batches": [c.entry() for c in tallies],
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
