"""Changing the champion: for the first time, by a decision, by rollback; each once, and only from where it was judged."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from parcels import register_version
from weeks import BEGIN, BETTER, EQUAL, InterferingStore, everything, found, judged, week

from analysis.policy import Policy
from tasks.base.project import Project
from tasks.decisions import UnknownDecisionError
from tasks.decisions.promotion import (
    ChangedEvidenceError,
    NotApprovedError,
    NotPromotedError,
    enthrone,
    promote,
    roll_back,
    waits_for_approval,
)
from tasks.models.errors import RegistryError
from tasks.models.registry import Registry
from tasks.reigns import LogError, Reign, SupersededError, head, reigns
from tasks.store import Store

BY = {"author": "ada", "reason": "a reason"}
DAY = timedelta(days=1)


@pytest.fixture
def project(make_project: Callable[..., Project]) -> Project:
    return make_project(policy=Policy(n_resamples=1000))


@pytest.fixture(autouse=True)
def versions(register: Callable[..., str]) -> None:
    register("x1")
    register("x2")


class TestEnthrone:
    def test_the_first_champion_gets_the_first_reign(self, store: Store, registry: Registry, project: Project) -> None:
        reign = enthrone(store, registry, project.name, version="2", since=BEGIN, **BY)
        assert reigns(store, project.name) == [reign]
        assert reign == Reign(
            number=1, version="2", run_id=registry.version("2").run_id, since=BEGIN, kind="enthronement", decision=None,
            predecessor=None, **BY,
        )  # fmt: skip
        assert reign.run_id

    def test_enthroning_the_founder_again_changes_nothing(
        self, store: Store, registry: Registry, project: Project
    ) -> None:
        first = found(store, registry, project)
        before = everything(store, project)
        again = enthrone(store, registry, project.name, version="1", since=week(1), author="bob", reason="once more")
        assert again == first
        assert everything(store, project) == before

    def test_a_second_champion_has_to_earn_it(self, store: Store, registry: Registry, project: Project) -> None:
        found(store, registry, project)
        taken = judged(store, registry, project, BETTER)
        promote(store, registry, project.name, taken.id)
        with pytest.raises(
            LogError, match=r"parcels has had promotions already, so version 3 cannot be named champion"
        ):
            found(store, registry, project, register_version(project, "x1"))
        assert found(store, registry, project, "1").number == 1  # a season that is started again
        assert head(store, project.name).version == "2"

    def test_a_slip_is_put_right_by_one_more_reign(self, store: Store, registry: Registry, project: Project) -> None:
        found(store, registry, project, "2")
        assert found(store, registry, project, "1").number == 2
        assert found(store, registry, project, "01").number == 2
        assert [(r.version, r.kind) for r in reigns(store, project.name)] == [
            ("2", "enthronement"),
            ("1", "enthronement"),
        ]

    def test_a_version_that_cannot_serve_does_not_become_champion(
        self, store: Store, registry: Registry, project: Project
    ) -> None:
        dumb = register_version(project, "x1", threshold=None)
        with pytest.raises(RegistryError, match=f"version {dumb} has no tag 'threshold'"):
            found(store, registry, project, dumb)
        assert reigns(store, project.name) == []

    def test_a_version_that_is_not_there_is_refused(self, store: Store, registry: Registry, project: Project) -> None:
        with pytest.raises(RegistryError, match=f"no version 9 of the model '{project.model}'"):
            found(store, registry, project, "9")
        assert reigns(store, project.name) == []

    def test_of_two_founders_the_second_is_told(self, store: Store, registry: Registry, project: Project) -> None:
        contended = InterferingStore(store, f"{project.name}/reigns", lambda: found(store, registry, project, "2"))
        with pytest.raises(SupersededError, match=r"already belongs to version 2 \(enthronement by ada\)"):
            found(contended, registry, project, "1")


class TestPromote:
    def test_a_decision_that_promotes_makes_the_next_reign(
        self, store: Store, registry: Registry, project: Project
    ) -> None:
        taken = judged(store, registry, project, BETTER)
        assert taken.promote == "2"
        reign = promote(store, registry, project.name, taken.id)
        assert head(store, project.name) == reign
        assert (reign.number, reign.version, reign.since, reign.kind) == (2, "2", week(5), "promotion")
        assert (reign.decision, reign.author) == (taken.id, "dethrone")
        assert reign.run_id == registry.version("2").run_id
        assert reign.reason == "proven better than version 1"

    def test_promoting_again_changes_nothing_even_when_others_have_reigned_since(
        self, store: Store, registry: Registry, project: Project
    ) -> None:
        taken = judged(store, registry, project, BETTER)
        reign = promote(store, registry, project.name, taken.id)
        assert promote(store, registry, project.name, taken.id) == reign
        roll_back(store, registry, project.name, since=week(7), **BY)
        before = everything(store, project)
        assert promote(store, registry, project.name, taken.id) == reign
        assert everything(store, project) == before

    def test_a_decision_that_promotes_nobody_says_where_to_read_why(
        self, store: Store, registry: Registry, project: Project
    ) -> None:
        taken = judged(store, registry, project, EQUAL)
        sentence = f"decision {taken.id} promotes nobody; read why in parcels/reports/{taken.id}/report.md"
        with pytest.raises(NotPromotedError, match=sentence):
            promote(store, registry, project.name, taken.id)
        assert head(store, project.name).number == 1

    @pytest.mark.parametrize("unknown", ["2024-01-07-000000000000", "no-such"])
    def test_a_decision_that_was_never_taken_is_refused(
        self, store: Store, registry: Registry, project: Project, unknown: str
    ) -> None:
        found(store, registry, project)
        with pytest.raises(
            UnknownDecisionError, match=f"no decision {unknown}; name one of those below .*/parcels/decisions/"
        ):
            promote(store, registry, project.name, unknown)

    def test_a_decision_that_was_looked_at_and_not_recorded_is_unknown(
        self, store: Store, registry: Registry, project: Project
    ) -> None:
        taken = judged(store, registry, project, BETTER)
        store.delete(f"{project.name}/decisions/{taken.id}.json")
        with pytest.raises(UnknownDecisionError):
            promote(store, registry, project.name, taken.id)

    def test_a_decision_against_a_champion_who_leads_no_more_is_refused(
        self, store: Store, registry: Registry, project: Project, register: Callable[..., str]
    ) -> None:
        taken = judged(store, registry, project, BETTER)
        promoted_by_hand(store, registry, project, "3", register)
        sentence = rf"decision {taken.id} was judged against version 1 in reign 1, but reign 2 of version 3 is in force; judge again"
        with pytest.raises(SupersededError, match=sentence):
            promote(store, registry, project.name, taken.id)
        assert head(store, project.name).number == 2

    def test_the_same_champion_in_a_later_reign_is_another_champion(
        self, store: Store, registry: Registry, project: Project, register: Callable[..., str]
    ) -> None:
        taken = judged(store, registry, project, BETTER)
        promoted_by_hand(store, registry, project, "3", register)
        roll_back(store, registry, project.name, since=week(6), **BY)
        with pytest.raises(SupersededError, match="reign 3 of version 1 is in force"):
            promote(store, registry, project.name, taken.id)

    def test_a_rival_who_commits_at_the_last_moment_wins(
        self, store: Store, registry: Registry, project: Project, register: Callable[..., str]
    ) -> None:
        taken = judged(store, registry, project, BETTER)
        contended = InterferingStore(
            store, f"{project.name}/reigns", lambda: promoted_by_hand(store, registry, project, "3", register)
        )
        with pytest.raises(SupersededError, match="version 2 was not made champion"):
            promote(contended, registry, project.name, taken.id)
        assert head(store, project.name).version == "3"

    def test_two_runs_that_promote_by_one_decision_agree(
        self, store: Store, registry: Registry, project: Project
    ) -> None:
        taken = judged(store, registry, project, BETTER)
        first: list[Reign] = []
        contended = InterferingStore(
            store, f"{project.name}/reigns", lambda: first.append(promote(store, registry, project.name, taken.id))
        )
        assert [promote(contended, registry, project.name, taken.id)] == first
        assert len(reigns(store, project.name)) == 2

    def test_without_a_champion_there_is_nothing_to_promote_over(
        self, store: Store, registry: Registry, project: Project
    ) -> None:
        """The log was lost: a decision alone does not found a new one."""
        taken = judged(store, registry, project, BETTER)
        store.delete(f"{project.name}/reigns/00000001.json")
        with pytest.raises(LogError):
            promote(store, registry, project.name, taken.id)


def promoted_by_hand(
    store: Store, registry: Registry, project: Project, version: str, register: Callable[..., str]
) -> Reign:
    """One more reign that rests on no evidence of this test's."""
    from tasks.reigns import commit, reign_after

    assert register("x3") == version
    before = head(store, project.name)
    values: dict[str, Any] = {"kind": "promotion", "decision": "another", **BY}
    run_id = registry.version(version).run_id
    return commit(
        store, project.name, reign_after(before, version=version, run_id=run_id, since=before.since, **values)
    )


