"""Publishing a report: its files in the store and beside the challenger's run, once, the same to the last byte."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlparse
from xml.etree import ElementTree as ET

import mlflow
import pytest
from mlflow.cli import gc as mlflow_gc
from weeks import BETTER, EQUAL, SpyStore, WrappedStore, everything, judged, look_on, play_week, week

from analysis.policy import Policy
from analysis.tables.record import canonical_json
from tasks.base.project import Project
from tasks.decisions import Decision
from tasks.decisions.promotion import promote
from tasks.labels.tallying import close_batches
from tasks.models.registry import Registry
from tasks.reigns import reigns
from tasks.reports.publish import draw, publish
from tasks.reports.report import render
from tasks.store import Store

PLOTS = ["differences", "evidence", "segments", "trend"]
FILES = sorted([*(f"{p}.svg" for p in PLOTS), "report.json", "report.md"])


@pytest.fixture
def project(make_project: Callable[..., Project]) -> Project:
    return make_project(policy=Policy(n_resamples=1000))


@pytest.fixture
def taken(store: Store, registry: Registry, project: Project, register: Callable[..., str]) -> Decision:
    register("x1")
    register("x2")
    return judged(store, registry, project, BETTER)


def published(store: Store, registry: Registry, project: Project, taken: Decision) -> str:
    markdown, missing = publish(
        store, registry, project, taken, close_batches(store, project, week(5)), reigns(store, project.name)
    )
    assert missing == []
    return markdown


def drawn(store: Store, project: Project, taken: Decision) -> dict[str, bytes]:
    return draw(project, taken, close_batches(store, project, week(5)), reigns(store, project.name))


class TestFiles:
    def test_a_report_is_its_page_its_record_and_its_plots(
        self, store: Store, registry: Registry, project: Project, taken: Decision
    ) -> None:
        published(store, registry, project, taken)
        folder = f"{project.name}/reports/{taken.id}"
        assert store.keys(folder) == [f"{folder}/{name}" for name in FILES]
        assert store.read(f"{folder}/report.json") == canonical_json(taken.record | {"judgement": taken.judgement})
        page = store.read(f"{folder}/report.md").decode()
        assert page == render(project, taken, reigns(store, project.name), {p: f"{p}.svg" for p in PLOTS})
        assert sorted(re.findall(r"\]\(([^)]*)\)", page)) == [f"{p}.svg" for p in PLOTS]

    def test_the_page_comes_last_so_that_it_means_that_all_is_there(
        self, store: Store, registry: Registry, project: Project, taken: Decision
    ) -> None:
        spy = SpyStore(store)
        published(spy, registry, project, taken)
        assert [k.rpartition("/")[2] for k in spy.written][-1] == "report.md"

    def test_what_it_returns_holds_the_plots_within(
        self, store: Store, registry: Registry, project: Project, taken: Decision
    ) -> None:
        page = published(store, registry, project, taken)
        images = re.findall(r"\]\(data:image/svg\+xml;base64,([^)]*)\)", page)
        folder = f"{project.name}/reports/{taken.id}"
        assert sorted(base64.b64decode(i) for i in images) == sorted(store.read(f"{folder}/{p}.svg") for p in PLOTS)

    def test_it_is_kept_with_the_run_of_every_challenger_and_not_of_the_champion(
        self, store: Store, registry: Registry, project: Project, taken: Decision
    ) -> None:
        published(store, registry, project, taken)
        client = mlflow.MlflowClient(project.mlflow)
        kept = {
            v: Path(urlparse(client.get_run(registry.version(v).run_id).info.artifact_uri).path) / "dethrone" / taken.id
            for v in "12"
        }
        assert sorted(p.name for p in kept["2"].iterdir()) == FILES
        for name in FILES:
            assert (kept["2"] / name).read_bytes() == store.read(f"{project.name}/reports/{taken.id}/{name}")
        assert not kept["1"].exists()


class TestAgain:
    def test_a_report_that_is_there_is_not_written_again(
        self, store: Store, registry: Registry, project: Project, taken: Decision
    ) -> None:
        first = published(store, registry, project, taken)
        before = everything(store, project)
        spy = SpyStore(store)
        assert published(spy, registry, project, taken) == first
        assert spy.written == []
        assert everything(store, project) == before

    def test_one_that_a_crash_left_unfinished_is_finished(
        self, store: Store, registry: Registry, project: Project, taken: Decision
    ) -> None:
        published(store, registry, project, taken)
        before = everything(store, project)
        for name in ("report.md", "trend.svg"):
            store.delete(f"{project.name}/reports/{taken.id}/{name}")
        published(store, registry, project, taken)
        assert everything(store, project) == before

    def test_a_later_look_at_the_same_evidence_leaves_the_report_as_it_is(
        self, store: Store, registry: Registry, project: Project, taken: Decision
    ) -> None:
        published(store, registry, project, taken)
        before = everything(store, project)
        promote(store, registry, project.name, taken.id)
        published(store, registry, project, taken)
        assert {k: v for k, v in everything(store, project).items() if k in before} == before

    def test_of_a_decision_that_this_run_recorded_no_report_is_looked_for(
        self, store: Store, registry: Registry, project: Project, taken: Decision
    ) -> None:
        closed, log = close_batches(store, project, week(5)), reigns(store, project.name)
        markdown, _ = publish(_Unlisted(store), registry, project, taken, closed, log, new=True)
        written = everything(store, project)
        assert published(store, registry, project, taken) == markdown
        assert everything(store, project) == written


class _Unlisted(WrappedStore):
    def keys(self, prefix: str) -> list[str]:
        assert "/reports/" not in prefix
        return super().keys(prefix)


class TestPlots:
    def test_every_plot_is_well_formed_svg(self, store: Store, project: Project, taken: Decision) -> None:
        figures = drawn(store, project, taken)
        assert sorted(figures) == PLOTS
        for svg in figures.values():
            root = ET.fromstring(svg)  # noqa: S314  our own
            assert root.tag == "{http://www.w3.org/2000/svg}svg"
            assert len(list(root.iter("{http://www.w3.org/2000/svg}path"))) > 5

    def test_drawing_again_gives_the_same_bytes(self, store: Store, project: Project, taken: Decision) -> None:
        first = drawn(store, project, taken)
        import matplotlib as mpl

        with mpl.rc_context({"font.size": 20, "axes.spines.top": True, "svg.hashsalt": None}):
            assert drawn(store, project, taken) == first

    def test_other_evidence_gives_other_plots(
        self, store: Store, registry: Registry, project: Project, taken: Decision
    ) -> None:
        first = drawn(store, project, taken)
        play_week(store, registry, project, 4, EQUAL)
        other = look_on(store, project, week(6))
        assert other is not None
        second = draw(project, other, close_batches(store, project, week(6)), reigns(store, project.name))
        assert [p for p in PLOTS if first[p] == second[p]] == []

    def test_without_segments_there_is_no_plot_of_them(
        self,
        store: Store,
        registry: Registry,
        make_project: Callable[..., Project],
        project: Project,
        register: Callable[..., str],
    ) -> None:
        plain = make_project(model=project.model, segments=(), policy=Policy(n_resamples=1000))
        register("x1")
        register("x2")
        taken = judged(store, registry, plain, EQUAL, weeks=1)
        page = published(store, registry, plain, taken)
        assert page.count("](data:image/svg+xml") == 3
        assert not [k for k in store.keys(f"{plain.name}/reports") if "segments" in k]


def unwritable(run_id: str, project: Project) -> str:
    """An artifact store that cannot be written to, whose errors are its own: a file lies where the folder should be."""
    place = urlparse(mlflow.MlflowClient(project.mlflow).get_run(run_id).info.artifact_uri).path
    Path(place).mkdir(parents=True)
    (Path(place) / "dethrone").write_bytes(b"")
    return rf"NotADirectoryError: .*{place}/dethrone.*"


def purged(run_id: str, project: Project) -> str:
    mlflow.MlflowClient(project.mlflow).delete_run(run_id)
    mlflow_gc.main(["--backend-store-uri", project.mlflow, "--run-ids", run_id], standalone_mode=False)
    return f"the registry holds no run {run_id}, which made a version of the model '{project.model}'"


@pytest.mark.parametrize("happens", [unwritable, purged])
def test_a_run_that_was_purged_or_takes_no_file_stops_no_report_and_is_told(
    store: Store, registry: Registry, project: Project, taken: Decision, happens: Callable[[str, Project], str]
) -> None:
    said = happens(registry.version("2").run_id, project)
    closed, entries = close_batches(store, project, week(5)), reigns(store, project.name)
    _, (missing,) = publish(store, registry, project, taken, closed, entries)
    assert re.fullmatch(f"the report is not kept in MLflow with version 2: {said}", missing)
    assert f"parcels/reports/{taken.id}/report.md" in store.keys("parcels/reports")
