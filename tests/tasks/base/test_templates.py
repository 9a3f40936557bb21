"""Templates: whatever they name has to be given, numbers are written by filters, and text of others stays text."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from jinja2 import UndefinedError

from analysis.tables.counts import Undefined
from analysis.tables.intervals import Interval
from tasks.base.templates import fill


@pytest.fixture
def written(tmp_path: Path) -> Any:
    """What a template of this text makes of some values."""

    def write(text: str, **values: Any) -> str:
        path = tmp_path / "page.md.j2"
        path.write_text(text, encoding="utf-8")
        return fill(path, **values)

    return write


@pytest.mark.parametrize("text", ["{{ gone }}", "{{ row.gone }}", "{% if gone %}x{% endif %}"])
def test_what_is_named_and_not_given_is_an_error(written: Any, text: str) -> None:
    with pytest.raises(UndefinedError, match="gone"):
        written(text, row={"here": 1})


def test_lines_of_tags_leave_no_line_behind(written: Any) -> None:
    text = "| a |\n| --- |\n{% for a in rows %}\n  {% if a %}\n| {{ a }} |\n  {% endif %}\n{% endfor %}\n\nend\n"
    assert written(text, rows=[1, 0, 2]) == "| a |\n| --- |\n| 1 |\n| 2 |\n\nend\n"


def test_text_is_left_as_it_is_unless_it_is_escaped(written: Any) -> None:
    assert written("{{ a }} {{ a | escaped }}", a="<b> x_y |\n") == "<b> x_y |\n \\<b\\> x\\_y \\|"


@pytest.mark.parametrize(
    ("expression", "value", "text"),
    [
        ("digits", 0.000123456789, "0.000123457"),
        ("digits(3)", 0.030396, "0.0304"),
        ("digits(4, sign=true)", 0.0123456, "+0.01235"),
        ("fixed", 0.12345678, "0.1235"),
        ("fixed(1)", 12.34, "12.3"),
        ("signed", 0.5, "+0.5000"),
        ("thousands", 1234567, "1,234,567"),
        ("percent", 0.1234, "12.3 %"),
        ("percent", 0.0001, "0.01 %"),
        ("percent_range", Interval(0.012, 0.34, 0.95), "1.2 to 34 %"),
        ("rounded", 12345.6, "12,346"),
        ("rounded", 0.123456, "0.1235"),
        ("whole_percent", 0.125, "12%"),
        ("level", 0.9392, "93.92 %"),
        ("p_value", 0.0312, "= 0.031"),
        ("p_number", 0.0312, "0.031"),
        ("p_number", 1e-9, "< 1e-6"),
        ("e_value", math.log(20), "20"),
        ("e_value", -math.inf, "0"),
        ("interval", Interval(-0.01, 0.02, 0.9), "-0.0100 to +0.0200"),
        ("amount('recall', sign=true)", 0.012345, "+0.0123"),
        ("amount('squared_error')", 1234.5678, "1234.6"),
    ],
)
def test_numbers_are_written_by_filters(written: Any, expression: str, value: object, text: str) -> None:
    assert written(f"{{{{ value | {expression} }}}}", value=value) == text


def test_a_value_that_is_not_defined_is_told_from_one_that_is(written: Any) -> None:
    text = "{{ value.reason if value is unknown else value }}"
    assert written(text, value=Undefined("no rows")) == "no rows"
    assert written(text, value=0.0) == "0.0"
