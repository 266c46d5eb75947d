"""Expressions as text: `evaluate.accuracy >= threshold and not failed(load)`."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Sequence
from functools import reduce
from itertools import pairwise
from typing import Any, cast

from penstock.authoring.joins import every
from penstock.authoring.kinds.conversion import nearest
from penstock.dialects.yaml.names import SPACES, Names, NoPart, Value, attribute_of, item_of
from penstock.model import expression as model
from penstock.model.expression import Apply, Choose, Constant, Ended, Expression, Mapping, Outcome, Output
from penstock.model.run import ENDED, FRUITFUL, NodeState

#: function of the language -> the states that it asks for
STATES: dict[str, tuple[str, ...]] = {
    "succeeded": tuple(sorted(state.value for state in FRUITFUL)),
    "failed": (NodeState.FAILED.value, NodeState.UPSTREAM_FAILED.value),
    "skipped": (NodeState.SKIPPED.value,),
    "done": tuple(sorted(state.value for state in ENDED)),
}
#: all functions of the language
FUNCTIONS = (*STATES, "ended", "outcome", "choose", "selects", "list", "tuple", "dict")
WORDS = {"true": True, "false": False, "null": None, "none": None}

_COMPARISONS: dict[type, str] = {
    ast.Eq: "eq",
    ast.NotEq: "ne",
    ast.Lt: "lt",
    ast.LtE: "le",
    ast.Gt: "gt",
    ast.GtE: "ge",
    ast.In: "in",
}
_ARITHMETIC: dict[type, str] = {
    ast.Add: "add",
    ast.Sub: "sub",
    ast.Mult: "mul",
    ast.Div: "div",
    ast.FloorDiv: "floordiv",
    ast.Mod: "mod",
    ast.Pow: "pow",
}
_FORM = "An expression has names, parts (a.b, a[0], a['b']), numbers, texts, comparisons, and, or, not, in, arithmetic."


class ExpressionError(Exception):
    """A text is no expression. `offset` is the place in it, from 0."""

    def __init__(self, what: str, offset: int, remedy: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.offset = offset
        self.remedy = remedy


def parse(text: str, names: Names) -> Value:
    """The expression that a text stands for. Raises ExpressionError."""
    plain, spelled = _as_identifiers(text, names)
    lead = len(plain) - len(plain.lstrip())
    try:
        tree = ast.parse(plain.strip(), mode="eval")
    except SyntaxError as error:
        offset = lead + (error.offset or 1) - 1
        if re.search(r"(?:[-+*/%<>=,(\[]|\b(?:and|or|not|in))$", plain.rstrip()):
            # it ends too early
            offset = len(plain.rstrip())
        raise ExpressionError(_syntax(error), min(offset, len(text)), _hint(text)) from None
    except (ValueError, RecursionError, MemoryError) as error:
        raise ExpressionError(f"it cannot be read: {error}", 0) from None
    return _Reader(names, spelled, lead).value(tree.body)


def _syntax(error: SyntaxError) -> str:
    return {"invalid syntax. Perhaps you forgot a comma?": "invalid syntax"}.get(error.msg, error.msg)


def _hint(text: str) -> str:
    for sign, word in (("&&", "and"), ("||", "or"), ("!", "not")):
        if sign in text.replace("!=", ""):
            return f"Write {word} for {sign}."
    if re.search(r"(?<![=<>!])=(?!=)", text):
        return "Write == to compare."
    return _FORM


def _as_identifiers(text: str, names: Names) -> tuple[str, dict[str, str]]:
    """The text with names that Python would not read as one, such as `load-data`, spelled so that it does; the same length."""
    odd = sorted({name for name in names.all() if not name.isidentifier()}, key=len, reverse=True)
    if not odd:
        return text, {}
    spelled: dict[str, str] = {}
    for number, name in enumerate(odd):
        spelled[chr(0x4E00 + number) * len(name)] = name
    to = {name: other for other, name in spelled.items()}
    some = "|".join(map(re.escape, odd))
    after = "|".join(rf"(?<={space}\.)" for space in SPACES)
    form = re.compile(rf"""('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")|(?:(?<![\w.])|{after})({some})(?!\w)""")
    return form.sub(lambda found: found[1] or to[found[2]], text), spelled


class _Reader:
    """Makes an expression of Python's syntax tree."""

    def __init__(self, names: Names, spelled: dict[str, str], lead: int) -> None:
        self._names = names
        self._spelled = spelled
        self._lead = lead

    def value(self, node: ast.expr) -> Value:
        make: Callable[[Any], Value] | None = getattr(self, f"_{type(node).__name__.lower()}", None)
        if make is None:
            raise self._error(node, f"`{ast.unparse(node)}` is nothing that an expression can have", _FORM)
        return make(node)

    def _expression(self, node: ast.expr) -> Expression:
        return self.value(node).expression

    def _error(self, node: ast.expr, what: str, remedy: str = "") -> ExpressionError:
        return ExpressionError(what, self._lead + node.col_offset, remedy)

    def _constant(self, node: ast.Constant) -> Value:
        if node.value is ... or isinstance(node.value, complex):
            raise self._error(node, "this is no value", _FORM)
        return Value(Constant(node.value), type(node.value))

    def _name(self, node: ast.Name) -> Value:
        name = self._spelled.get(node.id, node.id)
        meanings = self._names.meanings(name)
        if len(meanings) == 1:
            return self._names.value(meanings[0], name)
        if meanings:
            ways = " or ".join(
                f"{space}.{name}" for space, kind in SPACES.items() if kind in meanings and space != "params"
            )
            raise self._error(
                node, f"{name!r} may be {' or '.join(f'the {kind}' for kind in meanings)}", f"Write {ways}."
            )
        if name.lower() in WORDS and name in (name.lower(), name.capitalize()):
            return Value(Constant(WORDS[name.lower()]))
        near = nearest(name, [*self._names.all(), *FUNCTIONS])
        known = ", ".join(dict.fromkeys(self._names.all())) or "none"
        text = f"A text stands in quotes: '{name}'. Names here: {known}."
        raise self._error(node, f"there is no stage or parameter {name!r}{near}", text)

    def _attribute(self, node: ast.Attribute) -> Value:
        space = self._space(node.value)
        if space:
            return self._in_space(node, space, self._spelled.get(node.attr, node.attr))
        return self._part(node, attribute_of, self._spelled.get(node.attr, node.attr))

    def _subscript(self, node: ast.Subscript) -> Value:
        key = self._key(node.slice)
        space = self._space(node.value)
        if space and isinstance(key, str):
            return self._in_space(node, space, key)
        return self._part(node, item_of, key)

    def _part(self, node: ast.Attribute | ast.Subscript, take: Callable[[Value, Any], Value], key: str | int) -> Value:
        try:
            return take(self.value(node.value), key)
        except NoPart as error:
            raise self._error(node, str(error), error.remedy) from None

    def _key(self, node: ast.expr) -> str | int:
        sign, inner = (
            (-1, node.operand) if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub) else (1, node)
        )
        if isinstance(inner, ast.Constant):
            if type(inner.value) is int:
                return sign * inner.value
            if isinstance(inner.value, str) and sign == 1:
                return inner.value
        raise self._error(node, "a part is taken by a name in quotes, or by its position", "Write a['b'] or a[0].")

    def _space(self, node: ast.expr) -> str:
        """The kind of names that stands before a point; empty for what is a name itself."""
        if isinstance(node, ast.Name) and node.id in SPACES and not self._names.meanings(node.id):
            return SPACES[node.id]
        return ""

    def _in_space(self, node: ast.expr, space: str, name: str) -> Value:
        known = self._names.of(space)
        if name not in known:
            remedy = "" if (near := nearest(name, known)) else f"There are: {', '.join(known) or 'none'}."
            raise self._error(node, f"there is no {space} {name!r}{near}", remedy)
        return self._names.value(space, name)

    # Operators.

    def _compare(self, node: ast.Compare) -> Value:
        operands = [self._expression(each) for each in (node.left, *node.comparators)]
        found = [
            self._comparison(node, operator, left, right)
            for operator, (left, right) in zip(node.ops, pairwise(operands), strict=True)
        ]
        return Value(reduce(lambda one, other: Apply("and", (one, other)), found), bool)

    def _comparison(self, node: ast.Compare, operator: ast.cmpop, left: Expression, right: Expression) -> Expression:
        if isinstance(operator, ast.NotIn):
            return Apply("not", (Apply("in", (left, right)),))
        name = _COMPARISONS.get(type(operator))
        if name is None:
            raise self._error(node, "`is` compares nothing here", "Write == or !=.")
        return Apply(name, (left, right))

    def _boolop(self, node: ast.BoolOp) -> Value:
        name = "and" if isinstance(node.op, ast.And) else "or"
        parts = [self._expression(each) for each in node.values]
        return Value(reduce(lambda one, other: Apply(name, (one, other)), parts), bool)

    def _binop(self, node: ast.BinOp) -> Value:
        name = _ARITHMETIC.get(type(node.op))
        if name is None:
            word = "and" if isinstance(node.op, ast.BitAnd) else "or" if isinstance(node.op, ast.BitOr) else ""
            raise self._error(node, f"`{ast.unparse(node)}` has no meaning here", f"Write {word}." if word else _FORM)
        return Value(Apply(name, (self._expression(node.left), self._expression(node.right))))

    def _unaryop(self, node: ast.UnaryOp) -> Value:
        if isinstance(node.op, ast.Not):
            return Value(Apply("not", (self._expression(node.operand),)), bool)
        if isinstance(node.op, ast.USub):
            operand = node.operand
            if isinstance(operand, ast.Constant) and type(operand.value) in (int, float):
                return Value(Constant(-cast(Any, operand.value)))
            return Value(Apply("neg", (self._expression(operand),)))
        if isinstance(node.op, ast.UAdd):
            return self.value(node.operand)
        raise self._error(node, "`~` has no meaning here", "Write not.")

    # Containers.

    def _list(self, node: ast.List) -> Value:
        return _container([self._expression(each) for each in node.elts], list, "list")

    def _tuple(self, node: ast.Tuple) -> Value:
        return _container([self._expression(each) for each in node.elts], tuple, "tuple")

    def _dict(self, node: ast.Dict) -> Value:
        keys: list[str] = []
        for key in node.keys:
            if not isinstance(key, ast.Constant) or not isinstance(key.value, str):
                raise self._error(node, "the keys of a dict are texts in quotes", "Write {'name': value}.")
            keys.append(key.value)
        parts = dict(zip(keys, (self._expression(each) for each in node.values), strict=True))
        if all(isinstance(each, Constant) for each in parts.values()):
            return Value(Constant({key: cast(Constant, each).value for key, each in parts.items()}), dict)
        return Value(Mapping(parts), dict)

    # Functions.

    def _call(self, node: ast.Call) -> Value:
        name = node.func.id if isinstance(node.func, ast.Name) else ast.unparse(node.func)
        if name not in FUNCTIONS or (node.keywords and name != "dict"):
            near = nearest(name, FUNCTIONS)
            remedy = f"Its functions are: {', '.join(FUNCTIONS)}. Other work belongs into a stage."
            raise self._error(node, f"an expression cannot call {name}(){near}", remedy)
        return Value(self._function(name, node))

    def _function(self, name: str, node: ast.Call) -> Expression:
        if name in STATES or name == "outcome":
            stages = tuple(self._stage(each) for each in node.args)
            if name == "outcome":
                return Outcome(stages)
            if not stages:
                raise self._error(node, f"{name}() takes a stage", f"Write {name}(load).")
            return every([Ended(stage, STATES[name]) for stage in stages])
        if name == "ended":
            return self._ended(node)
        arguments = [self._expression(each) for each in node.args]
        if name == "choose":
            return Choose(tuple(arguments))
        if name == "selects" and len(arguments) == 2:
            return Apply("selects", tuple(arguments))
        if name == "dict" and not arguments and all(each.arg for each in node.keywords):
            return Mapping({str(each.arg): self._expression(each.value) for each in node.keywords})
        if name in ("list", "tuple"):
            return model.Sequence(tuple(arguments), "list" if name == "list" else "tuple")
        raise self._error(node, f"{name}() takes other arguments", _FORM)

    def _ended(self, node: ast.Call) -> Expression:
        states = [each.value for each in node.args[1:] if isinstance(each, ast.Constant)]
        known = [state.value for state in NodeState]
        wrong = next((state for state in states if state not in known), None)
        if len(states) != len(node.args) - 1 or wrong is not None:
            raise self._error(node, f"there is no state {wrong!r}", f"States are: {', '.join(known)}.")
        return Ended(self._stage(node.args[0]), tuple(cast("list[str]", states)))

    def _stage(self, node: ast.expr) -> str:
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value in self._names.stages:
            return node.value
        if isinstance(node, ast.Name) and self._spelled.get(node.id, node.id) in self._names.stages:
            return self._spelled.get(node.id, node.id)
        found = self._expression(node)
        if not isinstance(found, Output) or found.port is not None:
            raise self._error(node, f"{ast.unparse(node)} is no stage", f"There are: {', '.join(self._names.stages)}.")
        return found.node


def _container(parts: Sequence[Expression], make: Any, kind: Any) -> Value:
    if all(isinstance(each, Constant) for each in parts):
        return Value(Constant(make(cast(Constant, each).value for each in parts)), make)
    return Value(model.Sequence(tuple(parts), kind), make)


__all__ = ["FUNCTIONS", "STATES", "WORDS", "ExpressionError", "parse"]