class TestRollBack:
    @pytest.fixture
    def log(self, store: Store, registry: Registry, project: Project, register: Callable[..., str]) -> list[Reign]:
        """Reigns of versions 1, 2 and 3."""
        taken = judged(store, registry, project, BETTER)
        promote(store, registry, project.name, taken.id)
        promoted_by_hand(store, registry, project, "3", register)
        return reigns(store, project.name)

    def test_one_step_back_is_one_reign_more(
        self, store: Store, registry: Registry, project: Project, log: list[Reign]
    ) -> None:
        reign = roll_back(store, registry, project.name, since=week(8), **BY)
        assert reigns(store, project.name) == [*log, reign]
        assert (reign.number, reign.version, reign.run_id) == (4, "2", log[1].run_id)
        assert (reign.kind, reign.decision, reign.since) == ("rollback", None, week(8))
        assert (reign.author, reign.reason) == ("ada", "a reason")

    @pytest.mark.usefixtures("log")
    def test_back_to_a_named_reign(self, store: Store, registry: Registry, project: Project) -> None:
        assert roll_back(store, registry, project.name, since=week(8), to=1, **BY).version == "1"

    @pytest.mark.usefixtures("log")
    def test_a_rollback_can_be_rolled_back(self, store: Store, registry: Registry, project: Project) -> None:
        roll_back(store, registry, project.name, since=week(8), **BY)
        assert roll_back(store, registry, project.name, since=week(9), **BY).version == "3"

    @pytest.mark.parametrize(
        ("to", "sentence"),
        [
            (3, r"version 3 leads already; name another reign to roll back to"),
            (4, r"project parcels has no reign 4; the log ends with reign 3"),
            (0, r"project parcels has no reign 0"),
            (-1, r"project parcels has no reign -1"),
        ],
    )
    def test_where_nobody_can_go_back_to_is_refused(
        self, store: Store, registry: Registry, project: Project, log: list[Reign], to: int, sentence: str
    ) -> None:
        with pytest.raises(LogError, match=sentence):
            roll_back(store, registry, project.name, since=week(8), to=to, **BY)
        assert reigns(store, project.name) == log

    def test_a_date_before_the_reign_in_force_is_refused(
        self, store: Store, registry: Registry, project: Project, log: list[Reign]
    ) -> None:
        with pytest.raises(LogError, match="correct the date"):
            roll_back(store, registry, project.name, since=log[-1].since - DAY, **BY)


