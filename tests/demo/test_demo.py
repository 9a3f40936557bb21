"""The demo as a user runs it: a whole season of real flights."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tasks.base.project import Project, load_project
from tasks.decisions import all_records
from tasks.reigns import reigns
from tasks.store import open_store

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
NAIVE = ["recall > recall_live", "McNemar p < 0.05 each week", "bootstrap 95% interval > 0 each week"]


@pytest.fixture(scope="module")
def season(tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, str]:
    """The project after its season, and what the season printed."""
    folder = tmp_path_factory.mktemp("demo")
    content = yaml.safe_load((ROOT / "deployments" / "flights.yaml").read_text())
    content |= {"store": str(folder / "store"), "mlflow": f"sqlite:///{folder}/mlflow.db"}
    (folder / "flights.yaml").write_text(yaml.safe_dump(content))
    environment = {**os.environ, "DETHRONE_PROJECTS": str(folder), "PREFECT_HOME": str(folder / "prefect")}
    environment.pop("PREFECT_API_URL", None)
    printed = ""
    for command in (["demo"], ["demo.season", "flights"]):
        run = subprocess.run(
            [sys.executable, "-m", *command],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            timeout=540,
            check=False,
        )
        assert run.returncode == 0, run.stderr
        printed = run.stdout
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DETHRONE_PROJECTS", str(folder))
        return load_project("flights"), printed


def _rows(markdown: str, heading: str) -> dict[str, list[str]]:
    """The rows of the first table after ``heading``, by their first cell."""
    after = markdown[markdown.index(heading) :]
    lines = re.search(r"(?:^\|.*\n)+", after, flags=re.MULTILINE)
    assert lines
    cells = [[c.strip().replace("\\", "").strip("*") for c in line.split("|")[1:-1]] for line in lines[0].splitlines()]
    return {row[0]: row[1:] for row in cells[2:]}


def test_gradient_boosting_leads_in_recall_and_its_weeks_do_not_prove_the_guardrails(
    season: tuple[Project, str],
) -> None:
    project, _ = season
    store = open_store(project.store)
    assert [(r.version, r.kind) for r in reigns(store, project.name)] == [("1", "enthronement")]
    last = all_records(store, project.name)[-1]
    (boosting,) = [a for a in last["judgement"]["assessments"] if a["evidence"]["challenger"]["version"] == "3"]
    failed = {c["name"] for c in boosting["checks"] if not c["passed"]}
    assert boosting["verdict"] == "WAIT"
    assert failed == {"accuracy", "precision"}


def test_every_week_with_evidence_has_its_decision_and_its_report(season: tuple[Project, str]) -> None:
    project, _ = season
    store = open_store(project.store)
    taken = all_records(store, project.name)
    assert len(taken) == 43
    for decision in taken:
        prefix = f"{project.name}/reports/{decision['id']}"
        files = {k.rpartition("/")[2] for k in store.keys(prefix)}
        assert files == {"report.md", "report.json", "evidence.svg", "differences.svg", "segments.svg", "trend.svg"}


def test_every_naive_rule_falls_for_the_loud_one_and_dethrone_does_not(season: tuple[Project, str]) -> None:
    _, printed = season
    fates = _rows(printed, "## What became of each challenger")
    for rule in NAIVE:
        assert fates[rule][2].startswith("took over on 2013-03-24")
    assert fates["Dethrone's policy"][2].startswith("never led; last verdict RETIRE: harm: accuracy is proven")


def test_every_naive_rule_falls_for_the_twin_alone_and_dethrone_does_not(season: tuple[Project, str]) -> None:
    _, printed = season
    alone = _rows(printed, "## Each challenger alone")
    for rule in NAIVE:
        switches, not_better = re.match(r"(\d+) switch.*?; (\d+) not better", alone[rule][0]).groups()  # type: ignore[union-attr]
        assert int(switches) == int(not_better) > 0
    assert alone["Dethrone's policy"][0] == "no switch"


def test_readme_shows_the_season_as_it_comes_out(season: tuple[Project, str]) -> None:
    _, printed = season
    readme = _rows((ROOT / "README.md").read_text(), "<!-- season -->")
    for rule, cells in _rows(printed, "# flights: the season").items():
        assert readme[rule][:3] == cells[:3]
        shown, found = [float(c) for c in readme[rule][3:]], [float(c) for c in cells[3:]]
        assert shown == pytest.approx(found, abs=0.005)  # another processor may round a threshold the other way
