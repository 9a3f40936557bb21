"""All tables in the order of the index; those with the longest parts come last."""

from __future__ import annotations

from calibration.cells import Table
from calibration.tables.batch_margins import BATCH_MARGINS
from calibration.tables.challengers import CHALLENGERS
from calibration.tables.clusters import CLUSTERS
from calibration.tables.confidence_sequences import CONFIDENCE_SEQUENCES
from calibration.tables.coverage import COVERAGE
from calibration.tables.decay import DECAY
from calibration.tables.end_to_end import END_TO_END
from calibration.tables.few_batches import FEW_BATCHES
from calibration.tables.guardrail_shocks import GUARDRAIL_SHOCKS
from calibration.tables.horizon import HORIZON
from calibration.tables.label_drops import LABEL_DROPS
from calibration.tables.looks import LOOKS
from calibration.tables.paired_intervals import PAIRED_INTERVALS
from calibration.tables.power import POWER
from calibration.tables.precision import PRECISION
from calibration.tables.replays import REPLAYS
from calibration.tables.sampled_labels import SAMPLED_LABELS
from calibration.tables.shocks import SHOCKS

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
    REPLAYS,
    DECAY,
    CLUSTERS,
    CHALLENGERS,
    CONFIDENCE_SEQUENCES,
    COVERAGE,
    PAIRED_INTERVALS,
    HORIZON,
    PRECISION,
    END_TO_END,
)
