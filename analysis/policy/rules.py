"""The number of the rules that a judgement is taken by. A decision is checked by the rules that took it."""

from __future__ import annotations

__all__ = ["FIRST_RULES", "RULES"]

FIRST_RULES = 1
"""Those of decisions that name none."""

RULES = 3
"""Those of this code. Whatever can change a verdict, or a number in it, on the same evidence adds one:

2. Labels that cannot be used are missing labels; whether labels follow the decisions is asked by class, at a level that
   holds over all looks; guardrails and RETIRE need the proof by batches too where the lead varies; batches are tested by
   exp(x) / cosh(x), and asked for earlier; of batches the effective number counts; alpha covers all challengers of a reign.
3. Labels that were corrected after closing are late labels, told by counts and not by what they say of their time; ids that stand twice
   are missing labels; whoever failed in the newest batches is not promoted; labels that a model seems to have made are invalid.
"""
