"""All bounds that a calibration enforces, in one table.

Where a rule has a proof, the bound is its nominal rate. Where it is asymptotic, or an interval is known to be short in small
tables, the bound is a tolerance: the worst that was found when the rule was chosen, so that no change makes it worse unseen.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from calibration.bounds import Bound
from calibration.tables import (
    batch_margins,
    challengers,
    clusters,
    confidence_sequences,
    coverage,
    decay,
    end_to_end,
    few_batches,
    guardrail_shocks,
    horizon,
    label_drops,
    looks,
    precision,
    replays,
    sampled_labels,
    shocks,
)
from calibration.tables import paired_intervals as paired

__all__ = ["BOUNDS"]

_VILLE = "Ville's inequality, at any number of looks"
_UNSEEN = "Ville's inequality, given all labels that the choice can have seen"
_SYMMETRIC = "Ville's inequality, for batches symmetric about 0"
_LIMIT = "asymptotic: 0.05 in the limit of many rows"
_SPENT = "asymptotic: 0.05 of a normal walk"
_GATE = "the gate is a test and misses some shocks"
_CLUSTERED = "asymptotic: 0.05 in the limit of many entities"
_NOMINAL = "nominal"
_FOUND = "the worst table that enumeration found"


def _bounds(
    table: str, quantity: str, side: Literal["at most", "at least"], rules: Mapping[str, tuple[float, str]]
) -> list[Bound]:
    return [Bound(table, quantity, rule, side, limit, why) for rule, (limit, why) in rules.items()]


BOUNDS: tuple[Bound, ...] = (
    *_bounds(
        "looks",
        looks.FALSE,
        "at most",
        {
            "e-process": (0.05, _VILLE),
            "e-process, prior 1": (0.05, _VILLE),
            "e-process, prior 10": (0.05, _VILLE),
            "e-process of batches": (0.05, _SYMMETRIC),
            "asymptotic sequence": (0.05, _LIMIT),
            "O'Brien-Fleming, information in disagreements": (0.06, _SPENT),
            "Pocock, information in disagreements": (0.06, _SPENT),
        },
    ),
    *_bounds("horizon", horizon.FALSE, "at most", {"O'Brien-Fleming": (0.06, _SPENT), "Pocock": (0.06, _SPENT)}),
    *_bounds(
        "shocks",
        shocks.FALSE,
        "at most",
        {"e-process of batches": (0.05, _SYMMETRIC), "rows, and batches where these are uneven": (0.06, _GATE)},
    ),
    *_bounds("few_batches", few_batches.FALSE, "at most", {few_batches.GATED: (0.06, _GATE)}),
    *_bounds(
        "few_batches",
        few_batches.RETUNED,
        "at most",
        {few_batches.REIGN: (0.05, "Ville's inequality, summed over waves")},
    ),
    *_bounds("guardrail_shocks", guardrail_shocks.HELD, "at most", {guardrail_shocks.SHIPPED: (0.05, _SYMMETRIC)}),
    *_bounds(
        "label_drops",
        label_drops.FALSE,
        "at most",
        {label_drops.SHIPPED: (0.05, "found; by both e-processes of labels")},
    ),
    *_bounds("label_drops", label_drops.INVALID, "at most", {label_drops.SHIPPED: (0.05, _VILLE)}),
    *_bounds("sampled_labels", sampled_labels.FALSE, "at most", {sampled_labels.SHIPPED: (0.05, _VILLE)}),
    *_bounds("sampled_labels", sampled_labels.INVALID, "at most", {sampled_labels.SHIPPED: (0.05, _VILLE)}),
    *_bounds("sampled_labels", sampled_labels.PROMOTED, "at least", {sampled_labels.SHIPPED: (0.9, "found")}),
    *_bounds("label_drops", label_drops.PROMOTED, "at least", {label_drops.SHIPPED: (0.9, "found")}),
    *(
        Bound("replays", quantity, rule, "at most", 0.05, why)
        for quantity in (replays.CHOSEN, replays.LOSSES_FIRST)
        for rule, why in ((replays.UNSEEN, _UNSEEN), (replays.FRESH, _VILLE))
    ),
    *_bounds("replays", replays.HAZARD, "at most", {replays.FRESH: (0.05, _VILLE)}),
    *_bounds(
        "batch_margins",
        batch_margins.FALSE,
        "at most",
        {batch_margins.SHIPPED: (0.05, "symmetric about 0 but for the skew of few losses")},
    ),
    *_bounds(
        "precision",
        precision.FALSE,
        "at most",
        {"e-process": (0.05, _VILLE), "asymptotic sequence": (0.05, _LIMIT)},
    ),
    *_bounds(
        "decay",
        decay.FALSE,
        "at most",
        {decay.SHIPPED: (0.05, "Ville's inequality, with shocks as in the first batches")},
    ),
    *_bounds("end_to_end", end_to_end.FALSE, "at most", {end_to_end.SHIPPED: (0.05, _VILLE)}),
    *_bounds(
        "challengers",
        challengers.ANY,
        "at most",
        {
            "Holm on mid-p": (0.05, "Holm 1979; mid-p was never above its level"),
            "Westfall-Young": (0.06, "a bootstrap: 0.05 in the limit of many rows"),
            "e-closure": (0.05, "Vovk and Wang 2021, under any dependence"),
        },
    ),
    *_bounds("challengers", challengers.ANY_IN_A_YEAR, "at most", {"e-closure": (0.05, _VILLE)}),
    *_bounds(
        "clusters",
        clusters.SIZE,
        "at most",
        dict.fromkeys(("sign flip of entities", "Obuchowski", "Durkalski"), (0.06, _CLUSTERED)),
    ),
    *_bounds("clusters", clusters.FALSE, "at most", {"e-process of entities": (0.05, _VILLE)}),
    *_bounds("clusters", clusters.RETURNING, "at most", {"e-process of entities, first appearance": (0.05, _VILLE)}),
    *_bounds(
        "confidence_sequences",
        confidence_sequences.COVERED,
        "at least",
        {
            "confidence sequence": (0.90, _VILLE),
            "asymptotic sequence, from 20 disagreements on": (0.90, "asymptotic: 0.90 in the limit of many rows"),
        },
    ),
    *_bounds(
        "confidence_sequences",
        confidence_sequences.LOWER,
        "at least",
        {
            "confidence sequence": (0.95, _VILLE),
            "asymptotic sequence, from 20 disagreements on": (0.95, "asymptotic: 0.95 in the limit of many rows"),
        },
    ),
    *(
        Bound("coverage", coverage.quantity(m), coverage.SHIPPED, "at least", 0.94, "nominal 0.95; 0.941 was found")
        for m in coverage.METRICS
    ),
    *_bounds(
        "paired_intervals",
        paired.COVERAGE,
        "at least",
        {
            "Newcombe 10, champion's recall 0.8": (0.95, _NOMINAL),
            "Newcombe 10, champion's recall 0.5": (0.915, _FOUND),
            "bootstrap, Dirichlet-1/2": (0.915, _FOUND),
            "Bonett-Price": (0.95, _NOMINAL),
            "Tango": (0.94, _FOUND),
            "Agresti-Min": (0.92, _FOUND),
        },
    ),
    *_bounds(
        "paired_intervals",
        paired.LOWER_MISS,
        "at most",
        {
            "Newcombe 10, champion's recall 0.8": (0.025, _NOMINAL),
            "Newcombe 10, champion's recall 0.5": (0.025, _NOMINAL),
            "bootstrap, Dirichlet-1/2": (0.037, _FOUND),
            "Bonett-Price": (0.025, _NOMINAL),
            "Tango": (0.036, _FOUND),
            "Agresti-Min": (0.025, _NOMINAL),
        },
    ),
    *_bounds(
        "paired_intervals", paired.SIZE, "at most", {"McNemar's mid-p": (0.0502, "nominal 0.05, not a guarantee")}
    ),
)
