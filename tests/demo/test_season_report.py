"""A season of eight weeks by the plain functions: its days, where it goes on, and what its report tells."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterable
from datetime import date, timedelta
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from parcels import decisions_frame, put_batch, put_labels, register_version
from weeks import everything, found, week

from analysis.policy import Policy
from analysis.seasons.season import DETHRONE, NAIVE_RULES
from demo.season_report import SeasonError, calendar, remaining_days, write_season_report
from tasks.base.project import Project
from tasks.batches.predictions import manifests
from tasks.batches.scoring import score_batch
from tasks.decisions import decide, save_decision
from tasks.decisions.promotion import promote
from tasks.labels.tallying import close_batches
from tasks.models.registry import Registry
from tasks.reigns import head, judged_on, reigns
from tasks.store import Store, open_store

Season = tuple[Store, Registry, Project]

WEEKS = 8
# By (label, decisions of versions 1, 2, 3): version 2 finds more and flags no more; version 3 flags everything.
COUNTS = {
    (1, 1, 1, 1): 60, (1, 0, 1, 1): 30, (1, 1, 0, 1): 3, (1, 0, 0, 1): 7, (0, 0, 0, 1): 190, (0, 1, 0, 1): 6, (0, 0, 1, 1): 4,
}  # fmt: skip


def new_season(folder: Path, mlflow_uri: str) -> Season:
    """All rows and labels of a season, which lie there from the beginning as those of the demo do, and three models."""
    project = Project(
        name="parcels",
        store=str(folder / "store"),
        mlflow=mlflow_uri,
        model=f"season-{uuid.uuid4().hex[:8]}",
        segments=("region",),
        maturity_days=14,
        policy=Policy(n_resamples=1000, min_gain=0.01),
    )
    store = open_store(project.store)
    for column in ("x1", "x2", "x3"):
        register_version(project, column)
    for number in range(WEEKS):
        day = week(number)
        frame = decisions_frame(COUNTS, prefix=f"{day}-")
        put_batch(store, project, str(day), frame.drop("label"))
        put_labels(store, project, frame["id"].to_list(), frame["label"].to_list(), week(number + 1), name=str(day))
    return store, Registry(project), project


def play(store: Store, registry: Registry, project: Project, days: Iterable[date]) -> None:
    """What the flows do on each day: score, close, judge, record, promote."""
    for day in days:
        found(store, registry, project, since=day)
        if day < week(WEEKS):
            score_batch(store, registry, project, head(store, project.name), str(day), day)
        taken = decide(store, project, judged_on(store, project.name, day), close_batches(store, project, day), day)
        if taken:
            save_decision(store, project.name, taken)
            if taken.promote:
                promote(store, registry, project.name, taken.id)


def cells(markdown: str, first: str) -> list[list[str]]:
    lines = [[c.strip() for c in line.split("|")[1:-1]] for line in markdown.splitlines() if line.startswith("|")]
    return [line for line in lines if line[0].replace("\\", "") == first]


def rules(markdown: str) -> dict[str, dict[str, str]]:
    """The table of the rules: for each one its columns by their heads."""
    block = next(b for b in markdown.split("\n\n") if b.startswith("| rule | switches"))
    head, _, *lines = [[c.strip() for c in line.split("|")[1:-1]] for line in block.splitlines()]
    return {line[0]: dict(zip(head[1:], line[1:], strict=True)) for line in lines}


class TestDays:
    @pytest.fixture
    def season(self, tmp_path: Path, mlflow_uri: str) -> Season:
        return new_season(tmp_path, mlflow_uri)

    @pytest.fixture
    def store(self, season: Season) -> Store:
        return season[0]

    @pytest.fixture
    def registry(self, season: Season) -> Registry:
        return season[1]

    @pytest.fixture
    def project(self, season: Season) -> Project:
        return season[2]

    def test_a_season_has_the_day_of_every_batch_and_every_day_on_which_one_closes(
        self, store: Store, project: Project
    ) -> None:
        assert calendar(store, project) == [week(n) for n in range(WEEKS + 2)]
        odd = project.model_copy(update={"maturity_days": 10})
        assert calendar(store, odd) == sorted(
            {d for n in range(WEEKS) for d in (week(n), week(n) + timedelta(days=10))}
        )

    def test_without_batches_there_is_no_season(self, store: Store, project: Project) -> None:
        empty = project.model_copy(update={"name": "empty"})
        with pytest.raises(
            SeasonError, match=r"empty has no batches below .*/empty/batches/; for the demo: python -m demo"
        ):
            calendar(store, empty)

    def test_a_new_season_begins_at_its_first_day(self, store: Store, project: Project) -> None:
        assert remaining_days(store, project) == calendar(store, project)

    @pytest.mark.parametrize("played", [1, 4, 9])
    def test_an_interrupted_season_goes_on_at_the_last_day_that_left_a_trace(
        self, store: Store, registry: Registry, project: Project, played: int
    ) -> None:
        days = calendar(store, project)
        play(store, registry, project, days[:played])
        assert remaining_days(store, project) == days[played - 1 :]

    def test_a_day_that_is_played_again_changes_nothing(
        self, store: Store, registry: Registry, project: Project
    ) -> None:
        """Also the day of a promotion."""
        days = calendar(store, project)
        play(store, registry, project, days[:6])
        assert head(store, project.name).since == days[5]
        before = everything(store, project)
        play(store, registry, project, days[5:6])
        assert everything(store, project) == before


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory, mlflow_uri: str) -> tuple[Store, Project, str]:
    """A season that was played to its end and told."""
    store, registry, project = new_season(tmp_path_factory.mktemp("season"), mlflow_uri)
    play(store, registry, project, calendar(store, project))
    return store, project, write_season_report(store, project)


class TestTelling:
    """One season, played once; these tests only read it."""

    @pytest.fixture
    def store(self, told: tuple[Store, Project, str]) -> Store:
        return told[0]

    @pytest.fixture
    def project(self, told: tuple[Store, Project, str]) -> Project:
        return told[1]

    @pytest.fixture
    def markdown(self, told: tuple[Store, Project, str]) -> str:
        return told[2]

    def test_the_season_went_as_it_was_laid_out(self, store: Store, project: Project) -> None:
        assert [(r.version, r.since) for r in reigns(store, project.name)] == [("1", week(0)), ("2", week(5))]
        assert [m.champion for m in manifests(store, project.name)] == ["1"] * 6 + ["2"] * 2

    def test_it_has_a_row_for_every_rule_in_every_table(self, markdown: str) -> None:
        assert markdown.startswith(f"# parcels: the season from {week(0)} to {week(WEEKS - 1)}\n")
        assert "8 batches, scored by versions 1, 2, 3." in markdown
        for rule in NAIVE_RULES:
            assert len(cells(markdown, rule)) == 3
        assert len(cells(markdown, DETHRONE)) == 2
        assert len(cells(markdown, f"**{DETHRONE}**")) == 1

    def test_what_was_served_is_what_each_champion_did_with_the_batches_it_scored(self, markdown: str) -> None:
        """Six weeks by version 1, two by version 2."""
        found = {v: sum(n for (y, *d), n in COUNTS.items() if y == 1 and d[v - 1]) for v in (1, 2)}
        flagged = {v: sum(n for (_, *d), n in COUNTS.items() if d[v - 1]) for v in (1, 2)}
        true = 6 * found[1] + 2 * found[2]
        flags = 6 * flagged[1] + 2 * flagged[2]
        assert list(rules(markdown)[f"**{DETHRONE}**"].values()) == [
            "1", "0", "0", f"{true / 800:.4f}", f"{true / flags:.4f}", f"{flags / 2400:.4f}",
        ]  # fmt: skip

    def test_the_rule_that_looks_at_recall_alone_falls_for_the_one_that_flags_everything(self, markdown: str) -> None:
        true, flags = 3 * 63 + 5 * 100, 3 * 69 + 5 * 300
        assert rules(markdown)["recall \\> recall\\_live"] == {
            "switches": "1",
            "not better by 0.01 afterwards": "0",
            "broke a guardrail afterwards": "1",
            "recall served": f"{true / 800:.4f}",
            "precision served": f"{true / flags:.4f}",
            "rows flagged": f"{flags / 2400:.4f}",
        }
        _, fates, duels = cells(markdown, "recall > recall_live")
        assert fates[1:] == ["never led", f"took over on {week(2)}: recall 1.0000 \\> 0.6300"]
        assert duels[1:] == [
            f"1 switch, the first on {week(2)}; 0 not better by 0.01, 0 broke a guardrail",
            f"1 switch, the first on {week(2)}; 0 not better by 0.01, 1 broke a guardrail",
        ]

    def test_it_tells_the_reigns_with_their_decisions_and_the_fate_of_every_challenger(
        self, store: Store, project: Project, markdown: str
    ) -> None:
        _, promotion = reigns(store, project.name)
        link = f"[{promotion.decision}](../{promotion.decision}/report.md)"
        assert cells(markdown, "2") == [
            ["2", "version 2", str(week(5)), "promotion", "dethrone", "proven better than version 1", link]
        ]
        fates, _ = cells(markdown, DETHRONE)
        assert fates[1] == f"took over on {week(5)}: proven better than version 1"
        assert re.match(r"never led; last verdict (WAIT|RETIRE): ", fates[2])

    def test_it_is_written_with_its_picture_and_its_numbers(
        self, store: Store, project: Project, markdown: str
    ) -> None:
        folder = f"{project.name}/reports/season"
        assert store.keys(folder) == [f"{folder}/season.{kind}" for kind in ("json", "md", "svg")]
        assert store.read(f"{folder}/season.md").decode() == markdown
        assert ET.fromstring(store.read(f"{folder}/season.svg")).tag.endswith("svg")  # noqa: S314  our own
        numbers = json.loads(store.read(f"{folder}/season.json"))
        assert set(numbers["rules"]) == set(numbers["duels"]) == {*NAIVE_RULES, DETHRONE}
        assert numbers["rules"][DETHRONE]["switches"][0]["date"] == str(week(5))

    def test_it_is_the_same_when_it_is_told_again(self, store: Store, project: Project, markdown: str) -> None:
        before = everything(store, project)
        assert write_season_report(store, project) == markdown
        assert everything(store, project) == before
