"""What a pair of models differs by, in any measure: over all evidence, and batch by batch."""

from __future__ import annotations

from collections.abc import Sequence

from analysis.any_look.cost import expected_cost
from analysis.any_look.sampled import SampledCounts, sampled_difference, sampled_mean_difference
from analysis.evidence.evidence import Evidence, PairedBatch, scores_of, sum_classes
from analysis.evidence.score_sums import merge
from analysis.one_look.measures import Measure, is_class_measure, is_score_measure, is_tally_metric
from analysis.one_look.missing_labels import corrected_difference
from analysis.one_look.multiclass import class_difference
from analysis.policy import Policy
from analysis.tables.counts import PairedCounts, Undefined
from analysis.tables.metrics import Difference, difference

__all__ = ["batch_differences", "is_corrected", "rows_count_alike", "total_difference"]


def is_corrected(batches: Sequence[PairedBatch], policy: Policy) -> bool:
    """Whether the policy corrects the counts of these batches for the rows without a label."""
    return policy.unlabelled == "begg_greenes" and any(any(b.counts.unlabelled) for b in batches)


def _sampled(batches: Sequence[PairedBatch], name: Measure, policy: Policy) -> Difference | Undefined:
    """The same of all rows, from labelled ones that were chosen with known probabilities."""
    counts = SampledCounts.of(part for b in batches if b.sampled for part in b.sampled.by_probability)
    if name == "cost":
        assert policy.costs is not None
        return sampled_mean_difference(counts, *policy.costs.matrix.by_cell())
    assert is_tally_metric(name)
    return sampled_difference(counts, name)


def rows_count_alike(batches: Sequence[PairedBatch], policy: Policy) -> bool:
    """Whether every labelled row counts as one: the counts are neither corrected nor weighed."""
    return not (policy.sampling or is_corrected(batches, policy))


def total_difference(evidence: Evidence, name: Measure, policy: Policy) -> Difference | Undefined:
    """Challenger minus champion over all batches, rows as units."""
    return _difference(evidence.batches, name, policy)


def batch_differences(evidence: Evidence, name: Measure, policy: Policy) -> list[Difference]:
    """Challenger minus champion in each batch where it exists."""
    each = (_difference([b], name, policy) for b in evidence.batches)
    return [d for d in each if isinstance(d, Difference)]


def _difference(batches: Sequence[PairedBatch], name: Measure, policy: Policy) -> Difference | Undefined:
    if is_score_measure(name):
        return merge(name, scores_of(batches, name))
    if policy.task == "multiclass" and is_class_measure(name):
        return class_difference(name, sum_classes(batches))
    if policy.sampling:
        return _sampled(batches, name, policy)
    counts = sum((b.counts for b in batches), PairedCounts())
    if name == "cost":
        assert policy.costs is not None
        return expected_cost(counts, policy.costs.matrix)
    assert is_tally_metric(name)
    return corrected_difference(counts, name) if is_corrected(batches, policy) else difference(name, counts)
