"""Where the value of an input, a condition or an output comes from.

An expression is data from a fixed set of forms, so that every target system can translate it and every run can
explain it. `evaluate` computes one, given a `Scope` that knows the values; `references` lists the nodes it reads.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from itertools import chain, product
from typing import Any, Literal, Protocol

import msgspec

from penstock.model.value import Artifact


class Constant(msgspec.Struct, frozen=True, tag="constant"):
    """A value that is known when the graph is made."""

    value: Any


class Parameter(msgspec.Struct, frozen=True, tag="parameter"):
    """The value of a parameter of the pipeline."""

    name: str


class Output(msgspec.Struct, frozen=True, tag="output"):
    """An output of a node; the whole result when `port` is None. Of a mapped node: the list over its items."""

    node: str
    port: str | None = None


class Item(msgspec.Struct, frozen=True, tag="item"):
    """The element at hand of the iterable that a mapped node runs over for input `name`."""

    name: str


class Stored(msgspec.Struct, frozen=True, tag="stored"):
    """A value that is known, and stored already."""

    value: Artifact


class Input(msgspec.Struct, frozen=True, tag="input"):
    """Inside the body of a node: the value that the node gives its body under `name` (one of the node's bindings)."""

    name: str


class Ended(msgspec.Struct, frozen=True, tag="ended"):
    """Whether a node ended in one of some states (`NodeState` values). It waits for the node, and needs nothing of it."""

    node: str
    states: tuple[str, ...]


class Outcome(msgspec.Struct, frozen=True, tag="outcome"):
    """How some nodes ended, as a `penstock.Outcome`; what exit handlers see. It waits for the nodes, and needs nothing
    of them."""

    nodes: tuple[str, ...]


class Get(msgspec.Struct, frozen=True, tag="get"):
    """A part of another value: `of[key]`, or `of.key` when `attribute` is true."""

    of: Expression
    key: str | int
    attribute: bool = False


class Apply(msgspec.Struct, frozen=True, tag="apply"):
    """One of the fixed operators (`OPERATORS`) applied to its arguments."""

    operator: str
    arguments: tuple[Expression, ...]


class Choose(msgspec.Struct, frozen=True, tag="choose"):
    """The first of several values that can be had, because what it reads ran; how branches meet again."""

    options: tuple[Expression, ...]


class Sequence(msgspec.Struct, frozen=True, tag="sequence"):
    """A list or a tuple made of other expressions."""

    items: tuple[Expression, ...]
    kind: Literal["list", "tuple"] = "list"


class Mapping(msgspec.Struct, frozen=True, tag="mapping"):
    """A dictionary with string keys made of other expressions."""

    items: dict[str, Expression]


Expression = (
    Constant | Stored | Parameter | Output | Item | Input | Ended | Outcome | Get | Apply | Choose | Sequence | Mapping
)


def _divide(left: Any, right: Any) -> Any:
    return left / right


def _divide_down(left: Any, right: Any) -> Any:
    return left // right


def _power(base: Any, exponent: Any) -> Any:
    return base**exponent


def _is_in(element: Any, container: Any) -> bool:
    return element in container


def _selects(choice: Any, name: Any) -> bool:
    """Whether a choice, which is a name or several, takes in a name."""
    return name in choice if isinstance(choice, (list, tuple, set, frozenset)) else bool(choice == name)


#: operator name -> symbol for people
OPERATORS = {
    "eq": "==",
    "ne": "!=",
    "lt": "<",
    "le": "<=",
    "gt": ">",
    "ge": ">=",
    "and": "and",
    "or": "or",
    "not": "not",
    "add": "+",
    "sub": "-",
    "mul": "*",
    "div": "/",
    "floordiv": "//",
    "mod": "%",
    "pow": "**",
    "neg": "-",
    "in": "in",
    "selects": "selects",
}

#: those that need all of their arguments; `and` and `or` may do with the first, as in Python
_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "eq": operator.eq,
    "ne": operator.ne,
    "lt": operator.lt,
    "le": operator.le,
    "gt": operator.gt,
    "ge": operator.ge,
    "not": operator.not_,
    "add": operator.add,
    "sub": operator.sub,
    "mul": operator.mul,
    "div": _divide,
    "floordiv": _divide_down,
    "mod": operator.mod,
    "pow": _power,
    "neg": operator.neg,
    "in": _is_in,
    "selects": _selects,
}


