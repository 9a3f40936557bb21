"""What a report says of few rows, of missing labels and of rows that share entities, beside the numbers on record."""

from __future__ import annotations

import math
from collections.abc import Callable

import polars as pl
import pytest
from parcels import decisions_frame, put_labels
from report_examples import cells as cells_of
from report_examples import report, row
from scipy import stats
from weeks import BETTER, EQUAL, WORSE, found, judged, look_on, play_week, score_rows, week

from analysis.one_look.clusters import ClusteredDifference, clustered_difference
from analysis.policy import Policy
from tasks.base.project import Columns, Project
from tasks.decisions import Decision
from tasks.decisions.promotion import promote, roll_back
from tasks.models.registry import Registry
from tasks.store import Store


@pytest.fixture
def project(make_project: Callable[..., Project]) -> Project:
    return make_project(policy=Policy(error_budget="family", n_resamples=1000))


@pytest.mark.usefixtures("two")
class TestFewRowsAndLabels:
    """Numbers of the report alone: the record of a decision does not hold them."""

    def shown(self, store: Store, registry: Registry, project: Project, frame: pl.DataFrame) -> tuple[str, Decision]:
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
            "; **insufficient evidence**: with fewer than 9 no difference can be proven"
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
        own = row(markdown, "missing at one rate, whichever model alone flagged, within each class")
        assert own[1].startswith("E = 0.")
        assert own[2] == "20 or more makes the judgement invalid"
        assert "40 of the 80 rows on which the two disagree have no label. The verdict takes it that" in markdown
        p = stats.chi2.sf(2 * 40 * 0.25**2 / 0.25, 3)
        every = row(markdown, "labelled equally often in all four pairs of decisions")
        assert every[1] == f"p = {p:.2g}"
        assert every[2].startswith("a small p may be harmless: what both flag may have another base rate")

    @pytest.mark.parametrize(("unlabelled", "drawn"), [("worst_case", "Dirichlet-½"), ("begg_greenes", "multinomial")])
    def test_an_assumption_about_labels_makes_no_rows_and_its_draws_are_named(
        self, store: Store, registry: Registry, project: Project, unlabelled: str, drawn: str
    ) -> None:
        assumed = project.model_copy(update={"policy": Policy(n_resamples=1000, unlabelled=unlabelled)})  # type: ignore[arg-type]
        cells = {(1, 0, 1): 9, (1, 1, 0): 8, (0, 0, 1): 3, (0, 1, 0): 2, (1, 1, 1): 20, (0, 0, 0): 40}
        frame = decisions_frame(cells | {(None, 0, 1): 6, (None, 1, 0): 5, (None, 1, 1): 4})
        markdown, _ = self.shown(store, registry, assumed, frame)
        assert row(markdown, "rows against the champion")[:4] == [
            "rows against the champion",
            "all",
            "counted",
            "of them positive",
        ]
        assert [r[:4] for r in map(cells_of, markdown.splitlines()) if r[:2] == ["version 2", "97"]] == [
            ["version 2", "97", "**82**", "37"]
        ]
        assert f"1,000 {drawn} draws, one look" in markdown

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


@pytest.mark.usefixtures("two")
class TestRollbackGuard:
    """The former champion goes on as a challenger: an early word where it looks better again, at alpha 0.2."""

    def after_a_promotion(self, store: Store, registry: Registry, project: Project, since: dict, weeks: int) -> str:
        promote(store, registry, project.name, judged(store, registry, project, BETTER).id)
        for number in range(6, 6 + weeks):
            play_week(store, registry, project, number, since)
        taken = look_on(store, project, week(7 + weeks))
        assert taken is not None
        return report(store, project, taken)

    def test_a_former_champion_that_looks_better_again_is_told_before_it_has_proven_it(
        self, store: Store, registry: Registry, project: Project
    ) -> None:
        markdown = self.after_a_promotion(store, registry, project, WORSE, 1)
        assert (
            "> **Rollback guard.** On the batches since version 2 took over, the evidence that version 1, which led before, is "
            "better is E = "
        ) in markdown
        assert "an alpha of 0.2 would act on it" in markdown

    @pytest.mark.parametrize(("since", "weeks"), [(BETTER, 1), (EQUAL, 2)], ids=["better", "equal"])
    def test_a_promotion_that_bears_out_is_not_doubted(
        self, store: Store, registry: Registry, project: Project, since: dict, weeks: int
    ) -> None:
        assert "Rollback guard" not in self.after_a_promotion(store, registry, project, since, weeks)

    def test_after_a_rollback_the_version_that_was_taken_back_is_not_advertised(
        self, store: Store, registry: Registry, project: Project
    ) -> None:
        promote(store, registry, project.name, judged(store, registry, project, BETTER).id)
        roll_back(store, registry, project.name, since=week(6), author="ada", reason="too many false alarms")
        play_week(store, registry, project, 7, BETTER)
        taken = look_on(store, project, week(9))
        assert taken is not None
        assert taken.judgement.assessments[0].measured.log_e > math.log(5)
        assert "Rollback guard" not in report(store, project, taken)

    def test_data_that_cannot_carry_a_judgement_guard_nothing(
        self, store: Store, registry: Registry, project: Project
    ) -> None:
        promote(store, registry, project.name, judged(store, registry, project, BETTER).id)
        frame = decisions_frame(WORSE | {(None, 1, 0): 600}, prefix="late-")
        seen = frame.filter(pl.col("label").is_not_null())
        put_labels(store, project, seen["id"].to_list(), seen["label"].to_list(), week(7), name="late")
        score_rows(store, registry, project, frame.drop("label"), week(6))
        taken = look_on(store, project, week(8))
        assert taken is not None
        (found_,) = taken.judgement.assessments
        assert (found_.verdict.value, found_.measured.log_e > math.log(5)) == ("INVALID", True)
        assert "Rollback guard" not in report(store, project, taken)

    def test_before_any_promotion_and_once_it_is_proven_there_is_nothing_to_guard(
        self, store: Store, registry: Registry, project: Project
    ) -> None:
        assert "Rollback guard" not in report(store, project, judged(store, registry, project, BETTER))
        proven = self.after_a_promotion(store, registry, project, WORSE, 4)
        assert "PROMOTE version 1" in proven
        assert "Rollback guard" not in proven
