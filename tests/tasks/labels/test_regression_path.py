"""Models that predict numbers, from rows to the decision and its report, with real models in a real MLflow.

Version 1 leads; version 2 errs less, version 3 as much, version 4 more.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from datetime import timedelta
from xml.etree import ElementTree as ET

import numpy as np
import pandas as pd
import polars as pl
import pytest
from parcels import register_version
from played import Gives, Played, cells, play
from played import register_echo as register
from scipy import stats
from sklearn.linear_model import LinearRegression
from sklearn.metrics import mean_absolute_error, mean_squared_error, root_mean_squared_error
from weeks import look_on, predictions, week

from analysis.any_look.asymptotic import rho_squared
from analysis.any_look.batch_unit import log_e_symmetric
from analysis.evidence.tally import UNLABELLED, pair_table
from analysis.kinds import REGRESSION
from analysis.kinds.score_sums import pair_sums
from analysis.policy import Policy
from demo.season_report import tell
from tasks.base.project import Project
from tasks.labels.tallying import close_batches
from tasks.models.registry import Registry
from tasks.reigns import reigns
from tasks.reports.publish import draw
from tasks.reports.report import render
from tasks.reports.report_verdicts import sentence

ERRS = {"1": 2.0, "2": 1.5, "3": 2.0, "4": 2.6}
WEEKS, ROWS = 4, 750
POLICY = Policy(
    task="regression", min_gain=0.1, guardrails={"absolute_error": 0.1}, error_budget="family", n_resamples=1000
)
LOSS: dict[str, Callable[[np.ndarray], np.ndarray]] = {"squared_error": np.square, "absolute_error": np.abs}


def prices(number: int, n: int = ROWS) -> pl.DataFrame:
    """One week of rows: what each version will predict stands in its column, with an error beside the one that all share."""
    rng = np.random.default_rng(20 + number)
    y = rng.gamma(3, 4, n)
    shared = rng.normal(0, 1, n)
    columns = {f"x{v}": y + shared + rng.normal(0, sd, n) for v, sd in ERRS.items()}
    seen = pl.Series("label", y).to_frame().select(pl.when(pl.Series(rng.random(n) < 0.95)).then(pl.col("label")))
    region = rng.choice(["north", "south"], n)
    return pl.DataFrame(
        {"id": [f"{number}-{i}" for i in range(n)], "region": region, **columns, "label": seen["label"]}
    )


class PlayedNumbers(Played):
    def gains(self, version: str, name: str) -> np.ndarray:
        """By how much the challenger's loss is lower, row by row."""
        y, c, h = self.labelled(version)
        return LOSS[name](c - y) - LOSS[name](h - y)


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory, mlflow_uri: str) -> PlayedNumbers:
    project = Project(
        name="prices",
        store=str(tmp_path_factory.mktemp("prices") / "store"),
        mlflow=mlflow_uri,
        model=f"prices-{uuid.uuid4().hex[:8]}",
        task="regression",
        segments=("region",),
        maturity_days=14,
        policy=POLICY,
    )
    return play(PlayedNumbers, project, list(ERRS), [prices(number) for number in range(WEEKS)], register)


class TestVerdicts:
    @pytest.mark.parametrize(("version", "verdict"), [("2", "PROMOTE"), ("3", "WAIT"), ("4", "RETIRE")])
    def test_the_better_is_promoted_the_equal_waits_the_worse_retires(
        self, played: PlayedNumbers, version: str, verdict: str
    ) -> None:
        assert played.against(version).verdict.value == verdict
        assert played.look.promote == "2"

    def test_the_sentence_says_that_the_loss_is_lower(self, played: PlayedNumbers) -> None:
        low = played.against("2").measured.interval.low  # type: ignore[union-attr]
        assert low > POLICY.min_gain
        said = f"its squared_error is proven to be lower by at least {low:.5g}, and every guardrail is proven to hold."
        assert sentence(played.project, played.look).endswith(said)

    def test_the_decision_is_kept_whole_and_is_found_again(self, played: PlayedNumbers) -> None:
        kept = json.loads(played.store.read(f"prices/decisions/{played.look.id}.json"))
        (batch, *_) = kept["judgement"]["assessments"][0]["evidence"]["batches"]
        assert batch["scores"]["squared_error"]["n"] == played.rows[:ROWS]["label"].count()
        again = look_on(played.store, played.project, week(WEEKS + 1) + timedelta(days=1))
        assert again is not None
        assert (again.id, again.record) == (played.look.id, played.look.record)