@pytest.mark.parametrize("founded", [False, True])
def test_without_an_earlier_champion_there_is_no_way_back(
    store: Store, registry: Registry, project: Project, founded: bool
) -> None:
    if founded:
        found(store, registry, project)
    with pytest.raises(LogError, match="project parcels has no earlier champion to roll back to"):
        roll_back(store, registry, project.name, since=BEGIN, **BY)


class TestApproval:
    @pytest.fixture
    def project(self, make_project: Callable[..., Project]) -> Project:
        return make_project(policy=Policy(n_resamples=1000, approval="required"))

    def test_a_promotion_waits_until_somebody_signs_it(
        self, store: Store, registry: Registry, project: Project
    ) -> None:
        taken = judged(store, registry, project, BETTER)
        before = everything(store, project)
        assert waits_for_approval(store, project.name, taken.id)
        for signed in ({}, {"author": "rita"}, {"reason": "because"}):
            with pytest.raises(
                NotApprovedError, match=f"python -m flows.promote parcels {taken.id} --author YOU --reason WHY"
            ):
                promote(store, registry, project.name, taken.id, **signed)
        assert everything(store, project) == before
        reign = promote(store, registry, project.name, taken.id, author="rita", reason="read the report")
        assert (reign.author, reign.reason) == ("rita", "proven better than version 1; approved: read the report")
        assert not waits_for_approval(store, project.name, taken.id)

    def test_what_was_judged_by_a_policy_with_approval_needs_it_also_if_the_file_has_changed(
        self, store: Store, registry: Registry, project: Project
    ) -> None:
        taken = judged(store, registry, project, BETTER)
        loosened = project.model_copy(update={"policy": Policy(n_resamples=1000)})
        with pytest.raises(NotApprovedError):
            promote(store, registry, loosened.name, taken.id)

    def test_evidence_that_changed_while_it_waited_is_found_at_the_commit(
        self, store: Store, registry: Registry, project: Project
    ) -> None:
        taken = judged(store, registry, project, BETTER)
        key = next(k for k in store.keys("parcels/tallies") if not k.endswith(".scores.parquet"))
        store.write(key, store.read(key) + b" ")
        with pytest.raises(
            ChangedEvidenceError, match=f"{key}, which it rests on, was changed; restore it, or judge again"
        ):
            promote(store, registry, project.name, taken.id, author="rita", reason="read the report")
        assert len(reigns(store, project.name)) == 1
