"""A decision is the same whenever it is taken again, and it is kept with all that it rests on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from datetime import date

import pytest
from parcels import put_labels
from weeks import BETTER, EQUAL, everything, found, judged, look_on, play_week, week

from analysis.evidence import NOT_CLOSED
from analysis.policy import Policy
from analysis.tables.record import canonical_json, digest, plain
from tasks.base.project import Project
from tasks.decisions import UnknownDecisionError, all_records, decide, read_record, save_decision
from tasks.decisions.recorded import recorded_judgement
from tasks.labels.tallying import close_batches
from tasks.models.registry import Registry
from tasks.reigns import head
from tasks.store import Store

POLICY = Policy(n_resamples=1000)


@pytest.fixture
def project(make_project: Callable[..., Project]) -> Project:
    return make_project(policy=POLICY)


def decision_keys(store: Store, project: Project) -> list[str]:
    return [k for k in store.keys(f"{project.name}/decisions") if "/log/" not in k]


@pytest.mark.usefixtures("two")
class TestSameEvidence:
    def test_a_look_writes_nothing(self, store: Store, registry: Registry, project: Project) -> None:
        judged(store, registry, project, EQUAL)
        for key in decision_keys(store, project):
            store.delete(key)
        before = everything(store, project)
        assert look_on(store, project, week(5)) is not None
        assert everything(store, project) == before

    def test_on_a_later_day_it_is_the_same_decision_and_no_new_file(
        self, store: Store, registry: Registry, project: Project
    ) -> None:
        first = judged(store, registry, project, EQUAL)
        before = everything(store, project)
        later = look_on(store, project, week(9))
        assert later is not None
        assert later.id == first.id == f"{week(5)}-{first.record['evidence_digest'][:12]}"
        assert canonical_json(later.record) == canonical_json(first.record)
        assert save_decision(store, project.name, later) is False
        after = everything(store, project)
        assert {k: v for k, v in after.items() if k in before} == before
        assert all(k.endswith(".settled.parquet") for k in after if k not in before), (
            "second looks that say nothing new"
        )

    def test_with_new_batches_on_their_way_it_is_still_the_same_decision(
        self, store: Store, registry: Registry, project: Project
    ) -> None:
        first = judged(store, registry, project, EQUAL)
        play_week(store, registry, project, 5, BETTER)
        later = look_on(store, project, week(6))
        assert later is not None
        assert (later.id, later.record) == (first.id, first.record)

    def test_it_is_the_same_in_a_copy_of_the_store_that_never_saw_the_decision(
        self, store: Store, registry: Registry, project: Project
    ) -> None:
        first = judged(store, registry, project, BETTER)
        (key,) = decision_keys(store, project)
        kept = store.read(key)
        store.delete(key)
        again = look_on(store, project, week(5))
        assert again is not None
        assert again.id == first.id
        assert save_decision(store, project.name, again) is True
        assert store.read(key) == kept

    def test_a_closed_batch_more_is_another_decision(self, store: Store, registry: Registry, project: Project) -> None:
        first = judged(store, registry, project, EQUAL)
        play_week(store, registry, project, 4, EQUAL)
        second = look_on(store, project, week(6))
        assert second is not None
        assert second.id != first.id
        assert save_decision(store, project.name, second) is True
        assert [d["id"] for d in all_records(store, project.name)] == [first.id, second.id]

    @pytest.mark.parametrize(
        "changes", [{"policy": Policy(n_resamples=1000, min_gain=0.01)}, {"policy": Policy()}], ids=["gain", "draws"]
    )
    def test_another_policy_is_another_decision(
        self,
        store: Store,
        registry: Registry,
        project: Project,
        changes: dict[str, Policy],
    ) -> None:
        first = judged(store, registry, project, EQUAL)
        other = look_on(store, project.model_copy(update=changes), week(5))
        assert other is not None
        assert other.id != first.id

    def test_guardrails_in_another_order_are_the_same_policy(
        self, store: Store, registry: Registry, project: Project
    ) -> None:
        first = judged(store, registry, project, EQUAL)
        turned = Policy(n_resamples=1000, guardrails=dict(reversed(list(POLICY.guardrails.items()))))
        same = look_on(store, project.model_copy(update={"policy": turned}), week(5))
        assert same is not None
        assert same.id == first.id
        assert canonical_json(same.judgement) == canonical_json(first.judgement)


@pytest.mark.usefixtures("two")
class TestRecord:
    def test_it_holds_all_that_went_in_and_came_out(self, store: Store, registry: Registry, project: Project) -> None:
        found(store, registry, project)
        play_week(store, registry, project, 5, EQUAL)
        taken = judged(store, registry, project, BETTER)
        kept = json.loads(store.read(decision_keys(store, project)[0]))
        basis = kept["basis"]
        assert kept == read_record(store, project.name, taken.id)
        assert (kept["schema"], kept["id"], kept["project"], kept["as_of"]) == (2, taken.id, "parcels", str(week(5)))
        assert kept["promote"] == "2"
        assert kept["failures"] == []
        assert basis["policy"] == POLICY.model_dump(mode="json")
        assert (basis["reign"], basis["maturity_days"]) == (1, 14)
        assert basis["champion"] == plain(taken.evidence[0].champion)
        assert basis["challengers"] == [plain(taken.evidence[0].challenger)]
        assert [b["date"] for b in basis["batches"]] == [str(week(n)) for n in range(4)]
        assert [len(b["files"]) for b in basis["batches"]] == [3] * 4
        assert (basis["silent"], basis["failed_lately"], basis["looked_again"]) == ([], {}, True)
        for batch in basis["batches"]:
            for key, sha256 in batch["files"].items():
                assert hashlib.sha256(store.read(key)).hexdigest() == sha256
        assert kept["evidence_digest"] == digest(basis)
        assert kept["seed"] == int(digest(basis)[:12], 16)
        assert kept["judgement"] == recorded_judgement(taken.judgement)
        assert kept["waiting"] == {"batches": 1, "rows": sum(EQUAL.values())}
        assert taken.evidence[0].excluded == {NOT_CLOSED: sum(EQUAL.values())}

    def test_it_can_be_replayed_from_tallies_and_manifests_alone(
        self, store: Store, registry: Registry, project: Project
    ) -> None:
        taken = judged(store, registry, project, BETTER)
        (key,) = decision_keys(store, project)
        kept = store.read(key)
        for gone in store.keys(project.name):
            if not gone.startswith((f"{project.name}/tallies", f"{project.name}/reigns")) and "manifest" not in gone:
                store.delete(gone)
        again = look_on(store, project, date.fromisoformat(taken.record["as_of"]))
        assert again is not None
        assert canonical_json(again.record) == kept
        assert canonical_json(again.judgement) == canonical_json(taken.judgement)

    def test_a_changed_tally_makes_another_decision(self, store: Store, registry: Registry, project: Project) -> None:
        taken = judged(store, registry, project, EQUAL)
        tally = taken.record["basis"]["batches"][0]["files"]
        for key in tally:
            if "tallies" in key:
                store.delete(key)
        put_labels(store, project, [f"{week(0)}-0"], [0], week(2), name="correction")
        closed = close_batches(store, project, week(5))
        other = decide(store, project, head(store, project.name), closed, week(5))
        assert other is not None
        assert other.id != taken.id

    def test_a_recorded_decision_is_never_rewritten(self, store: Store, registry: Registry, project: Project) -> None:
        taken = judged(store, registry, project, EQUAL)
        before = everything(store, project)
        taken.record["promote"] = "2"
        assert save_decision(store, project.name, taken) is False
        assert everything(store, project) == before

    def test_an_unknown_decision_says_where_the_known_ones_lie(self, store: Store, project: Project) -> None:
        with pytest.raises(
            UnknownDecisionError, match=r"parcels has no decision nope; name one of those below .*/parcels/decisions/"
        ):
            read_record(store, project.name, "nope")
