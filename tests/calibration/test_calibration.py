"""The calibration itself: it reproduces, it notices a broken promise, and what it wrote is what it measured."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from analysis.any_look.eprocess import log_e_array
from analysis.one_look.mcnemar import mcnemar
from analysis.tables.counts import PairedOutcomes
from calibration.__main__ import calibrate, main
from calibration.all_tables import TABLES
from calibration.bounds import Bound, UncheckedError, judged
from calibration.cells import Cell, DisagreementError, Part, Table, agree, exact, generator, mean, share
from calibration.pages import markdown, read_csv, write_index, write_table
from calibration.promises import BOUNDS
from calibration.readme import readme_tables
from calibration.records import Record, constant, play
from calibration.rules import batch_unit, e_process, group_sequential, reached
from calibration.run import measure_tables
from calibration.tables import paired_intervals
from calibration.tables.clusters import CLUSTERS
from calibration.tables.looks import FALSE
from calibration.tables.power import WEEKS_TO_A_PROMOTION
from calibration.tables.shocks import SHOCKS

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs" / "calibration"

BOUND = Bound("coins", "heads", "a fair coin", "at most", 0.5, "by construction")


def silent(done: int, of: int, what: str) -> None:
    """Progress that nobody watches."""


def toss(rng: np.random.Generator, probability: float, runs: int) -> list[Cell]:
    """A measurement whose true rate is known."""
    return [share("heads", "a fair coin", "this table", rng.random(runs) < probability)]


def coins(probability: float, runs: int = 5000) -> Table:
    return Table("coins", "Coins", "A coin is tossed.", lambda _: [Part("toss", toss, (probability, runs))])


def test_the_same_names_give_the_same_random_numbers_and_other_names_others() -> None:
    one, again, other = (generator(*names).random(4) for names in (("a", "b"), ("a", "b"), ("a", "c")))
    assert one.tolist() == again.tolist()
    assert one.tolist() != other.tolist()


def test_random_numbers_are_the_same_on_every_machine() -> None:
    """Pinned: the names go through SHA-256, not through a hash that differs from process to process."""
    assert generator("looks", "100 positives").integers(0, 10**6, 3).tolist() == [184538, 286868, 540850]


def test_the_number_of_processes_does_not_matter() -> None:
    some = replace(SHOCKS, parts=lambda scale: SHOCKS.parts(scale)[:3])
    alone, together = (measure_tables([some], scale=0.004, workers=n, progress=silent) for n in (1, 2))
    assert alone == together
    assert len(alone["shocks"]) == 12


def test_a_rule_that_errs_more_often_than_promised_fails_the_run_and_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rigged = coins(0.6)
    assert calibrate([rigged], [BOUND], tmp_path, index=[rigged], scale=1, workers=1) == 1
    assert "BROKEN coins: heads of a fair coin (this table) is 0.6" in capsys.readouterr().err
    assert "**broken in 1 of 1**" in (tmp_path / "index.md").read_text()
    assert "broken" in (tmp_path / "coins.csv").read_text()


def test_a_rule_that_keeps_its_promise_passes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fair = coins(0.5)
    assert calibrate([fair], [BOUND], tmp_path, index=[fair], scale=1, workers=1) == 0
    assert "1 of 1 promises hold" in capsys.readouterr().err


@pytest.mark.parametrize(("heads", "holds"), [(540, True), (548, True), (550, False), (600, False)])
def test_a_share_breaks_its_bound_only_beyond_what_chance_explains(heads: int, holds: bool) -> None:
    """549 or more heads of 1000 have a probability of just above 0.001, 550 below: scipy's binomial tail."""
    cell = share("heads", "a fair coin", "w", np.arange(1000) < heads)
    assert BOUND.holds(cell) is holds
    assert bool(stats.binom.sf(heads - 1, 1000, 0.5) >= 0.001) is holds


def test_a_lower_bound_is_the_mirror_image_and_an_enumerated_number_leaves_nothing_to_chance() -> None:
    at_least = Bound("coins", "heads", "a fair coin", "at least", 0.5, "")
    assert at_least.holds(share("heads", "a fair coin", "w", np.arange(1000) < 460))
    assert not at_least.holds(share("heads", "a fair coin", "w", np.arange(1000) < 450))
    assert BOUND.holds(exact("heads", "a fair coin", "w", 0.5))
    assert not BOUND.holds(exact("heads", "a fair coin", "w", 0.5001))


