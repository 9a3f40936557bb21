"""The report: a plain sentence first, every section, the numbers of the judgement, and text that stays text."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from datetime import date

import polars as pl
import pytest
from parcels import decisions_frame, put_labels
from scipy import stats
from weeks import BETTER, EQUAL, WORSE, found, judged, look_on, play_week, score_rows, week

from analysis.clusters import ClusteredDifference, clustered_difference
from analysis.policy import Policy
from tasks.decisions import Look
from tasks.markdown import escape
from tasks.project import Columns, Project
from tasks.registry import Registry
from tasks.reigns import reigns
from tasks.report import render, sentence
from tasks.store import Store

SECTIONS = [
    "# parcels: who leads, judged as of 2024-02-11",
    "## What was judged",
    "## Which rows count",
    "## Segments and trend",
    "## What this does not say",
    "## Check it",
]


@pytest.fixture
def project(make_project: Callable[..., Project]) -> Project:
    return make_project(policy=Policy(n_resamples=1000))


@pytest.fixture
def two(register: Callable[..., str]) -> None:
    register("x1")
    register("x2", trained_through="2023-12-31")


def report(store: Store, project: Project, taken: Look) -> str:
    return render(project, taken, reigns(store, project), {"evidence": "evidence.svg", "trend": "trend.svg"})


def cells(line: str) -> list[str]:
    """The cells of a line of a markdown table: split where a bar is not escaped."""
    return [c.strip() for c in re.split(r"(?<!\\)\|", line.strip())[1:-1]]


def row(markdown: str, first: str) -> list[str]:
    """The one table row whose first cell is this."""
    (found_row,) = [r for line in markdown.splitlines() if line.startswith("|") and (r := cells(line))[0] == first]
    return found_row


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
        assert headings == [*SECTIONS[:3], f"## Version 2 against version 1: {verdict}", *SECTIONS[3:]]

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
        assert row(markdown, "maturity window")[1] == "14 days"
        assert row(markdown, "has to be proven")[1] == "recall better by more than 0"
        assert set(row(markdown, "guardrails")[1].split(", ")) == {
            "accuracy not worse by 0.005",
            "precision not worse by 0.03",
        }
        assert row(markdown, "alpha")[1] == "0.05: E ≥ 20 decides; prior Beta(3, 3)"
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


@pytest.mark.usefixtures("two")
class TestFewRowsAndLabels:
    """Numbers of the report alone: the record of a decision does not hold them."""

    def shown(self, store: Store, registry: Registry, project: Project, frame: pl.DataFrame) -> tuple[str, Look]:
        found(store, registry, project)
        seen = frame.filter(pl.col("label").is_not_null())
        put_labels(store, project, seen["id"].to_list(), seen["label"].to_list(), week(0))
        score_rows(store, registry, project, frame.drop("label"))
        taken = look_on(store, project, week(2))
        assert taken is not None
        return report(store, project, taken), taken

    def test_with_few_disagreements_the_segments_are_compared_exactly(
        self, store: Store, registry: Registry, project: Project
    ) -> None:
        counts = {
            "north": {(1, 0, 1): 6, (1, 1, 0): 1, (1, 1, 1): 5, (0, 0, 0): 9},
            "south": {(1, 1, 0): 4, (1, 1, 1): 5},
        }
        frame = pl.concat([decisions_frame(n, prefix=region, region=region) for region, n in counts.items()])
        markdown, taken = self.shown(store, registry, project, frame)
        exact = math.comb(7, 1) * math.comb(4, 4) / math.comb(11, 5)  # one loss of 7 and 4 of 4, and nothing is as rare
        assert stats.fisher_exact([[6, 1], [0, 4]]).pvalue == pytest.approx(exact)
        assert f"Win share equal across region: p = {exact:.2g} (exact: expected counts below 5)." in markdown
        assert "homogeneity_p_value" in str(taken.record)
        assert f"{exact:.12g}" not in str(taken.record)

    @pytest.mark.parametrize(("wins", "insufficient"), [(8, True), (9, False)])
    def test_too_few_disagreements_are_called_insufficient_evidence_and_not_a_tie(
        self, store: Store, registry: Registry, project: Project, wins: int, insufficient: bool
    ) -> None:
        markdown, _ = self.shown(
            store, registry, project, decisions_frame({(1, 0, 1): wins, (1, 1, 1): 5, (0, 0, 0): 9})
        )
        assert row(markdown, "disagreements")[1] == f"{wins}: {wins} won, 0 lost" + insufficient * (
            "; **insufficient evidence**: with fewer than 9 nothing can be proven, nor that there is no difference"
        )

    def test_with_no_wins_to_compare_the_segments_are_not_tested(
        self, store: Store, registry: Registry, project: Project
    ) -> None:
        markdown, _ = self.shown(store, registry, project, decisions_frame({(1, 1, 0): 4, (0, 0, 0): 5}))
        assert (
            "Win share equal across region: not tested, fewer than two segments with disagreements to compare."
            in markdown
        )

    def test_where_labels_are_missing_it_says_whether_they_follow_the_decisions(
        self, store: Store, registry: Registry, project: Project
    ) -> None:
        """Of 40 rows in each cell of decisions 10, 20, 20 and 30 are labelled: no difference between the models' own rows."""
        labelled = {(0, 0): 10, (0, 1): 20, (1, 0): 20, (1, 1): 30}
        rows = [decisions_frame({(1, *d): n}, prefix=f"l{d}") for d, n in labelled.items()]
        missing = [decisions_frame({(1, *d): 40 - n}, prefix=f"u{d}") for d, n in labelled.items()]
        frame = pl.concat([*rows, *(m.with_columns(label=pl.lit(None, dtype=pl.Int64)) for m in missing)])
        markdown, _ = self.shown(store, registry, project, frame)
        own = row(markdown, "flagged by one model alone: champion or challenger")
        assert own[1:] == ["p = 1", "a small p makes a judgement invalid"]
        p = stats.chi2.sf(2 * 40 * 0.25**2 / 0.25, 3)
        every = row(markdown, "all four pairs of decisions")
        assert every[1] == f"p = {p:.2g}"
        assert every[2].startswith("a small p may be harmless: what both flag may have another base rate")

    def test_rows_that_share_entities_have_an_estimate_with_an_interval_of_entities(
        self, store: Store, registry: Registry, project: Project
    ) -> None:
        """Ten customers with three positives won each, five with two lost: (30 - 10) / 40 over all rows."""
        shared = project.model_copy(update={"columns": Columns(entity="customer")})
        frame = decisions_frame({(1, 0, 1): 30, (1, 1, 0): 10, (0, 0, 0): 9})
        customers = [i // 3 for i in range(30)] + [10 + i // 2 for i in range(10)] + [99] * 9
        markdown, taken = self.shown(store, registry, shared, frame.with_columns(customer=pl.Series(customers)))
        expected = clustered_difference([3] * 10 + [-2] * 5, [3] * 10 + [2] * 5)
        assert isinstance(expected, ClusteredDifference)
        interval = expected.interval(0.9)
        line = row(markdown, "all rows of every entity, recall")[1]
        assert line.startswith(
            f"{0.5:+.4f}, 90 % interval {interval.low:+.4f} to {interval.high:+.4f} (robust to what rows of an entity share); p = "
        )
        assert line.endswith("at one look (15 entities)")
        assert f"{expected.standard_error:.12g}" not in str(taken.record)

    def test_where_entities_do_not_differ_there_is_a_test_without_an_interval(
        self, store: Store, registry: Registry, project: Project
    ) -> None:
        shared = project.model_copy(update={"columns": Columns(entity="customer")})
        frame = decisions_frame({(1, 0, 1): 8, (0, 0, 0): 8}).with_columns(customer=pl.int_range(16) // 2)
        line = row(self.shown(store, registry, shared, frame)[0], "all rows of every entity, recall")[1]
        assert line.startswith("no interval, no entity differs from the others; p = ")

    def test_where_every_row_is_labelled_it_says_nothing_of_shares(
        self, store: Store, registry: Registry, project: Project
    ) -> None:
        markdown, _ = self.shown(store, registry, project, decisions_frame(BETTER))
        assert "labelled equally often" not in markdown


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
    told = [
        line for line in markdown.splitlines() if line.startswith("Version 2 has no decisions in batch 2024-01-14: it ")
    ]
    assert len(told) == 1
    assert r"its tag 'threshold' is '\| \<b\> \# h'" in told[0]
    assert date(2024, 1, 14) == week(1)
