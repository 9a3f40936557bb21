"""Labelled rows are counted in tallies, and the tallies of closed batches become the evidence on one pair."""

from __future__ import annotations

from analysis.evidence.evidence import (
    ANOTHER_CLIP,
    ANOTHER_CONTENDER,
    BEFORE_TRAINED_THROUGH,
    NOT_CLOSED,
    WITHOUT_PROBABILITIES,
    BatchTally,
    Contender,
    Evidence,
    Feed,
    PairedBatch,
    closing_date,
    gather,
    scores_of,
)

__all__ = [
    "ANOTHER_CLIP",
    "ANOTHER_CONTENDER",
    "BEFORE_TRAINED_THROUGH",
    "NOT_CLOSED",
    "WITHOUT_PROBABILITIES",
    "BatchTally",
    "Contender",
    "Evidence",
    "Feed",
    "PairedBatch",
    "closing_date",
    "gather",
    "scores_of",
]
