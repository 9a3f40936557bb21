"""Holm: families at one look that was fixed beforehand."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pytest
from analysis_examples import PROPERTY
from hypothesis import given
from hypothesis import strategies as st

from analysis.one_look.multiplicity import holm

ORACLE = json.loads((Path(__file__).resolve().parents[2] / "oracles" / "multiplicity.json").read_text())


@pytest.mark.parametrize("case", ORACLE["holm"], ids=str)
def test_holm_against_the_oracle(case: dict[str, Any]) -> None:
    assert holm(case["p"]) == pytest.approx(case["adjusted"])


@PROPERTY
@given(st.lists(st.floats(0, 1), min_size=1, max_size=5))
def test_holm_is_the_closure_of_bonferroni(p: list[float]) -> None:
    """Adjusted p of j is the largest Bonferroni p over all sub-families that hold j."""
    subsets = [s for r in range(1, len(p) + 1) for s in itertools.combinations(range(len(p)), r)]
    closed = [max(min(1.0, len(s) * min(p[i] for i in s)) for s in subsets if j in s) for j in range(len(p))]
    assert holm(p) == pytest.approx(closed)


def test_an_empty_family_has_nothing_to_adjust() -> None:
    assert holm([]) == []
