"""The number of the rules that a judgement is taken by. A decision is checked by the rules that took it."""

from __future__ import annotations

__all__ = ["FIRST_RULES", "RULES"]

FIRST_RULES = 1
"""Those of decisions that name none."""

RULES = 2
"""Those of this code. Whatever can change a verdict, or a number in it, on the same evidence adds one:

2. Labels that cannot be used are missing labels; whether labels follow the decisions is asked by class, at a level that
   holds over all looks; guardrails and RETIRE need the proof by batches too where the lead varies; batches are tested by
   exp(x) / cosh(x), and asked for earlier; of batches the effective number counts; alpha covers all challengers of a reign.
"""
