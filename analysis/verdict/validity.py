"""Whether the data allow a judgement at all; if not, why, and what to do."""

from __future__ import annotations

import math

from analysis.evidence import NOT_CLOSED, Evidence
from analysis.evidence.row_labels import NO_ID_MATCHES, base_reason
from analysis.evidence.tally import NOT_SCORED_BY_BOTH
from analysis.policy import Policy
from analysis.tables.counts import PairedCounts
from analysis.tables.pair_table import PairTable
from analysis.verdict.assess import Measured
from analysis.verdict.checks import e_text
from analysis.verdict.guardrails import CHECK_LEVEL

__all__ = ["follow_a_model", "reasons_against"]


def reasons_against(evidence: Evidence, m: Measured, policy: Policy) -> tuple[str, ...]:
    """The reasons why the data do not allow a judgement; empty if they do."""
    reasons = []
    if evidence.champion.digest == evidence.challenger.digest:
        threshold = " with the champion's own threshold" if policy.kind.decides else ""
        reasons.append(f"the challenger is the champion's own model{threshold}")
    reasons += _labels_follow(m, policy)
    reasons += _unusable(evidence, m, policy)
    if len(evidence.batches) >= policy.min_batches:
        reasons += follow_a_model(evidence, m.counts)
        if m.counts.one_class:
            stays = "; what has closed stays so, and a cure counts from the next batches on"
            reasons.append(f"all {m.counts.n} labels are of one class{_commonest(evidence)}{stays}")
    return tuple(reasons)


def _unusable(evidence: Evidence, m: Measured, policy: Policy) -> list[str]:
    """Why no label can be used at all, and what to do about it."""
    no_match = next((r for r in evidence.excluded if base_reason(r) == NO_ID_MATCHES), None)
    silent = len(evidence.feed.silent) if evidence.feed else 0
    if no_match and not m.counts.n:
        return [
            f"{no_match}; if labels of these batches are there, write ids alike, or correct 'columns' in the project file"
        ]
    if silent >= policy.min_batches and not m.counts.n:
        return [f"no row of {silent} batches that are due has a label that can be used{_commonest(evidence)}"]
    named, labels = ({name for key in m.class_counts for name in key[part]} for part in (slice(1, 3), slice(0, 1)))
    if labels and not named & labels:
        examples = f"labels such as '{min(labels)}', classes such as '{min(named)}'"
        return [f"no label is a class that a model names: {examples}; write them alike"]
    return []


def _commonest(evidence: Evidence) -> str:
    """The most frequent reason why rows are left out, as the end of a sentence."""
    left_out = {r: n for r, n in evidence.excluded.items() if r not in (NOT_CLOSED, NOT_SCORED_BY_BOTH)}
    if not left_out:
        return ""
    reason = max(left_out, key=lambda r: left_out[r])
    return f"; of {left_out[reason]} others: {reason}"


_TOO_GOOD = 200  # labelled rows; no real model is right on so many without an error
_FEW_POSITIVES = 20


def follow_a_model(evidence: Evidence, counts: PairTable) -> list[str]:
    """Signs that a model made the labels, or that only its alerts were looked into; ``counts`` are those of the evidence."""
    if evidence.entities:
        return []
    reasons = []
    versions = evidence.champion.version, evidence.challenger.version
    if counts.n >= _TOO_GOOD and counts.outcomes("accuracy").discordant >= _FEW_POSITIVES:
        reasons += [
            f"every one of the {counts.n} labels is what version {version} said; labels that a model has made cannot judge models"
            for version, errors in zip(versions, counts.errors, strict=True)
            if not errors
        ]
    silence = evidence.feed is not None and evidence.feed.absent_is_negative
    if silence and isinstance(counts, PairedCounts) and counts.positives >= _FEW_POSITIVES and not reasons:
        reasons += [
            f"version {version} flagged every one of the {counts.positives} positives, so it seems that only its alerts are looked "
            "into, and silence is no negative; have a sample of the other rows labelled, and set absent: missing"
            for version, decisions in zip(versions, (counts.champion, counts.challenger), strict=True)
            if not decisions.fn
        ]
    return reasons


_FEW_CORRECTED = 0.05  # of the disagreements; the worst case of missing labels does not cover corrected ones
_CURE = "label them alike, or set 'unlabelled' in the policy"


def _labels_follow(m: Measured, policy: Policy) -> list[str]:
    """Proof that labels depend on the decisions, so that rows without a label cannot be left out."""
    threshold, labels = -math.log(CHECK_LEVEL), m.labels
    reasons = []
    if policy.unlabelled == "refuse" and isinstance(labels.log_e, float) and labels.log_e >= threshold:
        e = f"(E = {e_text(labels.log_e)})"
        reasons.append(
            f"labels come more or less often than their probabilities say {e}; correct 'columns.label_probability', which is the chance "
            "that a row has a label when its batch closes, or raise maturity_days"
            if policy.sampling
            else f"labels depend on the decisions: {policy.kind.differing} lack a label at different rates, whatever their class "
            f"{e}; {_CURE}"
        )
    bounded = policy.unlabelled == "worst_case" and labels.corrected <= _FEW_CORRECTED * labels.disagreements
    if not bounded and isinstance(labels.log_e_audit, float) and labels.log_e_audit >= threshold:
        cure = "" if labels.corrected else ", or set 'unlabelled: worst_case' in the policy"
        reasons.append(
            f"labels depend on the decisions: of one class, {policy.kind.differing} get their label, or its correction, late at "
            f"different rates (E = {e_text(labels.log_e_audit)}); raise maturity_days{cure}"
        )
    return reasons
