"""Models that name classes, from rows to the decision and its report, with real models in a real MLflow.

Version 1 leads; version 2 is right more often, version 3 as often, version 4 less often.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
from played import Played, cells
from scipy import stats
from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score, precision_score, recall_score
from statsmodels.stats.contingency_tables import SquareTable
from statsmodels.stats.multitest import multipletests
from task_weeks import ANIMALS, NAMES, ROWS

from analysis.any_look.asymptotic import rho_squared
from analysis.any_look.batch_unit import log_e_symmetric
from analysis.any_look.eprocess import log_e
from analysis.tables.record import canonical_json
from tasks.decisions.decision_log import append_entry
from tasks.decisions.verification import RETIRED_NUMBERS, verify_decision
from tasks.reigns import reigns
from tasks.reports.report import render
from tasks.store import DirectoryStore


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory, mlflow_uri: str) -> Played:
    found: Played = ANIMALS.played(tmp_path_factory.mktemp("animals"), mlflow_uri)
    return found


def test_the_decision_is_kept_with_the_counts_of_the_rows(played: Played) -> None:
    kept = json.loads(played.store.read(f"animals/decisions/{played.look.id}.json"))
    (first, *_) = kept["judgement"]["assessments"]
    assert sum(first["measured"]["counts"]["labelled"]) == played.rows["label"].count()
    y, c, h = played.labelled("2")
    assert first["measured"]["class_counts"]["dog"]["cat"]["dog"] == np.sum((y == "dog") & (c == "cat") & (h == "dog"))


def test_a_decision_that_was_recorded_with_bowkers_test_and_bhapkars_verifies_and_no_other_change_does(
    played: Played, tmp_path: Path
) -> None:
    shutil.copytree(played.project.store, tmp_path / "store")
    store = DirectoryStore(tmp_path / "store")
    older = json.loads(canonical_json(played.look.record))
    for assessment in older["judgement"]["assessments"]:
        for name in RETIRED_NUMBERS["marginals"]:
            test = {"statistic": 7.25, "degrees_of_freedom": 3, "p_value": 0.0643}
            assessment["measured"]["marginals"][name] = test
    changed = json.loads(canonical_json(older))
    changed["judgement"]["assessments"][1]["measured"]["marginals"]["stuart_maxwell"]["statistic"] += 1e-3
    other = json.loads(canonical_json(older))
    other["judgement"]["assessments"][0]["measured"]["marginals"]["edwards"] = test
    for name, kept in (("older", older), ("changed", changed), ("other", other)):
        data = canonical_json(kept | {"id": name})
        store.create(f"animals/decisions/{name}.json", data)
        append_entry(store, played.project.name, name, data, new=True)
    assert verify_decision(store, played.project.name, played.look.id) == []
    assert verify_decision(store, played.project.name, "older") == []
    for name in ("changed", "other"):
        (fault,) = verify_decision(store, played.project.name, name)
        assert fault.endswith("give another judgement now (in: assessments)")


@pytest.mark.parametrize("version", ["2", "3", "4"])
class TestNumbersOfTheRows:
    """Whatever is said of a pair is what the raw rows say, computed by somebody else."""

    def test_every_metric_of_both_models(self, played: Played, version: str) -> None:
        y, c, h = played.labelled(version)
        m = played.against(version).measured
        for name, of in {
            "accuracy": accuracy_score,
            "macro_recall": balanced_accuracy_score,
            "macro_precision": lambda y, p: precision_score(y, p, average="macro"),
            "macro_f1": lambda y, p: f1_score(y, p, average="macro"),
        }.items():
            metric = m.metrics[name]  # type: ignore[index]
            assert (metric.champion, metric.challenger) == pytest.approx((of(y, c), of(y, h)))  # type: ignore[union-attr]
            assert m.bootstrap[name].interval.low < metric.value < m.bootstrap[name].interval.high  # type: ignore[union-attr, index]

    def test_the_evidence_for_accuracy(self, played: Played, version: str) -> None:
        y, c, h = played.labelled(version)
        m = played.against(version).measured
        wins, losses = int(np.sum((h == y) & (c != y))), int(np.sum((h != y) & (c == y)))
        assert (m.pairs.wins, m.pairs.losses, m.pairs.n, m.counts.n) == (wins, losses, len(y), len(y))
        assert (m.method, m.log_e) == ("rows", log_e(m.pairs))
        mid_p = stats.binom.sf(wins, wins + losses, 0.5) + stats.binom.pmf(wins, wins + losses, 0.5) / 2
        assert m.mcnemar["accuracy"].p_value == pytest.approx(mid_p, rel=1e-9)
        assert list(m.mcnemar) == ["accuracy"]

    def test_the_evidence_on_the_guardrail(self, played: Played, version: str) -> None:
        """Macro recall by its influence on every single row."""
        y, c, h = played.labelled(version)
        gain, influence = 0.0, np.zeros(len(y))
        for name in NAMES:
            own = y == name
            d = (h == name).astype(float) - (c == name)
            gain += d[own].mean() / 3
            influence[own] = (d[own] - d[own].mean()) / own.sum() / 3
        z = (gain + 0.02) / np.sqrt(np.sum(influence**2))
        rho2 = rho_squared(0.1, 13 * self._first_week(played))
        (guardrail,) = played.against(version).measured.guardrails
        expected = log_e_symmetric(z * np.sqrt(len(y)), len(y), rho=rho2)
        assert (guardrail.metric, guardrail.method) == ("macro_recall", "asymptotic")
        assert guardrail.log_e == pytest.approx(float(expected), rel=1e-9)

    def _first_week(self, played: Played) -> int:
        return played.rows[:ROWS]["label"].count()

    def test_every_class_by_itself(self, played: Played, version: str) -> None:
        y, c, h = played.labelled(version)
        classes = played.against(version).measured.classes
        assert list(classes) == NAMES.tolist()
        p = {"better": [], "worse": []}  # type: ignore[var-annotated]
        for name in NAMES:
            own = y == name
            w, l = int(np.sum(own & (h == y) & (c != y))), int(np.sum(own & (h != y) & (c == y)))
            for direction, k in (("better", w), ("worse", l)):
                p[direction].append(stats.binom.sf(k, w + l, 0.5) + stats.binom.pmf(k, w + l, 0.5) / 2)
            assert (classes[name].pairs.wins, classes[name].pairs.losses) == (w, l)  # type: ignore[union-attr]
        adjusted = {d: multipletests(values, method="holm")[1] for d, values in p.items()}
        assert [found.p_better for found in classes.values()] == pytest.approx(adjusted["better"], rel=1e-9)  # type: ignore[union-attr]
        assert [found.p_worse for found in classes.values()] == pytest.approx(adjusted["worse"], rel=1e-9)  # type: ignore[union-attr]
        for model, prediction in (("champion", c), ("challenger", h)):
            recalls = [getattr(found, model) for found in classes.values()]
            assert recalls == pytest.approx(recall_score(y, prediction, average=None, labels=NAMES))

    def test_how_the_predictions_moved(self, played: Played, version: str) -> None:
        """Over all rows, also those without a label."""
        square = SquareTable(
            pd.crosstab(played.rows["x1"].to_numpy(), played.rows[f"x{version}"].to_numpy()), shift_zeros=False
        )
        (found,) = played.against(version).measured.marginals.values()
        known = square.homogeneity()
        assert (found.statistic, found.p_value) == pytest.approx((known.statistic, known.pvalue))  # type: ignore[union-attr]

    def test_every_segment(self, played: Played, version: str) -> None:
        rows = played.rows.drop_nulls("label")
        segments = {s.value: s for s in played.against(version).measured.segments}
        for region in ("north", "south"):
            own = rows.filter(pl.col("region") == region)
            y, c, h = (own[name].to_numpy() for name in ("label", "x1", f"x{version}"))
            assert segments[region].pairs.n == len(y)
            assert segments[region].difference == pytest.approx(accuracy_score(y, h) - accuracy_score(y, c))


@pytest.fixture(scope="module")
def markdown(played: Played) -> str:
    return render(played.project, played.look, reigns(played.store, played.project.name), {"trend": "trend.svg"})


class TestReport:
    def test_it_has_a_row_for_every_class_with_the_numbers_of_the_judgement(
        self, played: Played, markdown: str
    ) -> None:
        section = next(
            part for part in markdown.split("\n## ") if part.startswith("Version 2 against version 1: PROMOTE")
        )
        table = next(b for b in section.split("\n\n") if b.startswith("| class")).splitlines()
        rows = {cells(line)[0]: cells(line) for line in table[2:]}
        assert list(rows) == [f"**{name}**" for name in NAMES]
        for name, one in played.against("2").measured.classes.items():
            row = rows[f"**{name}**"]
            assert row[1] == f"{one.pairs.n:,}"  # type: ignore[union-attr]
            assert row[2:4] == [f"{one.champion:.4f}", f"{one.challenger:.4f}"]  # type: ignore[union-attr]
            assert row[5] == f"{one.pairs.wins:,} : {one.pairs.losses:,}"  # type: ignore[union-attr]
        moved = played.against("2").measured.marginals["stuart_maxwell"]
        assert f"each class named equally often (Stuart-Maxwell) χ² {moved.statistic:.2f}, 2 df, p " in section  # type: ignore[union-attr]
        assert "challenger flags" not in markdown

    def test_it_speaks_of_no_thresholds_and_no_positives(self, markdown: str) -> None:
        assert "| model | role | trained through | digest |" in markdown
        assert "| rows against the champion | all | counted | unlabelled |" in markdown
        assert "| threshold |" not in markdown
        assert "precision is derived" not in markdown
