"""A judgement as the record of its decision holds it: bounded, however many batches and segments it is about."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from analysis.tables.record import digest, plain
from analysis.verdict.judge import Assessment, Judgement

__all__ = ["SCHEMA", "open_rows", "recorded_judgement"]

SCHEMA = 2
"""The form of a record. In the first, the judgement has the tables of every batch, every segment, and every batch that is open."""

_LONG = (
    ("measured", "segments"), ("measured", "segment_guardrails"), ("evidence", "feed", "silent"), ("checks",), ("reasons",),
)  # fmt: skip
_MOST = 20  # entries of such a list that a record holds


def recorded_judgement(judgement: Judgement, schema: int = SCHEMA) -> dict[str, Any]:
    """The judgement as plain values.

    The numbers of single batches follow from the tallies that the basis names, and only their count is kept. Of a list with an entry per
    segment or batch the first 20 entries are; ``cut`` then has its length and the digest of all of it, by its path.
    """
    if schema == 1:
        value: dict[str, Any] = plain(judgement)
        return value
    return {**plain(replace(judgement, assessments=())), "assessments": [_bounded(a) for a in judgement.assessments]}


def _bounded(a: Assessment) -> dict[str, Any]:
    entities = replace(a.evidence.entities, batches={}) if a.evidence.entities else None
    value: dict[str, Any] = plain(replace(a, evidence=replace(a.evidence, batches=(), entities=entities)))
    batches = a.evidence.batches
    value["evidence"]["batches"] = {"count": len(batches), "replayed": sum(b.replayed for b in batches)}
    value["cut"] = {}
    for *path, name in _LONG:
        inner: Any = value
        for part in path:
            inner = inner and inner[part]
        if inner and len(inner[name]) > _MOST:
            whole = inner[name]
            value["cut"][".".join([*path, name])] = {"entries": len(whole), "sha256": digest(whole)}
            inner[name] = whole[:_MOST]
    return value


def open_rows(record: Mapping[str, Any]) -> int:
    """The rows of the batches that were not due at the decision of this record."""
    waiting = record["waiting"]
    rows: int = sum(w["rows"] for w in waiting) if record["schema"] == 1 else waiting["rows"]
    return rows
