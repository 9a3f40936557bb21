"""Challengers that failed are counted, and a run says in sentences what it has done and what was lost."""

from __future__ import annotations

from datetime import date

from tasks.batches.failures import LOST, Failure, failed_sentences, failures, score_summary
from tasks.batches.predictions import Manifest, Scored


def batch(name: str, **said: str | None) -> Manifest:
    """A batch in which each version scored (None) or failed so; versions are named v1, v2, ..."""
    scored = tuple(Scored(v.removeprefix("v"), None, (), failure) for v, failure in said.items())
    return Manifest(name, date(2024, 1, 7), 1, "1", 1, ("id",), "", (), scored)


THREE = [
    batch("a", v1=None, v2="failed to score: X: one", v10="failed to load: Y"),
    batch("b", v1=None, v2=None, v10="failed to load: Y"),
    batch("c", v1=None, v2="failed to score: X: two", v10="failed to load: Z"),
]


def test_each_version_is_counted_over_the_batches_that_it_was_asked_for_and_told_with_its_last_failure() -> None:
    assert failures(THREE) == [
        Failure("2", "c", "failed to score: X: two", 2, 3),
        Failure("10", "c", "failed to load: Z", 3, 3),
    ]
    late = [batch("a", v1=None), batch("b", v1=None, v2="failed to load: Y")]
    assert failures(late) == [Failure("2", "b", "failed to load: Y", 1, 1)]


def test_who_does_not_compete_any_more_and_who_never_failed_is_not_told() -> None:
    assert failures([*THREE, batch("d", v1=None)]) == []
    assert failures([batch("a", v1=None, v2=None)]) == []
    assert failures([]) == []


def test_a_run_says_what_it_scored_what_it_left_alone_and_who_failed() -> None:
    assert score_summary([]) == "Scored: nothing new."
    assert score_summary([batch("a", v1=None), batch("b", v1=None)]) == "Scored: a, b."
    assert score_summary([batch("a", v1=None)], ["a"]) == "Left alone, because it was scored before: a."
    assert score_summary(THREE[:1]) == (
        "Scored: a. Version 2 failed in 1 of 1 batches, last in a: it failed to score: X: one. "
        f"Version 10 failed in 1 of 1 batches, last in a: it failed to load: Y. {LOST}."
    )
    assert failed_sentences([]) == ""


def test_many_batches_are_counted_and_not_listed() -> None:
    many = [batch(f"b{n:02}", v1=None) for n in range(13)]
    assert score_summary(many) == "Scored: 13 batches, b00 to b12."
    assert score_summary(many[:12]).endswith("b10, b11.")
