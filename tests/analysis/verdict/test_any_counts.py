"""Whatever the counts: no NaN leaves a public function, and nothing is raised but what is documented."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping
from typing import Any, get_args

import numpy as np
from analysis_examples import COUNTS, PRIORS, PROPERTY, SLOW_PROPERTY, evidence
from hypothesis import example, given
from hypothesis import strategies as st

from analysis.any_look.batch_unit import log_e_batch_unit, overdispersion
from analysis.any_look.eprocess import confidence_sequence, log_e, log_e_array
from analysis.any_look.label_selection import binary_splits, log_e_selection
from analysis.any_look.precision import log_e_precision
from analysis.kinds import KINDS
from analysis.one_look.bootstrap import bootstrap
from analysis.one_look.labels import label_share_p_value
from analysis.one_look.mcnemar import Alternative, Method, mcnemar
from analysis.one_look.multiplicity import e_closure
from analysis.one_look.segments import homogeneity_p_value, paired_interval, segment_forest
from analysis.policy import Policy
from analysis.seasons.season import NAIVE_RULES, policy_rule
from analysis.tables.counts import PairedCounts
from analysis.tables.metrics import METRICS, OUTCOME_METRICS, difference, metric
from analysis.tables.record import canonical_json, plain
from analysis.verdict.assess import measure
from analysis.verdict.guardrails import guardrail
from analysis.verdict.trajectory import evidence_path

NAMES = OUTCOME_METRICS
HUGE = 10**9
NOTHING, ALL_HUGE = PairedCounts(), PairedCounts((HUGE,) * 8, (HUGE,) * 4)


def numbers(value: Any) -> Iterator[float]:
    """Every float inside a result."""
    if isinstance(value, (float, np.floating)):
        yield float(value)
    elif isinstance(value, np.ndarray):
        yield from value.ravel().tolist()
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        for field in dataclasses.fields(value):
            yield from numbers(getattr(value, field.name))
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from numbers(inner)
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from numbers(inner)


def assert_no_nan(value: Any, *, finite: bool = True) -> None:
    for x in numbers(value):
        assert math.isfinite(x) or (not finite and x == -math.inf), value


@PROPERTY
@given(COUNTS)
@example(NOTHING)
@example(ALL_HUGE)
def test_metrics_tests_and_intervals(counts: PairedCounts) -> None:
    for name in METRICS:
        assert_no_nan([metric(name, counts.champion), difference(name, counts)])
    for name in NAMES:
        assert_no_nan(paired_interval(counts, name, confidence_level=0.9))
        for alternative in get_args(Alternative):
            for method in get_args(Method) if alternative == "two-sided" else ("mid-p", "exact", "asymptotic"):
                assert_no_nan(mcnemar(counts.outcomes(name), alternative=alternative, method=method))
    assert_no_nan([log_e_selection(binary_splits([counts])), label_share_p_value(counts)])


@PROPERTY
@given(COUNTS, st.floats(-0.99, 0.99), PRIORS, st.floats(1e-6, 0.49))
@example(NOTHING, 0.5, 3.0, 0.05)
@example(ALL_HUGE, -0.99, 1.0, 0.05)
@example(ALL_HUGE, 0.99, 200.0, 0.05)
def test_evidence(counts: PairedCounts, gain: float, prior: float, alpha: float) -> None:
    for name in NAMES:
        pairs = counts.outcomes(name)
        assert_no_nan(log_e(pairs, prior=prior), finite=False)
        assert_no_nan(log_e(pairs, null_gain=gain, prior=prior))
        for g in (0.0, gain):
            single = log_e_array([pairs.wins], [pairs.losses], [pairs.ties], null_gain=g, prior=prior)
            assert_no_nan(single, finite=False)
        assert_no_nan(confidence_sequence(pairs, alpha=alpha, prior=prior))
        batches = [pairs, pairs.swap(), pairs]
        assert_no_nan([overdispersion(batches), log_e_batch_unit(batches, null_gain=gain)])
    for refine in (True, False):
        assert_no_nan(log_e_precision(counts, null_gain=gain, prior=prior, refine=refine))


@SLOW_PROPERTY
@given(COUNTS, st.sampled_from(["dirichlet", "multinomial"]), st.floats(0.01, 0.99))
@example(NOTHING, "multinomial", 0.9)
@example(ALL_HUGE, "multinomial", 0.9)
def test_bootstraps(counts: PairedCounts, method: Any, level: float) -> None:
    found = bootstrap(
        counts, METRICS, rng=np.random.default_rng(1), confidence_level=level, n_resamples=500, method=method
    )
    assert set(found) == set(METRICS)
    assert_no_nan(found)


@SLOW_PROPERTY
@given(st.dictionaries(st.tuples(st.just("region"), st.sampled_from("nsew")), COUNTS, max_size=4))
def test_segments(segments: dict[tuple[str, str], PairedCounts]) -> None:
    for name in NAMES:
        forest = segment_forest(segments, name, confidence_level=0.9)
        assert_no_nan([forest, homogeneity_p_value(forest, "region")])


@SLOW_PROPERTY
@given(st.lists(COUNTS, max_size=4), st.sampled_from([0.0, 0.01, 0.5]), st.sampled_from([1.0, 3.0, 200.0]))
@example([ALL_HUGE] * 4, 0.01, 3.0)
@example([NOTHING] * 4, 0.0, 3.0)
def test_the_whole_of_what_is_measured_and_its_record(tables: list[PairedCounts], gain: float, prior: float) -> None:
    policy = Policy(min_gain=gain, prior=prior, n_resamples=1000)
    e = evidence(*tables, segment="north")
    found = measure(e, policy, rng=np.random.default_rng(1))
    assert_no_nan(found, finite=False)
    assert b"nan" not in canonical_json(plain({"numbers": list(numbers(found))}))
    assert_no_nan(evidence_path([e, e], policy), finite=False)
    for name in (m for m in KINDS["binary"].deciding() if m != "cost"):
        assert_no_nan(guardrail(e, name, 0.01, policy), finite=False)
    for rule in (*NAIVE_RULES.values(), policy_rule(policy)):
        reason = rule(e)
        assert reason is None or "nan" not in reason


@PROPERTY
@given(st.lists(st.one_of(st.floats(-1e9, 1e9), st.just(-math.inf)), max_size=12))
def test_families(log_e_values: list[float]) -> None:
    assert_no_nan(e_closure(log_e_values), finite=False)
