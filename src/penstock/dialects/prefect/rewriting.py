"""The body of a flow as that of a pipeline of penstock's: its own text, in which only the calls are changed.

What was submitted is called, and a ref to its result is what a future was. Where the flow waits, `value(...)` does: around
`.result()`, and around direct calls, unless the next thing that is done waits for them anyway.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator, Mapping
from types import ModuleType
from typing import Any, NamedTuple, cast

from penstock.authoring.decorated import Decorated
from penstock.dialects.code.edits import Edits, Overlap
from penstock.dialects.code.modules import FunctionNode, free, imports_in, module_of
from penstock.dialects.prefect.caching import Cached, task_input_hash
from penstock.dialects.prefect.flows import Flow
from penstock.dialects.prefect.futures import unmapped
from penstock.dialects.prefect.sites import Site
from penstock.dialects.prefect.tasks import Task

#: options without a counterpart in the decorators that penstock's own Python is written with
_TASK_LOST = ("cache_key_fn", "retry_condition_fn", "task_run_name", "on_rollback", "on_commit")
_FLOW_LOST = ("validate_parameters",)
#: functions that are told how tasks end
_TASK_HOOKS = ("on_completion", "on_failure", "on_running")
#: what is asked of futures and of tasks that has no counterpart
_ASKED = {"state", "get_state", "wait", "add_done_callback", "task_run_id", "with_options", "delay", "apply_async", "fn",
          "return_state", "raise_on_failure", "serve", "deploy", "to_deployment", "from_source"}  # fmt: skip
#: what may be done with futures as a whole
_HANDING = {"append", "extend", "insert", "len", "list", "tuple", "zip", "enumerate", "reversed"}
_Fans = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)


class Rewritten(NamedTuple):
    """The text of a flow for penstock."""

    #: `(n: int = 4) -> int:`
    signature: str
    docstring: str
    #: the lines of its body, not indented, without the docstring
    body: tuple[str, ...]
    tasks: Mapping[str, Task]
    flows: Mapping[str, Flow]
    #: names of its module that it reads besides, in its body and in its signature
    names: tuple[str, ...]
    signature_names: tuple[str, ...]
    #: names of penstock's, by what they are called in the text
    imports: Mapping[str, str]
    #: what is different
    remarks: tuple[str, ...]


class _Without(Exception):
    """Something in the flow has no counterpart."""


def native_source(flow: Any) -> Rewritten | None:
    """The text of a flow for penstock; None where something in it has no counterpart, or its source is not to be had."""
    if not isinstance(flow, Flow) or any(flow.given_options.get(name) is not None for name in _FLOW_LOST):
        return None
    fn = flow.fn
    if not inspect.isfunction(fn) or fn.__closure__ or inspect.isgeneratorfunction(fn) or flow.asynchronous:
        return None
    try:
        module = module_of(fn.__module__)
    except (OSError, SyntaxError):
        return None
    definition = module.function(fn.__name__, fn.__code__.co_firstlineno)
    if definition is None or flow.is_second:
        return None
    try:
        return _Rewriting(flow, definition, module.source).whole()
    except (_Without, Overlap):
        return None


class _Rewriting:
    def __init__(self, flow: Flow, definition: FunctionNode, source: str) -> None:
        self.flow, self.definition = flow, definition
        self.edits = Edits(source)
        self.globals: dict[str, Any] = flow.fn.__globals__
        self.tasks: dict[str, Task] = {}
        self.flows: dict[str, Flow] = {}
        self.imports: dict[str, str] = {}
        self.remarks: list[str] = []
        self.nodes = [each for statement in definition.body for each in ast.walk(statement)]
        self.parents = {
            child: each for top in definition.body for each in ast.walk(top) for child in ast.iter_child_nodes(each)
        }
        self.parameters = list(inspect.signature(flow.fn).parameters)
        stored = {each.id for each in self.nodes if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store)}
        self.local = {*self.parameters, *stored}
        used = {each.id for each in ast.walk(ast.parse(source)) if isinstance(each, ast.Name)} | self.local
        self.value = next(each for each in ("value", "value_of", "value_of_task") if each not in used)
        #: names that hold futures, and those that hold a ref that a direct call gave
        self.futures: set[str] = set()
        self.handed: set[str] = set()

    def whole(self) -> Rewritten:
        if self.flow.given_options.get("retries"):
            self.remarks.append(f"{self.flow.name} is not repeated as a whole where it fails: give its tasks retries")
        self._check()
        self._find_futures()
        for node in self.nodes:
            if isinstance(node, ast.Call):
                self._call(node)
        for node in self.nodes:
            if isinstance(node, ast.Name):
                self._name(node)
        self._resolve_parts()
        body = [each for each in self.definition.body if not _is_docstring(each, self.definition)]
        if not body or not self.edits.begins_line(body[0]):
            raise _Without
        signature, text = self.edits.function(self.definition, body[0])
        outside = _definition(signature, text)
        opening = self._opening()
        known = {*self.tasks, *self.flows, *self.imports}
        names = tuple(each for each in self._read(body) if each not in known)
        return Rewritten(
            signature,
            inspect.getdoc(self.flow.fn) or "",
            (*opening, *text),
            self.tasks,
            self.flows,
            names,
            tuple(free(outside)),
            self.imports,
            tuple(self.remarks),
        )

    def _read(self, body: list[ast.stmt]) -> Iterator[str]:
        found = free(ast.Module(body, []))
        return (each for each in found if each not in self.local)

    def _opening(self) -> list[str]:
        """What makes values of the parameters for which a ref will not do."""
        read = {each.id for each in self.nodes if isinstance(each, ast.Name)}
        wanted = [each for each in self.parameters if each in read and each not in self.flow.sites.parameters]
        if not wanted:
            return []
        inside = wanted[0] if len(wanted) == 1 else f"({', '.join(wanted)})"
        return [f"{', '.join(wanted)} = {self._value()}({inside})"]

    def _check(self) -> None:
        """Raise _Without for constructs that the calls of tasks cannot stand in."""
        for node in self.nodes:
            if isinstance(node, (ast.Await, ast.Global, ast.Nonlocal, ast.Yield, ast.YieldFrom)):
                raise _Without
            if isinstance(node, (ast.Attribute, ast.keyword)):
                name = node.attr if isinstance(node, ast.Attribute) else node.arg
                if name in _ASKED or isinstance(self._attribute(node), Decorated):
                    raise _Without
            over_lines = isinstance(node, (ast.Constant, ast.JoinedStr)) and node.end_lineno != node.lineno
            if over_lines and not _is_docstring(self.parents.get(node), self.definition):
                raise _Without
            if isinstance(node, ast.Try) and self._is_answered(node):
                continue
            if isinstance(node, (ast.Try, ast.TryStar, *_Fans)) and any(map(self._composes, ast.walk(node))):
                raise _Without
            imported = imports_in(node) if isinstance(node, (ast.Import, ast.ImportFrom)) else ()
            if any(each.root in ("prefect", "penstock") for each in imported):
                raise _Without

    def _is_answered(self, node: ast.Try) -> bool:
        """Whether all that a `try` composes are calls of tasks, whose failures it answers: these raise there as well."""
        inside = [part for statement in node.body for part in ast.walk(statement)]
        called = [each.func for each in inside if isinstance(each, ast.Call) and self._kind(each) == "call"]
        composed = [each for each in inside if self._composes(each)]
        return bool(node.handlers) and not node.finalbody and all(each in called for each in composed)

    def _composes(self, node: ast.AST) -> bool:
        if isinstance(node, ast.Attribute) and node.attr == "result":
            return True
        return isinstance(node, ast.Name) and isinstance(self._resolved(node), Decorated)

    def _resolved(self, node: ast.AST) -> Any:
        return self.globals.get(node.id) if isinstance(node, ast.Name) and node.id not in self.local else None

    def _attribute(self, node: ast.AST) -> Any:
        """What an attribute of a module stands for."""
        base = self._resolved(node.value) if isinstance(node, ast.Attribute) else None
        return getattr(base, cast(ast.Attribute, node).attr, None) if isinstance(base, ModuleType) else None

    def _kind(self, node: ast.AST) -> str:
        """`call` for a direct call of a task, `flow` for one of a flow; `submit`, `map` and `result`; empty for all else."""
        if not isinstance(node, ast.Call):
            return ""
        called = self._resolved(node.func)
        if isinstance(called, Task):
            return "call"
        if isinstance(called, Flow):
            return "flow"
        if isinstance(node.func, ast.Attribute):
            if isinstance(self._resolved(node.func.value), Task) and node.func.attr in ("submit", "map"):
                return node.func.attr
            if node.func.attr == "result":
                return "result"
        return ""

    def _find_futures(self) -> None:
        """Follow what was submitted through names, lists and loops."""
        known = -1
        while len(self.futures) > known:
            known = len(self.futures)
            for node in self.nodes:
                match node:
                    case ast.Assign(targets, value) if any(map(self._is_future, _made(value))):
                        self.futures |= {_holder(each) for each in targets}
                    case ast.Call(ast.Attribute(ast.Name(id=name), "append" | "extend"), [value]):
                        if any(map(self._is_future, _made(value))):
                            self.futures.add(name)
                    case ast.For(target, iterated) | ast.comprehension(target, iterated):
                        if any(map(self._is_future, ast.walk(iterated))) and self._kind(iterated) != "result":
                            self.futures |= {each.id for each in ast.walk(target) if isinstance(each, ast.Name)}
                    case _:
                        pass

    # Calls.

    def _call(self, node: ast.Call) -> None:
        kind = self._kind(node)
        match kind:
            case "result":
                if node.args or node.keywords:
                    raise _Without
                base = cast(ast.Attribute, node.func).value
                if self._is_handed_on(node):
                    self.edits.replace(_end(base), _end(node), "")
                else:
                    self.edits.insert(_start(node), f"{self._value()}(")
                    self.edits.replace(_end(base), _end(node), ")")
            case "submit" | "map":
                function = cast(ast.Attribute, node.func)
                after = self._after(node)
                if kind == "submit":
                    self.edits.replace(_end(function.value), _end(function), after)
                else:
                    self.edits.insert(_end(function.value), after)
                    self._fixed(node)
                if self._is_unseen(node):
                    self.remarks.append(
                        f"what is submitted in line {node.lineno} and not waited for fails the run if it fails"
                    )
            case "call" | "flow":
                self.edits.insert(_end(node.func), self._after(node))
                if not self._is_handed_on(node):
                    self.edits.insert(_start(node), f"{self._value()}(")
                    self.edits.insert(_end(node), ")")
            case _:
                self._other(node)

    def _value(self) -> str:
        self.imports[self.value] = "value"
        return self.value

    def _after(self, node: ast.Call) -> str:
        """What a call waits for, as options; taken out of its arguments."""
        given = next((each for each in node.keywords if each.arg == "wait_for"), None)
        if given is None:
            return ""
        wanted = given.value.elts if isinstance(given.value, (ast.List, ast.Tuple)) else [given.value]
        if not all(isinstance(each, ast.Name) and each.id in self.futures for each in wanted):
            raise _Without
        if self._kind(node) == "flow":
            raise _Without
        others = [each for each in (*node.args, *node.keywords) if each is not given]
        before = [each for each in others if _start(each) < _start(given)]
        later = [each for each in others if _start(each) > _start(given)]
        if later:
            self.edits.replace(_start(given), min(map(_start, later)), "")
        else:
            self.edits.replace(max(map(_end, before)) if before else _start(given), _end(given), "")
        return f".options(after=[{', '.join(cast(ast.Name, each).id for each in wanted)}])"

    def _fixed(self, node: ast.Call) -> None:
        """Arguments of a map that are no list are the same for all items."""
        annotations = {each.arg: each.annotation for each in self.definition.args.args}
        for each in (*node.args, *(word.value for word in node.keywords if word.arg != "wait_for")):
            plain = annotations.get(each.id) if isinstance(each, ast.Name) else None
            single = isinstance(plain, ast.Name) and plain.id in ("int", "float", "bool", "str")
            if isinstance(each, (ast.Constant, ast.JoinedStr)) or single:
                self.imports["unmapped"] = "unmapped"
                self.edits.insert(_start(each), "unmapped(")
                self.edits.insert(_end(each), ")")
            elif isinstance(each, (ast.Dict, ast.Starred)):
                raise _Without

    def _is_unseen(self, node: ast.Call) -> bool:
        """Whether nothing is done with a future."""
        parent = self.parents.get(node)
        names = {each.id for each in self.nodes if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Load)}
        if isinstance(parent, ast.Assign):
            return all(isinstance(each, ast.Name) and each.id not in names for each in parent.targets)
        return isinstance(parent, ast.Expr)

    def _other(self, node: ast.Call) -> None:
        """Futures may not get to code that would look at them."""
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        given = [*node.args, *(each.value for each in node.keywords)]
        marked = self._resolved(node.func) is unmapped
        if marked:
            self.imports[name] = "unmapped"
        elif name not in _HANDING and any(self._is_future(each) for each in given):
            raise _Without

    def _is_future(self, node: ast.AST) -> bool:
        if isinstance(node, ast.Subscript):
            return self._is_future(node.value)
        if isinstance(node, ast.Name):
            return node.id in self.futures
        return self._kind(node) in ("submit", "map")

    # Names.

    def _name(self, node: ast.Name) -> None:
        found = self._resolved(node)
        parent = self.parents.get(node)
        if isinstance(found, Decorated):
            called = isinstance(parent, ast.Call) and parent.func is node
            placed = isinstance(parent, ast.Attribute) and self._kind(self.parents[parent]) in ("submit", "map")
            if not called and not placed:
                raise _Without
            if isinstance(found, Task):
                self._take(node.id, found)
            elif isinstance(found, Flow) and found is not self.flow:
                self.flows[node.id] = found
            else:
                raise _Without

    def _take(self, name: str, task: Task) -> None:
        given = {key: each for key, each in task.given_options.items() if each is not task_input_hash}
        lost = any(given.get(option) is not None for option in _TASK_LOST)
        lost |= bool(task.rollbacks or task.commits or task.pools) or task.given.get("cache_key") is not None
        if lost or task.asynchronous or Cached(task.given_options).by_parameters:
            raise _Without
        if any(task.given_options.get(option) for option in _TASK_HOOKS):
            told = f"the hooks of {name} are left out: they take what Prefect tells"
            self.remarks += [told] if told not in self.remarks else []
        self.tasks[name] = task

    def _resolve_parts(self) -> None:
        """Let parts be called with values: what they do with their parameters is their own affair."""
        for node in self.nodes:
            if self._kind(node) != "flow":
                continue
            for each in (*cast(ast.Call, node).args, *(word.value for word in cast(ast.Call, node).keywords)):
                if isinstance(each, ast.Starred):
                    raise _Without
                if not self._is_value(each):
                    self.edits.insert(_start(each), f"{self._value()}(")
                    self.edits.insert(_end(each), ")")

    def _is_value(self, node: ast.AST) -> bool:
        """Whether there is no ref in what an expression gives. Calls of a part's arguments are waited for already."""
        if self._kind(node) in ("call", "flow", "result"):
            return True
        if self._is_future(node) or (isinstance(node, ast.Name) and node.id in self.handed):
            return False
        return all(map(self._is_value, ast.iter_child_nodes(node)))

    # Order.

    def _is_handed_on(self, node: ast.Call) -> bool:
        """Whether the next thing that is done with the result waits for it, so that the ref will do."""
        if _site(node) not in self.flow.sites.open:
            return False
        parent = self.parents.get(node)
        if self._is_returned(node):
            return True
        if isinstance(parent, ast.For):
            return parent.iter is node
        if self._is_tested(node):
            return True
        if isinstance(parent, ast.Call) and self._kind(parent) == "call":
            given = (*parent.args, *(each.value for each in parent.keywords))
            return sum(isinstance(part, ast.Call) for each in given for part in ast.walk(each)) == 1
        if isinstance(parent, ast.Assign) and len(parent.targets) == 1 and isinstance(parent.targets[0], ast.Name):
            name = parent.targets[0].id
            if self._is_awaited_next(parent, name):
                self.handed.add(name)
                return True
        return False

    def _is_returned(self, node: ast.AST) -> bool:
        """Whether it is, or is in, what the flow returns, and nothing else is done there that would come after it."""
        parent = self.parents.get(node)
        while isinstance(parent, (ast.Dict, ast.List, ast.Tuple)):
            node, parent = parent, self.parents.get(parent)
        if not isinstance(parent, ast.Return):
            return False
        kinds = [self._kind(each) for each in ast.walk(parent) if isinstance(each, ast.Call)]
        return "" not in kinds and sum(each != "result" for each in kinds) <= 1

    def _is_tested(self, node: ast.AST) -> bool:
        parent = self.parents.get(node)
        while isinstance(parent, (ast.Compare, ast.UnaryOp, ast.BinOp)):
            node, parent = parent, self.parents.get(parent)
        return isinstance(parent, (ast.If, ast.While)) and parent.test is node

    def _is_awaited_next(self, statement: ast.stmt, name: str) -> bool:
        following = self._following(statement)
        match following:
            case ast.If(test=test) | ast.While(test=test):
                first = test.values[0] if isinstance(test, ast.BoolOp) else test
                return _reads(first, name) and not any(isinstance(each, ast.Call) for each in ast.walk(first))
            case ast.Return(value) if value is not None:
                return _reads(value, name) and not any(isinstance(each, ast.Call) for each in ast.walk(value))
            case ast.Return(value) | ast.Assign(value=value) | ast.Expr(value=value) if (
                self._kind(value or following) == "call"
            ):
                call = cast(ast.Call, value)
                given = (*call.args, *(each.value for each in call.keywords))
                return any(isinstance(each, ast.Name) and each.id == name for each in given) and not any(
                    isinstance(part, ast.Call) for each in given for part in ast.walk(each)
                )
            case _:
                return False

    def _following(self, statement: ast.stmt) -> ast.stmt | None:
        """What is done after a statement, in its block, or in the next turn of its loop."""
        around = self.parents.get(statement, self.definition)
        for field in ("body", "orelse", "finalbody"):
            listed = getattr(around, field, None)
            if isinstance(listed, list) and statement in listed:
                position = cast("list[ast.stmt]", listed).index(statement) + 1
                if position < len(cast("list[ast.stmt]", listed)):
                    return cast("list[ast.stmt]", listed)[position]
                return around if isinstance(around, ast.While) and field == "body" else None
        return None


