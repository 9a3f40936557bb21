"""Reports of large projects: bounded in bytes and plots, with a sentence on what is left out, and all of it in report.json."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from large_projects import Large
from report_examples import cells

from analysis.tables.record import plain
from tasks.decisions import Decision
from tasks.labels.tally_files import Closed
from tasks.models.registry import Registry
from tasks.reigns import reigns
from tasks.reigns.approvals import deny
from tasks.reports.limits import LARGEST_PAGE, MOST_SEGMENTS, whole_lines
from tasks.reports.plot_style import version_color, version_line
from tasks.reports.plots import evidence_over_looks, most_points, weekly_metrics
from tasks.reports.publish import publish
from tasks.store import DirectoryStore


class Published:
    """A large project's decision and the report of it."""

    def __init__(self, large: Large, folder: Path, mlflow: str, *, denied: int = 0, **policy: Any) -> None:
        self.store, self.project, self.closed = (
            DirectoryStore(folder),
            large.project(str(folder), mlflow=mlflow, **policy),
            large.closed(),
        )
        self.look: Decision = large.decision(self.store, self.project, self.closed)
        for n in range(denied):
            deny(self.store, "large", f"2001-01-{n:02}", "ada", "not yet")
        self.page, _ = publish(
            self.store, Registry(self.project), self.project, self.look, self.closed, reigns(self.store, "large")
        )

    def read(self, name: str) -> bytes:
        return self.store.read(f"large/reports/{self.look.id}/{name}")

    @property
    def markdown(self) -> str:
        return self.read("report.md").decode()


@pytest.fixture(scope="module")
def of_segments(tmp_path_factory: pytest.TempPathFactory, mlflow_uri: str) -> Published:
    """A thousand segments, each with a guardrail."""
    large = Large(segments=1000, versions=3, rows=4000)
    return Published(large, tmp_path_factory.mktemp("segments"), mlflow_uri, segment_guardrails={"accuracy": 0.1})


class TestAThousandSegments:
    def test_twenty_are_shown_and_the_others_summed_up_in_a_line(self, of_segments: Published) -> None:
        segments = of_segments.look.judgement.assessments[1].measured.segments
        section = of_segments.markdown.partition("## Version 3 ")[2].partition("## Segments and trend")[0]
        lines = [cells(line) for line in section.splitlines() if line.startswith("| shop: ")]
        shown = {c[0].removeprefix("shop: ") for c in lines if ":" in c[2]}
        assert len(shown) == MOST_SEGMENTS
        left = [s for s in segments if s.value not in shown]
        better, worse = sum(s.interval.low > 0 for s in left), sum(s.interval.high < 0 for s in left)
        assert better > 0
        assert (
            f"{len(left)} further segments, each with fewer rows and {sum(s.pairs.n for s in left):,} together, are in `report.json`: "
            f"in {better} of them the whole interval is for the challenger, in {worse} against it." in section
        )

    def test_the_guardrails_that_are_shown_are_those_that_are_nearest_to_being_broken(
        self, of_segments: Published
    ) -> None:
        guardrails = of_segments.look.judgement.assessments[0].measured.segment_guardrails
        assert (
            f"{len(guardrails) - MOST_SEGMENTS} further segment guardrails, none of them nearer" in of_segments.markdown
        )

    def test_the_twin_has_all_of_them(self, of_segments: Published) -> None:
        twin = json.loads(of_segments.read("report.json"))
        assert twin["judgement"] == plain(of_segments.look.judgement)
        assert len(twin["judgement"]["assessments"][0]["measured"]["segments"]) > 900
        assert {k: v for k, v in twin.items() if k != "judgement"} == {
            k: v for k, v in of_segments.look.record.items() if k != "judgement"
        }

    def test_the_page_and_the_reasons_are_bounded(self, of_segments: Published) -> None:
        assert len(of_segments.markdown.encode()) < 60_000
        assert len(of_segments.page.encode()) < LARGEST_PAGE
        reasons = of_segments.look.judgement.assessments[0].reasons
        assert len(reasons) > 900
        assert f"- {len(reasons) - 40} more reasons are in `report.json`" in of_segments.markdown