def test_a_promise_that_nobody_measures_is_an_error() -> None:
    with pytest.raises(UncheckedError, match="no cell is the heads of a fair coin"):
        judged("coins", [mean("weeks", "a fair coin", "w", [1.0, 2.0])], [BOUND])
    assert {b.table for b in BOUNDS} < {t.name for t in TABLES}


def test_error_bars_are_those_of_clopper_and_pearson() -> None:
    """Beta quantiles: 2 of 40 is [0.0061, 0.1692]."""
    cell = share("q", "r", "w", np.arange(40) < 2)
    assert (cell.low, cell.high) == pytest.approx((stats.beta.ppf(0.025, 2, 39), stats.beta.ppf(0.975, 3, 38)))
    assert (cell.low, cell.high) == pytest.approx((0.0061, 0.1692), abs=1e-4)


def test_a_vectorised_form_that_differs_from_the_shipped_function_stops_the_run() -> None:
    agree("one number", 0.1 + 0.2, 0.3)
    with pytest.raises(
        DisagreementError, match="a decision: the vectorised form gives True, the shipped function False"
    ):
        agree("a decision", True, False)
    with pytest.raises(DisagreementError):
        agree("a number", 0.1, 0.1001)


def test_e_is_asked_wherever_it_can_have_reached_its_threshold() -> None:
    """All records up to 80 wins and losses, and long ones near the boundary, against the e-values themselves."""
    w, l = np.meshgrid(np.arange(81), np.arange(81))
    d = np.repeat(10 ** np.arange(3, 7), 200)
    lead = np.sqrt(d) * np.tile(np.linspace(1, 5, 200), 4)
    w, l = (np.concatenate([x.ravel(), y.astype(int)]) for x, y in ((w, (d + lead) / 2), (l, (d - lead) / 2)))
    for prior in (1.0, 3.0, 10.0):
        for alpha in (0.05, 0.01):
            expected = log_e_array(w, l, 0, prior=prior) >= -np.log(alpha)
            assert np.array_equal(reached(w, l, prior=prior, alpha=alpha), expected)


def test_a_year_is_played_as_its_world_says() -> None:
    """Means within 5 standard errors."""
    record = play(constant(100, 0.2, 0.05), 400, np.random.default_rng(1))
    n = record.wins.size * 100
    assert record.wins.sum() / n == pytest.approx(0.125, abs=5 * np.sqrt(0.125 / n))
    assert record.losses.sum() / n == pytest.approx(0.075, abs=5 * np.sqrt(0.075 / n))
    assert record.outcomes(3, 51) == sum_of(record.batches(3, 51))


def sum_of(batches: Sequence[PairedOutcomes]) -> PairedOutcomes:
    return PairedOutcomes(*(sum(getattr(b, side) for b in batches) for side in ("wins", "losses", "ties")))


def test_a_challenger_that_always_wins_is_promoted_as_soon_as_each_rule_allows() -> None:
    """One win a week: E of prior 3 needs nine wins, of the batches seven, as each is worth up to a factor of two."""
    weeks = 52
    record = Record(np.ones((1, weeks), dtype=int), np.zeros((1, weeks), dtype=int), np.full(weeks, 10))
    pocock = group_sequential("pocock", np.arange(1.0, weeks + 1))
    assert [int(rule(record).argmax()) + 1 for rule in (e_process(3.0), batch_unit, pocock)] == [9, 7, 8]


def test_enumerated_size_of_mid_p_against_a_plain_sum_over_all_tables() -> None:
    cells = paired_intervals.measure(generator("test"), 10)
    found = {c.world: c.estimate for c in cells if c.quantity == paired_intervals.SIZE}
    for discordance in (0.05, 0.1, 0.2):
        size = 0.0
        for d in range(11):
            for w in range(d + 1):
                if mcnemar(PairedOutcomes(w, d - w, 10 - d)).p_value < 0.05:
                    size += stats.binom.pmf(d, 10, discordance) * stats.binom.pmf(w, d, 0.5)
        assert found[f"10 positives, {discordance:.0%} disagree, gain 0"] == pytest.approx(size, abs=1e-8)


