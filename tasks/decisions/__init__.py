"""Decisions: taking one at a look at the evidence, recording it, carrying it out, and verifying it later."""

from __future__ import annotations

from tasks.decisions.decision import Decision, all_records, decide, record_before, save_decision
from tasks.decisions.decision_log import UnknownDecisionError, read_record

__all__ = ["Decision", "UnknownDecisionError", "all_records", "decide", "read_record", "record_before", "save_decision"]
