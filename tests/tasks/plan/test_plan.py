"""A plan: what it takes from the store, from the user and from neither, and a report that says what plan.json holds."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from weeks import BETTER, everything, found, play_week, week

from analysis.policy import Policy
from analysis.policy.budget import allowance
from analysis.seasons.season import DETHRONE, NAIVE_RULES
from analysis.seasons.simulate import Scenario
from tasks.base.project import Project
from tasks.models.registry import Registry
from tasks.plan import Plan, Question, make_plan
from tasks.plan.plan_report import plan_caveats, plan_sentence, write_plan
from tasks.plan.plan_volumes import DEFAULT_DISAGREEMENT, PlanError, Volumes, basis
from tasks.store import Store

DAY = date(2024, 6, 1)
SAID = Volumes(rows=1000, prevalence=0.2, recall=0.6, fpr=0.02, disagreement=0.1)
QUICK = Question(batches=6, runs=10, gains=(0.1,), challengers=1, seed=1, said=SAID)
POLICY = Policy(guardrails={}, n_resamples=1000)


def silent(_: str) -> None:
    """Nobody follows the progress."""


@pytest.fixture
def quick(make_project: Callable[..., Project]) -> Project:
    return make_project(policy=POLICY)


@pytest.fixture
def weeks(project: Project, store: Store, registry: Registry, register: Callable[..., str]) -> None:
    """Four closed weeks in which version 2 is better; the second of them has no disagreement."""
    for column in ("x1", "x2"):
        register(column)
    found(store, registry, project)
    agreed = {(1, 1, 1): 63, (1, 0, 0): 37, (0, 0, 0): 194, (0, 1, 1): 6}
    for number, counts in enumerate((BETTER, agreed, BETTER, BETTER)):
        play_week(store, registry, project, number, counts)


def plan_of(store: Store, project: Project, **changes: Any) -> Plan:
    return make_plan(store, project, replace(QUICK, **changes), DAY, silent)


class TestVolumes:
    def test_what_is_said_is_simulated_before_there_is_any_batch(self, store: Store, quick: Project) -> None:
        given = basis(store, quick, SAID, DAY)
        assert given.scenario == Scenario(200, 800, 0.6, 0.02, 0.1, 0.1 * 0.02 / 0.6)
        assert {a.source for a in given.assumed} == {
            "as said",
            "the same share of what the champion flags as on positives",
        }
        assert given.uneven == ()

    def test_without_a_challenger_the_disagreement_is_a_default(self, store: Store, quick: Project) -> None:
        given = basis(store, quick, replace(SAID, disagreement=None), DAY)
        assert given.scenario.disagreement_positives == DEFAULT_DISAGREEMENT
        assert "no challenger yet: a default" in {a.source for a in given.assumed}

    def test_where_neither_user_nor_batches_tell_one_sentence_says_what_is_missing(
        self, store: Store, quick: Project
    ) -> None:
        with pytest.raises(
            PlanError,
            match=r"^project parcels has no closed batch .* yet; say .*: --rows, --prevalence, --recall, --fpr$",
        ):
            basis(store, quick, Volumes(), DAY)
        with pytest.raises(PlanError, match=r": --recall$"):
            basis(store, quick, replace(SAID, recall=None), DAY)

    @pytest.mark.usefixtures("weeks")
    def test_closed_batches_tell_all_of_it(self, store: Store, project: Project) -> None:
        """Of 400 positives version 1 flags 3 * 63 + 63, and the two part on 3 * 33; of 800 negatives 3 * 6 + 6 and 3 * 10."""
        given = basis(store, project, Volumes(), DAY)
        assert given.scenario == Scenario(100, 200, 252 / 400, 24 / 800, 99 / 400, 30 / 800)
        assert [a.source for a in given.assumed] == [
            *["mean of 4 closed batches"] * 2,
            *["version 1 in 4 closed batches"] * 2,
            *["median of 1 challenger"] * 2,
        ]

    @pytest.mark.usefixtures("weeks")
    def test_only_batches_that_are_closed_by_then_count(self, store: Store, project: Project) -> None:
        assert "mean of 2 closed batches" in {a.source for a in basis(store, project, Volumes(), week(3)).assumed}
        with pytest.raises(PlanError, match="no closed batch"):
            basis(store, project, Volumes(), week(1))

    @pytest.mark.usefixtures("weeks")
    def test_what_is_said_goes_before_what_is_seen(self, store: Store, project: Project) -> None:
        given = basis(store, project, Volumes(rows=90, disagreement=0.12), DAY).scenario
        assert (given.positives, given.negatives, given.recall) == (30, 60, 252 / 400)
        assert given.disagreement_positives == 0.12
        assert given.disagreement_negatives == pytest.approx(0.12 * (24 / 800) / (252 / 400))

    def test_a_lead_that_swings_from_batch_to_batch_is_named_beside_the_plan(
        self, project: Project, store: Store, registry: Registry, register: Callable[..., str]
    ) -> None:
        for column in ("x1", "x2", "x3"):
            register(column)
        found(store, registry, project)
        for number in range(4):
            swinging = {(1, number % 2, 1 - number % 2, 1): 30, (1, 0, 1, 0): 5, (1, 1, 0, 0): 5}
            play_week(store, registry, project, number, {**swinging, (1, 1, 1, 1): 60, (0, 0, 0, 0): 200})
        plan = make_plan(store, project, replace(QUICK, said=Volumes(), runs=2), DAY, silent)
        assert plan.basis.uneven == ("2", "3")
        (caveat,) = plan_caveats(plan)
        assert caveat.startswith(
            "The gain of versions 2, 3 varies between the closed batches by more than chance allows"
        )
        assert f"**{caveat}**" in write_plan(store, project, plan)


class TestPlan:
    def test_the_same_seed_gives_the_same_report_to_the_last_byte(self, store: Store, quick: Project) -> None:
        write_plan(store, quick, plan_of(store, quick))
        before = everything(store, quick)
        write_plan(store, quick, plan_of(store, quick))
        assert everything(store, quick) == before
        assert sorted(before) == [f"parcels/reports/plan/plan.{end}" for end in ("json", "md", "svg")]
        assert plan_of(store, quick, seed=2).courses != plan_of(store, quick).courses

    def test_a_gain_has_the_same_numbers_whatever_stands_beside_it(self, store: Store, quick: Project) -> None:
        alone, beside = plan_of(store, quick), plan_of(store, quick, gains=(0.02, 0.1, 0.0))
        assert [c.gain for c in beside.courses] == [0.0, 0.02, 0.1]
        assert alone.courses == (beside.courses[0], beside.courses[2])

    def test_the_default_gains_are_none_the_least_that_matters_and_two_larger_ones(
        self, store: Store, make_project: Callable[..., Project]
    ) -> None:
        def gains(policy: Policy, **said: float) -> list[float]:
            plan = plan_of(
                store, make_project(policy=policy), gains=None, runs=1, batches=1, said=replace(SAID, **said)
            )
            return [c.gain for c in plan.courses]

        assert gains(POLICY) == [0.0, 0.01, 0.02, 0.05]
        assert gains(Policy(min_gain=0.03)) == [0.0, 0.03, 0.05, 0.08]
        assert gains(POLICY, recall=0.97) == [0.0, 0.01, 0.02], "a recall of 1.02 is none"

    def test_progress_is_told_of_every_rule_and_gain_with_what_is_done(self, store: Store, quick: Project) -> None:
        told: list[str] = []
        make_plan(store, quick, QUICK, DAY, told.append)
        assert len(told) == 1 + 2 * (1 + len(NAIVE_RULES))
        assert told[0] == "2 gains and 4 rules, 10 runs of 6 batches each; 0% of the plan is done"
        assert re.fullmatch(
            r"gain 0.1, Dethrone's policy: promoted in \d+ of 10 runs; 62% of the plan is done", told[5]
        )
        assert told[-1].endswith("; 100% of the plan is done")

    def test_a_rule_that_takes_long_is_told_of_every_ten_seconds(self, store: Store, quick: Project) -> None:
        told: list[str] = []
        seconds = itertools.count(0, 4)  # a clock that moves on by four seconds whenever it is read
        make_plan(store, quick, QUICK, DAY, told.append, lambda: float(next(seconds)))
        within = [line for line in told if line.startswith("gain 0, Dethrone's policy: ") and "promoted" not in line]
        assert within == [
            f"gain 0, Dethrone's policy: {n} of 10 runs; {r}% of the plan is done" for n, r in ((3, 4), (6, 8), (9, 11))
        ]

    @pytest.mark.usefixtures("weeks")
    def test_what_a_new_challenger_may_spend_is_what_the_log_leaves(
        self, store: Store, project: Project, make_project: Callable[..., Project]
    ) -> None:
        """One has challenged in this reign: the next two are the second wave."""
        policy = Policy(error_budget="reign", guardrails={}, n_resamples=1000)
        budgeted = project.model_copy(update={"policy": policy})
        plan = plan_of(store, budgeted, challengers=2, runs=1, batches=1)
        given = [allowance("reign", 0.05, wave=j, order=j, promotions=0).alpha for j in (2, 2)]
        assert list(plan.alphas) == pytest.approx(given)
        assert f"may spend alpha = {given[0]:.2g}, {given[1]:.2g}." in write_plan(store, budgeted, plan)
        shared = POLICY.model_copy(update={"error_budget": "family"})
        assert plan_of(store, make_project(policy=shared), runs=1, batches=1).alphas == (0.05,)

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"runs": 0}, "runs must be at least 1, not 0"),
            ({"batches": 0}, "batches must be at least 1, not 0"),
            ({"challengers": 0}, "challengers must be at least 1, not 0"),
            ({"seed": -1}, "seed must be at least 0, not -1"),
            (
                {"gains": (0.5,)},
                r"parcels cannot be simulated: a gain of 0.5 is more than the champion leaves room for",
            ),
            ({"said": replace(SAID, rows=2)}, r"a batch needs at least one positive and one negative, not 0 and 2"),
            ({"said": replace(SAID, recall=1.5)}, r"the recall must lie between 0 and 1, not 1.5"),
            ({"said": replace(SAID, prevalence=1.5)}, r"a batch needs at least one positive and one negative"),
        ],
    )
    def test_what_cannot_be_simulated_is_refused_in_a_sentence(
        self, store: Store, quick: Project, changes: dict[str, Any], message: str
    ) -> None:
        with pytest.raises(PlanError, match=message):
            plan_of(store, quick, **changes)
        assert everything(store, quick) == {}

    @pytest.mark.parametrize(
        ("task", "policy", "message"),
        [
            ("multiclass", {"task": "multiclass"}, "only decisions of 0 and 1 are simulated; the task is multiclass"),
            ("regression", {"task": "regression"}, "only decisions of 0 and 1 are simulated; the task is regression"),
            ("binary", {"guardrails": {"brier": 0.01}}, "not scores, and the policy asks for proof about brier"),
        ],
    )
    def test_classes_numbers_and_scores_are_refused(
        self, store: Store, make_project: Callable[..., Project], task: str, policy: dict[str, Any], message: str
    ) -> None:
        with pytest.raises(PlanError, match=f"project parcels cannot be simulated: .*{message}"):
            plan_of(store, make_project(task=task, policy=Policy(**policy)))


class TestReport:
    @pytest.fixture
    def written(self, store: Store, quick: Project) -> tuple[str, dict[str, Any]]:
        """The report on three gains, and what plan.json holds."""
        write_plan(store, quick, plan_of(store, quick, gains=(0.03, 0.15)))
        content = {key: store.read(f"parcels/reports/plan/plan.{key}") for key in ("md", "json")}
        return content["md"].decode(), json.loads(content["json"])

    def test_the_tables_say_what_the_record_holds(self, written: tuple[str, dict[str, Any]]) -> None:
        markdown, record = written
        policy, needed, naive, assumed = (_rows(t) for t in re.findall(r"(?:^\|.*\n)+", markdown, flags=re.MULTILINE))
        for row, result in zip(policy, record["results"], strict=True):
            p = result["rules"][DETHRONE]
            assert float(row["gain in recall"]) == result["gain"] == pytest.approx(result["gain_in_primary"])
            assert _share(row["promoted"]) == pytest.approx(p["share"], abs=5e-4)
            low, high = row["95 %"].split(" to ")
            assert (_share(low), _share(high)) == pytest.approx((p["interval"]["low"], p["interval"]["high"]), abs=5e-4)
            mean, half = row["mean batches"].split(" ± ")
            assert (mean, half) == (f"{p['mean_batches']:.1f}", f"{1.96 * p['standard_error']:.1f}")
            assert row["half promoted by"] == str(p["batches_50"] or "–")
            assert row["80 % promoted by"] == str(p["batches_80"] or "–")
            assert sum(p["at_batch"]) == p["promoted"] == p["share"] * record["question"]["runs"]
        for row, result in zip(needed, record["results"][1:], strict=True):
            s = result["sizes"]
            assert (row["gain in recall"], row["won"]) == (f"{result['gain']:g}", f"{s['win_share']:.0%}")
            for name, n in zip(list(row)[2:], (s["one_look"], s["even"], s["likely"]), strict=True):
                assert row[name] == f"{n['rows']:,} ({n['disagreements']:,})"
        assert record["results"][0]["sizes"] is None
        assert len(naive) == 1 + len(NAIVE_RULES)
        for row in naive:
            name = row["rule"].replace("\\", "").strip("*")
            for result in record["results"]:
                p = result["rules"][name]
                cell = row[f"gain in recall {result['gain']:g}"]
                assert _share(cell.split(" (")[0]) == pytest.approx(p["share"], abs=5e-4)
                assert cell.endswith(f"; {p['mean_batches']:.1f}")
        assert [(r["of a batch"], r["from"]) for r in assumed] == [
            (a["quantity"], a["source"]) for a in record["basis"]["assumed"]
        ]

    def test_the_first_sentence_is_that_of_the_record(self, written: tuple[str, dict[str, Any]]) -> None:
        markdown, record = written
        equal, _, better = (r["rules"][DETHRONE] for r in record["results"])
        assert markdown.split("\n\n")[1] == record["sentence"]
        assert better["promoted"] == 10
        assert record["sentence"] == (
            f"With this policy and these volumes an equal challenger is promoted within 6 batches in {equal['promoted']} of 10 runs "
            f"(at most {round(100 * equal['interval']['high'], 1):g} %), and one that is better by 0.15 in recall after "
            f"{better['mean_batches']:.1f} batches on average."
        )

    def test_the_sentence_tells_of_the_least_gain_that_most_runs_promote_or_else_of_the_largest(
        self, store: Store, quick: Project
    ) -> None:
        none = plan_sentence(quick, plan_of(store, quick, gains=(0.0,)))
        assert none.endswith("(at most 30.8 %).")
        small = plan_of(store, quick, gains=(0.01, 0.02), batches=4)
        promoted = small.courses[-1].rules[DETHRONE].promoted
        assert f"better by 0.02 in recall in {10 * promoted} % of them, after " in plan_sentence(quick, small)
        several = plan_sentence(quick, plan_of(store, quick, gains=(0.15, 0.3), challengers=2))
        assert "one of 2 equal challengers is promoted" in several
        assert "one of several that are better by 0.15 in recall after" in several

    def test_the_plot_lies_beside_the_report_and_inside_what_is_returned(self, store: Store, quick: Project) -> None:
        returned = write_plan(store, quick, plan_of(store, quick))
        assert "](data:image/svg+xml;base64," in returned
        assert "](plan.svg)" in store.read("parcels/reports/plan/plan.md").decode()
        drawn = ET.fromstring(store.read("parcels/reports/plan/plan.svg"))  # noqa: S314
        assert drawn.tag.endswith("svg")

    def test_a_metric_that_is_no_share_of_rows_is_gained_through_recall(
        self, store: Store, make_project: Callable[..., Project]
    ) -> None:
        project = make_project(policy=Policy(primary="f1", guardrails={}, n_resamples=1000))
        plan = plan_of(store, project, runs=2, batches=5)
        in_f1 = plan.courses[1].scenario.gain_in("f1", project.policy)
        assert f"better by 0.1 in recall ({in_f1:+.4g} in f1)" in plan_sentence(project, plan)
        assert f"| 0.1 | {in_f1:+.4g} |" in write_plan(store, project, plan)

    @pytest.mark.parametrize(
        ("changes", "said"),
        [
            ({}, "A gain is in recall, at the champion's false positive rate."),
            ({"policy": {"primary": "specificity"}}, "A gain is in specificity, at the champion's recall."),
            ({"policy": {"primary": "accuracy"}}, "A gain in accuracy is one share of wins"),
            ({"policy": {"segment_guardrails": {"recall": 0.1}}}, "Segment guardrails are left out"),
            ({"columns": {"entity": "customer"}}, "Rows that share customer are not independent"),
        ],
    )
    def test_what_was_assumed_is_said(
        self, store: Store, make_project: Callable[..., Project], changes: dict[str, Any], said: str
    ) -> None:
        policy = Policy(**{"guardrails": {}, "n_resamples": 1000, **changes.get("policy", {})})
        project = make_project(**{**changes, "policy": policy})
        markdown = write_plan(store, project, plan_of(store, project, gains=(0.01,), runs=1, batches=1))
        assert f"\n- {said}" in markdown

    @pytest.mark.usefixtures("weeks")
    def test_a_plan_changes_nothing_but_its_own_report(self, store: Store, project: Project) -> None:
        before = everything(store, project)
        write_plan(store, project, plan_of(store, project, said=Volumes(), runs=1))
        after = everything(store, project)
        assert {k: v for k, v in after.items() if "/reports/plan/" not in k} == before


def _rows(text: str) -> list[dict[str, str]]:
    """A markdown table as one mapping a row."""
    head, _, *lines = [[c.strip() for c in line.split(" | ")] for line in text.strip().splitlines()]
    clean = [[c.removeprefix("| ").removesuffix(" |") for c in line] for line in (head, *lines)]
    return [dict(zip(clean[0], line, strict=True)) for line in clean[1:]]


def _share(text: str) -> float:
    return float(text.removesuffix(" %")) / 100