def test_the_page_shows_the_numbers_of_the_csv_file(tmp_path: Path) -> None:
    cells = measure_tables([CLUSTERS], scale=0.004, workers=1, progress=silent)["clusters"]
    write_table(tmp_path, CLUSTERS, cells, [b for b in BOUNDS if b.table == "clusters"])
    page = (tmp_path / "clusters.md").read_text()
    with (tmp_path / "clusters.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    shown = page.split("## Enforced")[0]
    for row in rows:
        digits = 2 if row["kind"] == "mean" else 3
        low, high = (f"{float(row[k]):.{digits}f}" for k in ("low", "high"))
        assert f"{float(row['estimate']):.{digits}f} [{low}, {high}] of {int(row['runs']):,}" in shown
    assert len(re.findall(r"\] of \d", shown)) == len(rows) == len(cells)
    assert {r["verdict"] for r in rows} == {"", "holds"}


def test_what_is_read_back_is_what_was_measured(tmp_path: Path) -> None:
    fair = coins(0.5, runs=20_000)
    cells = measure_tables([fair], scale=1, workers=1, progress=silent)["coins"]
    write_table(tmp_path, fair, cells, [BOUND])
    (read,) = read_csv(tmp_path / "coins.csv")
    assert (read.hits, read.runs, read.kind) == (cells[0].hits, 20_000, "share")


def test_readme_gets_percentages_of_false_promotions_and_weeks_of_true_ones(tmp_path: Path) -> None:
    for name, quantity, worlds in (
        ("looks", FALSE, [constant(n, 0.1) for n in (20, 100, 1000)]),
        ("power", WEEKS_TO_A_PROMOTION, [constant(20, 0.1, 0.05), constant(100, 0.1, 0.02), constant(100, 0.1, 0.05)]),
    ):
        table = Table(name, name, name, lambda _: [])
        cells = [
            share(quantity, "e-process", w.name, np.arange(1000) < 20)
            if name == "looks"
            else mean(quantity, "e-process", w.name, [3.0, 4.5])
            for w in worlds
        ]
        write_table(tmp_path, table, cells, [])
    lines = readme_tables(tmp_path).splitlines()
    assert lines[2] == "| **E ≥ 20** | 2.0% | 2.0% | 2.0% |"
    assert lines[-1] == "| **E ≥ 20** | 3.8 | 3.8 | 3.8 |"


def test_the_command_measures_one_table_quickly_elsewhere(tmp_path: Path) -> None:
    assert main(["--quick", "--only", "clusters", "--out", str(tmp_path), "--workers", "1"]) == 0
    assert sorted(p.name for p in tmp_path.iterdir()) == ["clusters.csv", "clusters.md", "index.md"]


def test_a_quick_run_does_not_replace_the_real_one(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--quick"])
    assert "name another folder with --out" in capsys.readouterr().err


def test_readmes_tables_need_a_calibration_first(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--readme", "--out", str(tmp_path)])
    assert "run python -m calibration first" in capsys.readouterr().err


@pytest.mark.parametrize("table", TABLES, ids=lambda t: t.name)
def test_the_page_in_docs_is_what_its_numbers_say_and_every_promise_holds(table: Table) -> None:
    cells = read_csv(DOCS / f"{table.name}.csv")
    verdicts = judged(table.name, cells, BOUNDS)
    assert all(v.holds for v in verdicts)
    assert (DOCS / f"{table.name}.md").read_text(encoding="utf-8") == markdown(table, cells, verdicts)


def test_the_index_in_docs_is_that_of_its_tables(tmp_path: Path) -> None:
    for table in TABLES:
        (tmp_path / f"{table.name}.csv").write_bytes((DOCS / f"{table.name}.csv").read_bytes())
    write_index(tmp_path, TABLES, BOUNDS)
    assert (tmp_path / "index.md").read_text() == (DOCS / "index.md").read_text(encoding="utf-8")
