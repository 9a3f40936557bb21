"""The rules that keep a verdict honest: for each one a world in which breaking it would change what happens."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, timedelta

import mlflow
import polars as pl
import pytest
from parcels import decisions_frame, put_batch, put_labels, register_version, sigmoid_model

from analysis.evidence import labels_unseen
from analysis.verdict.judge import Assessment, Verdict
from tasks.base.project import Project
from tasks.batches.replaying import due_replays, replay_batch
from tasks.batches.scoring import score_batch
from tasks.decisions import Decision, decide, save_decision
from tasks.decisions.promotion import enthrone, promote
from tasks.labels.tallying import close_batches
from tasks.models.registry import Registry
from tasks.models.versions import Versions
from tasks.reigns import head, judged_on, reigns
from tasks.store import Store

Counts = Mapping[tuple[int, ...], int]

FIRST = date(2024, 1, 7)
BETTER: Counts = {(1, 0, 1): 30, (1, 1, 0): 5, (1, 1, 1): 20, (0, 0, 0): 400, (0, 1, 1): 20}
WORSE: Counts = {(1, 1, 0): 30, (1, 0, 1): 5, (1, 1, 1): 20, (0, 0, 0): 400, (0, 1, 1): 20}
EQUAL: Counts = {(1, 1, 1): 30, (1, 0, 0): 20, (0, 0, 0): 400, (0, 1, 1): 20}


class World:
    """A project whose batches a test dictates, one a week; labels come on the day of the batch."""

    def __init__(self, store: Store, registry: Registry, project: Project) -> None:
        self.store, self.registry, self.project = store, registry, project
        self.weeks = 0

    def enthrone(self) -> None:
        enthrone(self.store, self.registry, self.project.name, version="1", since=FIRST, author="test", reason="first")

    def day(self, week: int) -> date:
        return FIRST + timedelta(days=7 * week)

    def week(self, counts: Counts, *, labelled: Callable[[pl.DataFrame], pl.DataFrame] | None = None) -> str:
        """Score one more batch with these decisions; ``labelled`` picks the rows that get their label."""
        self.weeks += 1
        day = self.day(self.weeks)
        frame = decisions_frame(counts, prefix=f"{day}-")
        put_batch(self.store, self.project, str(day), frame.drop("label"))
        seen = labelled(frame) if labelled else frame
        put_labels(self.store, self.project, seen["id"].to_list(), seen["label"].to_list(), day, name=str(day))
        score_batch(self.store, self.registry, self.project, head(self.store, self.project.name), str(day), day)
        return str(day)

    def judge(self, as_of: date) -> Decision:
        closed = close_batches(self.store, self.project, as_of)
        taken = decide(self.store, self.project, judged_on(self.store, self.project.name, as_of), closed, as_of)
        assert taken is not None
        return taken

    def on(self, version: str, as_of: date) -> Assessment:
        assessments = self.judge(as_of).judgement.assessments
        return next(a for a in assessments if a.evidence.challenger.version == version)


@pytest.fixture
def world(store: Store, registry: Registry, project: Project) -> World:
    register_version(project, "x1")
    register_version(project, "x2")
    world = World(store, registry, project)
    world.enthrone()
    return world


LATER = date(2024, 6, 1)


def test_only_labelled_rows_count_and_every_other_row_is_counted_by_reason(world: World) -> None:
    for _ in range(5):
        world.week(BETTER, labelled=lambda frame: frame[10:])
    every = 5 * sum(BETTER.values())
    closed = world.on("2", LATER)
    assert closed.measured.counts.n == every - 50
    assert closed.measured.counts.positives == 5 * 45
    assert dict(closed.evidence.excluded) == {"unlabelled": 50}
    world.week(BETTER)
    early = world.on("2", world.day(7))  # the fifth batch has just closed, the sixth is open
    assert early.evidence.excluded == {"unlabelled": 50, "batch not closed": sum(BETTER.values())}
    assert early.measured.counts.n + sum(early.evidence.excluded.values()) == 6 * sum(BETTER.values())


def test_rows_that_a_challenger_did_not_score_are_not_evidence_on_it(world: World) -> None:
    for week in range(5):
        if week == 4:
            world.registry.set_tags("2", {"threshold": "no number"})  # fails to load from now on
        world.week(BETTER)
    assessment = world.on("2", LATER)
    assert assessment.measured.counts.n == 4 * sum(BETTER.values())
    assert assessment.evidence.excluded["not scored by both"] == sum(BETTER.values())


def test_a_batch_is_closed_by_the_calendar_and_never_by_its_content(world: World) -> None:
    batch = world.week(BETTER)  # every label is there from the first day
    last_open = date.fromisoformat(batch) + timedelta(days=world.project.maturity_days - 1)
    before = close_batches(world.store, world.project, last_open)
    assert [m.batch for m in before.waiting] == [batch]
    assert not before.batches
    after = close_batches(world.store, world.project, last_open + timedelta(days=1))
    assert [b.manifest.batch for b in after.batches] == [batch]


def test_a_closed_batch_with_no_label_at_all_is_closed_all_the_same(world: World) -> None:
    batch = world.week(BETTER, labelled=lambda frame: frame[:0])
    closed = close_batches(world.store, world.project, LATER)
    assert [b.manifest.batch for b in closed.batches] == [batch]


@pytest.mark.parametrize("learned", ["champion", "challenger"])
def test_no_one_is_examined_on_what_they_learned_from(
    store: Store, registry: Registry, project: Project, learned: str
) -> None:
    through = str(FIRST + timedelta(days=14))  # the date of the second batch itself
    register_version(project, "x1", trained_through=through if learned == "champion" else None)
    register_version(project, "x2", trained_through=through if learned == "challenger" else None)
    world = World(store, registry, project)
    world.enthrone()
    for _ in range(6):
        world.week(BETTER)
    assessment = world.on("2", LATER)
    assert [b.date for b in assessment.evidence.batches] == [world.day(w) for w in (3, 4, 5, 6)]
    assert assessment.evidence.excluded["before trained_through"] == 2 * sum(BETTER.values())


class Bomb(mlflow.pyfunc.PythonModel):  # type: ignore[misc]
    """A model that raises as soon as it is asked."""

    def predict(self, context, model_input, params=None):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201, ARG002
        msg = "out of order"
        raise RuntimeError(msg)


def test_a_challenger_that_fails_does_not_harm_the_champions_batch(world: World) -> None:
    register_version(world.project, "x1", model=Bomb())
    register_version(world.project, "x1", threshold=None)
    batch = world.week(BETTER)
    closed = close_batches(world.store, world.project, LATER)
    manifest = closed.batches[0].manifest
    assert manifest.batch == batch
    assert manifest.versions() == ["1", "2"]
    failures = {s.version: s.failure for s in manifest.scored if s.failure}
    assert failures["3"] == "failed to score: RuntimeError: out of order"
    assert "has no tag 'threshold'" in str(failures["4"])
    assert world.on("2", LATER).measured.counts.n == sum(BETTER.values())


def test_a_column_that_only_a_challenger_reads_does_not_harm_the_champions_batch(world: World) -> None:
    """One file of the batch holds the challenger's column as text."""
    day = world.day(1)
    frame = decisions_frame(BETTER, prefix=f"{day}-").drop("label")
    put_batch(world.store, world.project, str(day), frame[:100], name="1")
    put_batch(world.store, world.project, str(day), frame[100:].with_columns(pl.col("x2").cast(pl.String)), name="2")
    manifest = score_batch(
        world.store, world.registry, world.project, head(world.store, world.project.name), str(day), day
    )
    assert manifest.versions() == ["1"]
    assert manifest.rows == len(frame)
    (failed,) = [s for s in manifest.scored if s.failure]
    assert "the column 'x2' is Float64 in" in str(failed.failure)


