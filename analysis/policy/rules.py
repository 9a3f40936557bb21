"""The number of the rules of judgement. A recorded decision is checked by the rules by which it was taken."""

from __future__ import annotations

__all__ = ["FIRST_RULES", "RULES"]

FIRST_RULES = 1
"""The rules of decisions whose record has no number."""

RULES = 3
"""The rules of this code. A change that can alter a verdict, or a number in it, on the same evidence adds one:

2. Labels that cannot be used are missing labels. Whether labels depend on the decisions is tested by class, at a level that holds over
   all looks. Guardrails and RETIRE need the proof by batches too where batches are uneven. Batches are tested by exp(x) / cosh(x), and
   their proof is required earlier. The effective number of batches counts. Alpha covers all challengers of a reign.
3. Labels that were corrected after closing are late labels. Late labels are recognised by counts, not by their time of observation.
   Rows whose id is repeated have no label. A challenger that failed in the newest batches is not promoted. Labels that a model seems
   to have made are invalid.
"""
