"""Challengers that come late, through the flows: found by the next score, replayed after the day's batches, told in page and report."""

from __future__ import annotations

import shutil
from datetime import date
from pathlib import Path

import mlflow
import pytest
from parcels import register_version

from flows.enthrone import enthrone
from flows.history import history
from flows.judge import judge
from flows.replay import replay
from flows.score import score
from flows.verify import verify
from tasks.base.project import Project
from tasks.decisions import all_records
from tasks.models.errors import RegistryError
from tasks.reigns import LogError
from tasks.store import Store

pytestmark = pytest.mark.usefixtures("prefect_server")

LATER = date(2024, 3, 1)
BATCHES = "2024-01-07, 2024-01-14, 2024-01-21, 2024-01-28, 2024-02-04, 2024-02-11"
CLAIM = {"labels_seen_through": "2024-01-01"}


@pytest.fixture(autouse=True)
def projects(parcels: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DETHRONE_PROJECTS", str(parcels))


@pytest.fixture
def scored() -> None:
    enthrone("parcels", "1", author="test", as_of=date(2024, 1, 1))
    score("parcels", as_of=LATER)


def set_tag(project: Project, version: str, key: str, value: str) -> None:
    mlflow.MlflowClient(project.mlflow).set_model_version_tag(project.model, version, key, value)


def report_of(store: Store, project: Project) -> str:
    newest = max(all_records(store, project.name), key=lambda r: len(r["basis"]["batches"]))
    return store.read(f"parcels/reports/{newest['id']}/report.md").decode()


@pytest.mark.usefixtures("scored")
class TestALateChallenger:
    def test_is_found_and_replayed_by_the_next_score_and_judged_on_it(self, store: Store, project: Project) -> None:
        set_tag(project, "2", "retired", "true")
        register_version(project, "x2", threshold="0.6", tags=CLAIM)
        said = score("parcels", as_of=LATER)
        assert said == f"Scored: nothing new. Came: version 3. Left: version 2. Replayed: version 3 on {BATCHES}."
        assert score("parcels", as_of=LATER) == "Scored: nothing new. Left: version 2."
        judge("parcels", as_of=LATER)
        assert "to the last bit" in verify("parcels")
        text = report_of(store, project)
        assert "| version 3 | **PROMOTE**: it has earned it too, but version 2 was chosen" in text
        assert "| version 3 | 2024-03-01 | 0 | 6 | 0 |  |" in text
        (decision,) = all_records(store, project.name)
        counted = "0 batches scored as they came, 6 replayed as evidence, 0 replayed as context"
        assert history("parcels").endswith(f"\nversion 3: {counted} (decision {decision['id']})")
        assert (
            "**A claim decides for version 3**: whoever trained and chose it saw no label after 2024-01-01, by its tag "
            "`labels_seen_through`, found on 2024-03-01. The model was logged by "
        ) in text

    def test_without_a_claim_is_shown_on_batches_whose_labels_were_there_and_not_judged_on_them(
        self, store: Store, project: Project
    ) -> None:
        register_version(project, "x2", threshold="0.6")
        score("parcels", as_of=LATER)
        said = judge("parcels", as_of=LATER)
        assert "takes over" in said  # version 2, which was there
        text = report_of(store, project)
        (line,) = [x for x in text.splitlines() if x.startswith("| version 3 | 2024-03-01 |")]
        assert line == "| version 3 | 2024-03-01 | 0 | 0 | 6 (2,850 rows) | higher by 0.4545 |"
        assert "| replayed, and its labels could be seen before |" in text

    def test_is_replayed_by_a_flow_of_its_own_at_once_and_only_once(self, project: Project) -> None:
        for threshold in ("0.6", "0.65"):
            register_version(project, "x2", threshold=threshold)
        assert replay("parcels", "4", as_of=LATER) == f"Replayed: version 4 on {BATCHES}."
        assert replay("parcels", as_of=LATER) == f"Replayed: version 3 on {BATCHES}."
        nothing = "Nothing to replay: every version that competes has scored the batches of the reign that it may."
        assert replay("parcels", as_of=LATER) == nothing

    def test_that_fails_on_an_old_batch_is_not_asked_again_in_the_run(
        self, project: Project, caplog: pytest.LogCaptureFixture
    ) -> None:
        register_version(project, "x9")
        said = score("parcels", as_of=LATER)
        why = "failed to score: its signature names the column 'x9', which batch 2024-02-11 does not have"
        assert said == f"Scored: nothing new. Came: version 3. Not replayed: version 3 {why} (batch 2024-02-11)."
        assert f"batch 2024-02-11: version 3 {why}, and is not replayed any further" in caplog.text

    def test_where_the_project_file_says_none_is_replayed_by_the_flow_alone(
        self, parcels: Path, project: Project
    ) -> None:
        file = parcels / "parcels.yaml"
        file.write_text(f"{file.read_text()}replay: none\n")
        register_version(project, "x2", threshold="0.6")
        assert score("parcels", as_of=LATER) == "Scored: nothing new. Came: version 3."
        assert replay("parcels", as_of=LATER) == f"Replayed: version 3 on {BATCHES}."

    def test_is_replayed_on_all_batches_but_those_whose_rows_are_gone(self, project: Project) -> None:
        shutil.rmtree(Path(project.store) / "parcels/batches/2024-01-28")
        register_version(project, "x2", threshold="0.6")
        said = score("parcels", as_of=LATER)
        others = BATCHES.replace("2024-01-28, ", "")
        assert said.startswith(
            f"Scored: nothing new. Came: version 3. Replayed: version 3 on {others}. Nothing is replayed on batch 2024-01-28: "
        )


def test_without_a_champion_or_with_a_version_that_is_none_nothing_is_replayed(project: Project) -> None:
    with pytest.raises(LogError):
        replay("parcels", as_of=LATER)
    enthrone("parcels", "1", author="test", as_of=date(2024, 1, 1))
    with pytest.raises(RegistryError, match="the registry holds no version 9 of the model"):
        replay("parcels", "9", as_of=LATER)
