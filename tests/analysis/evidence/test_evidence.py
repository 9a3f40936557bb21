"""Evidence: which batches count for a pair, and what is left out."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from analysis_examples import FIRST_DAY, batch_tally, contender, tally_frame

from analysis.evidence import (
    ANOTHER_CONTENDER,
    BEFORE_TRAINED_THROUGH,
    NOT_CLOSED,
    BatchTally,
    Contender,
    closing_date,
    gather,
)
from analysis.evidence.tally import NOT_SCORED_BY_BOTH, UNLABELLED
from analysis.tables.counts import PairedCounts

DAY = FIRST_DAY
CELLS = {(1, 1, 0): 5, (0, 0, 1): 7, (None, 1, 1): 2}
COUNTS = PairedCounts((0, 7, 0, 0, 0, 0, 5, 0), (0, 0, 0, 2))


def days(n: int) -> date:
    return DAY + timedelta(days=n)


def scored_by(*contenders: Contender, day: date = DAY) -> BatchTally:
    return batch_tally(day, CELLS, scored={c.version: c for c in contenders})


@pytest.mark.parametrize("who", ["1", "2"])
def test_a_batch_counts_from_the_day_after_trained_through(who: str) -> None:
    """Dated exactly on trained_through it does not count; a day later it does, whichever of the two learned."""
    pair = [contender(v, trained_through=days(7) if v == who else None) for v in ("1", "2")]
    closed = [scored_by(*pair, day=days(n)) for n in (0, 6, 7, 8, 14)]
    found = gather(*pair, closed)
    assert [b.date for b in found.batches] == [days(8), days(14)]
    assert found.excluded == {BEFORE_TRAINED_THROUGH: 3 * 14, UNLABELLED: 2 * 2}


def test_the_later_trained_through_of_the_two_holds() -> None:
    pair = contender("1", trained_through=days(7)), contender("2", trained_through=days(14))
    closed = [scored_by(*pair, day=days(n)) for n in (7, 10, 14, 15)]
    assert [b.date for b in gather(*pair, closed).batches] == [days(15)]


@pytest.mark.parametrize(
    "then",
    [
        contender("2", threshold=0.4),
        contender("2", digest="another"),
    ],
    ids=["threshold", "model"],
)
def test_a_batch_scored_with_another_threshold_or_model_does_not_count(then: Contender) -> None:
    """It was another contender then, whether it was the champion or the challenger."""
    one, two = contender("1"), contender("2")
    closed = [scored_by(one, then), scored_by(one, two, day=days(7))]
    for pair in ((one, two), (two, one)):
        found = gather(*pair, closed)
        assert [b.date for b in found.batches] == [days(7)]
        assert found.excluded == {ANOTHER_CONTENDER: 14, UNLABELLED: 2}


def test_a_trained_through_that_was_tagged_later_makes_no_other_contender() -> None:
    one, two = contender("1"), contender("2", trained_through=days(-7))
    assert len(gather(one, two, [scored_by(one, contender("2"))]).batches) == 1


def test_another_threshold_of_a_third_version_does_not_matter() -> None:
    one, two = contender("1"), contender("2")
    tally = batch_tally(DAY, CELLS, scored={"1": one, "2": two, "3": contender("3", threshold=0.9)})
    assert len(gather(one, two, [tally]).batches) == 1


def test_a_batch_that_a_version_did_not_score_is_no_batch_of_evidence() -> None:
    one, two = contender("1"), contender("2")
    alone = BatchTally("b", DAY, tally_frame({(1, 1): 5}, ["1"]), {"1": one})
    found = gather(one, two, [alone, scored_by(one, two, day=days(7))])
    assert [b.date for b in found.batches] == [days(7)]
    assert found.excluded == {NOT_SCORED_BY_BOTH: 5, UNLABELLED: 2}


def test_a_batch_without_a_labelled_row_of_the_pair_is_no_batch_of_evidence() -> None:
    found = gather(contender("1"), contender("2"), [batch_tally(DAY, {(None, 1, 0): 9})])
    assert found.batches == ()
    assert found.counts == PairedCounts()
    assert found.excluded == {UNLABELLED: 9}


def test_rows_of_open_batches_are_left_out_by_that_reason() -> None:
    pair = contender("1"), contender("2")
    assert gather(*pair, [], open_rows=12).excluded == {NOT_CLOSED: 12}
    assert gather(*pair, []).excluded == {}


def test_evidence_is_the_sum_of_its_batches_in_the_order_in_which_they_come() -> None:
    pair = contender("1"), contender("2")
    closed = [scored_by(*pair, day=days(n)) for n in (14, 0, 7)]
    found = gather(*pair, closed)
    assert [b.date for b in found.batches] == [days(14), days(0), days(7)]
    assert found.counts == COUNTS + COUNTS + COUNTS
    assert found.segments == {("region", "north"): found.counts}
    assert gather(*pair, closed[::-1]).counts == found.counts


def test_segments_add_over_batches_that_do_not_have_the_same_ones() -> None:
    pair = contender("1"), contender("2")
    north, south = (tally_frame(CELLS, region=r) for r in ("north", "south"))
    scored = {c.version: c for c in pair}
    closed = [BatchTally(str(i), days(i), f, scored) for i, f in enumerate([south, north, south])]
    found = gather(*pair, closed)
    assert list(found.segments.items()) == [(("region", "north"), COUNTS), (("region", "south"), COUNTS + COUNTS)]


def test_the_evidence_of_the_exchanged_pair_is_the_swapped_evidence() -> None:
    pair = contender("1"), contender("2")
    closed = [scored_by(*pair, day=days(n)) for n in (0, 7)]
    there, back = gather(*pair, closed), gather(pair[1], pair[0], closed)
    assert back.counts == there.counts.swap()
    assert back.excluded == there.excluded


def test_every_row_of_every_batch_is_counted_or_left_out() -> None:
    pair = contender("1", trained_through=DAY), contender("2")
    closed = [
        scored_by(*pair),
        scored_by(*pair, day=days(1)),
        scored_by(pair[0], contender("2", threshold=0.1), day=days(2)),
        batch_tally(days(3), {(None, 1, 0): 9, (1, None, 0): 4}, scored={c.version: c for c in pair}),
    ]
    found = gather(*pair, closed, open_rows=100)
    assert found.counts.n + sum(found.excluded.values()) == sum(t.frame["n"].sum() for t in closed) + 100


def test_a_batch_closes_by_the_calendar() -> None:
    assert closing_date(date(2026, 2, 20), 14) == date(2026, 3, 6)
    assert closing_date(DAY, 0) == DAY