@pytest.fixture(scope="module")
def of_everything(tmp_path_factory: pytest.TempPathFactory, mlflow_uri: str) -> Published:
    """Twenty versions, many segments, and long texts wherever somebody else writes them."""
    large = Large(
        batches=130, versions=20, segments=40, rows=120, failure="said " + "no, " * 5000, note="gives " + "odd " * 5000,
        reasons=60, waiting=300,
    )  # fmt: skip
    return Published(large, tmp_path_factory.mktemp("everything"), mlflow_uri, denied=9)


class TestTwentyVersions:
    def test_the_page_is_bounded_with_all_its_plots(self, of_everything: Published) -> None:
        assert len(of_everything.markdown.encode()) < LARGEST_PAGE / 2
        assert len(of_everything.page.encode()) <= LARGEST_PAGE
        assert of_everything.page.count("](data:image/svg+xml;base64,") == 4

    def test_every_version_has_its_verdict_and_the_eight_that_tell_most_a_section(
        self, of_everything: Published
    ) -> None:
        page = of_everything.markdown
        first = page.partition("| challenger | verdict | why |")[2].partition("\n\n")[0].splitlines()
        assert [cells(line)[0] for line in first[2:]] == [f"version {v}" for v in range(2, 21)]
        sections = re.findall(r"^## Version (\d+) against", page, flags=re.MULTILINE)
        by_evidence = sorted(of_everything.look.judgement.assessments, key=lambda a: -a.log_e_adjusted)
        assert sections == sorted((a.evidence.challenger.version for a in by_evidence[:8]), key=int)
        assert (
            "What follows tells of the 8 of 19 challengers with most evidence; all numbers on the others are in `report.json`."
            in page
        )

    def test_long_texts_are_shortened_and_told_so(self, of_everything: Published) -> None:
        page = of_everything.markdown
        assert max(map(len, page.splitlines())) < 3000
        assert re.search(r"it said no, no, .*… \(19,\d\d\d more characters\)", page)
        twin = json.loads(of_everything.read("report.json"))
        assert len(twin["failures"][0]["failure"]) > 19_000

    def test_rows_that_are_left_out_for_many_reasons_are_summed_up(self, of_everything: Published) -> None:
        head = next(line for line in of_everything.markdown.splitlines() if line.startswith("| rows against"))
        assert len(cells(head)) == 4 + 8 + 1
        evidence = next(e for e in of_everything.look.evidence if e.challenger.version == "2")
        assert cells(head)[-1] == f"{len(evidence.excluded) - 8} other reasons, which `report.json` has"
        counted = next(
            cells(x)
            for x in of_everything.markdown.splitlines()
            if x.startswith("| version 2 | ") and "**" in x.split("|")[3]
        )
        numbers = [int(c.strip("*").replace(",", "")) for c in counted[1:]]
        assert numbers[0] == numbers[1] + sum(numbers[3:])

    def test_of_many_denials_the_newest_are_told(self, of_everything: Published) -> None:
        assert of_everything.markdown.count("was denied by ada") == 5
        assert "- 4 earlier ones are in `reports/index.md`" in of_everything.markdown


@pytest.mark.parametrize("name", ["evidence", "differences", "segments", "trend"])
def test_plots_of_a_large_project_are_bounded_and_drawn(of_everything: Published, name: str) -> None:
    svg = of_everything.read(f"{name}.svg")
    assert len(svg) < 70_000
    assert ET.fromstring(svg).tag.endswith("svg")  # noqa: S314  our own


def test_of_many_batches_the_plots_show_some_and_say_how_many(of_everything: Published) -> None:
    assert (most_points(19), most_points(20), most_points(1)) == (15, 15, 100)
    assert b"in recall, 15 of 130 batches" in of_everything.read("evidence.svg")
    assert b"recall, 15 of 130 batches" in of_everything.read("trend.svg")


