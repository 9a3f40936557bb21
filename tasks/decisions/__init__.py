"""Looks at the evidence and their records: taking a decision, carrying it out, and checking it a year later."""

from __future__ import annotations

from tasks.decisions.looks import Look, UnknownDecisionError, decisions, look, read_decision, record

__all__ = ["Look", "UnknownDecisionError", "decisions", "look", "read_decision", "record"]