@pytest.mark.parametrize("version", ["2", "3", "4"])
class TestNumbersOfTheRows:
    """Whatever is said of a pair is what the raw rows say, computed by somebody else."""

    def test_the_losses_of_both_models(self, played: PlayedNumbers, version: str) -> None:
        y, c, h = played.labelled(version)
        metrics = played.against(version).measured.metrics
        for name, of in (("squared_error", mean_squared_error), ("absolute_error", mean_absolute_error)):
            found_metric, gains = metrics[name], played.gains(version, name)  # type: ignore[index]
            assert (found_metric.champion, found_metric.challenger) == pytest.approx((of(y, c), of(y, h)))  # type: ignore[union-attr]
            assert found_metric.value == pytest.approx(-gains.mean())  # type: ignore[union-attr]
            assert found_metric.standard_error == pytest.approx(gains.std() / len(gains) ** 0.5)  # type: ignore[union-attr]

    def test_the_evidence_and_the_guardrail(self, played: PlayedNumbers, version: str) -> None:
        m = played.against(version).measured
        (guardrail,) = m.guardrails
        first = played.rows[:ROWS]["label"].count()
        for name, null, ours in (("squared_error", 0.1, m.log_e), ("absolute_error", -0.1, guardrail.log_e)):
            gains = played.gains(version, name)  # type: ignore[arg-type]
            z_sum = (gains.mean() - null) * len(gains) / gains.std()
            expected = log_e_symmetric(z_sum, len(gains), rho=rho_squared(0.1, 13 * first))
            assert ours == pytest.approx(float(expected), rel=1e-9)
        assert (m.method, guardrail.metric, guardrail.method) == ("asymptotic", "absolute_error", "asymptotic")

    def test_students_t(self, played: PlayedNumbers, version: str) -> None:
        losses = played.against(version).measured.losses
        for name in LOSS:
            student = stats.ttest_1samp(played.gains(version, name), 0, alternative="greater")
            ours = losses[name]  # type: ignore[index]
            assert (ours.statistic, ours.p_value) == pytest.approx((student.statistic, student.pvalue), rel=1e-9)  # type: ignore[union-attr]
        gains = played.gains(version, "squared_error")
        low, high = stats.t.interval(0.9, len(gains) - 1, gains.mean(), stats.sem(gains))
        interval = played.against(version).measured.paired_interval
        assert (interval.low, interval.high) == pytest.approx((low, high), rel=1e-9)  # type: ignore[union-attr]

    def test_the_last_weeks(self, played: PlayedNumbers, version: str) -> None:
        recent = played.against(version).measured.recent
        assert recent == played.against(version).measured.metrics["squared_error"], "no more than eight batches yet"


class TestStored:
    def test_a_version_says_one_number_a_row_and_has_no_threshold(self, played: PlayedNumbers) -> None:
        (batch, *_) = close_batches(played.store, played.project, week(WEEKS + 1)).batches
        said = predictions(played.store, batch.manifest, "2")
        assert said.schema == {"id": pl.String, "score": pl.Float64}
        assert said["score"].to_list() == played.rows[:ROWS]["x2"].to_list()
        registry = Registry(played.project)
        for scored in batch.manifest.scored:
            assert scored.contender is not None
            assert scored.contender.threshold is None
            assert scored.contender.digest == registry.load(scored.version).digest

    def test_a_tally_counts_rows_and_their_losses_lie_beside_it(self, played: PlayedNumbers) -> None:
        (batch, *_) = close_batches(played.store, played.project, week(WEEKS + 1)).batches
        labelled = played.rows[:ROWS]["label"].count()
        assert pair_table(batch.tally.frame, "1", "2", REGRESSION).n == labelled
        assert batch.tally.frame["n"].sum() == ROWS
        assert batch.tally.scores is not None
        assert pair_sums(batch.tally.scores, "3", "2")["squared_error"].n == labelled

    def test_every_row_is_counted_or_explained(self, played: PlayedNumbers) -> None:
        for a in played.look.judgement.assessments:
            missing = played.rows["label"].null_count()
            assert a.evidence.excluded == {UNLABELLED: missing}
            assert a.measured.counts.n + missing == WEEKS * ROWS

    def test_a_regression_of_scikit_learn_predicts_and_a_threshold_means_nothing(
        self, make_project: Callable[..., Project]
    ) -> None:
        project = make_project(task="regression", policy=POLICY)
        line = LinearRegression().fit(pd.DataFrame({"x": [0.0, 1.0]}), [-10, 30])
        version = register_version(project, "x", model=line, threshold="high")
        registry = Registry(project)
        assert registry.load(version)(pl.DataFrame({"x": [2.0, -1.0]})).tolist() == pytest.approx([70, -50])
        assert registry.version(version).threshold is None

    def test_a_model_of_unknown_make_predicts_too(self, make_project: Callable[..., Project]) -> None:
        project = make_project(task="regression", policy=POLICY)
        version = register_version(project, "x", model=Gives(lambda x: -x), threshold=None)
        assert Registry(project).load(version)(pl.DataFrame({"x": [2.0, 3.0]})).tolist() == [-2.0, -3.0]


