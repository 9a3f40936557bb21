"""Models that name classes, from rows to the decision and its report, with real models in a real MLflow.

Version 1 leads; version 2 is right more often, version 3 as often, version 4 less often.
"""

from __future__ import annotations

import json
import shutil
import uuid
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pandas as pd
import polars as pl
import pytest
from mlflow.pyfunc import PythonModel
from parcels import register_version
from played import Played, cells, play, register_echo
from scipy import stats
from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score, precision_score, recall_score
from sklearn.tree import DecisionTreeClassifier
from statsmodels.stats.contingency_tables import SquareTable
from statsmodels.stats.multitest import multipletests
from weeks import look_on, predictions, week

from analysis.any_look.asymptotic import rho_squared
from analysis.any_look.batch_unit import log_e_symmetric
from analysis.any_look.eprocess import log_e
from analysis.evidence.tally import UNLABELLED
from analysis.policy import Policy
from analysis.tables.record import canonical_json
from demo.season_report import tell
from tasks.base.project import Project
from tasks.decisions.decision_log import enter
from tasks.decisions.verification import RETIRED_NUMBERS, verify_decision
from tasks.labels.tallying import close_batches
from tasks.models.registry import Registry
from tasks.reigns import reigns
from tasks.reports.publish import draw
from tasks.reports.report import render
from tasks.store import DirectoryStore

NAMES = np.array(["bird", "cat", "dog"])
RIGHT = {"1": 0.7, "2": 0.8, "3": 0.7, "4": 0.6}
WEEKS, ROWS = 4, 750
POLICY = Policy(task="multiclass", error_budget="family", n_resamples=1000)


def animals(number: int, n: int = ROWS) -> pl.DataFrame:
    """One week of rows: what each version will name stands in its column, half of the time as all others name it."""
    rng = np.random.default_rng(8 + number)
    y = rng.choice(3, n, p=[0.5, 0.3, 0.2])
    shared = rng.random(n) < 0.5
    common = np.where(rng.random(n) < 0.7, y, (y + rng.integers(1, 3, n)) % 3)
    columns = {}
    for version, right in RIGHT.items():
        own = np.where(rng.random(n) < right, y, (y + rng.integers(1, 3, n)) % 3)
        columns[f"x{version}"] = NAMES[np.where(shared, common, own)]
    label = (
        pl.Series("label", NAMES[y])
        .to_frame()
        .with_columns(pl.when(pl.Series(rng.random(n) < 0.95)).then(pl.col("label")))
    )
    region = rng.choice(["north", "south"], n)
    return pl.DataFrame({"id": [f"{number}-{i}" for i in range(n)], "region": region, **columns}).with_columns(
        label["label"]
    )


register = partial(register_echo, example="cat")


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory, mlflow_uri: str) -> Played:
    project = Project(
        name="animals",
        store=str(tmp_path_factory.mktemp("animals") / "store"),
        mlflow=mlflow_uri,
        model=f"animals-{uuid.uuid4().hex[:8]}",
        task="multiclass",
        segments=("region",),
        maturity_days=14,
        policy=POLICY,
    )
    return play(Played, project, list(RIGHT), [animals(number) for number in range(WEEKS)], register)


