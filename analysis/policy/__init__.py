"""What a challenger has to show before it takes over, how alpha is shared out, and the number of the rules."""

from __future__ import annotations

from analysis.policy.policy import Costs, ErrorBudget, Horizon, Policy, Sampling

__all__ = ["Costs", "ErrorBudget", "Horizon", "Policy", "Sampling"]
