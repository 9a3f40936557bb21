"""What makes a judgement invalid, and what a promotion has to wait for, when it is the feed that is wrong."""

from __future__ import annotations

from dataclasses import replace

from analysis_examples import evidence
from judge_examples import failed
from task_examples import class_evidence

from analysis.evidence import Evidence, Feed
from analysis.policy import Costs, Policy
from analysis.tables.class_counts import ClassCounts
from analysis.tables.counts import PairedCounts
from analysis.verdict.judge import Assessment, Verdict, judge

LEAD = PairedCounts((1800, 2, 9, 30, 10, 24, 4, 150))
PERFECT = PairedCounts((1800, 0, 9, 0, 0, 24, 0, 150))


def assessed(found: Evidence, policy: Policy | None = None) -> Assessment:
    (assessment,) = judge([found], policy or Policy(error_budget="family"), seed=0).assessments
    return assessment


def fed(counts: PairedCounts, feed: Feed, batches: int = 6) -> Evidence:
    return replace(evidence(*[counts] * batches), feed=feed)


def test_whoever_failed_in_a_new_batch_waits() -> None:
    assert assessed(fed(LEAD, Feed())).verdict is Verdict.PROMOTE
    waiting = assessed(fed(LEAD, Feed(failed_lately={"2": ("2026-01-12",)})))
    assert (waiting.verdict, failed(waiting)) == (Verdict.WAIT, ["scores"])
    assert assessed(fed(LEAD, Feed(failed_lately={"3": ("2026-01-12",)}))).verdict is Verdict.PROMOTE


def test_nobody_is_promoted_before_a_batch_was_looked_at_again() -> None:
    waiting = assessed(fed(LEAD, Feed(looked_again=False)))
    assert failed(waiting) == ["late labels"]


def test_where_labels_are_corrected_or_silence_is_a_negative_several_are_looked_at_again() -> None:
    closed = replace(LEAD, labelled=(1800, 12, 10, 30, 10, 24, 4, 150))
    settled = replace(
        LEAD, labelled=(1800, 6, 9, 30, 10, 30, 5, 150)
    )  # false alarms that were none: a fifth of both models' finds
    base = fed(closed, Feed())
    for looked, passed in ((3, False), (4, True)):
        batches = tuple(replace(b, settled=settled if i < looked else None) for i, b in enumerate(base.batches))
        found = assessed(replace(base, batches=batches))
        assert found.measured.labels.corrected == 7 * looked
        assert failed(found) == ([] if passed else ["late labels"])
        silent = tuple(replace(b, settled=closed if i < looked else None) for i, b in enumerate(base.batches))
        quiet = assessed(replace(base, batches=silent, feed=Feed(absent_is_negative=True)))
        assert failed(quiet) == ([] if passed else ["late labels"])


def test_labels_that_never_contradict_a_model_are_not_labels() -> None:
    for counts, version in ((PERFECT, "2"), (PERFECT.swap(), "1")):
        found = assessed(fed(counts, Feed()))
        assert found.verdict is Verdict.INVALID
        assert f"is what version {version} said" in found.reasons[0]
    assert assessed(fed(replace(PERFECT, labelled=(20, 0, 1, 0, 0, 4, 0, 5)), Feed())).verdict is not Verdict.INVALID
    assert (
        assessed(fed(replace(PERFECT, labelled=(1800, 0, 1, 0, 0, 2, 0, 150)), Feed())).verdict is not Verdict.INVALID
    )


def test_positives_of_one_models_alerts_alone() -> None:
    alerts = PairedCounts((1800, 20, 9, 30, 0, 0, 24, 150))
    silence = Feed(absent_is_negative=True)
    assert "version 1 flagged every one of the 1044 positives" in assessed(fed(alerts, silence)).reasons[0]
    assert assessed(fed(alerts, Feed())).verdict is not Verdict.INVALID
    few = replace(alerts, labelled=(1800, 20, 9, 30, 0, 0, 1, 2))
    assert assessed(fed(few, silence)).verdict is not Verdict.INVALID


def test_batches_without_a_label_are_told_with_the_commonest_reason() -> None:
    nothing = replace(
        evidence(),
        feed=Feed(({"unlabelled": 3},) * 4),
        excluded={"unlabelled": 12, "label withdrawn": 4, "batch not closed": 99},
    )
    found = assessed(nothing)
    said = "no row of 4 batches that are due has a label that can be used; of 12 others: unlabelled"
    assert (found.verdict, found.reasons) == (Verdict.INVALID, (said,))
    assert assessed(replace(nothing, feed=Feed(({"unlabelled": 3},) * 3))).verdict is Verdict.WAIT
    one_class = replace(
        evidence(*[PairedCounts((0, 0, 0, 0, 9, 9, 9, 9))] * 4), excluded={"label not 0/1, such as no": 7}
    )
    said = "all 144 labels are of one class; of 7 others: label not 0/1, such as no; what has closed stays so, and a cure counts from the "
    assert assessed(one_class).reasons[-1] == f"{said}next batches on"


def test_classes_that_no_model_names() -> None:
    classes = ClassCounts.of([(("A", "a", "b"), 60), (("B", "b", "a"), 50)], [])
    found = assessed(class_evidence(*[classes] * 4), Policy(task="multiclass"))
    assert found.reasons == (
        "no label is a class that a model names: labels such as 'A', classes such as 'a'; write them alike",
    )


def test_a_measure_that_mixes_classes_needs_the_labels_of_both() -> None:
    """Where one class lacks more labels, accuracy and cost are wrong, recall is not."""
    missing = replace(LEAD, unlabelled=(0, 14, 14, 0))
    base = fed(missing, Feed(), 9)
    base = replace(base, batches=tuple(replace(b, settled=missing) for b in base.batches))
    for primary, waits in (("recall", False), ("accuracy", True), ("cost", True)):
        policy = Policy(primary=primary, guardrails={}, error_budget="family", costs=Costs(fp=1, fn=5))  # type: ignore[arg-type]
        assert ("labels of both classes" in failed(assessed(base, policy))) == waits
    whole = replace(base, batches=tuple(replace(b, counts=LEAD, settled=LEAD) for b in base.batches))
    policy = Policy(primary="accuracy", guardrails={}, error_budget="family")
    assert assessed(whole, policy).verdict is Verdict.PROMOTE
