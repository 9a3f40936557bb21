"""The mutants of a module: one operator, constant, condition or result of its syntax tree changed at a time."""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["Mutant", "mutants"]

LONGEST = 70  # characters of the expression by which a mutant is named

COMPARED: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
}  # fmt: skip
COMPUTED: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.Pow: ast.Mult, ast.FloorDiv: ast.Div,
    ast.Mod: ast.Mult, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd, ast.LShift: ast.RShift, ast.RShift: ast.LShift,
    ast.MatMult: ast.Mult, ast.BitXor: ast.BitAnd,
}  # fmt: skip
SWAPPED = {"min": "max", "max": "min", "any": "all", "all": "any", "minimum": "maximum", "maximum": "minimum"}


@dataclass(frozen=True)
class Mutant:
    """A node of a module's tree, and what stands in its place."""

    place: str
    change: str
    line: int
    everywhere: bool  # not within a function, or in one that remembers: every test may reach it
    parent: ast.AST
    field: str
    index: int | None
    node: ast.AST

    def apply(self) -> None:
        if self.index is None:
            setattr(self.parent, self.field, self.node)
        else:
            getattr(self.parent, self.field)[self.index] = self.node


def mutants(tree: ast.Module) -> list[Mutant]:
    """Every mutant of a module, in the order of its text."""
    return [m for statement in tree.body for m in _within(statement, tree, "body", tree.body.index(statement), [])]


def _within(node: ast.AST, parent: ast.AST, field: str, index: int | None, above: list[ast.AST]) -> Iterator[Mutant]:
    if _is_no_result(node, parent, field):
        return
    for new in _changes(node, field):
        path = [*above, node]
        names = [n.name for n in path if isinstance(n, ast.FunctionDef | ast.ClassDef)]
        functions = [n for n in path if isinstance(n, ast.FunctionDef)]
        in_body = bool(functions) and not (functions[-1] is path[-2] and field == "returns") and _in_body(path)
        remembers = any("cache" in ast.unparse(d) for f in functions for d in f.decorator_list)
        change = _text(path, parent, field, index, new)
        yield Mutant(
            ".".join(names) or "module", change, node.lineno, not in_body or remembers, parent, field, index, new
        )  # type: ignore[attr-defined]
    for name, value in ast.iter_fields(node):
        for i, child in enumerate(value) if isinstance(value, list) else [(None, value)]:
            if isinstance(child, ast.AST):
                yield from _within(child, node, name, i, [*above, node])


def _in_body(path: Sequence[ast.AST]) -> bool:
    """Whether the node runs when a function does, not when it is defined."""
    function = max(i for i, n in enumerate(path) if isinstance(n, ast.FunctionDef))
    return function + 1 < len(path) and path[function + 1] in path[function].body  # type: ignore[attr-defined]


def _is_no_result(node: ast.AST, parent: ast.AST, field: str) -> bool:
    """Annotations, decorators, messages, docstrings, imports and checks of length decide no result."""
    if field in ("annotation", "returns", "decorator_list", "format_spec", "bases"):
        return True
    if isinstance(node, ast.Import | ast.ImportFrom | ast.Raise | ast.Assert):
        return True
    if isinstance(node, ast.keyword) and node.arg == "strict":
        return True
    if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
        named = node.targets[0].id
        return (
            named in ("msg", "__all__")
            or "Literal[" in ast.unparse(node.value)
            or "NDArray[" in ast.unparse(node.value)
        )
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _changes(node: ast.AST, field: str) -> Iterator[ast.AST]:
    yield from _other_operators(node)
    match node:
        case ast.UnaryOp(op=ast.USub() | ast.Not() | ast.Invert(), operand=operand):
            yield copy.deepcopy(operand)
        case ast.Constant(value=bool(value)):
            yield ast.Constant(not value)
        case ast.Constant(value=int(value) | float(value)):
            yield ast.Constant(value + 1 if value + 1 != value else 2 * value)
        case ast.Name(id=name, ctx=ast.Load()) if name in SWAPPED:
            yield ast.Name(SWAPPED[name], ast.Load())
        case ast.Attribute(attr=name) if name in SWAPPED:
            yield _with(node, attr=SWAPPED[name])
        case ast.Return(value=value) if value is not None and ast.unparse(value) != "None":
            yield ast.Return(ast.Constant(None))
        case ast.Break() | ast.Continue():
            yield ast.Continue() if isinstance(node, ast.Break) else ast.Break()
    if field == "test" and isinstance(node, ast.Name | ast.Attribute | ast.Call):
        yield ast.UnaryOp(ast.Not(), copy.deepcopy(node))


def _other_operators(node: ast.AST) -> Iterator[ast.AST]:
    match node:
        case ast.Compare(ops=ops):
            for i, op in enumerate(ops):
                yield _with(node, ops=[*ops[:i], COMPARED[type(op)](), *ops[i + 1 :]])
        case ast.BinOp(op=op) | ast.AugAssign(op=op):
            yield _with(node, op=COMPUTED[type(op)]())
        case ast.BoolOp(op=op):
            yield _with(node, op=ast.Or() if isinstance(op, ast.And) else ast.And())


def _with(node: ast.AST, **changes: Any) -> ast.AST:
    new = copy.deepcopy(node)
    for field, value in changes.items():
        setattr(new, field, value)
    return new


def _text(path: Sequence[ast.AST], parent: ast.AST, field: str, index: int | None, new: ast.AST) -> str:
    """The longest expression around the node that is short enough to read, before and after."""
    around = path[-1]
    for node in reversed(path[:-1]):
        if not isinstance(node, ast.expr | ast.keyword | ast.comprehension) or len(ast.unparse(node)) > LONGEST:
            break
        around = node
    before = ast.unparse(around)
    if around is path[-1]:
        after = ast.unparse(ast.fix_missing_locations(copy.deepcopy(new)))
    else:
        old = path[-1]
        mutant = Mutant("", "", 0, False, parent, field, index, new)
        mutant.apply()
        after = ast.unparse(around)
        Mutant("", "", 0, False, parent, field, index, old).apply()
    return f"{before} → {after}"
