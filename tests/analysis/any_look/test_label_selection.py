"""Whether labels follow the decisions: e-processes by class that hold their level over all looks, and the test of four cells."""

from __future__ import annotations

import math

import numpy as np
import pytest
from analysis_examples import COUNTS, SLOW_PROPERTY
from class_examples import one_vs_rest
from hypothesis import given
from scipy import special, stats

from analysis.any_look.label_selection import (
    Split,
    binary_audit,
    binary_splits,
    binary_withdrawn,
    class_audit,
    class_splits,
    log_e_audit,
    log_e_selection,
    log_ratios,
)
from analysis.one_look.labels import label_share_p_value
from analysis.one_look.segments import exact_p_value
from analysis.tables.class_counts import ClassCounts
from analysis.tables.counts import PairedCounts, Undefined

LOG_ODDS = [0.03, 0.1, 0.2, 0.4, 0.7, 1.1, 1.6, 2.3, 3.2]
LOG_20 = math.log(20)


@pytest.mark.parametrize("split", [(3, 1, 5, 9), (0, 4, 7, 2), (40, 22, 300, 310), (1, 0, 1, 1)])
@pytest.mark.parametrize("sign", [1, -1])
def test_a_batch_is_a_likelihood_ratio_of_fishers_noncentral_hypergeometric_distribution(
    split: Split, sign: int
) -> None:
    a, b, c, d = split
    total, mine, drawn = a + b + c + d, a + c, a + b
    expected = [
        stats.nchypergeom_fisher.logpmf(a, total, mine, drawn, math.exp(sign * t))
        - stats.hypergeom.logpmf(a, total, mine, drawn)
        for t in LOG_ODDS
    ]
    assert log_ratios(split, sign) == pytest.approx(expected, rel=1e-7, abs=1e-9)


@pytest.mark.parametrize("sign", [1, -1])
def test_over_all_tables_with_these_margins_the_ratio_is_one_on_average_and_less_where_the_odds_lean_the_other_way(
    sign: int,
) -> None:
    """By enumeration: nine rows of the first kind among thirty, eleven of which are the champion's."""
    x = np.arange(10)
    ratios = np.exp([log_ratios((int(k), 9 - int(k), 11 - int(k), 10 + int(k)), sign) for k in x])
    plain = stats.hypergeom.pmf(x, 30, 11, 9)
    assert plain @ ratios == pytest.approx(np.ones(9), rel=1e-9)
    against = stats.nchypergeom_fisher.pmf(x, 30, 11, 9, math.exp(-0.5 * sign))
    assert (against @ ratios < 1).all()


@pytest.mark.parametrize("split", [(30_000, 25_000, 400_000, 410_000), (3, 400_000, 500_000, 600_000)])
def test_large_batches_are_summed_around_the_mode_as_if_over_all_of_the_support(split: Split) -> None:
    a, b, c, d = split
    mine, others, drawn = a + c, b + d, a + b
    x = np.arange(max(0, drawn - others), min(mine, drawn) + 1, dtype=np.float64)
    ways = -(special.gammaln(x + 1) + special.gammaln(mine - x + 1) + special.gammaln(drawn - x + 1))
    ways -= special.gammaln(others - drawn + x + 1)
    assert len(x) > 20_000, "up to here each is summed"
    for t, found in zip(LOG_ODDS, log_ratios(split, 1), strict=True):
        expected = t * a - (special.logsumexp(ways + t * x) - special.logsumexp(ways))
        assert found == pytest.approx(expected, rel=1e-6, abs=1e-6)


def test_tables_that_cannot_vary_say_nothing() -> None:
    for split in ((0, 0, 5, 9), (5, 9, 0, 0), (0, 4, 0, 9), (4, 0, 9, 0)):
        assert log_ratios(split, 1).tolist() == [0.0] * 9
    assert log_e_selection({"0": [(5, 40, 300, 100)], "1": [(5, 40, 0, 0)]}) < 0, (
        "all that is missing may be of the class without labels"
    )
    assert log_e_selection({}) == log_e_selection({"0": [], "1": [(9, 1, 0, 0)]}) == log_e_audit({}) == 0


