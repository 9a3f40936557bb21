"""Replays of a challenger that was chosen by labels: which batches count, and whose evidence stays evidence."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from analysis.any_look.eprocess import log_e
from analysis.tables.counts import PairedOutcomes
from calibration.bounds import judged
from calibration.promises import BOUNDS
from calibration.run import measure_tables
from calibration.tables import replays
from calibration.tables.replays import CLOSES_LATER, FRESH, LATE_ROWS, NAIVE, UNSEEN, World, chosen, counted, year

AT_14, AT_90, AT_3, AT_20 = replays.WORLDS
SIZE = 2  # disagreements of a batch where all outcomes are enumerated
WINS = range(SIZE + 1)


def e(wins: int, losses: int) -> float:
    return math.exp(log_e(PairedOutcomes(wins, losses, 0)))


def chance(wins: int) -> float:
    """Of so many wins in one batch of a candidate that is no better."""
    return math.comb(SIZE, wins) / 2**SIZE


@pytest.mark.parametrize(
    ("world", "rule", "batches"),
    [
        (AT_14, NAIVE, 26),
        (AT_14, CLOSES_LATER, 2),
        (AT_14, UNSEEN, 2),
        (AT_90, CLOSES_LATER, 13),
        (AT_90, UNSEEN, 13),
        (AT_3, CLOSES_LATER, 2),
        (AT_3, UNSEEN, 0),
        (AT_20, CLOSES_LATER, 13),
        (AT_20, UNSEEN, 0),
        (AT_20, FRESH, 0),
    ],
)
def test_the_newest_batches_count_as_long_as_the_rule_says(world: World, rule: str, batches: int) -> None:
    """Each holds ten disagreements or so, and 400 runs leave none of them without any."""
    wins, losses = counted(world, chosen(np.random.default_rng(1), world, 400, 1))[rule]
    assert np.flatnonzero((wins + losses).sum(axis=0)).tolist() == list(range(26 - batches, 26))


@pytest.mark.parametrize("world", replays.WORLDS, ids=lambda w: w.name)
def test_what_has_closed_counts_at_the_first_look_and_the_rest_as_it_closes(world: World) -> None:
    """A batch of week b closes so many weeks later; the first look is in week 27."""
    past, fresh = np.ones((1, 26), dtype=int), np.full((1, 52), 100)
    record = year(world, (past, 0 * past), (fresh, 0 * fresh))
    closing = [week + world.weeks for week in range(1, 79)]
    worth = [1] * 26 + [100] * 52
    expected = [sum(w for c, w in zip(closing, worth, strict=True) if max(c, 27) == look) for look in range(27, 79)]
    assert record.wins[0].tolist() == expected
    assert record.losses.sum() == 0


def test_the_best_of_many_leads_on_the_labels_seen_and_on_no_others() -> None:
    """Within 5 standard errors, which are sqrt(disagreements) in one run."""
    runs = 2000
    past = chosen(np.random.default_rng(2), AT_20, runs, 20)
    seen, later = past.won - past.lost, past.won_later - past.lost_later
    assert seen.sum(axis=1).mean() > np.sqrt((past.won + past.lost).sum(axis=1).mean())
    assert later.sum(axis=1).mean() == pytest.approx(
        0, abs=5 * np.sqrt((past.won_later + past.lost_later).sum()) / runs
    )


def test_whatever_is_chosen_by_seen_labels_e_of_an_unseen_batch_is_worth_one() -> None:
    """All 2^9 ways to choose one of two candidates by the wins of both in a seen batch, over all outcomes of both batches."""
    pairs = list(itertools.product(WINS, WINS))
    worth = {(x, y): (e(y, SIZE - y), e(x + y, 2 * SIZE - x - y)) for x, y in pairs}
    unseen_alone, with_seen = [], []
    for picks in itertools.product((0, 1), repeat=len(pairs)):
        mean = np.zeros(2)
        for (seen, pick), unseen in itertools.product(zip(pairs, picks, strict=True), pairs):
            mean += math.prod(map(chance, (*seen, *unseen))) * np.array(worth[seen[pick], unseen[pick]])
        unseen_alone.append(mean[0])
        with_seen.append(mean[1])
    assert unseen_alone == pytest.approx([1] * 2**9)
    assert max(with_seen) > 1.2  # the best choice for whoever counts the seen batch too
    assert min(with_seen) < 1


def test_rows_labelled_late_are_worth_more_than_one_where_losses_come_first() -> None:
    """Nothing is chosen: the only candidate is exactly equal, and every loss of the batch was labelled before the registration."""
    assert sum(chance(w) * e(w, 0) for w in WINS) > 1.2


def test_so_are_batches_without_a_seen_label_where_these_hold_no_loss() -> None:
    """By batch the factor is smaller, and gone where nearly every batch holds a loss; it is a limit of the rule, on record in the table."""
    assert 1 < sum(chance(w) * (e(w, 0) if w == SIZE else 1) for w in WINS) < sum(chance(w) * e(w, 0) for w in WINS)


def test_late_rows_of_an_equal_candidate_are_mostly_wins_where_losses_come_first() -> None:
    world = World("losses first", 90, 40, 10, 20)
    rules = counted(world, chosen(np.random.default_rng(3), world, 500, 1))
    wins, losses = (x.sum() for x in rules[LATE_ROWS])
    assert wins > 2 * losses
    for rule in (NAIVE, CLOSES_LATER):
        w, l = (x.sum() for x in rules[rule])
        assert abs(w - l) < 5 * np.sqrt(w + l)
    assert not sum(x.sum() for x in rules[UNSEEN])


def test_a_twentieth_of_the_runs_finds_what_the_table_says() -> None:
    """What is promised holds, and of batches that close later every fifth best of 20 is promoted that was ranked by just these."""
    cells = measure_tables([replays.REPLAYS], scale=0.05, workers=1, progress=lambda *_: None)["replays"]
    assert all(v.holds for v in judged("replays", cells, BOUNDS))
    found = {(c.rule, c.world): c.estimate for c in cells if c.quantity == replays.CHOSEN}
    assert found[CLOSES_LATER, f"{AT_20.name}; best of 20, by open batches alone"] > 0.12
    assert found[UNSEEN, f"{AT_20.name}; best of 20, by open batches alone"] < 0.05
    small = {(c.rule, c.world): c.estimate for c in cells if c.quantity == replays.HAZARD}
    assert small[UNSEEN, replays.SMALL[0].name] > 0.12