class TestVerdicts:
    @pytest.mark.parametrize(("version", "verdict"), [("2", "PROMOTE"), ("3", "WAIT"), ("4", "RETIRE")])
    def test_the_better_is_promoted_the_equal_waits_the_worse_retires(
        self, played: Played, version: str, verdict: str
    ) -> None:
        assert played.against(version).verdict.value == verdict
        assert played.look.promote == "2"

    def test_the_decision_is_kept_whole_and_is_found_again(self, played: Played) -> None:
        key = f"animals/decisions/{played.look.id}.json"
        kept = json.loads(played.store.read(key))
        assert played.store.read(key) == canonical_json(played.look.record)
        (first, *_) = kept["judgement"]["assessments"]
        assert sum(first["evidence"]["batches"][0]["counts"]["labelled"]) == played.rows[:ROWS]["label"].count()
        y, c, h = played.labelled("2")
        assert first["measured"]["class_counts"]["dog"]["cat"]["dog"] == np.sum(
            (y == "dog") & (c == "cat") & (h == "dog")
        )
        again = look_on(played.store, played.project, week(WEEKS + 1) + timedelta(days=1))
        assert again is not None
        assert (again.id, again.record) == (played.look.id, played.look.record)

    def test_a_decision_that_was_recorded_with_bowkers_test_and_bhapkars_verifies_and_no_other_change_does(
        self, played: Played, tmp_path: Path
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
            enter(store, played.project, name, data, new=True)
        assert verify_decision(store, played.project, played.look.id) == []
        assert verify_decision(store, played.project, "older") == []
        for name in ("changed", "other"):
            (fault,) = verify_decision(store, played.project, name)
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


class TestStored:
    def test_a_version_says_one_class_a_row_as_text_and_has_no_threshold(self, played: Played) -> None:
        (batch, *_) = close_batches(played.store, played.project, week(WEEKS + 1)).batches
        said = predictions(played.store, batch.manifest, "2")
        assert said.schema == {"id": pl.String, "decision": pl.String}
        assert said["decision"].to_list() == played.rows[:ROWS]["x2"].to_list()
        registry = Registry(played.project)
        for scored in batch.manifest.scored:
            assert scored.contender is not None
            assert scored.contender.threshold is None
            assert scored.contender.digest == registry.load(scored.version).digest

    def test_every_row_is_counted_or_explained(self, played: Played) -> None:
        for a in played.look.judgement.assessments:
            missing = played.rows["label"].null_count()
            assert a.evidence.excluded == {UNLABELLED: missing}
            assert a.measured.counts.n + missing == WEEKS * ROWS

    def test_a_classifier_of_scikit_learn_names_its_classes_and_a_threshold_means_nothing(
        self, make_project: Callable[..., Project]
    ) -> None:
        project = make_project(task="multiclass", policy=POLICY)
        tree = DecisionTreeClassifier().fit(pd.DataFrame({"x": [0.0, 1.0, 2.0]}), [10, 20, 30])
        version = register_version(project, "x", model=tree, threshold="high")
        registry = Registry(project)
        assert registry.load(version)(pl.DataFrame({"x": [2.0, 0.0, 1.0]})).tolist() == ["30", "10", "20"]
        assert registry.version(version).threshold is None

    def test_a_model_of_unknown_make_names_them_too(self, make_project: Callable[..., Project]) -> None:
        project = make_project(task="multiclass", policy=POLICY)
        version = register_version(project, "x", model=Upper(), threshold=None, example="cat")
        assert Registry(project).load(version)(pl.DataFrame({"x": ["cat", "dog"]})).tolist() == ["CAT", "DOG"]


class Upper(PythonModel):  # type: ignore[misc]
    def predict(self, context, model_input, params=None):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201, ARG002  (MLflow reads hints)
        return model_input["x"].str.upper()


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

    def test_its_tables_have_as_many_cells_in_every_row_as_in_their_head(self, markdown: str) -> None:
        tables = [b.splitlines() for b in markdown.split("\n\n") if b.startswith("|")]
        assert len(tables) >= 3 * 4 + 4
        for table in tables:
            assert {len(cells(line)) for line in table} == {len(cells(table[0]))}

    def test_its_plots_are_well_formed(self, played: Played) -> None:
        closed = close_batches(played.store, played.project, week(WEEKS + 1))
        figures = draw(played.project, played.look, closed, reigns(played.store, played.project.name))
        assert sorted(figures) == ["differences", "evidence", "segments", "trend"]
        for svg in figures.values():
            assert ET.fromstring(svg).tag == "{http://www.w3.org/2000/svg}svg"  # noqa: S314  our own
        for title in (b"macro precision", b"macro f1"):
            assert title in figures["differences"]
        assert b"accuracy" in figures["trend"]
        assert b"macro recall" in figures["trend"]

    def test_a_season_is_told_in_its_own_metrics(self, played: Played) -> None:
        told = tell(played.store, played.project)
        head_row, *rows = [cells(line) for line in told.splitlines() if line.startswith("|")]
        assert head_row[-2:] == ["accuracy served", "macro recall served"]
        y, c, _ = played.labelled("2")
        own = next(row for row in rows if row[0] == "**Dethrone's policy**")
        assert own[-2:] == [f"{accuracy_score(y, c):.4f}", f"{balanced_accuracy_score(y, c):.4f}"]
        assert "accuracy \\> accuracy\\_live" in told
