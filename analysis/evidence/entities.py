"""Rows that share an entity (a customer, a machine): from tallies that name the entity to one outcome per entity."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import polars as pl

from analysis.evidence.tally import ENTITY, decision_column
from analysis.one_look.clusters import (
    ClusteredDifference,
    ClusteredTest,
    clustered_difference,
    clustered_test,
    entity_outcomes,
)
from analysis.tables.counts import PairedOutcomes, Undefined
from analysis.tables.metrics import OUTCOME_METRICS

__all__ = ["EntityEvidence", "entity_evidence"]

_MAX_REPEATED_SHARE = 0.2


@dataclass(frozen=True, slots=True)
class EntityEvidence:
    """One outcome per entity and metric, counted in the first batch in which the entity has a row for the metric.

    ``batches[metric]`` has one entry per batch, in order. ``repeated_share``: of the rows on which the two models
    disagree, the share whose entity was counted in an earlier batch. ``clustered`` and ``differences``: test and estimate
    from all rows of every entity, at one look (Obuchowski); records do not hold ``differences``.
    """

    batches: Mapping[str, tuple[PairedOutcomes, ...]]
    repeated_share: float
    clustered: Mapping[str, ClusteredTest | Undefined]
    differences: Mapping[str, ClusteredDifference | Undefined] = field(default_factory=dict, metadata={"record": False})

    @property
    def leaves_much_unused(self) -> bool:
        """Whether more than a fifth of the disagreements are of entities that were counted in an earlier batch."""
        return self.repeated_share > _MAX_REPEATED_SHARE

    def pick(self, positions: Sequence[int]) -> EntityEvidence:
        """The outcomes of the batches at these positions; all other fields are unchanged."""
        return replace(self, batches={name: tuple(parts[i] for i in positions) for name, parts in self.batches.items()})


def entity_evidence(
    frames: Sequence[pl.DataFrame], champion: str, challenger: str, *, seen: Sequence[pl.DataFrame] = ()
) -> EntityEvidence:
    """The entities of one pair over the tallies of its batches, in the order in which looks first used these.

    The entity becomes the unit: it is won if the challenger is right on more of its rows than the champion. An entity
    that returns is counted once, so that an error repeated on one entity cannot add up to evidence. The entities of ``seen`` tallies,
    on whose labels the challenger can have been chosen, are not counted at all.
    """
    table = _per_entity(frames, champion, challenger)
    if seen:
        known = _per_entity(seen, champion, challenger).select("entity")
        table = table.join(known, on="entity", how="anti", maintain_order="left")
    batches, clustered, differences, repeated = {}, {}, {}, {}
    for name in OUTCOME_METRICS:
        per_batch = table.select(
            "batch", "entity", *(pl.col(f"{name}.{k}").alias(k) for k in ("net", "rows", "discordant"))
        )
        per_batch = per_batch.filter(pl.col("rows") > 0).sort("batch", "entity")
        first = per_batch.unique("entity", keep="first")
        net = {key[0]: part["net"].to_numpy() for key, part in first.group_by("batch")}
        batches[name] = tuple(
            entity_outcomes(net[i]) if i in net else PairedOutcomes(0, 0, 0) for i in range(len(frames))
        )
        entities = per_batch.group_by("entity").agg(pl.col("net", "rows").sum()).sort("entity")
        clustered[name] = (
            clustered_test(entities["net"], entities["rows"], method="obuchowski")
            if entities.height
            else Undefined("no labelled row")
        )
        differences[name] = clustered_difference(entities["net"], entities["rows"])
        disagreements, counted = int(per_batch["discordant"].sum()), int(first["discordant"].sum())
        repeated[name] = (disagreements - counted) / disagreements if disagreements else 0.0
    return EntityEvidence(batches, repeated["accuracy"], clustered, differences)


_COLUMNS = [f"{name}.{kind}" for name in OUTCOME_METRICS for kind in ("net", "rows", "discordant")]
_EMPTY = pl.DataFrame(schema={"batch": pl.Int64, "entity": pl.String, **dict.fromkeys(_COLUMNS, pl.Int64)})


def _per_entity(frames: Sequence[pl.DataFrame], champion: str, challenger: str) -> pl.DataFrame:
    """Net wins, rows and disagreements of each entity in each batch, for each metric."""
    c, h = decision_column(champion), decision_column(challenger)
    needed = [ENTITY, "excluded", "label", c, h, "n"]
    parts = [
        f.select(pl.lit(i, dtype=pl.Int64).alias("batch"), *dict.fromkeys(needed))
        for i, f in enumerate(frames)
        if {*needed} <= {*f.columns}
    ]
    if not parts:
        return _EMPTY
    rows = pl.concat(parts)
    usable = rows.filter(pl.col("excluded").is_null() & pl.all_horizontal(pl.col("label", c, h).is_not_null()))
    won = (pl.col(h) == pl.col("label")).cast(pl.Int64) - (pl.col(c) == pl.col("label")).cast(pl.Int64)
    is_row = {"recall": pl.col("label") == 1, "specificity": pl.col("label") == 0, "accuracy": pl.lit(True)}
    sums = []
    for name, counts in is_row.items():
        n = pl.col("n") * counts.cast(pl.Int64)
        sums += [
            (n * won).sum().alias(f"{name}.net"),
            n.sum().alias(f"{name}.rows"),
            (n * won.abs()).sum().alias(f"{name}.discordant"),
        ]
    return usable.group_by("batch", pl.col(ENTITY).alias("entity")).agg(sums).select("batch", "entity", *_COLUMNS)
