"""The report: a plain sentence first, every section, the numbers of the judgement, and text that stays text."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date

import polars as pl
import pytest
from parcels import decisions_frame, put_labels
from report_examples import cells, report, row
from weeks import BETTER, EQUAL, WORSE, found, judged, look_on, play_week, score_rows, week

from analysis.policy import Policy
from tasks.base.markdown import escape
from tasks.base.project import Project
from tasks.models.registry import Registry
from tasks.reports.report_verdicts import sentence
from tasks.store import Store

SECTIONS = [
    "# parcels: who leads, judged as of 2024-02-11",
    "## What was judged",
    "## The champion itself",
    "## Which rows count",
    "## Segments and trend",
    "## What this does not say",
    "## Check it",
]


@pytest.fixture
def project(make_project: Callable[..., Project]) -> Project:
    return make_project(policy=Policy(error_budget="family", n_resamples=1000))


@pytest.fixture
def two(register: Callable[..., str]) -> None:
    register("x1")
    register("x2", trained_through="2023-12-31")


@pytest.mark.usefixtures("two")
class TestSentence:
    def test_a_promotion_says_who_takes_over_from_whom_and_what_is_proven(
        self, store: Store, registry: Registry, project: Project
    ) -> None:
        taken = judged(store, registry, project, BETTER)
        low = taken.judgement.assessments[0].measured.interval.low
        assert low > 0
        assert sentence(project, taken) == (
            f"Version 2 takes over from version 1 in parcels: its recall is proven to be higher by at least {low:.4f}, "
            "and every guardrail is proven to hold."
        )

    @pytest.mark.parametrize(("counts", "verdict"), [(EQUAL, "WAIT"), (WORSE, "RETIRE")])
    def test_no_promotion_says_who_stays_and_every_verdict(
        self,
        store: Store,
        registry: Registry,
        project: Project,
        counts: dict[tuple[int, ...], int],
        verdict: str,
    ) -> None:
        taken = judged(store, registry, project, counts)
        assert sentence(project, taken) == (
            f"Version 1 stays the champion of parcels: no challenger has proven to be better (version 2: {verdict})."
        )


@pytest.mark.usefixtures("two")
class TestPage:
    @pytest.mark.parametrize(("counts", "head"), [(BETTER, "PROMOTE version 2"), (EQUAL, "No change")])
    def test_it_begins_with_the_sentence_and_has_every_section_in_order(
        self, store: Store, registry: Registry, project: Project, counts: dict[tuple[int, ...], int], head: str
    ) -> None:
        taken = judged(store, registry, project, counts)
        markdown = report(store, project, taken)
        lines = [line for line in markdown.splitlines() if line]
        verdict = taken.judgement.assessments[0].verdict.value
        assert lines[:2] == [SECTIONS[0], f"> **{head}.** {sentence(project, taken)}"]
        headings = [line for line in lines if line.startswith("#")]
        assert headings == [*SECTIONS[:4], f"## Version 2 against version 1: {verdict}", *SECTIONS[4:]]

    def test_its_tables_have_as_many_cells_in_every_row_as_in_their_head(
        self, store: Store, registry: Registry, project: Project
    ) -> None:
        blocks = report(store, project, judged(store, registry, project, BETTER)).split("\n\n")
        tables = [b.splitlines() for b in blocks if b.startswith("|")]
        assert len(tables) >= 9
        for table in tables:
            assert {len(cells(line)) for line in table} == {len(cells(table[0]))}

    def test_its_numbers_are_those_of_the_judgement(self, store: Store, registry: Registry, project: Project) -> None:
        taken = judged(store, registry, project, BETTER)
        markdown = report(store, project, taken)
        n = {cell: 4 * count for cell, count in BETTER.items()}
        flagged = {v: sum(k for (y, *d), k in n.items() if y == 1 and d[v]) for v in (0, 1)}
        positives = sum(k for (y, *_), k in n.items() if y == 1)
        assert row(markdown, "label 1 (400)") == ["label 1 (400)", "challenger flags", "challenger passes"]
        assert f"| **champion flags** | {n[1, 1, 1]} | {n[1, 1, 0]} |" in markdown
        assert f"| **champion passes** | {n[1, 0, 1]} | {n[1, 0, 0]} |" in markdown
        assert f"| **champion passes** | {n[0, 0, 1]} | {n[0, 0, 0]} |" in markdown
        recall = row(markdown, "recall")
        assert recall[1:3] == [f"{flagged[0] / positives:.4f}", f"{flagged[1] / positives:.4f}"]
        assert recall[3].startswith(f"{(flagged[1] - flagged[0]) / positives:+.4f} ± ")
        assert recall[5].endswith(f"({n[1, 0, 1]} : {n[1, 1, 0]})")
        m = taken.judgement.assessments[0].measured
        assert row(markdown, "gain in recall")[1].startswith(f"{m.interval.low:+.4f} to {m.interval.high:+.4f} (90 %")
        assert row(markdown, "disagreements")[1] == f"{n[1, 0, 1] + n[1, 1, 0]}: {n[1, 0, 1]} won, {n[1, 1, 0]} lost"
        assert row(markdown, "region: north")[1:3] == [f"{positives}", f"{n[1, 0, 1]} : {n[1, 1, 0]}"]

    @pytest.mark.parametrize(
        ("counts", "verdict"),
        [
            (BETTER, r"\*\*PROMOTE\*\*: it takes over"),
            (EQUAL, r"\*\*WAIT\*\*: not enough evidence yet"),
            (WORSE, r"\*\*RETIRE\*\*: stop scoring it"),
        ],
    )
    def test_its_first_table_says_the_verdict_on_the_challenger_and_why(
        self, store: Store, registry: Registry, project: Project, counts: dict[tuple[int, ...], int], verdict: str
    ) -> None:
        taken = judged(store, registry, project, counts)
        first = next(b for b in report(store, project, taken).split("\n\n") if b.startswith("|")).splitlines()
        assert cells(first[0]) == ["challenger", "verdict", "why"]
        version, said, why = cells(first[2])
        assert version == "version 2"
        assert re.fullmatch(verdict, said)
        assert re.search(r"\d", why), "a reason has a number"

    def test_it_says_what_was_judged(self, store: Store, registry: Registry, project: Project) -> None:
        taken = judged(store, registry, project, BETTER)
        markdown = report(store, project, taken)
        assert row(markdown, "decision")[1] == f"`{taken.id}`"
        assert row(markdown, "reign")[1] == "1, of version 1, since 2024-01-07"
        assert row(markdown, "registered model")[1] == escape(project.model)
        assert row(markdown, "closed batches")[1] == "4: 2024-01-07 to 2024-01-28"
        assert row(markdown, "maturity window")[1] == "14 days; a day ends at midnight UTC"
        assert row(markdown, "has to be proven")[1] == "recall better by more than 0"
        assert set(row(markdown, "guardrails")[1].split(", ")) == {
            "accuracy not worse by 0.005",
            "precision not worse by 0.03",
        }
        assert row(markdown, "alpha")[1] == "0.05; prior Beta(3, 3)"
        assert row(markdown, "least evidence")[1] == "4 closed batches"
        digests = [taken.evidence[0].champion.digest[:16], taken.evidence[0].challenger.digest[:16]]
        assert f"| version 1 | champion | 0.5 | not tagged | `{digests[0]}` |" in markdown
        assert f"| version 2 | challenger | 0.5 | 2023-12-31 | `{digests[1]}` |" in markdown
        assert f"seed {taken.record['seed']}" in markdown
        assert "python -m flows.judge parcels --as-of 2024-02-11 --dry-run" in markdown

    def test_every_row_is_counted_or_left_out_for_a_reason(
        self, store: Store, registry: Registry, project: Project
    ) -> None:
        taken = judged(store, registry, project, EQUAL)
        play_week(store, registry, project, 4, EQUAL)
        for key in store.keys(f"{project.name}/decisions"):
            store.delete(key)
        again = look_on(store, project, week(5))
        assert again is not None
        rows, waiting = 4 * sum(EQUAL.values()), sum(EQUAL.values())
        markdown = report(store, project, again)
        header, counted = (line for line in markdown.splitlines() if "rows against" in line or f"**{rows:,}**" in line)
        assert cells(header)[4:] == ["batch not closed"]
        assert cells(counted) == ["version 2", f"{rows + waiting:,}", f"**{rows:,}**", "400", f"{waiting}"]
        assert taken.evidence[0].excluded == {}

    def test_only_the_plots_that_were_drawn_are_shown(self, store: Store, registry: Registry, project: Project) -> None:
        markdown = report(store, project, judged(store, registry, project, EQUAL))
        assert re.findall(r"!\[[^]]*\]\(([^)]*)\)", markdown) == ["evidence.svg", "trend.svg"]

    def test_it_is_the_same_whenever_it_is_written_again(
        self, store: Store, registry: Registry, project: Project
    ) -> None:
        first = report(store, project, judged(store, registry, project, BETTER))
        again = look_on(store, project, week(9))
        assert again is not None
        assert report(store, project, again) == first

    def test_on_the_evidence_of_a_single_batch_it_stands_too(
        self, store: Store, registry: Registry, project: Project
    ) -> None:
        markdown = report(store, project, judged(store, registry, project, {(1, 0, 1): 1, (0, 0, 0): 1}, weeks=1))
        assert "**WAIT**: not enough evidence yet" in markdown
        assert "undefined: " in markdown

    def test_without_a_single_label_it_stands_too(self, store: Store, registry: Registry, project: Project) -> None:
        found(store, registry, project)
        frame = decisions_frame(BETTER)
        score_rows(store, registry, project, frame.drop("label"))
        put_labels(store, project, ["other"], [1], week(0))
        taken = look_on(store, project, week(2))
        assert taken is not None
        markdown = report(store, project, taken)
        assert f"| version 2 | {frame.height} | **0** | 0 | {frame.height} |" in markdown


HOSTILE = [
    "x | y <b>",
    "# h",
    "`code`",
    "a\nb",
    "[link](javascript:x)",
    "![i](x)",
    "\\",
    "$x$",
    "&lt;",
    "~~s~~",
    "*e*",
    "a | ",
]


@pytest.mark.usefixtures("two")
class TestTextOfOthers:
    """Segment values, failures and names come from data and models: they may not become markup."""

    @pytest.fixture
    def markdown(self, store: Store, registry: Registry, project: Project) -> str:
        found(store, registry, project)
        frames = [decisions_frame(BETTER, prefix=f"{n}-", region=region) for n, region in enumerate(HOSTILE)]
        frame = pl.concat(frames)
        put_labels(store, project, frame["id"].to_list(), frame["label"].to_list(), week(0))
        score_rows(store, registry, project, frame.drop("label"))
        taken = look_on(store, project, week(2))
        assert taken is not None
        return report(store, project, taken)

    def test_every_segment_value_stays_in_its_cell(self, markdown: str) -> None:
        for value in HOSTILE:
            line = row(markdown, escape(f"region: {value}"))
            assert len(line) == 5
            assert line[1] == f"{sum(n for (y, *_), n in BETTER.items() if y == 1)}"
            assert re.sub(r"\\(.)", r"\1", line[0]) == " ".join(f"region: {value}".split())

    def test_no_segment_value_adds_a_heading_a_link_or_a_tag(self, markdown: str) -> None:
        headings = [line for line in markdown.splitlines() if line.startswith("#")]
        assert len(headings) == len(SECTIONS) + 1
        assert not re.search(r"(?<!\\)<b>", markdown)
        assert "javascript" in markdown
        assert not re.search(r"(?<!\\)\]\((?!evidence\.svg|trend\.svg)", markdown)


def test_a_failure_is_told_with_its_batch_and_cannot_break_out(
    store: Store, registry: Registry, project: Project, register: Callable[..., str]
) -> None:
    register("x1")
    register("x2")
    found(store, registry, project)
    play_week(store, registry, project, 0, BETTER)
    registry.set_tags("2", {"threshold": "| <b>\n# h"})
    play_week(store, registry, project, 1, BETTER)
    taken = look_on(store, project, week(3))
    assert taken is not None
    markdown = report(store, project, taken)
    (told,) = [line for line in markdown.splitlines() if line.startswith("| version 2 | **WAIT**")]
    assert "; it failed in 1 of 2 batches, last in 2024-01-14: it failed to load: " in told
    assert r"its tag 'threshold' is '\| \<b\> \# h'" in told
    assert date(2024, 1, 14) == week(1)
