"""Every flow, run by Prefect on a temporary server, on a real store and a real MLflow."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import mlflow
import pytest
from parcels import register_version
from prefect.settings import PREFECT_API_URL

from demo.season import season
from flows.enthrone import enthrone
from flows.history import history
from flows.judge import judge
from flows.promote import promote
from flows.reconcile import reconcile
from flows.rollback import rollback
from flows.score import score
from flows.verify import verify
from tasks.base.project import Project
from tasks.batches.failures import LOST
from tasks.batches.rows import BatchError
from tasks.command import CalendarError, today
from tasks.decisions import UnknownDecisionError, all_records
from tasks.reigns import head, reigns
from tasks.store import Store

pytestmark = pytest.mark.usefixtures("prefect_server")

LATER = date(2024, 3, 1)


@pytest.fixture(autouse=True)
def projects(parcels: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DETHRONE_PROJECTS", str(parcels))


@pytest.fixture
def scored() -> str:
    enthrone("parcels", "1", author="test", as_of=date(2024, 1, 1))
    return score("parcels", as_of=LATER)


def test_score_takes_every_batch_that_is_not_scored_and_a_second_run_finds_none(scored: str) -> None:
    assert scored == "Scored: 2024-01-07, 2024-01-14, 2024-01-21, 2024-01-28, 2024-02-04, 2024-02-11."
    assert score("parcels", as_of=LATER) == "Scored: nothing new."


def test_a_batch_that_was_scored_before_is_said_to_be_left_alone(scored: str) -> None:
    assert score("parcels", batch="2024-01-07") == "Left alone, because it was scored before: 2024-01-07."


def test_what_a_flow_has_done_is_the_message_of_its_state(scored: str) -> None:
    state = judge("parcels", as_of=LATER, return_state=True)  # type: ignore[call-arg]  # Prefect's own
    assert state.is_completed()  # type: ignore[attr-defined]
    assert state.message.startswith("Version 2 takes over from version 1 in parcels")  # type: ignore[attr-defined]


class TestChallengersThatFail:
    """Version 3 never loads; version 2 failed in the first batch alone."""

    FAILURE = "it failed to load: version 3 has no tag 'threshold'; set it to the score from which a row is flagged"

    @pytest.fixture(autouse=True)
    def failing(self, project: Project) -> None:
        register_version(project, "x1", threshold=None)
        enthrone("parcels", "1", author="test", as_of=date(2024, 1, 1))
        client = mlflow.MlflowClient(project.mlflow)
        client.delete_model_version_tag(project.model, "2", "threshold")
        score("parcels", batch="2024-01-07")
        client.set_model_version_tag(project.model, "2", "threshold", "0.5")

    def test_score_counts_them_and_replays_those_whose_cause_is_gone(self) -> None:
        said = score("parcels", as_of=LATER)
        assert said == (
            "Scored: 2024-01-14, 2024-01-21, 2024-01-28, 2024-02-04, 2024-02-11. "
            f"Version 3 failed in 5 of 5 batches, last in 2024-02-11: {self.FAILURE}. {LOST}. "
            "Replayed: version 2 on 2024-01-07."
        )
        assert score("parcels", batch="2024-01-07").endswith(f"last in 2024-01-07: {self.FAILURE}. {LOST}.")

    def test_judge_names_them_in_its_sentence_in_its_log_and_in_the_table_of_verdicts(
        self, store: Store, project: Project, caplog: pytest.LogCaptureFixture
    ) -> None:
        score("parcels", as_of=LATER)
        said = judge("parcels", as_of=date(2024, 2, 5))
        assert "(version 2: WAIT, failed in 1 of 5 batches; version 3: failed in 5 of 5 batches)" in said
        warned = [
            r.getMessage() for r in caplog.records if r.levelname == "WARNING" and "failed, last" in r.getMessage()
        ]
        assert warned[-1] == f"version 3 failed, last in batch 2024-02-04: {self.FAILURE}"
        (decision,) = all_records(store, project.name)
        report = store.read(f"parcels/reports/{decision['id']}/report.md").decode()
        second, third = (x for x in report.splitlines() if x.startswith(("| version 2 | **", "| version 3 | **")))
        assert second.startswith("| version 2 | **WAIT**: not enough evidence yet | ")
        assert "; it failed in 1 of 5 batches, last in 2024-01-07: it failed to load: version 2 has no tag" in second
        assert third.startswith(
            "| version 3 | **FAILED**: it has nothing to be judged on | it failed in 5 of 5 batches, "
        )
        assert f"\n\n{LOST}.\n\n" in report

    def test_where_nobody_can_be_judged_judge_says_why(self) -> None:
        said = judge("parcels", as_of=date(2024, 1, 22))
        assert said.startswith("Nothing to judge in parcels as of 2024-01-22: no closed batch of this reign")
        assert f"Version 3 failed in 1 of 1 batches, last in 2024-01-07: {self.FAILURE}." in said


def test_score_takes_one_batch_by_name_and_none_from_the_future(store: Store) -> None:
    enthrone("parcels", "1", author="test", as_of=date(2024, 1, 1))
    assert score("parcels", as_of=date(2024, 1, 10)) == "Scored: 2024-01-07."
    assert score("parcels", batch="2024-02-11") == "Scored: 2024-02-11."
    assert len([k for k in store.keys("parcels/predictions") if k.endswith("manifest.json")]) == 2


def test_a_dry_run_says_what_would_happen_and_writes_nothing(scored: str, store: Store) -> None:
    before = {k: store.read(k) for k in store.keys("parcels")}
    said = judge("parcels", as_of=LATER, dry_run=True)
    assert said.startswith(
        "Version 2 takes over from version 1 in parcels: its recall is proven to be higher by at least"
    )
    assert said.endswith("(dry run: nothing was written).")
    assert {k: store.read(k) for k in store.keys("parcels")} == before


def test_judge_promotes_reports_and_can_be_run_again(scored: str, store: Store, project: Project) -> None:
    said = judge("parcels", as_of=LATER)
    after = {k: store.read(k) for k in store.keys("parcels")}
    (decision,) = all_records(store, project.name)
    assert decision["promote"] == "2"
    assert head(store, project.name).decision == decision["id"]
    assert f"parcels/reports/{decision['id']}/report.md" in after
    client = mlflow.MlflowClient(project.mlflow)
    assert client.get_model_version_by_alias(project.model, "champion").version == 2
    assert judge("parcels", as_of=LATER) == f"{said} Since then: reign 2, version 2, by promotion."
    assert {k: store.read(k) for k in store.keys("parcels")} == after


def test_the_report_is_a_markdown_artifact_with_its_plots_inside(scored: str, store: Store) -> None:
    from prefect.artifacts import Artifact

    judge("parcels", as_of=LATER)
    artifact = Artifact.get("parcels-verdict")
    assert artifact is not None
    assert isinstance(artifact.data, str)
    assert artifact.data.startswith("# parcels: who leads, judged as of 2024-03-01")
    assert artifact.data.count("](data:image/svg+xml;base64,") == 4
    (decision,) = all_records(store, "parcels")
    assert artifact.data.split("\n\n")[1] == f"In the store: `{store.uri}/parcels/reports/{decision['id']}/report.md`."


def test_what_each_version_did_is_a_table_artifact_and_a_run_that_scores_nothing_makes_none(scored: str) -> None:
    from prefect.artifacts import Artifact

    artifact = Artifact.get("parcels-scored")
    assert artifact is not None
    assert artifact.description == "2,850 rows of parcels, batches 2024-01-07 to 2024-02-11"
    champion, challenger = json.loads(str(artifact.data))
    assert (champion["version"], challenger["version"]) == ("1 (champion)", "2")
    assert (champion["batches"], champion["rows"], champion["flagged"]) == (6, 2850, f"{45 / 475:.2%}")
    assert challenger["flagged"] == f"{70 / 475:.2%}"
    score("parcels", as_of=LATER)
    again = Artifact.get("parcels-scored")
    assert again is not None
    assert again.id == artifact.id


def test_judge_says_so_when_nothing_is_closed_yet(scored: str, store: Store) -> None:
    assert judge("parcels", as_of=date(2024, 1, 8)).startswith("Nothing to judge in parcels as of 2024-01-08")
    assert store.keys("parcels/decisions") == []


def test_promote_again_is_a_no_op_and_an_unknown_decision_is_refused(
    scored: str, store: Store, project: Project
) -> None:
    judge("parcels", as_of=LATER)
    (decision,) = all_records(store, project.name)
    assert promote("parcels", decision["id"]).startswith("Reign 2 of parcels: version 2 leads since 2024-03-01")
    assert len(reigns(store, project.name)) == 2
    with pytest.raises(UnknownDecisionError, match="has no decision 2024-01-01-000000000000"):
        promote("parcels", "2024-01-01-000000000000")


def test_rollback_is_one_more_reign_with_author_and_reason(scored: str, store: Store, project: Project) -> None:
    judge("parcels", as_of=LATER)
    said = rollback("parcels", author="risk", reason="complaints", as_of=date(2024, 3, 2))
    assert said == "Reign 3 of parcels: version 1 leads again since 2024-03-02."
    last = head(store, project.name)
    assert (last.kind, last.author, last.reason) == ("rollback", "risk", "complaints")
    history = store.read("parcels/mlflow/parcels/live_model_run_history").decode().split("\n")
    assert history == [r.run_id for r in reversed(reigns(store, project.name)[:-1])]


def test_without_any_date_history_is_scored_judged_and_rolled_back(store: Store, project: Project) -> None:
    """The first champion is younger than its batches, and the decision is of yesterday: the promotion follows all the same."""
    enthrone("parcels", "1", author="test")
    score("parcels")
    assert judge("parcels").startswith("Version 2 takes over from version 1 in parcels")
    rollback("parcels", author="risk", reason="not convinced")
    assert [r.version for r in reigns(store, project.name)] == ["1", "2", "1"]
    assert judge("parcels").startswith("Nothing to judge in parcels")


def test_a_season_is_played_and_told_and_its_reigns_and_verdicts_stand(store: Store, project: Project) -> None:
    told = season("parcels")
    assert told.startswith("# parcels")
    assert "| 2 | version 2 | " in told
    assert [(r.version, r.kind) for r in reigns(store, project.name)] == [("1", "enthronement"), ("2", "promotion")]
    assert season("parcels") == told, "it was played to its end"
    (first, second) = (line for line in history("parcels").splitlines() if " 2024-" in line)
    assert ("version 1" in first, "version 2" in second) == (True, True)
    assert reconcile("parcels") == "Version 2 leads parcels, reign 2. Everything says so."
    assert verify("parcels").endswith("every decision is the same to the last bit.")


def test_a_look_back_says_what_has_become_of_the_reign(scored: str, store: Store, project: Project) -> None:
    judge("parcels", as_of=LATER)
    rollback("parcels", author="risk", reason="complaints", as_of=date(2024, 3, 2))
    said = judge("parcels", as_of=LATER)
    assert said.endswith("Since then: reign 3, version 1, by rollback.")
    assert len(all_records(store, project.name)) == 1


def test_a_day_that_is_not_over_is_refused_before_anything_is_closed(scored: str, store: Store) -> None:
    before = store.keys("parcels")
    for flow in (lambda day: judge("parcels", as_of=day), lambda day: enthrone("parcels", "1", author="t", as_of=day)):
        with pytest.raises(CalendarError, match="2999-01-01 is not over yet; the latest day to take is"):
            flow(date(2999, 1, 1))
    assert store.keys("parcels") == before


def test_today_is_that_of_the_projects_time_zone(parcels: Path) -> None:
    """Today in Kiritimati is never today in Pago Pago, 25 hours behind."""
    east, file = today("Pacific/Kiritimati"), parcels / "parcels.yaml"
    content = file.read_text()
    file.write_text(f"{content}timezone: Pacific/Pago_Pago\n")
    with pytest.raises(CalendarError, match=f"{east} is not over yet; the latest day to take is"):
        enthrone("parcels", "1", author="test", as_of=east)
    file.write_text(f"{content}timezone: Pacific/Kiritimati\n")
    assert enthrone("parcels", "1", author="test", as_of=east).endswith(f"version 1 leads since {east}.")
    with pytest.raises(
        CalendarError, match=f"{east} is not over yet; the latest day to take is {east - timedelta(days=1)}"
    ):
        judge("parcels", as_of=east)


def test_a_bad_batch_does_not_keep_the_others_waiting(store: Store) -> None:
    enthrone("parcels", "1", author="test", as_of=date(2024, 1, 1))
    store.write("parcels/batches/2024-01-07/rows.parquet", b"no parquet")
    store.write("parcels/batches/tmp/rows.parquet", b"not a batch at all")
    with pytest.raises(BatchError, match=r"batch 2024-01-07: .* cannot be read as Parquet"):
        score("parcels", as_of=LATER)
    assert len([k for k in store.keys("parcels/predictions") if k.endswith("manifest.json")]) == 5


@pytest.mark.slow
def test_the_command_line_judges_without_any_server(scored: str, command: Callable[..., subprocess.Popen[str]]) -> None:
    run = command("flows.judge", "parcels", "--as-of", str(LATER), "--dry-run")
    out, _ = run.communicate(timeout=120)
    assert run.returncode == 0
    assert out.startswith("Version 2 takes over from version 1 in parcels")


def test_the_command_line_ends_a_users_mistake_with_one_sentence(command: Callable[..., subprocess.Popen[str]]) -> None:
    run = command("flows.judge", "parcel", "--dry-run", server=PREFECT_API_URL.value())
    _, err = run.communicate(timeout=120)
    assert run.returncode == 1
    assert "Traceback" not in err
    sentence = next(line for line in reversed(err.splitlines()) if line.startswith("ProjectFileError"))
    assert sentence.startswith("ProjectFileError: there is no project 'parcel' in ")
    assert sentence.endswith("; the projects there are: parcels")
