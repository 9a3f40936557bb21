"""What missing and late labels do to a verdict: the tipping point, the audit, and what is asked of entities in rows."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest
from analysis_examples import evidence
from judge_examples import only
from task_examples import class_evidence

from analysis.any_look.eprocess import log_e
from analysis.evidence import Evidence
from analysis.evidence.entities import EntityEvidence
from analysis.evidence.row_labels import NO_ID_MATCHES, join_labels
from analysis.evidence.tally import count_rows
from analysis.one_look.clusters import ClusteredDifference, ClusteredTest
from analysis.policy import Policy
from analysis.tables.class_counts import ClassCounts
from analysis.tables.counts import PairedCounts, Undefined
from analysis.verdict.assess import measure
from analysis.verdict.checks import Check, checks
from analysis.verdict.judge import Verdict, judge
from analysis.verdict.label_checks import label_checks

LEAD = PairedCounts((1800, 10, 10, 30, 10, 9, 2, 150), (0, 2, 2, 0))


def found(e: Evidence, policy: Policy) -> Any:
    return measure(e, policy, rng=np.random.default_rng(1)).labels


def test_the_tipping_point_is_the_fewest_losses_that_undo_the_proof() -> None:
    lead = evidence(*[replace(LEAD, unlabelled=(0, 2, 9, 0))] * 4)
    tipping = found(lead, Policy()).tipping_point
    pairs = lead.counts.outcomes("recall")
    by_losses = [log_e(replace(pairs, losses=pairs.losses + k)) >= np.log(20) for k in range(37)]
    assert (tipping.needed, tipping.missing) == (by_losses.index(False), 36)
    assert (tipping.rows, tipping.label) == ("rows that the champion alone flagged", "positive")


@pytest.mark.parametrize(
    ("primary", "rows", "missing"),
    [("specificity", "rows that the challenger alone flagged", 40), ("accuracy", "rows on which the two disagree", 80)],
)
def test_of_other_shares_other_rows_could_be_lost(primary: Any, rows: str, missing: int) -> None:
    lead = evidence(*[PairedCounts((1800, 2, 9, 30, 10, 9, 2, 150), (0, 10, 10, 0))] * 4)
    tipping = found(lead, Policy(primary=primary, guardrails={})).tipping_point
    assert (tipping.rows, tipping.missing) == (rows, missing)


def test_there_is_none_where_nothing_is_proven_and_where_no_missing_label_could_undo_it() -> None:
    for counts in (LEAD.swap(), replace(LEAD, unlabelled=(0, 0, 1, 0))):
        assert found(evidence(*[counts] * 9), Policy()).tipping_point is None
    assert found(evidence(*[LEAD] * 9), Policy(primary="precision", guardrails={})).tipping_point is None


def late(counts: PairedCounts, came: PairedCounts, batches: int = 6) -> Evidence:
    e = evidence(*[counts] * batches)
    return replace(e, batches=tuple(replace(b, settled=b.counts + came) for b in e.batches))


def test_late_labels_that_follow_the_decisions_are_invalid_unless_the_worst_is_assumed() -> None:
    e = late(replace(LEAD, unlabelled=(0, 6, 40, 0)), PairedCounts((0, 6, 0, 0, 0, 0, 40, 0)))
    for policy, verdict in ((Policy(), Verdict.INVALID), (Policy(unlabelled="worst_case"), Verdict.WAIT)):
        (assessment,) = judge([e], policy, seed=0).assessments
        assert assessment.verdict is verdict
        said = (
            "of one class, rows flagged by one model alone get their label, or its correction, late at different rates"
        )
        assert any(said in r for r in assessment.reasons) == (verdict is Verdict.INVALID)


def test_late_labels_of_classes_are_compared_by_class() -> None:
    labelled = [(("a", "a", "b"), 60), (("a", "b", "a"), 60), (("b", "b", "a"), 50), (("b", "a", "b"), 50)]
    classes = ClassCounts.of(labelled, [(("a", "b"), 30)])
    e = class_evidence(*[classes] * 3)
    settled = ClassCounts.of([*labelled, (("a", "a", "b"), 30)])
    e = replace(e, batches=tuple(replace(b, settled=settled) for b in e.batches))
    said = label_checks(e, Undefined("no process"), Policy(task="multiclass"))
    assert isinstance(said.log_e_audit, float)
    assert said.log_e_audit > np.log(20)
    assert (said.missing, said.audited) == (90, 3)


def test_many_missing_labels_that_could_undo_a_proof_wait_until_the_late_ones_were_looked_at() -> None:
    many = replace(LEAD, unlabelled=(0, 10, 10, 0))
    waiting = only(*[many] * 9, policy=Policy())
    assert [c.name for c in waiting.checks if not c.passed] == ["late labels"]
    (audited,) = judge([late(many, PairedCounts(), 9)], Policy(), seed=0).assessments
    assert audited.verdict is Verdict.PROMOTE


def test_labels_that_match_no_id_are_a_reason_of_their_own() -> None:
    nothing = replace(evidence(), excluded={f"{NO_ID_MATCHES}, such as r1; the labels have ids such as 7": 90})
    (assessment,) = judge([nothing], Policy(), seed=0).assessments
    assert assessment.verdict is Verdict.INVALID
    assert assessment.reasons[0].endswith("write ids alike, or correct 'columns' in the project file")


@pytest.mark.parametrize(
    ("difference", "passed", "finding"),
    [
        (
            ClusteredDifference(0.05, 0.01),
            True,
            "over all rows of every entity the gain in recall is at least 0.0336 (above 0.03 needed)",
        ),
        (
            ClusteredDifference(0.04, 0.01),
            False,
            "over all rows of every entity the gain in recall is at least 0.0236 (above 0.03 needed)",
        ),
        (Undefined("one entity"), False, "the gain in rows is not known: too few entities"),
    ],
)
def test_a_gain_of_entities_has_to_be_one_of_rows_too(difference: Any, passed: bool, finding: str) -> None:
    policy, e = Policy(min_gain=0.03), evidence(*[LEAD] * 4)
    pairs = {"recall": tuple(b.counts.outcomes("recall") for b in e.batches)}
    test = {"recall": ClusteredTest("obuchowski", 20, 9.0, 0.001)}
    shared = replace(e, entities=EntityEvidence(pairs, 0.0, test, {"recall": difference}))  # type: ignore[arg-type]
    m = measure(e, policy, rng=np.random.default_rng(1))
    by_name = {c.name: c for c in checks(shared, m, 10.0, policy)}
    assert by_name["rows of entities"] == Check("rows of entities", passed, finding)


def test_silence_is_a_negative_where_that_is_declared_and_a_value_without_text_has_no_example() -> None:
    rows = pl.DataFrame({"id": ["a", "b"], "v1": [1, 0]})
    labels = pl.DataFrame({"id": ["a"], "label": [float("nan")], "observed_at": [None]}).with_columns(
        pl.col("observed_at").cast(pl.Datetime("us"))
    )
    joined = join_labels(rows, labels.with_columns(observed_at=pl.datetime(2026, 1, 5)), absent_is_negative=True)
    assert count_rows(joined).select("excluded", "label").rows() == [("label not 0/1", None), (None, 0)]
