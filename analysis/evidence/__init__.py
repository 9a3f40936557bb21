"""Labelled rows are counted in tallies, and the tallies of closed batches become the evidence on one pair."""

from __future__ import annotations

from analysis.evidence.evidence import BatchTally, Contender, Evidence, Feed, PairedBatch, closing_date, scores_of
from analysis.evidence.gathering import (
    ANOTHER_CLIP,
    ANOTHER_CONTENDER,
    BEFORE_TRAINED_THROUGH,
    LABELS_SEEN,
    NOT_CLOSED,
    WITHOUT_PROBABILITIES,
    Gatherer,
    gather,
    labels_unseen,
)

__all__ = [
    "ANOTHER_CLIP",
    "ANOTHER_CONTENDER",
    "BEFORE_TRAINED_THROUGH",
    "LABELS_SEEN",
    "NOT_CLOSED",
    "WITHOUT_PROBABILITIES",
    "BatchTally",
    "Contender",
    "Evidence",
    "Feed",
    "Gatherer",
    "PairedBatch",
    "closing_date",
    "gather",
    "labels_unseen",
    "scores_of",
]