class Scope(Protocol):
    """The values an expression can reach while it is evaluated."""

    def parameter(self, name: str) -> Any: ...

    def output(self, node: str, port: str | None) -> Any: ...

    def item(self, name: str) -> Any: ...

    def stored(self, value: Artifact) -> Any: ...

    def input(self, name: str) -> Any: ...

    def state(self, node: str) -> str:
        """How the node ended, as a `NodeState`."""
        ...

    def outcome(self, nodes: tuple[str, ...]) -> Any: ...

    def ran(self, node: str) -> bool:
        """Whether the node has outputs."""
        ...


def evaluate(expression: Expression, scope: Scope) -> Any:
    """Compute the value of an expression.

    Raises whatever the operators and look-ups raise (KeyError, TypeError, ...), and LookupError when no option of a
    `Choose` can be had.
    """
    match expression:
        case Get(of, key, attribute):
            return part_of(evaluate(of, scope), key, attribute)
        case Apply("and", (left, right)):
            return evaluate(left, scope) and evaluate(right, scope)
        case Apply("or", (left, right)):
            return evaluate(left, scope) or evaluate(right, scope)
        case Apply(name, arguments):
            return _FUNCTIONS[name](*(evaluate(argument, scope) for argument in arguments))
        case Choose():
            return evaluate(chosen(expression, scope.ran), scope)
        case Sequence(items, kind):
            values = [evaluate(item, scope) for item in items]
            return tuple(values) if kind == "tuple" else values
        case Mapping(items):
            return {key: evaluate(item, scope) for key, item in items.items()}
        case _:
            return _look_up(expression, scope)


def holds(condition: Expression, scope: Scope) -> bool | None:
    """Whether a condition holds, as far as what ran tells; None if that cannot be known.

    `and` and `or` may do with either of their sides, whatever has become of the other. Raises what evaluating raises.
    """
    match condition:
        case Apply("not", (of,)):
            found = holds(of, scope)
            return None if found is None else not found
        case Apply("and" | "or" as name, sides):
            settling, unknown = name == "or", False
            for side in sides:
                found = holds(side, scope)
                if found is settling:
                    return settling
                unknown = unknown or found is None
            return None if unknown else not settling
        case _:
            return bool(evaluate(condition, scope)) if _is_there(condition, scope.ran) else None


def is_known(condition: Expression, ran: Callable[[str], bool]) -> bool:
    """Whether enough ran for `holds` to look at some of a condition."""
    match condition:
        case Apply("not" | "and" | "or", sides):
            return any(is_known(side, ran) for side in sides)
        case _:
            return _is_there(condition, ran)


def _is_there(expression: Expression, ran: Callable[[str], bool]) -> bool:
    """Whether all ran that an expression needs to have a value."""
    return all(any(map(ran, names)) for names in requirements(expression))


def part_of(value: Any, key: str | int, attribute: bool) -> Any:
    """`value[key]`, or `value.key`; the entries of a dict can be had as attributes as well. Raises what Python does."""
    return getattr(value, str(key)) if attribute and not has_entry(value, key) else value[key]


def has_entry(value: object, key: str | int) -> bool:
    """Whether a value is a dict with a key."""
    return isinstance(value, dict) and key in value


_Leaf = Constant | Stored | Parameter | Output | Item | Input | Ended | Outcome
_LEAVES: frozenset[type] = frozenset(_Leaf.__args__)


def _look_up(expression: _Leaf, scope: Scope) -> Any:
    """The value of an expression that has no others in it."""
    match expression:
        case Constant(value):
            return value
        case Stored(artifact):
            return scope.stored(artifact)
        case Parameter(name):
            return scope.parameter(name)
        case Output(node, port):
            return scope.output(node, port)
        case Item(name):
            return scope.item(name)
        case Input(name):
            return scope.input(name)
        case Ended(node, states):
            return scope.state(node) in states
        case Outcome(nodes):
            return scope.outcome(nodes)


def chosen(choice: Choose, ran: Callable[[str], bool]) -> Expression:
    """The first option of which all that is required ran. Raises LookupError when there is none."""
    for option in choice.options:
        if _is_there(option, ran):
            return option
    raise LookupError("none of the branches to choose from ran")


