"""A project's own policy played on simulated batches, before or while it decides about real models."""

from __future__ import annotations

from tasks.plan.plan import Plan, Question, make_plan

__all__ = ["Plan", "Question", "make_plan"]