@pytest.fixture(scope="module")
def markdown(played: PlayedNumbers) -> str:
    return render(played.project, played.look, reigns(played.store, played.project.name), {"trend": "trend.svg"})


class TestReport:
    def test_it_has_both_losses_and_the_root_with_students_t(self, played: PlayedNumbers, markdown: str) -> None:
        section = next(p for p in markdown.split("\n## ") if p.startswith("Version 2 against version 1: PROMOTE"))
        table = next(b for b in section.split("\n\n") if b.startswith("| loss")).splitlines()
        rows = {cells(line)[0]: cells(line)[1:] for line in table[2:]}
        assert list(rows) == ["mean squared error", "its root (RMSE)", "mean absolute error"]
        y, c, h = played.labelled("2")
        assert rows["mean squared error"][:2] == [f"{mean_squared_error(y, p):.5g}" for p in (c, h)]
        assert rows["its root (RMSE)"][:2] == [f"{root_mean_squared_error(y, p):.5g}" for p in (c, h)]
        assert rows["mean absolute error"][:2] == [f"{mean_absolute_error(y, p):.5g}" for p in (c, h)]
        gains = played.gains("2", "squared_error")
        low, high = stats.t.interval(0.9, len(gains) - 1, gains.mean(), stats.sem(gains))
        value, interval, test = rows["mean squared error"][2:]
        assert value == f"{-gains.mean():+.5g} ± {gains.std() / len(gains) ** 0.5:.5g}"
        assert interval == f"{-high:+.5g} to {-low:+.5g}"
        assert test.startswith(f"t {stats.ttest_1samp(gains, 0).statistic:.2f}, {len(gains) - 1:,} df, p ")

    def test_it_speaks_of_nothing_that_numbers_do_not_have(self, markdown: str) -> None:
        for word in (
            "McNemar",
            "bootstrap",
            "Newcombe",
            "| threshold |",
            "of them positive",
            "disagreements",
            "prior Beta",
        ):
            assert word not in markdown
        assert "losses of numbers are not summed by segment" in markdown

    def test_its_tables_have_as_many_cells_in_every_row_as_in_their_head(self, markdown: str) -> None:
        tables = [b.splitlines() for b in markdown.split("\n\n") if b.startswith("|")]
        assert len(tables) >= 3 * 3 + 4
        for table in tables:
            assert {len(cells(line)) for line in table} == {len(cells(table[0]))}

    def test_its_plots_are_well_formed(self, played: PlayedNumbers) -> None:
        closed = close_batches(played.store, played.project, week(WEEKS + 1))
        figures = draw(played.project, played.look, closed, reigns(played.store, played.project.name))
        assert sorted(figures) == ["differences", "evidence", "trend"]
        for svg in figures.values():
            assert ET.fromstring(svg).tag == "{http://www.w3.org/2000/svg}svg"  # noqa: S314  our own
        assert b"difference, % of the champion's loss" in figures["differences"]
        for title in (b"squared error (lower is better)", b"absolute error (lower is better)"):
            assert title in figures["trend"]

    def test_a_season_is_told_in_its_own_losses(self, played: PlayedNumbers) -> None:
        told = tell(played.store, played.project)
        head_row, *rows = [cells(line) for line in told.splitlines() if line.startswith("|")]
        assert head_row[-2:] == ["squared error served", "absolute error served"]
        y, c, _ = played.labelled("2")
        own = next(row for row in rows if row[0] == "**Dethrone's policy**")
        assert own[-2:] == [f"{mean_squared_error(y, c):.5g}", f"{mean_absolute_error(y, c):.5g}"]
        assert "squared\\_error \\< squared\\_error\\_live" in told
        assert "paired t p \\< 0.05 each week" in told