def champion_reviewed(share: float) -> PairedCounts:
    """Two models that are equally good; of the champion's own alerts this share has no label that can be used."""
    lost = round(100 * share)
    return PairedCounts((900, 60, 60 - 60 * lost // 100, 30, 20, 40, 40 - 40 * lost // 100, 60), (0, 0, lost, 0))


def test_labels_that_only_the_champions_alerts_lack_are_found_whichever_model_it_is() -> None:
    found = log_e_selection(binary_splits([champion_reviewed(0.4)] * 2))
    assert found > LOG_20
    assert log_e_selection(binary_splits([champion_reviewed(0.4).swap()] * 2)) == pytest.approx(found)
    assert log_e_selection(binary_splits([champion_reviewed(0.0)] * 2)) == 0


def test_labels_of_one_class_that_come_later_or_never_whatever_the_models_say_are_not_called_selected() -> None:
    """The challenger is better, so what it alone flags holds more positives, and half of these have no label."""
    late = PairedCounts((9000, 100, 300, 90, 60, 100, 30, 160), (50, 100, 30, 160))
    assert log_e_selection(binary_splits([late] * 50)) < 0
    pooled = stats.chi2_contingency([[200, 100], [330, 30]]).pvalue
    assert pooled < 1e-9, "a comparison of the two shares without their classes would have called it so after one batch"


def test_true_alerts_that_are_rarely_confirmed_are_found() -> None:
    """A blocked payment is never proven fraud: of the champion's true alerts 60 % are labelled, of all others 95 %."""
    counts = PairedCounts((9500, 285, 285, 95, 57, 95, 60, 150), (500, 20, 55, 105))
    assert log_e_selection(binary_splits([counts] * 4)) > LOG_20


def test_gaps_that_compensate_between_classes_are_found_by_the_labels_that_come_late() -> None:
    """Champion only: positives 60 %, negatives all; challenger only: 90 and 94 %: the shares are the same, the classes are not."""
    in_time = PairedCounts((900, 564, 600, 90, 60, 90, 60, 100), (0, 46, 40, 0))
    late = PairedCounts((0, 36, 0, 0, 0, 10, 40, 0))
    assert log_e_selection(binary_splits([in_time] * 20)) < LOG_20
    assert log_e_audit(binary_audit([(in_time, in_time + late)] * 2)) > LOG_20
    assert log_e_audit(binary_audit([(in_time, in_time)] * 9)) == 0


def test_labels_that_are_corrected_after_closing_are_late_ones_of_the_class_that_they_have_since() -> None:
    """Provisional negatives: 12 of the champion's own turn out to be positives, and of the challenger's own 2 of 20 were already."""
    closed = PairedCounts((900, 20, 20, 90, 60, 20, 8, 100))
    settled = PairedCounts((900, 20, 8, 90, 60, 20, 20, 100))
    assert binary_audit([(closed, settled)]) == {"0": [(0, 0, 8, 20)], "1": [(12, 0, 8, 20)]}
    assert log_e_audit(binary_audit([(closed, settled)] * 4)) > LOG_20


def test_labels_that_are_withdrawn_after_closing_are_compared_with_those_that_stayed() -> None:
    """Of the challenger's own positives a third is withdrawn, of the champion's own none; one that became a negative was corrected."""
    closed = PairedCounts((900, 20, 20, 90, 60, 30, 20, 100))
    settled = PairedCounts((900, 21, 20, 90, 60, 19, 20, 100))
    assert binary_withdrawn([(closed, settled)]) == {"0": [(0, 0, 20, 20)], "1": [(0, 10, 20, 19)]}
    both = [(closed, settled)] * 8
    assert log_e_audit(binary_audit(both), binary_withdrawn(both)) > LOG_20 > log_e_audit(binary_audit(both))
    late = {"1": [(12, 0, 8, 20)] * 4}
    assert log_e_audit(late, {"1": [(0, 0, 9, 9)] * 4}) == pytest.approx(np.log(0.9 * np.exp(log_e_audit(late)) + 0.1))


@pytest.mark.slow
def test_labels_missing_or_late_at_random_are_called_selected_in_at_most_alpha_of_the_years() -> None:
    """52 looks, 100 years, the rates of every week its own: both processes, the largest of each year."""
    rng, hits = np.random.default_rng(4), np.zeros(2)
    for _ in range(100):
        rate = rng.uniform(0.5, 0.95, size=52)
        total = rng.poisson([8, 8, 20, 20], size=(52, 4))  # positives of champion and challenger alone, then negatives
        known = rng.binomial(total, rate[:, None])
        gone = total - known
        selection = [
            [(int(g[0] + g[2]), int(g[1] + g[3]), int(k[i]), int(k[i + 1])) for g, k in zip(gone, known, strict=True)]
            for i in (0, 2)
        ]
        audit = [
            [(int(g[i]), int(g[i + 1]), int(k[i]), int(k[i + 1])) for g, k in zip(gone, known, strict=True)]
            for i in (0, 2)
        ]
        hits += [_largest(selection, np.minimum), _largest(audit, np.logaddexp)]
    for n in hits:
        assert stats.binomtest(int(n), 100).proportion_ci(0.998).low <= 0.05


def _largest(by_class: list[list[Split]], combine: np.ufunc) -> bool:
    """Whether the e-value of two classes and two directions has reached 20 at any look."""
    e = [
        [
            special.logsumexp(np.cumsum([log_ratios(s, sign) for s in splits], axis=0), axis=1) - math.log(9)
            for splits in by_class
        ]
        for sign in (1, -1)
    ]
    directions = np.array([combine(*classes) for classes in e])
    mean = special.logsumexp(directions, axis=0) - math.log(2 if combine is np.minimum else 4)
    return bool(mean.max() >= LOG_20)


class TestClasses:
    def counts(self, missing_ab: int, missing_ba: int) -> ClassCounts:
        labelled = [
            (("a", "a", "b"), 60),
            (("b", "a", "b"), 50),
            (("c", "a", "b"), 90),
            (("c", "b", "a"), 88),
            (("a", "b", "a"), 58),
            (("b", "b", "a"), 52),
        ]
        return ClassCounts.of(labelled, [(("a", "b"), missing_ab), (("b", "a"), missing_ba), (("c", "c"), 500)])

    def test_of_two_classes_it_is_the_binary_process(self) -> None:
        counts = ClassCounts.of(
            [(k, n) for k, n in self.counts(40, 10).labelled if k[0] != "c"], [(("a", "b"), 40), (("b", "a"), 10)]
        )
        (splits,) = class_splits([counts]).values()
        one = one_vs_rest(counts, "a")
        assert log_e_selection(splits) == pytest.approx(log_e_selection(binary_splits([one])))

    def test_a_pair_of_classes_that_one_model_names_without_a_label_is_found(self) -> None:
        (even,), (odd,) = (class_splits([self.counts(*m)] * 3).values() for m in ((20, 20), (60, 5)))
        assert log_e_selection(even) < 0
        assert log_e_selection(odd) > LOG_20

    def test_late_labels_are_compared_within_each_class(self) -> None:
        in_time = self.counts(60, 60)
        late = ClassCounts.of([(("a", "a", "b"), 30), (("b", "b", "a"), 28)])
        fair = ClassCounts.of(
            [(("a", "a", "b"), 15), (("a", "b", "a"), 15), (("b", "b", "a"), 14), (("b", "a", "b"), 14)]
        )
        settled = {
            kind: ClassCounts.of((*in_time.labelled, *came.labelled)) for kind, came in (("late", late), ("fair", fair))
        }
        assert log_e_audit(class_audit([(in_time, settled["late"])] * 2)) > LOG_20
        assert log_e_audit(class_audit([(in_time, settled["fair"])] * 2)) < 0


def cells(*rows: tuple[int, int]) -> PairedCounts:
    """(labelled, unlabelled) rows in each cell of (champion, challenger), a third of the labels positive."""
    labelled = [a - a // 3 for a, _ in rows] + [a // 3 for a, _ in rows]
    return PairedCounts(tuple(labelled), tuple(u for _, u in rows))  # type: ignore[arg-type]


def test_the_shares_of_all_four_cells_against_the_sum_of_squared_z_values() -> None:
    """Chi-square with 3 df: the sum over cells of n (share - mean share)^2 / (mean share (1 - mean share))."""
    rows = ((900, 100), (80, 20), (70, 30), (190, 10))
    n, labelled = np.array([a + u for a, u in rows]), np.array([a for a, _ in rows])
    share = labelled.sum() / n.sum()
    statistic = (n * (labelled / n - share) ** 2).sum() / (share * (1 - share))
    assert label_share_p_value(cells(*rows)) == pytest.approx(stats.chi2.sf(statistic, 3), rel=1e-9)


@pytest.mark.parametrize("empty", range(4))
def test_a_cell_without_rows_takes_its_degree_of_freedom_with_it(empty: int) -> None:
    rows = [(90, 20), (80, 40), (70, 30), (100, 25)]
    rows[empty] = (0, 0)
    table = [r for r in rows if r != (0, 0)]
    expected = stats.chi2_contingency(table, correction=False)
    assert expected.dof == 2
    assert label_share_p_value(cells(*rows)) == pytest.approx(expected.pvalue)


def test_two_cells_are_enough_and_one_counts_whose_rows_are_all_labelled_and_half_of_them_positive() -> None:
    two = ((90, 20), (0, 0), (0, 0), (100, 60))
    expected = stats.chi2_contingency([two[0], two[3]], correction=False).pvalue
    assert label_share_p_value(cells(*two)) == pytest.approx(expected)
    even = PairedCounts((60, 40, 0, 0, 30, 40, 0, 0), (20, 0, 0, 0))
    expected = stats.chi2_contingency([(90, 20), (80, 0)], correction=False).pvalue
    assert label_share_p_value(even) == pytest.approx(expected)


def test_with_an_expected_count_below_five_the_shares_are_tested_exactly_and_with_five_not() -> None:
    few = ((30, 20), (3, 6), (5, 4), (30, 22))
    assert label_share_p_value(cells(*few)) == exact_p_value(few)
    five = ((30, 30), (4, 6), (5, 5), (31, 29))
    assert label_share_p_value(cells(*five)) == stats.chi2_contingency(five, correction=False).pvalue


def test_labels_that_favour_what_both_flag_favour_neither_model() -> None:
    """The four cells differ beyond doubt, the two on which the models disagree not at all."""
    harmless = cells((500, 500), (60, 40), (60, 40), (190, 10))
    share = label_share_p_value(harmless)
    assert isinstance(share, float)
    assert share < 1e-6
    assert log_e_selection(binary_splits([harmless])) < 0


@pytest.mark.parametrize(
    ("table", "reason"),
    [
        (cells((50, 0), (9, 0), (8, 0), (7, 0)), "every row is labelled"),
        (PairedCounts(), "every row is labelled"),
        (cells((0, 50), (0, 9), (0, 8), (0, 7)), "no row is labelled"),
        (cells((50, 9), (0, 0), (0, 0), (0, 0)), "all rows have the same pair of decisions"),
    ],
)
def test_where_no_shares_can_differ_they_are_not_tested(table: PairedCounts, reason: str) -> None:
    assert label_share_p_value(table) == Undefined(reason)


def test_the_size_of_the_test_of_shares_under_labels_at_random() -> None:
    """2000 seeded draws with one labelling rate: p < .05 in about 5 %."""
    rng = np.random.default_rng(8)
    n = np.array([400, 30, 25, 90])
    found = [
        label_share_p_value(cells(*((int(a), int(u)) for a, u in zip(k, n - k, strict=True))))
        for k in rng.binomial(n, 0.7, (2000, 4))
    ]
    interval = stats.binomtest(sum(p < 0.05 for p in found if isinstance(p, float)), 2000).proportion_ci(0.998)
    assert interval.low <= 0.05 <= interval.high


@SLOW_PROPERTY
@given(COUNTS)
def test_the_test_of_shares_is_a_share_or_undefined_and_symmetric(table: PairedCounts) -> None:
    there, back = label_share_p_value(table), label_share_p_value(table.swap())
    if isinstance(there, Undefined):
        assert back == there
    else:
        assert 0 <= there <= 1
        assert back == pytest.approx(there, rel=1e-6, abs=1e-12)


@SLOW_PROPERTY
@given(COUNTS)
def test_any_counts_give_evidence_that_is_symmetric(table: PairedCounts) -> None:
    there, back = (log_e_selection(binary_splits([t])) for t in (table, table.swap()))
    assert math.isfinite(there)
    assert back == pytest.approx(
        there, rel=1e-4, abs=1e-6
    )  # a billion rows: their ways have ten digits before the point