def _definition(signature: str, body: list[str]) -> ast.stmt:
    """The head of a definition, without its body. Raises _Without for text that is no function."""
    try:
        ast.parse("\n".join([f"def it{signature}", *(f"    {line}" for line in body)]))
        return ast.parse(f"def it{signature}\n    pass").body[0]
    except SyntaxError:
        raise _Without from None


def _is_docstring(node: ast.AST | None, definition: FunctionNode) -> bool:
    first = definition.body[0]
    return node is first and isinstance(first, ast.Expr) and isinstance(getattr(first.value, "value", None), str)


def _holder(target: ast.expr) -> str:
    """The name that something is assigned to, or into."""
    if isinstance(target, ast.Subscript):
        target = target.value
    if not isinstance(target, ast.Name):
        raise _Without
    return target.id


def _made(node: ast.expr) -> list[ast.expr]:
    """What an assigned value consists of: the elements of a list, or what is made for each turn of a comprehension."""
    if isinstance(node, (ast.List, ast.Tuple)):
        return node.elts
    if isinstance(node, ast.Dict):
        return node.values
    if isinstance(node, ast.DictComp):
        return [node.value]
    return [node.elt] if isinstance(node, ast.ListComp) else [node]


def _reads(node: ast.expr, name: str) -> bool:
    return any(isinstance(each, ast.Name) and each.id == name for each in ast.walk(node))


def _start(node: Any) -> tuple[int, int]:
    return node.lineno, node.col_offset


def _end(node: Any) -> tuple[int, int]:
    return node.end_lineno, node.end_col_offset


def _site(node: ast.expr) -> Site:
    return (*_start(node), *_end(node))


__all__ = ["Rewritten", "native_source"]