def parts(expression: Expression) -> tuple[Expression, ...]:
    """The expressions directly inside an expression."""
    if type(expression) in _LEAVES:
        # most are, and there may be a great many
        return ()
    match expression:
        case Get(of):
            return (of,)
        case Apply(_, arguments):
            return arguments
        case Choose(options):
            return options
        case Sequence(items):
            return items
        case Mapping(mapping):
            return tuple(mapping.values())
        case _:
            return ()


def leaves(expression: Expression) -> Iterator[Expression]:
    """What an expression is made of in the end: that which has no parts."""
    inside = parts(expression)
    if not inside:
        yield expression
    for part in inside:
        yield from leaves(part)


def references(expression: Expression) -> Iterator[str]:
    """The ids of the nodes whose outputs an expression reads, in order of appearance, repeats included."""
    found: list[str] = []
    add_references(expression, found)
    return iter(found)


def add_references(expression: Expression, found: list[str]) -> None:
    """Add them to others."""
    # of a Struct, `isinstance` and `match` take several times as long to say no
    if type(expression) is Output or type(expression) is Ended:
        found.append(expression.node)
    elif type(expression) is Outcome:
        found += expression.nodes
    else:
        for part in parts(expression):
            add_references(part, found)


def requirements(expression: Expression) -> Iterator[tuple[str, ...]]:
    """What must have run for the expression to have a value: of each tuple of node ids, at least one node."""
    found: list[tuple[str, ...]] = []
    add_requirements(expression, found)
    return iter(found)


def add_requirements(expression: Expression, found: list[tuple[str, ...]]) -> None:
    """Add that to others."""
    if type(expression) is Output:
        found.append((expression.node,))
    elif type(expression) is Choose:
        # one option is enough: whichever requirement of each is left out, one of those taken must be met
        for needs in product(*map(requirements, expression.options)):
            found.append(tuple(dict.fromkeys(chain.from_iterable(needs))))
    else:
        for part in parts(expression):
            add_requirements(part, found)


def describe(expression: Expression) -> str:
    """The expression as a person would write it: `evaluate.accuracy >= threshold`."""
    match expression:
        case Get(of, key, attribute):
            return f"{describe(of)}.{key}" if attribute else f"{describe(of)}[{key!r}]"
        case Apply(name, arguments):
            return _describe_operation(name, arguments)
        case Choose(options):
            return f"choose({', '.join(map(describe, options))})"
        case Sequence(items, kind):
            inside = ", ".join(map(describe, items))
            return f"({inside})" if kind == "tuple" else f"[{inside}]"
        case Mapping(items):
            return "{" + ", ".join(f"{key!r}: {describe(item)}" for key, item in items.items()) + "}"
        case _:
            return _describe_leaf(expression)


def _describe_leaf(expression: _Leaf) -> str:
    match expression:
        case Constant(value):
            text = repr(value)
            return text if len(text) <= 60 else f"{text[:57]}..."
        case Stored(artifact):
            return f"<{artifact.type}>"
        case Parameter(name) | Input(name):
            return name
        case Item(name):
            return f"each {name}"
        case Output(node, port):
            return node if port is None else f"{node}.{port}"
        case Ended(node, states):
            return f"{_ENDINGS.get(frozenset(states), ' or '.join(states))}({node})"
        case Outcome(nodes):
            return f"outcome of {', '.join(nodes)}"


#: sets of states that authors have a word for
_ENDINGS = {
    frozenset({"succeeded", "cached"}): "succeeded",
    frozenset({"failed", "upstream_failed"}): "failed",
    frozenset({"succeeded", "cached", "failed", "upstream_failed", "skipped", "cancelled"}): "done",
}


def _describe_operation(name: str, arguments: tuple[Expression, ...]) -> str:
    symbol = OPERATORS[name]
    operands = [f"({describe(a)})" if isinstance(a, Apply) and not _chains(name, a) else describe(a) for a in arguments]
    if len(operands) == 1:
        return f"{symbol} {operands[0]}" if symbol == "not" else f"{symbol}{operands[0]}"
    return f" {symbol} ".join(operands)


def _chains(name: str, operand: Apply) -> bool:
    """Whether an operand needs no parentheses, because it does not matter where they are."""
    return name == operand.operator and name in ("and", "or")