def test_the_same_evidence_under_the_same_policy_is_the_same_decision_and_no_new_look(world: World) -> None:
    for _ in range(5):
        world.week(EQUAL | {(1, 0, 1): 3, (1, 1, 0): 3})
    first = world.judge(date(2024, 3, 1))
    save_decision(world.store, world.project.name, first)
    again = world.judge(date(2024, 3, 20))
    assert again.id == first.id
    assert again.record == first.record
    assert save_decision(world.store, world.project.name, again) is False
    assert len(world.store.keys(f"{world.project.name}/decisions/log")) == 1


def test_another_policy_is_another_decision(world: World, make_project: Callable[..., Project]) -> None:
    for _ in range(5):
        world.week(BETTER)
    first = world.judge(LATER)
    policy = world.project.policy.model_copy(update={"min_gain": 0.05})
    world.project = make_project(model=world.project.model, policy=policy)
    assert world.judge(LATER).id != first.id


def _promote_the_second(world: World) -> date:
    for _ in range(5):
        world.week(BETTER)
    day = world.day(7)
    taken = world.judge(day)
    assert taken.promote == "2"
    save_decision(world.store, world.project.name, taken)
    promote(world.store, world.registry, world.project.name, taken.id)
    world.weeks = 7
    return day


def test_a_promotion_restarts_the_evidence(world: World) -> None:
    _promote_the_second(world)
    for _ in range(3):
        world.week(WORSE)
    assessment = world.on("1", LATER)
    assert [b.date for b in assessment.evidence.batches] == [world.day(w) for w in (8, 9, 10)]
    assert assessment.measured.counts.n == 3 * sum(WORSE.values())


