"""The promotion log: who leads and who has led; its projections, and denied promotions."""

from __future__ import annotations

from tasks.reigns.promotion_log import LogError, Reign, SupersededError, commit, head, judged_on, reign_after, reigns

__all__ = ["LogError", "Reign", "SupersededError", "commit", "head", "judged_on", "reign_after", "reigns"]
