"""The difference of a pair of models in any measure, over all evidence and in each batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from analysis.any_look.cost import expected_cost
from analysis.any_look.sampled import SampledCounts, sampled_difference, sampled_mean_difference
from analysis.evidence.evidence import Evidence, PairedBatch, scores_of
from analysis.kinds.score_sums import merge
from analysis.one_look.missing_labels import corrected_difference
from analysis.policy import Policy
from analysis.tables.counts import Undefined
from analysis.tables.metrics import Difference

__all__ = ["batch_differences", "is_corrected", "rows_count_alike", "total_difference"]


def is_corrected(batches: Sequence[PairedBatch], policy: Policy) -> bool:
    """Whether the policy corrects the counts of these batches for the rows without a label."""
    return policy.unlabelled == "begg_greenes" and any(b.counts.unlabelled_rows for b in batches)


def _sampled(batches: Sequence[PairedBatch], name: str, policy: Policy) -> Difference | Undefined:
    """``_difference`` over all rows, estimated from labelled rows that were chosen with known probabilities."""
    counts = SampledCounts.of(part for b in batches if b.sampled for part in b.sampled.by_probability)
    if name == "cost":
        assert policy.costs is not None
        return sampled_mean_difference(counts, *policy.costs.matrix.by_cell())
    return sampled_difference(counts, name)


def rows_count_alike(batches: Sequence[PairedBatch], policy: Policy) -> bool:
    """Whether every labelled row counts as one row: counts are not corrected for missing labels, and rows have no weights."""
    return not (policy.sampling or is_corrected(batches, policy))


def total_difference(evidence: Evidence, name: str, policy: Policy) -> Difference | Undefined:
    """Challenger minus champion over all batches, with rows as units."""
    return _difference(evidence, name, policy)


def batch_differences(evidence: Evidence, name: str, policy: Policy) -> list[Difference]:
    """Challenger minus champion in each batch in which it exists."""
    batches = evidence.batches
    measure, plain_counts = policy.measure(name), not policy.sampling and not is_corrected(batches, policy)
    if plain_counts and not measure.beside_tally and measure.family != "cost":
        found = policy.kind.differences(name, [b.counts for b in batches])
    else:
        found = [_difference(replace(evidence, batches=(b,)), name, policy) for b in batches]
    return [d for d in found if isinstance(d, Difference)]


def _difference(evidence: Evidence, name: str, policy: Policy) -> Difference | Undefined:
    measure, batches = policy.measure(name), evidence.batches
    if measure.beside_tally:
        return merge(name, scores_of(batches, name))
    if policy.sampling:
        return _sampled(batches, name, policy)
    counts = evidence.counts
    if measure.family == "cost":
        assert policy.costs is not None
        return expected_cost(counts, policy.costs.matrix)
    return corrected_difference(counts, name) if is_corrected(batches, policy) else policy.kind.difference(name, counts)
