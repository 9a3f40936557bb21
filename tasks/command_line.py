"""The command line of a flow, read from the flow itself: its signature gives the arguments, its docstring their help."""

from __future__ import annotations

import argparse
import ast
import inspect
import re
import sys
import types
import typing
from collections.abc import Callable, Mapping
from datetime import date
from pathlib import Path
from typing import Any

__all__ = ["parser_of", "words_of"]


def words_of(folder: Path) -> tuple[str, dict[str, Any]] | None:
    """The flow of this package that ``python -m`` is starting, by its name, and its arguments; None if something else is started.

    They come from the text of its file, so that help, and words that cannot be right, are answered before anything heavy is imported.
    """
    if sys.argv[0] != "-m":  # which it is as long as the module is looked for
        return None
    package, _, name = sys.orig_argv[sys.orig_argv.index("-m") + 1].rpartition(".")
    file = folder / f"{name}.py"
    if package != folder.name or not file.is_file():
        return None
    module = ast.parse(file.read_text(encoding="utf-8"))
    flow = next(n for n in module.body if isinstance(n, ast.FunctionDef) and n.name == name)
    flow.decorator_list, flow.body = [], flow.body[:1]  # the signature, and the docstring
    within: dict[str, Any] = {"date": date, "__name__": f"{package}.{name}"}
    text = ast.unparse(ast.Module([ast.ImportFrom("__future__", [ast.alias("annotations")], 0), flow], []))
    exec(compile(text, str(file), "exec"), within)  # noqa: S102  our own file, without its imports
    calls = (
        n for n in ast.walk(module) if isinstance(n, ast.Call) and isinstance(n.func, ast.Name) and n.func.id == "main"
    )
    instead = next((ast.literal_eval(c.args[2]) for c in calls if len(c.args) > 2), None)
    return name, vars(parser_of(within[name], ast.get_docstring(module), instead).parse_args())


def parser_of(
    flow: Callable[..., Any], doc: str | None, instead: Mapping[str, tuple[str, str]] | None = None
) -> argparse.ArgumentParser:
    """A parser that finds the arguments of ``flow``; where the user leaves one out, the flow's own default holds.

    What stands before ``*`` in the signature is an argument by its place, what stands behind it an option; without a default it is
    needed. A type is str, int, float, date or list[float], or one of them or None; bool, with the default False, is a switch.

    Args:
        flow: A function, or what decorators made of it. Its docstring has an entry below "Args:" for every parameter.
        doc: What the command does, in full: the docstring of the flow's file.
        instead: By parameter, an option with its help: the user gives either the parameter or, to leave it out, that option.

    Raises TypeError for a docstring that does not tell the signature's own parameters, and for any other type.
    """
    function = inspect.unwrap(flow)
    parser = argparse.ArgumentParser(
        prog=f"python -m {_module(function)}",
        description=_plain(doc or ""),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        argument_default=argparse.SUPPRESS,
    )
    parameters, types_of = inspect.signature(function).parameters, typing.get_type_hints(function)
    meanings = _meanings(function)
    if list(meanings) != list(parameters):
        msg = f"the docstring of {function.__qualname__} tells {list(meanings)}; its parameters are {list(parameters)}"
        raise TypeError(msg)
    for name, parameter in parameters.items():
        words, options = _argument(parameter, types_of[name], meanings[name])
        if instead and name in instead:
            option, told = instead[name]
            group = parser.add_mutually_exclusive_group(required=True)
            group.add_argument(*words, **options)
            group.add_argument(option, dest=name, action="store_const", const=parameter.default, help=_plain(told))
        else:
            parser.add_argument(*words, **options)
    return parser


def _argument(parameter: inspect.Parameter, annotation: Any, meaning: str) -> tuple[list[str], dict[str, Any]]:
    """The words and the options with which a parser takes the parameter."""
    kind, needed = _without_none(annotation), parameter.default is parameter.empty
    options: dict[str, Any] = {"help": _help(meaning, parameter.default)}
    if kind is bool and parameter.default is False:
        options |= {"action": "store_true"}
    elif kind in _READERS:
        options |= {"type": _READERS[kind]}
    else:
        msg = f"a command line cannot say a value of the type {annotation}; change that of {parameter.name}"
        raise TypeError(msg)
    if parameter.kind is not parameter.KEYWORD_ONLY:
        return [parameter.name], options if needed else options | {"nargs": "?", "default": parameter.default}
    if kind in _METAVARS:
        options |= {"metavar": _METAVARS[kind]}
    return [f"--{parameter.name.replace('_', '-')}"], options | {"dest": parameter.name, "required": needed}


def _without_none(annotation: Any) -> Any:
    """X of ``X | None``, and any other type as it is."""
    if typing.get_origin(annotation) not in (types.UnionType, typing.Union):
        return annotation
    kinds = [kind for kind in typing.get_args(annotation) if kind is not types.NoneType]
    return kinds[0] if len(kinds) == 1 else annotation


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        msg = f"'{text}' is not a day; write one as 2024-06-30"
        raise argparse.ArgumentTypeError(msg) from None


def _numbers(text: str) -> list[float]:
    try:
        return [float(number) for number in text.split(",")]
    except ValueError:
        msg = f"'{text}' are not numbers; write them as 0.01,0.02"
        raise argparse.ArgumentTypeError(msg) from None


_READERS: dict[Any, Callable[[str], Any]] = {str: str, int: int, float: float, date: _day, list[float]: _numbers}
_METAVARS: dict[Any, str] = {int: "N", float: "NUMBER", date: "DATE", list[float]: "NUMBER,NUMBER,..."}


def _meanings(function: Callable[..., Any]) -> dict[str, str]:
    """What the docstring says of each parameter below "Args:", in its order."""
    _, _, entries = (inspect.getdoc(function) or "").partition("\nArgs:\n")
    meanings: dict[str, str] = {}
    name = ""
    for line in entries.splitlines():
        if not line.startswith("    "):
            break
        if entry := re.fullmatch(r" {4}(\w+): (.+)", line):
            name, meanings[entry[1]] = entry[1], entry[2]
        else:
            meanings[name] += f" {line.strip()}"
    return meanings


def _help(meaning: str, default: Any) -> str:
    """The meaning, with the default where there is one that says something."""
    text = _plain(meaning).replace("%", "%%")
    if default in (inspect.Parameter.empty, None, "") or default is False:
        return text
    return f"{text.removesuffix('.')} (default: {default})."


def _plain(text: str) -> str:
    """The text without marks of markdown."""
    return text.replace("``", "").replace("**", "")


def _module(function: Callable[..., Any]) -> str:
    """The name with which ``python -m`` starts the flow, also while it does."""
    started = getattr(sys.modules["__main__"], "__spec__", None) if function.__module__ == "__main__" else None
    return started.name if started else function.__module__
