"""While a batch is scored its progress is told every so often; afterwards a table has what each version cost and flagged."""

from __future__ import annotations

from datetime import date

import pytest
from parcels import put_batch
from weeks import BEGIN, found, some_parcels

from tasks.base.project import Project
from tasks.batches.predictions import Manifest, Scored
from tasks.batches.progress import EVERY, Progress, VersionCost, cost_table
from tasks.batches.scoring import score_with
from tasks.models.registry import Registry
from tasks.models.versions import Versions
from tasks.reigns import head
from tasks.store import Store


def test_a_long_batch_says_how_far_it_is_every_so_often_and_a_short_one_nothing() -> None:
    said: list[str] = []
    times = iter([0.0, 1.0, EVERY, EVERY + 1, 2 * EVERY, 2.5 * EVERY])
    progress = Progress("2024-01-07", said.append, lambda: next(times))
    for rows in (10, 3000, 4000, 90_000, 100_000):
        progress(rows, ["1", "2"])
    assert said == [
        "batch 2024-01-07: 3,000 rows so far, 100 a second, by versions 1, 2",
        "batch 2024-01-07: 90,000 rows so far, 1,500 a second, by versions 1, 2",
    ]


def batch(name: str, rows: int, **failures: str | None) -> Manifest:
    scored = tuple(Scored(v.removeprefix("v"), None, (), why) for v, why in failures.items())
    return Manifest(name, date(2024, 1, 7), 1, "1", rows, ("id",), "", (), scored)


def test_the_table_adds_up_what_each_version_did_and_leaves_out_what_is_not_known() -> None:
    scored = [batch("a", 100, v1=None, v2=None, v10="failed"), batch("b", 300, v1=None, v2=None, v10=None)]
    costs = {
        "a": [VersionCost("1", 1.0, 5), VersionCost("2", 2.0, 10), VersionCost("10", 9.0, None)],
        "b": [VersionCost("1", 2.04, 3), VersionCost("2", None, 20), VersionCost("10", 1.5, None)],
    }
    assert cost_table(scored, costs) == [
        {"version": "1 (champion)", "batches": 2, "failed": 0, "rows": 400, "seconds": 3.0, "flagged": "2.00%"},
        {"version": "2", "batches": 2, "failed": 0, "rows": 400, "seconds": "", "flagged": "7.50%"},
        {"version": "10", "batches": 1, "failed": 1, "rows": 300, "seconds": 1.5, "flagged": ""},
    ]


@pytest.mark.usefixtures("two")
def test_scoring_tells_its_rows_counts_what_is_flagged_and_tells_nothing_of_a_batch_that_is_scored(
    store: Store, registry: Registry, project: Project
) -> None:
    found(store, registry, project)
    put_batch(store, project, str(BEGIN), some_parcels(10, x1=[1.0] * 3 + [-1.0] * 7, x2=[1.0] * 10))
    seen: list[tuple[int, list[str]]] = []
    costs: dict[str, list[VersionCost]] = {}
    with Versions(store, registry, project) as versions:
        versions.progress = lambda rows, by: seen.append((rows, list(by)))
        manifest = score_with(versions, head(store, project.name), str(BEGIN), BEGIN, costs=costs)
        again: dict[str, list[VersionCost]] = {}
        assert score_with(versions, head(store, project.name), str(BEGIN), BEGIN, costs=again) == manifest
    assert seen == [(10, ["1", "2"])]
    assert [(c.version, c.flagged) for c in costs[str(BEGIN)]] == [("1", 3), ("2", 10)]
    assert all(c.seconds is not None and c.seconds > 0 for c in costs[str(BEGIN)])
    assert again == {}
