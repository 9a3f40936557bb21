"""The command line of a flow comes from its signature and its docstring."""

from __future__ import annotations

import functools
from collections.abc import Callable
from datetime import date
from typing import Any

import pytest

from tasks.command_line import parser_of


def ship(
    parcel: str,
    to: int | None = None,
    *,
    author: str,
    weights: list[float] | None = None,
    fee: float | None = None,
    copies: int = 2,
    note: str = "",
    sent_on: date | None = None,
    dry_run: bool = False,
) -> dict[str, Any]:
    """Ship a parcel.

    Args:
        parcel: Which one.
        to: Where to, as ``a number``.
        author: Who **signs**,
            in person.
        weights: What the parts weigh.
        fee: At most 10% of the value.
        copies: Of the bill.
        note: For the driver: what to mind.
        sent_on: The day.
        dry_run: Do nothing.

    Raises nothing.
    """
    return locals()


def found(*words: str, flow: Callable[..., Any] = ship, **options: Any) -> dict[str, Any]:
    return vars(parser_of(flow, "Ship.", **options).parse_args(words))


def refusal(capsys: pytest.CaptureFixture[str], *words: str, **options: Any) -> str:
    """The last line that the user sees."""
    with pytest.raises(SystemExit) as caught:
        found(*words, **options)
    assert caught.value.code == 2
    return capsys.readouterr().err.splitlines()[-1].partition(": error: ")[2]


def test_where_a_word_is_left_out_the_default_of_the_flow_holds() -> None:
    assert ship(**found("a", "--author", "ada")) == ship("a", author="ada")


def test_each_type_is_read() -> None:
    words = "a 0 --author ada --weights 1,-2.5 --fee 1e-3 --copies 3 --note x --sent-on 2024-02-29 --dry-run"
    assert found(*words.split()) == {
        "parcel": "a", "to": 0, "author": "ada", "weights": [1.0, -2.5], "fee": 0.001, "copies": 3, "note": "x",
        "sent_on": date(2024, 2, 29), "dry_run": True,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("--author ada", "the following arguments are required: parcel"),
        ("a", "the following arguments are required: --author"),
        ("a b --author ada", "argument to: invalid int value: 'b'"),
        ("a --author ada --copies 2.5", "argument --copies: invalid int value: '2.5'"),
        ("a --author ada --fee low", "argument --fee: invalid float value: 'low'"),
        ("a --author ada --weights 1;2", "argument --weights: '1;2' are not numbers; write them as 0.01,0.02"),
        (
            "a --author ada --sent-on 2023-02-29",
            "argument --sent-on: '2023-02-29' is not a day; write one as 2024-06-30",
        ),
        ("a --author ada --colour red", "unrecognized arguments: --colour red"),
    ],
)
def test_a_wrong_word_is_refused_in_one_sentence(capsys: pytest.CaptureFixture[str], words: str, sentence: str) -> None:
    assert refusal(capsys, *words.split()) == sentence


def test_help_is_the_docstring_in_plain_text_with_the_defaults_that_say_something() -> None:
    shown = " ".join(parser_of(ship, "Do **this**, as ``that`` says.\n\nWhole lines stay.").format_help().split())
    assert "Do this, as that says. Whole lines stay." in shown
    for argument in (
        "parcel Which one. to Where to, as a number.",
        "--author AUTHOR Who signs, in person.",
        "--weights NUMBER,NUMBER,... What the parts weigh.",
        "--fee NUMBER At most 10% of the value.",
        "--copies N Of the bill (default: 2).",
        "--note NOTE For the driver: what to mind.",
        "--sent-on DATE The day.",
        "--dry-run Do nothing.",
    ):
        assert argument in shown
    assert shown.endswith("--dry-run Do nothing.")


def test_decorators_do_not_hide_the_signature() -> None:
    @functools.wraps(ship)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        return ship(*args, **kwargs)

    assert parser_of(wrapped, "Ship.").format_help() == parser_of(ship, "Ship.").format_help()
    assert parser_of(wrapped, "Ship.").prog == f"python -m {__name__}"


def test_leaving_a_parameter_out_can_need_a_word_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    def check(parcel: str | None = None) -> str:
        """Check.

        Args:
            parcel: Which one.
        """
        return str(parcel)

    options: dict[str, Any] = {"flow": check, "instead": {"parcel": ("--all", "Every one.")}}
    assert found("a", **options) == {"parcel": "a"}
    assert found("--all", **options) == {"parcel": None}
    assert refusal(capsys, **options) == "one of the arguments parcel --all is required"
    assert refusal(capsys, "a", "--all", **options) == "argument --all: not allowed with argument parcel"


def test_a_docstring_that_does_not_tell_every_parameter_is_a_fault_of_the_flow() -> None:
    def silent(parcel: str, *, note: str = "") -> str:
        """Say nothing of the note.

        Args:
            parcel: Which one.
        """
        return parcel + note

    with pytest.raises(TypeError, match=r"silent tells \['parcel'\]; its parameters are \['parcel', 'note'\]"):
        parser_of(silent, "Ship.")
    silent.__doc__ = None
    with pytest.raises(TypeError, match=r"tells \[\]"):
        parser_of(silent, "Ship.")


@pytest.mark.parametrize("annotation", [bytes, list[int], bool, int | str])
def test_a_type_that_no_word_can_say_is_a_fault_of_the_flow(annotation: Any) -> None:
    def odd(parcel: Any) -> Any:
        """Take it.

        Args:
            parcel: Which one.
        """
        return parcel

    odd.__annotations__["parcel"] = annotation
    with pytest.raises(TypeError, match="change that of parcel"):
        parser_of(odd, "Ship.")