def test_a_thousand_batches_take_no_more_room_than_a_hundred(tmp_path: Path) -> None:
    sizes = []
    for number in (100, 1000):
        large = Large(batches=number, rows=20)
        store, project, closed = DirectoryStore(tmp_path / str(number)), large.project(str(tmp_path)), large.closed()
        look = large.decision(store, project, closed)
        of_versions = weekly_metrics(
            [b.tally for b in closed.batches], ["1", "2"], reigns(store, "large"), project.policy
        )
        drawn = (evidence_over_looks(look.judgement.assessments, project.policy, {}), of_versions)
        sizes.append(sum(len(d or b"") for d in drawn))
    assert abs(sizes[1] - sizes[0]) < 0.15 * sizes[0]


def test_twenty_versions_are_told_apart_by_colour_on_white_and_without_it_by_their_marks() -> None:
    versions = [str(v) for v in range(1, 21)]
    colors = [version_color(v) for v in versions]
    assert len(set(colors)) == 20
    assert len({_mark(v, 20) for v in versions}) == 20
    for color in colors:
        assert 1.05 / (_luminance(color) + 0.05) >= 3, f"{color}: the contrast that WCAG asks of graphics"
    lab = [_oklab(c) for c in colors]
    nearest = min(
        sum((x - y) ** 2 for x, y in zip(a, b, strict=True)) ** 0.5 for i, a in enumerate(lab) for b in lab[:i]
    )
    assert nearest > 0.08


def _mark(version: str, points: int) -> tuple[str, bool]:
    line = version_line(version, points, 20)
    return line["marker"], line["markerfacecolor"] == "white"


def _linear(color: str) -> list[float]:
    parts = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    return [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]


def _luminance(color: str) -> float:
    return sum(w * p for w, p in zip((0.2126, 0.7152, 0.0722), _linear(color), strict=True))


def _oklab(color: str) -> list[float]:
    """Oklab (Ottosson 2020), in which distances are as large as they look."""
    to_lms = (
        (0.4122214708, 0.5363325363, 0.0514459929),
        (0.2119034982, 0.6806995451, 0.1073969566),
        (0.0883024619, 0.2817188376, 0.6299787005),
    )
    to_lab = (
        (0.2104542553, 0.7936177850, -0.0040720468),
        (1.9779984951, -2.4285922050, 0.4505937099),
        (0.0259040371, 0.7827717662, -0.8086757660),
    )
    lms = [sum(w * p for w, p in zip(line, _linear(color), strict=True)) ** (1 / 3) for line in to_lms]
    return [sum(w * p for w, p in zip(line, lms, strict=True)) for line in to_lab]


def test_a_page_that_would_be_too_large_ends_with_a_whole_line_and_says_so() -> None:
    page = "".join(f"line {n} with an ä\n" for n in range(1000))
    cut = whole_lines(page, 5000)
    assert 4900 < len(cut.encode()) <= 5000
    *lines, said = cut.rstrip("\n").rsplit("\n\n", 1)
    assert page.startswith(lines[0] + "\n")
    assert (
        said
        == f"**This page ends here: it would have {len(page.encode()):,} bytes, and 5,000 are the most. `report.json` has all of it.**"
    )
    assert whole_lines(page, len(page.encode())) == page


def test_plots_for_which_a_page_has_no_room_are_named(of_segments: Published, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.reports.publish.LARGEST_PAGE", len(of_segments.markdown.encode()) + 60_000)
    p, closed = of_segments, Closed(of_segments.closed.batches, ())
    page, _ = publish(p.store, Registry(p.project), p.project, p.look, closed, reigns(p.store, "large"))
    inside = page.count("](data:image/svg+xml;base64,")
    assert 0 < inside < 4
    assert "There is no room here for the plots of " in page
    assert f"they are in `reports/{p.look.id}/` of the store." in page
