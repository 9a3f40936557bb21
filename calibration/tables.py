"""All tables in the order of the index; those with the longest parts come last."""

from __future__ import annotations

from calibration.batch_margins import BATCH_MARGINS
from calibration.cells import Table
from calibration.challengers import CHALLENGERS
from calibration.clusters import CLUSTERS
from calibration.confidence_sequences import CONFIDENCE_SEQUENCES
from calibration.coverage import COVERAGE
from calibration.end_to_end import END_TO_END
from calibration.few_batches import FEW_BATCHES
from calibration.guardrail_shocks import GUARDRAIL_SHOCKS
from calibration.horizon import HORIZON
from calibration.label_drops import LABEL_DROPS
from calibration.looks import LOOKS
from calibration.paired_intervals import PAIRED_INTERVALS
from calibration.power import POWER
from calibration.precision import PRECISION
from calibration.sampled_labels import SAMPLED_LABELS
from calibration.shocks import SHOCKS

__all__ = ["TABLES"]

TABLES: tuple[Table, ...] = (
    LOOKS,
    POWER,
    SHOCKS,
    BATCH_MARGINS,
    FEW_BATCHES,
    GUARDRAIL_SHOCKS,
    LABEL_DROPS,
    SAMPLED_LABELS,
    CLUSTERS,
    CHALLENGERS,
    CONFIDENCE_SEQUENCES,
    COVERAGE,
    PAIRED_INTERVALS,
    HORIZON,
    PRECISION,
    END_TO_END,
)
