"""The promotion log, which says who leads and has led; what follows from it, and the promotions that were denied."""

from __future__ import annotations

from tasks.reigns.promotion_log import LogError, Reign, SupersededError, commit, following, head, judged_on, reigns

__all__ = ["LogError", "Reign", "SupersededError", "commit", "following", "head", "judged_on", "reigns"]
