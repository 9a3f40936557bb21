"""Errors clipped at a declared size, from rows to the report; and what becomes of batches closed under another size."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import polars as pl
import pytest
from parcels import Echo, register_version
from weeks import found, look_on, play_rows, week

from analysis.evidence import ANOTHER_CLIP
from analysis.one_look.losses import REGRESSION_LOSSES
from analysis.policy import Policy
from demo.season_report import write_season_report
from tasks.base.markdown import escape
from tasks.base.project import Project
from tasks.models.registry import Registry
from tasks.reigns import reigns
from tasks.reports.report import render
from tasks.store import Store

WEEKS, ROWS = 4, 400
POLICY = Policy(
    task="regression", largest_error=2, guardrails={"absolute_error": 0.1}, error_budget="family", n_resamples=1000
)


@pytest.fixture
def project(make_project: Callable[..., Project]) -> Project:
    return make_project(task="regression", policy=POLICY)


@pytest.fixture
def rows(store: Store, registry: Registry, project: Project) -> pl.DataFrame:
    """What two versions said in four weeks; the champion is wildly wrong on one row in fifty."""
    for column in ("x1", "x2"):
        register_version(project, column, model=Echo(), threshold=None)
    found(store, registry, project)
    rng, weeks = np.random.default_rng(5), []
    for number in range(WEEKS):
        y = rng.normal(0, 5, ROWS)
        wild = np.where(rng.random(ROWS) < 0.02, 1e6, 0)
        frame = pl.DataFrame({
            "id": [f"{number}-{i}" for i in range(ROWS)],
            "region": "north",
            "x1": y + rng.normal(0, 1.5, ROWS) + wild,
            "x2": y + rng.normal(0, 0.5, ROWS),
            "label": y,
        })  # fmt: skip
        play_rows(store, registry, project, number, frame)
        weeks.append(frame)
    return pl.concat(weeks)


def test_the_decision_and_its_report_are_about_the_clipped_losses(
    store: Store, project: Project, rows: pl.DataFrame
) -> None:
    taken = look_on(store, project, week(WEEKS + 1))
    assert taken is not None
    assert taken.promote == "2"
    measured = taken.judgement.assessments[0].measured
    assert measured.method == "losses"
    errors = [np.minimum(np.abs((rows[x] - rows["label"]).to_numpy()), 2) for x in ("x1", "x2")]
    for name, power in zip(REGRESSION_LOSSES, (2, 1), strict=True):
        means = [float(np.mean(e**power)) for e in errors]
        found_metric = measured.metrics[name]
        assert (found_metric.champion, found_metric.challenger) == pytest.approx(means)  # type: ignore[union-attr]
    markdown = render(project, taken, reigns(store, project.name), {})
    assert "an error beyond 2 counts as 2" in markdown
    assert "the exact process of clipped losses" in markdown
    assert "asymptotic" not in markdown
    own = next(line for line in write_season_report(store, project).splitlines() if "Dethrone's policy" in line)
    assert f"{np.mean(errors[0] ** 2):.5g}" in own


@pytest.mark.usefixtures("rows")
def test_batches_closed_under_another_size_count_for_nothing_and_the_report_says_why(
    store: Store, project: Project
) -> None:
    assert look_on(store, project, week(WEEKS + 1)) is not None
    changed = project.model_copy(update={"policy": POLICY.model_copy(update={"largest_error": 3.0})})
    taken = look_on(store, changed, week(WEEKS + 1))
    assert taken is not None
    (evidence,) = taken.evidence
    assert (evidence.batches, evidence.excluded) == ((), {ANOTHER_CLIP: WEEKS * ROWS})
    assert taken.promote is None
    assert escape(ANOTHER_CLIP) in render(changed, taken, reigns(store, project.name), {})
