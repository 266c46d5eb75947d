"""What the text of a flow says about what becomes of its calls.

A call of a task in a flow gives its value. As long as that value is only handed on, to other tasks, to conditions and
loops, to what the flow returns, a ref does the same, and the flow stays a graph. Where anything else may see it (a
function that is no task, a method, an assignment into it), it has to be the value itself; and where a flow does
anything besides composing tasks, each call has to have ended before the flow goes on. What cannot be told counts as the
worst.
"""

from __future__ import annotations

import ast
import builtins
import linecache
import sys
from collections.abc import Callable, Iterable, Iterator
from types import FrameType, ModuleType
from typing import Any, NamedTuple, cast

from penstock.authoring.decorated import Decorated
from penstock.authoring.source import is_own

#: where an expression stands in its file: line and column of its beginning and of its end
Site = tuple[int, int, int, int]
#: what a value may come from: the call at a site, or what a local name holds
Origin = Site | str
Origins = frozenset[Origin]

_NOTHING: Origins = frozenset()
_Function = (ast.FunctionDef, ast.AsyncFunctionDef)
#: builtins that do with a ref what they do with its value; what they return is a value
_VALUED = {"print", "len", "str", "int", "float", "bool", "round", "abs"}
#: the same; what they return has the elements of what they are given
_DERIVED = {
    "sum",
    "min",
    "max",
    "any",
    "all",
    "list",
    "tuple",
    "dict",
    "range",
    "enumerate",
    "zip",
    "sorted",
    "reversed",
}
#: modules whose functions only compute
_PURE = {"json", "math", "cmath", "statistics", "re", "itertools", "functools", "operator", "string", "textwrap", "copy",
         "collections", "datetime", "decimal", "fractions", "pathlib", "posixpath", "builtins", "uuid", "typing",
         "dataclasses", "_datetime", "_json", "_operator", "_functools", "_collections", "enum"}  # fmt: skip
#: builtins that do anything
_OUTWARD = {"input", "open", "exec", "eval", "__import__"}
_LOGGED = {"debug", "info", "warning", "error", "critical", "exception", "log"}
_CONTAINER = {"append", "extend", "insert", "items", "values", "keys", "get", "pop", "copy", "update", "clear", "index"}
_PLACED = {"submit", "map"}
#: what tells that futures are looked at one by one
_ONE_BY_ONE = {"state", "get_state", "wait", "add_done_callback"}
_TOLERANT = {"raise_on_failure", "return_state"}


class Sites(NamedTuple):
    """What is known of a flow's function."""

    file: str = ""
    #: it does nothing but compose tasks and flows, so that no call has to end before it goes on
    composing: bool = False
    #: it may look at futures of a fan-out one by one
    one_by_one: bool = True
    #: the calls in whose place a ref will do
    open: frozenset[Site] = frozenset()
    #: parameters in whose place a ref will do
    parameters: frozenset[str] = frozenset()
    #: the calls whose values are awaited
    awaited: frozenset[Site] = frozenset()


def sites_of(function: Callable[..., Any]) -> Sites:
    """What is known of a function by its source; nothing where that is not to be had."""
    found = node_of(function)
    return Sites() if found is None else _Survey(function, found).sites(function.__code__.co_filename)


def node_of(function: Callable[..., Any]) -> ast.FunctionDef | ast.AsyncFunctionDef | None:
    """The text of a function, where that is to be had."""
    code = getattr(function, "__code__", None)
    if code is None:
        return None
    linecache.checkcache(code.co_filename)
    text = "".join(linecache.getlines(code.co_filename, getattr(function, "__globals__", None)))
    try:
        return _function_at(ast.parse(text), code.co_firstlineno, code.co_name)
    except SyntaxError:
        return None


def _function_at(tree: ast.Module, line: int, name: str) -> ast.FunctionDef | ast.AsyncFunctionDef | None:
    for node in ast.walk(tree):
        if isinstance(node, _Function) and node.name == name:
            first = min([each.lineno for each in node.decorator_list], default=node.lineno)
            if line in (first, node.lineno):
                return node
    return None


