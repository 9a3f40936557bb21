"""A promotion that somebody refused: kept for good, shown, and not committed by anybody afterwards."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from weeks import BETTER, judged

from analysis.policy import Policy
from tasks.base.project import Project
from tasks.batches.predictions import DamagedError
from tasks.decisions.promotion import NotApprovedError, promote, waits_for_approval
from tasks.models.registry import Registry
from tasks.reigns import reigns
from tasks.reigns.approvals import Denial, denials, deny, read_denial
from tasks.reigns.history import history_text
from tasks.reigns.projections import repair_projections
from tasks.reports.report import render
from tasks.reports.report_verdicts import sentence
from tasks.store import Store

pytestmark = pytest.mark.usefixtures("two")
SAID = "was denied by rita: the drop in precision is not explained"


@pytest.fixture
def project(make_project: Callable[..., Project]) -> Project:
    return make_project(policy=Policy(n_resamples=1000, approval="required", error_budget="family"))


def test_the_first_denial_stands_and_nobody_can_promote_by_it(
    store: Store, registry: Registry, project: Project
) -> None:
    taken = judged(store, registry, project, BETTER)
    assert sentence(project, taken).startswith(
        "Version 2 is to take over from version 1 in parcels, once that is approved: its recall"
    )
    assert waits_for_approval(store, project.name, taken.id)
    first = deny(store, project.name, taken.id, "rita", "the drop in precision\nis not explained")
    assert deny(store, project.name, taken.id, "bob", "me too") == first == read_denial(store, project.name, taken.id)
    assert not waits_for_approval(store, project.name, taken.id)
    with pytest.raises(NotApprovedError) as caught:
        promote(store, registry, project.name, taken.id, author="bob", reason="I like it")
    assert str(caught.value) == f"decision {taken.id} {SAID}; a denial is final, so approve a later decision instead"
    assert len(reigns(store, project.name)) == 1


def test_report_history_and_index_show_it(store: Store, registry: Registry, project: Project) -> None:
    taken = judged(store, registry, project, BETTER)
    deny(store, project.name, taken.id, "rita", "the drop in precision is not explained")
    repair_projections(store, registry, project.name)
    kept = denials(store, project.name)
    assert kept == [Denial(taken.id, "rita", "the drop in precision is not explained")]
    assert history_text(reigns(store, project.name), kept).endswith(f"not approved: decision {taken.id} {SAID}")
    shown = f"- Decision {taken.id} {SAID}"
    assert shown in render(project, taken, reigns(store, project.name), {}, kept).replace("\\", "")
    assert shown in store.read("parcels/reports/index.md").decode().replace("\\", "")


def test_one_that_was_changed_is_told(store: Store, project: Project) -> None:
    store.write("parcels/approvals/some.json", b"no")
    with pytest.raises(
        DamagedError, match=r"parcels/approvals/some.json cannot be read as a denial; restore it from a backup"
    ):
        denials(store, project.name)
