"""Models that predict numbers, from rows to the decision and its report, with real models in a real MLflow.

Version 1 leads; version 2 errs less, version 3 as much, version 4 more.
"""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import pytest
from played import Played, cells
from scipy import stats
from sklearn.metrics import mean_absolute_error, mean_squared_error, root_mean_squared_error
from task_weeks import PRICES, ROWS, WEEKS
from weeks import week

from analysis.any_look.asymptotic import rho_squared
from analysis.any_look.batch_unit import log_e_symmetric
from analysis.evidence.pair_counts import pair_table
from analysis.kinds import REGRESSION
from analysis.kinds.score_sums import pair_sums
from tasks.labels.tallying import close_batches
from tasks.reigns import reigns
from tasks.reports.report import render
from tasks.reports.report_verdicts import sentence

LOSS: dict[str, Callable[[np.ndarray], np.ndarray]] = {"squared_error": np.square, "absolute_error": np.abs}


class PlayedNumbers(Played):
    def gains(self, version: str, name: str) -> np.ndarray:
        """By how much the challenger's loss is lower, row by row."""
        y, c, h = self.labelled(version)
        return LOSS[name](c - y) - LOSS[name](h - y)


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory, mlflow_uri: str) -> PlayedNumbers:
    found: PlayedNumbers = PRICES.played(tmp_path_factory.mktemp("prices"), mlflow_uri, PlayedNumbers)
    return found


def test_the_sentence_says_that_the_loss_is_lower(played: PlayedNumbers) -> None:
    low = played.against("2").measured.interval.low  # type: ignore[union-attr]
    assert low > PRICES.policy.min_gain
    said = f"its squared_error is proven to be lower by at least {low:.5g}, and every guardrail is proven to hold."
    assert sentence(played.project, played.look).endswith(said)


def test_the_decision_is_kept_with_the_losses_of_the_rows(played: PlayedNumbers) -> None:
    kept = json.loads(played.store.read(f"prices/decisions/{played.look.id}.json"))
    losses = kept["judgement"]["assessments"][0]["measured"]["losses"]
    assert losses["squared_error"]["degrees_of_freedom"] == played.rows["label"].count() - 1


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


def test_a_tally_counts_rows_and_their_losses_lie_beside_it(played: PlayedNumbers) -> None:
    (batch, *_) = close_batches(played.store, played.project, week(WEEKS + 1)).batches
    labelled = played.rows[:ROWS]["label"].count()
    assert pair_table(batch.tally.frame, "1", "2", REGRESSION).n == labelled
    assert batch.tally.frame["n"].sum() == ROWS
    assert batch.tally.scores is not None
    assert pair_sums(batch.tally.scores, "3", "2")["squared_error"].n == labelled


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