def test_the_demoted_champion_stays_a_challenger_and_a_bad_promotion_is_found(world: World) -> None:
    _promote_the_second(world)
    for _ in range(5):
        world.week(WORSE)
    taken = world.judge(LATER)
    assert taken.promote == "1"
    save_decision(world.store, world.project.name, taken)
    promote(world.store, world.registry, world.project.name, taken.id)
    assert [r.version for r in reigns(world.store, world.project.name)] == ["1", "2", "1"]


def test_the_champions_own_model_is_never_promoted(store: Store, registry: Registry, project: Project) -> None:
    model = sigmoid_model("x1")
    register_version(project, "x1", model=model)
    register_version(project, "x1", model=model)
    world = World(store, registry, project)
    world.enthrone()
    for _ in range(5):
        world.week({(1, 1): 50, (0, 0): 400})
    assessment = world.on("2", LATER)
    assert assessment.verdict is Verdict.INVALID
    assert "the champion's own model" in assessment.reasons[0]


def test_a_challenger_that_never_disagrees_is_never_promoted(world: World) -> None:
    for _ in range(8):
        world.week(EQUAL)
    assessment = world.on("2", LATER)
    assert assessment.verdict is Verdict.WAIT
    assert "the two disagreed on 0 of the 400 rows that recall is about" in assessment.reasons


def test_a_late_challenger_is_not_judged_on_labels_that_could_be_seen_when_it_was_chosen(world: World) -> None:
    for _ in range(6):
        world.week(BETTER)
    register_version(world.project, "x2", threshold="0.4")  # another contender, which decides as version 2 does
    found = world.day(6)
    registry = Registry(world.project)
    with Versions(world.store, registry, world.project) as versions:
        for manifest, wanted in due_replays(versions, head(world.store, "parcels")).batches:
            replay_batch(versions, manifest, wanted, found)
    late = world.on("3", LATER)
    assert (late.evidence.batches, len(late.evidence.context)) == ((), 6)
    assert world.on("2", LATER).evidence.batches
    assert not labels_unseen(FIRST, found, seen_through=found)
    assert labels_unseen(FIRST, found, seen_through=found - timedelta(days=1))