def site_of_call() -> tuple[str, Site | None]:
    """The file and the site of the user's call into penstock."""
    frame: FrameType | None = sys._getframe(1)  # pyright: ignore[reportPrivateUsage]
    while frame is not None and is_own(frame.f_code.co_filename):
        frame = frame.f_back
    if frame is None:
        return "", None
    positions = list(frame.f_code.co_positions())
    line, end_line, column, end_column = positions[frame.f_lasti // 2]
    if line is None or end_line is None or column is None or end_column is None:
        return frame.f_code.co_filename, None
    return frame.f_code.co_filename, (line, column, end_line, end_column)


def _site(node: ast.expr) -> Site:
    return node.lineno, node.col_offset, node.end_lineno or 0, node.end_col_offset or 0


class _Survey:
    """Follows values through the text of one function, whatever order its lines run in."""

    def __init__(self, function: Callable[..., Any], node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        self._node = node
        names = getattr(function, "__code__").co_freevars  # noqa: B009 - of a function, as `sites_of` has seen
        cells = getattr(function, "__closure__", None) or ()
        self._globals: dict[str, Any] = getattr(function, "__globals__", {})
        self._enclosed = {
            name: cell.cell_contents for name, cell in zip(names, cells, strict=False) if _is_filled(cell)
        }
        arguments = node.args
        self._parameters = [each.arg for each in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)]
        self._bound = {
            each.id for each in ast.walk(node) if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store)
        }
        self._fresh = self._only_bound_to(_is_display)
        self._tasks = self._only_bound_to(self._is_task)
        self._loggers = self._only_bound_to(self._is_logger)
        #: name -> what it may hold
        self._held: dict[str, set[Origin]] = {}
        self._calls: set[Site] = set()
        self._closed: set[Origin] = set()
        self._composing = True
        self._one_by_one = False

    def sites(self, file: str) -> Sites:
        for statement in self._node.body:
            self._statement(statement)
        self._one_by_one |= any(map(self._looks_closely, ast.walk(self._node)))
        pending = list(self._closed)
        while pending:
            for origin in self._held.get(cast(str, pending.pop()), ()):
                if origin not in self._closed:
                    self._closed.add(origin)
                    pending.append(origin)
        parameters = frozenset(name for name in self._parameters if name not in self._closed)
        awaited = frozenset(_site(each.value) for each in ast.walk(self._node) if isinstance(each, ast.Await))
        opened = frozenset(self._calls - self._closed)
        return Sites(file, self._composing, self._one_by_one, opened, parameters, awaited)

    # What names stand for.

    def _only_bound_to(self, holds: Callable[[ast.expr], bool]) -> set[str]:
        """The local names that are only ever assigned expressions of a kind."""
        values: dict[str, list[ast.expr | None]] = {}
        for node in ast.walk(self._node):
            if isinstance(node, ast.Assign) and all(isinstance(each, ast.Name) for each in node.targets):
                for target in node.targets:
                    values.setdefault(cast(ast.Name, target).id, []).append(node.value)
            elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                values.setdefault(node.target.id, []).append(node.value)
            elif isinstance(node, (ast.For, ast.AsyncFor, ast.comprehension, ast.withitem, ast.NamedExpr, ast.Assign)):
                for name in _names_in(_target_of(node)):
                    values.setdefault(name, []).append(None)
        values = {name: found for name, found in values.items() if name not in self._parameters}
        return {name for name, found in values.items() if all(each is not None and holds(each) for each in found)}

    def _resolved(self, node: ast.expr) -> Any:
        """What a name or an attribute of a module stands for; None where that cannot be told."""
        if isinstance(node, ast.Name):
            if node.id in self._bound or node.id in self._parameters:
                return None
            scopes = (self._enclosed, self._globals, vars(builtins))
            return next((scope[node.id] for scope in scopes if node.id in scope), None)
        if isinstance(node, ast.Attribute):
            base = self._resolved(node.value)
            if isinstance(base, (ModuleType, type)):
                return getattr(base, node.attr, None)
        return None

    def _is_task(self, node: ast.expr) -> bool:
        """Whether it is a task or a flow, perhaps under other options."""
        if isinstance(node, ast.Name) and node.id in getattr(self, "_tasks", ()):
            return True
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "with_options":
            return self._is_task(node.func.value)
        return isinstance(self._resolved(node), Decorated)

    def _is_logger(self, node: ast.expr) -> bool:
        if not isinstance(node, ast.Call):
            return False
        return getattr(self._resolved(node.func), "__name__", "") in ("get_run_logger", "getLogger", "get_logger")

    def _looks_closely(self, node: ast.AST) -> bool:
        match node:
            case ast.Attribute(attr=attr):
                return attr in _ONE_BY_ONE
            case ast.keyword(arg=arg):
                return arg in _TOLERANT
            case ast.Name():
                return getattr(self._resolved(node), "one_by_one", False) is True
            case _:
                return False

    # Statements.

    def _statement(self, node: ast.stmt) -> None:
        match node:
            case ast.Assign(targets, value):
                origins = self._value(value)
                for target in targets:
                    self._bind(target, origins)
            case ast.AnnAssign(target, _, value) if value is not None:
                self._bind(target, self._value(value))
            case ast.AugAssign(target, _, value):
                self._bind(target, self._value(value))
            case ast.Expr(value):
                self._value(value)
            case ast.Return(value):
                if value is not None:
                    self._value(value)
            case ast.If(test, body, orelse) | ast.While(test, body, orelse):
                self._value(test)
                self._all((*body, *orelse))
            case ast.For(target, values, body, orelse):
                self._bind(target, self._value(values))
                self._all((*body, *orelse))
            case ast.With(items, body) | ast.AsyncWith(items, body):
                self._with(items)
                self._all(body)
            case ast.Pass() | ast.Break() | ast.Continue() | ast.Import() | ast.ImportFrom() | ast.AnnAssign():
                pass
            case _:
                self._other(node)

    def _all(self, statements: Iterable[ast.stmt]) -> None:
        for each in statements:
            self._statement(each)

    def _with(self, items: list[ast.withitem]) -> None:
        for item in items:
            found = self._resolved(item.context_expr.func) if isinstance(item.context_expr, ast.Call) else None
            if not getattr(found, "composes", False):
                self._composing = False
            self._close(self._value(item.context_expr))
            if item.optional_vars is not None:
                self._bind(item.optional_vars, _NOTHING)

    def _other(self, node: ast.stmt) -> None:
        """What is not followed: in it, the values of all names may be seen, and its calls have to have ended."""
        self._composing = False
        if isinstance(node, (ast.Try, ast.TryStar)):
            self._one_by_one |= bool(node.handlers)
            self._all((*node.body, *(each for handler in node.handlers for each in handler.body)))
            self._all((*node.orelse, *node.finalbody))
            return
        self._close(each.id for each in ast.walk(node) if isinstance(each, ast.Name))

    def _bind(self, target: ast.expr, origins: Iterable[Origin]) -> None:
        match target:
            case ast.Name(id=name):
                self._held.setdefault(name, set()).update(origins)
            case ast.Tuple(elements) | ast.List(elements):
                for each in elements:
                    self._bind(each, origins)
            case ast.Starred(value):
                self._bind(value, origins)
            case ast.Subscript(ast.Name(id=name), index) if name in self._fresh:
                self._close(self._value(index))
                self._held.setdefault(name, set()).update(origins)
            case ast.Subscript(value) | ast.Attribute(value):
                self._close(self._value(value))
                self._close(origins)
            case _:
                self._close(origins)

    def _close(self, origins: Iterable[Origin]) -> None:
        self._closed.update(origins)

    # Expressions.

    def _values(self, nodes: Iterable[ast.expr | None]) -> Origins:
        return _NOTHING.union(*(self._value(each) for each in nodes if each is not None))

    def _value(self, node: ast.expr) -> Origins:
        """What the value of an expression may come from."""
        match node:
            case ast.Name(id=name):
                return frozenset({name}) if name in self._bound or name in self._parameters else _NOTHING
            case ast.Constant():
                return _NOTHING
            case ast.Call():
                return self._call(node)
            case ast.BinOp(left, _, right):
                return self._values((left, right))
            case ast.BoolOp(_, values) | ast.Tuple(values) | ast.List(values):
                return self._values(values)
            case ast.UnaryOp(_, value) | ast.Await(value) | ast.Starred(value):
                return self._value(value)
            case ast.IfExp(test, body, orelse):
                self._value(test)
                return self._values((body, orelse))
            case ast.Compare(left, operators, others):
                return self._comparison(left, operators, others)
            case ast.Attribute(value, attr):
                return self._part(value, opened=not attr.startswith("_") and attr not in ("after", "before"))
            case ast.Subscript(value, index):
                return self._item(value, index)
            case _:
                return self._compound(node)

    def _compound(self, node: ast.expr) -> Origins:
        match node:
            case ast.Dict(keys, values):
                self._close(self._values(keys))
                return self._values(values)
            case ast.ListComp(element, generators) | ast.GeneratorExp(element, generators):
                return self._comprehension((element,), generators)
            case ast.DictComp(key, value, generators):
                self._comprehension((), generators)
                self._close(self._value(key))
                return self._value(value)
            case ast.NamedExpr(target, value):
                origins = self._value(value)
                self._bind(target, origins)
                return origins
            case ast.JoinedStr(values):
                for each in values:
                    self._formatted(each)
                return _NOTHING
            case _:
                self._close(each.id for each in ast.walk(node) if isinstance(each, ast.Name))
                return _NOTHING

    def _comparison(self, left: ast.expr, operators: list[ast.cmpop], others: list[ast.expr]) -> Origins:
        origins = self._values((left, *others))
        if any(isinstance(each, (ast.Is, ast.IsNot, ast.In, ast.NotIn)) for each in operators):
            self._close(origins)
            return _NOTHING
        return origins

    def _part(self, value: ast.expr, *, opened: bool) -> Origins:
        origins = self._value(value)
        if opened:
            return origins
        self._close(origins)
        return _NOTHING

    def _item(self, value: ast.expr, index: ast.expr) -> Origins:
        fresh = isinstance(value, ast.Name) and value.id in self._fresh
        self._close(self._value(index) if not isinstance(index, ast.Slice) else _NOTHING)
        known = isinstance(index, ast.Constant) and type(index.value) in (int, str)
        return self._part(value, opened=fresh or known)

    def _comprehension(self, elements: Iterable[ast.expr], generators: list[ast.comprehension]) -> Origins:
        for each in generators:
            self._composing &= not each.is_async
            self._bind(each.target, self._value(each.iter))
            for condition in each.ifs:
                self._value(condition)
        return self._values(elements)

    def _formatted(self, node: ast.expr) -> None:
        if isinstance(node, ast.FormattedValue):
            origins = self._value(node.value)
            if node.conversion not in (-1, ord("s")):
                self._close(origins)

    # Calls.

    def _call(self, node: ast.Call) -> Origins:
        arguments = (*node.args, *(each.value for each in node.keywords))
        if self._is_task(node.func):
            self._values(arguments)
            return self._called(node)
        if isinstance(node.func, ast.Attribute):
            return self._method(node, node.func, arguments)
        return self._function(node, self._resolved(node.func), arguments)

    def _called(self, node: ast.expr) -> Origins:
        self._calls.add(_site(node))
        return frozenset({_site(node)})

    def _method(self, node: ast.Call, function: ast.Attribute, arguments: tuple[ast.expr, ...]) -> Origins:
        base, name = function.value, function.attr
        if self._is_task(base) and name in _PLACED:
            self._values(arguments)
            return self._called(node)
        if self._is_task(base) and name == "with_options":
            self._close(self._values(arguments))
            return _NOTHING
        if name == "result" and not node.args:
            self._value(base)
            return self._called(node)
        if isinstance(base, ast.Name) and base.id in self._fresh and name in _CONTAINER:
            self._held.setdefault(base.id, set()).update(self._values(arguments))
            return frozenset({base.id})
        if isinstance(base, (ast.Constant, ast.JoinedStr)):
            self._value(base)
            (self._values if name == "format" else self._closed_values)(arguments)
            return _NOTHING
        if name in _LOGGED and (self._is_logger(base) or (isinstance(base, ast.Name) and base.id in self._loggers)):
            self._closed_values(arguments)
            return _NOTHING
        found = self._resolved(function)
        if found is None:
            self._close(self._value(base))
        return self._function(node, found, arguments)

    def _function(self, node: ast.Call, found: Any, arguments: tuple[ast.expr, ...]) -> Origins:
        name, module = getattr(found, "__name__", ""), getattr(found, "__module__", "") or ""
        if found is getattr(builtins, name, None) and name in _VALUED:
            outward = any(each.arg is not None for each in node.keywords if name == "print")
            (self._closed_values if outward else self._values)(arguments)
            return _NOTHING
        built_in = found is getattr(builtins, name, None)
        if (built_in and name in _DERIVED and not node.keywords) or getattr(found, "hands_on", False):
            return self._values(arguments)
        if module == "asyncio.tasks" and name == "gather":
            return self._values(arguments)
        if not (module.partition(".")[0] in _PURE or getattr(found, "composes", False)) or name in _OUTWARD:
            self._composing = False
        self._closed_values(arguments)
        return _NOTHING

    def _closed_values(self, nodes: Iterable[ast.expr]) -> None:
        self._close(self._values(nodes))


def _is_filled(cell: Any) -> bool:
    try:
        cell.cell_contents  # noqa: B018 - an empty one raises
    except ValueError:
        return False
    return True


def _is_display(node: ast.expr) -> bool:
    """Whether it makes a container there and then."""
    if isinstance(node, ast.Call):
        return isinstance(node.func, ast.Name) and node.func.id in ("list", "dict") and not node.args
    return isinstance(node, (ast.List, ast.Dict, ast.ListComp, ast.DictComp))


def _target_of(node: Any) -> Iterator[ast.expr]:
    if isinstance(node, ast.withitem):
        if node.optional_vars is not None:
            yield node.optional_vars
    elif isinstance(node, ast.Assign):
        yield from node.targets
    else:
        yield node.target


def _names_in(nodes: Iterable[ast.expr]) -> Iterator[str]:
    for node in nodes:
        yield from (
            each.id for each in ast.walk(node) if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store)
        )


__all__ = ["Site", "Sites", "node_of", "site_of_call", "sites_of"]
