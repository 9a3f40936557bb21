"""Choosing among challengers that are all proven: the lower limit, and who is tied head to head."""

from __future__ import annotations

import itertools

import pytest
from analysis_examples import evidence
from scipy import stats

from analysis.evidence import Evidence
from analysis.one_look.mcnemar import mcnemar
from analysis.policy import Policy
from analysis.tables.counts import PairedCounts
from analysis.tables.metrics import Difference, difference
from analysis.verdict.choice import Candidate, choose
from analysis.verdict.judge import judge

CANDIDATES = [Candidate("2", 0.03), Candidate("3", 0.05), Candidate("4", 0.01)]
TIED = PairedCounts((900, 5, 5, 90, 20, 12, 10, 80))
APART = PairedCounts((900, 5, 5, 90, 20, 2, 30, 80))


def duel(apart: set[str]) -> object:
    def between(first: str, second: str) -> Evidence:
        assert first == "3"
        return evidence(APART if second in apart else TIED, challenger=second)

    return between


def test_the_highest_lower_limit_leads_where_nobody_is_compared_head_to_head() -> None:
    found = choose(CANDIDATES, Policy(), None)
    assert (found.version, found.tied) == ("3", ("3",))
    assert "highest lower limit, above version 2, version 4" in found.reason


@pytest.mark.parametrize(("apart", "tied"), [({"2", "4"}, ("3",)), ({"4"}, ("3", "2")), (set(), ("3", "2", "4"))])
def test_the_highest_lower_limit_leads_whoever_is_tied_with_it(apart: set[str], tied: tuple[str, ...]) -> None:
    choice = choose(CANDIDATES, Policy(), duel(apart))  # type: ignore[arg-type]
    assert (choice.version, choice.tied) == ("3", tied)


@pytest.mark.parametrize("primary", ["f1", "precision"])
def test_what_does_not_count_wins_is_compared_by_its_standard_error(primary: str) -> None:
    policy = Policy.model_validate({"primary": primary, "guardrails": {}})
    assert choose(CANDIDATES, policy, duel({"4"})).tied == ("3", "2")  # type: ignore[arg-type]
    nothing = evidence(PairedCounts(), challenger="2")
    assert choose(CANDIDATES[:2], policy, lambda _a, _b: nothing).tied == ("3", "2")


def test_judge_says_how_it_chose_among_several() -> None:
    good, better = PairedCounts((1800, 10, 10, 30, 10, 20, 6, 150)), PairedCounts((1800, 10, 10, 30, 10, 22, 6, 148))
    both = [evidence(*[good] * 10), evidence(*[better] * 10, challenger="3")]
    policy = Policy(guardrails={})
    alone = judge(both, policy, seed=0)
    tied = judge(both, policy, seed=0, head_to_head=lambda _a, _b: evidence(TIED))
    assert (alone.promote, tied.promote) == ("3", "3")
    assert tied.choice is not None
    assert tied.choice.tied == ("3", "2")
    assert judge(both[:1], policy, seed=0).choice is None


@pytest.mark.parametrize(
    ("apart", "reason"),
    [
        ({"2", "4"}, "it has the highest lower limit, above version 2, version 4"),
        ({"4"}, "it has the highest lower limit, above version 2, version 4; head to head it is tied with version 2"),
    ],
)
def test_the_reason_names_all_that_decided(apart: set[str], reason: str) -> None:
    assert choose(CANDIDATES, Policy(), duel(apart)).reason == reason  # type: ignore[arg-type]


def test_the_only_one_is_chosen_for_that() -> None:
    assert choose(CANDIDATES[:1], Policy(), None).reason == "it is the only one"


def are_tied(counts: PairedCounts, policy: Policy = Policy()) -> bool:  # noqa: B008  (it cannot be changed)
    """Whether two challengers with these counts, head to head, are tied."""
    found = choose(CANDIDATES[:2], policy, lambda _, second: evidence(counts, challenger=second))
    assert found.tied in (("3",), ("3", "2"))
    return found.tied == ("3", "2")


def around(w: int, l: int) -> PairedCounts:
    return PairedCounts((900, 5, 7, 90, 20, w, l, 80))


def test_two_are_tied_unless_they_differ_in_either_direction_at_the_level_of_one_in_twenty() -> None:
    """All wins and losses up to thirty: McNemar's two-sided mid-p, and of f1 the difference over its standard error."""
    f1 = Policy(primary="f1", guardrails={})
    one_sided = 0
    for w, l in itertools.product(range(31), repeat=2):
        counts = around(w, l)
        p = mcnemar(counts.outcomes("recall"), alternative="two-sided").p_value
        assert are_tied(counts) == (p >= 0.05)
        one_sided += mcnemar(counts.outcomes("recall")).p_value < 0.05 <= p
        found = difference("f1", counts)
        assert isinstance(found, Difference)
        assert are_tied(counts, f1) == (2 * stats.norm.sf(abs(found.value) / found.standard_error) >= 0.05)
    assert one_sided > 20


@pytest.mark.parametrize("counts", [PairedCounts(), PairedCounts((900, 0, 0, 90, 20, 0, 0, 80))])
def test_where_nothing_differs_two_are_tied_for_sure(counts: PairedCounts) -> None:
    assert are_tied(counts, Policy(primary="f1", guardrails={}))
