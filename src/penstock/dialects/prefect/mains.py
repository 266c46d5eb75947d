"""What stands under `if __name__ == "__main__":`, which Python only runs for a script."""

from __future__ import annotations

import ast
import inspect
import linecache
import sys
from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager, suppress
from types import ModuleType
from typing import Any, cast

from penstock.dialects.prefect.deployments import gathered
from penstock.dialects.prefect.flows import Flow
from penstock.dialects.prefect.plain import plain
from penstock.dialects.prefect.sessions import driven
from penstock.dialects.uncovered import names_in
from penstock.errors import DefinitionError, PenstockError

#: calls that make deployments and automations
_DEPLOYING = frozenset({"serve", "aserve", "deploy", "adeploy", "to_deployment", "ato_deployment", "build_from_flow",
                        "Automation", "AutomationCore", "create_automation"})  # fmt: skip


class Main:
    """That block of a file."""

    def __init__(self, module: ModuleType) -> None:
        self._module = module
        self._file = getattr(module, "__file__", None) or ""
        try:
            tree = ast.parse("".join(linecache.getlines(self._file)))
        except SyntaxError:
            tree = ast.Module([], [])
        blocks = [node for node in tree.body if isinstance(node, ast.If) and _is_main(node.test)]
        self._statements: list[ast.stmt] = [each for block in blocks for each in block.body]
        self._functions = {
            each.name: each for each in tree.body if isinstance(each, (ast.FunctionDef, ast.AsyncFunctionDef))
        }

    def called(self) -> list[Flow]:
        """The flows that it calls, or that functions do which it calls."""
        names = {node.id for each in self._statements for node in ast.walk(each) if isinstance(node, ast.Name)}
        found: list[Flow] = []
        for name in names:
            each = vars(self._module).get(name)
            if isinstance(each, Flow):
                found.append(each)
            elif hasattr(each, "__code__") and getattr(each, "__module__", "") == self._module.__name__:
                held = (vars(self._module).get(inner) for inner in names_in(each.__code__))  # type: ignore[union-attr]
                found += [inner for inner in held if isinstance(inner, Flow)]
        return found

    def run(self) -> list[Flow]:
        """The flows that it calls itself."""
        calls = (node for each in self._statements for node in ast.walk(each) if isinstance(node, ast.Call))
        found = (vars(self._module).get(each.func.id) for each in calls if isinstance(each.func, ast.Name))
        return [each for each in found if isinstance(each, Flow)]

    def given_to(self, flow: Flow) -> dict[str, Any]:
        """What it calls a flow with, as far as that stands in the text."""
        held = dict(vars(self._module))
        for statement in self._statements:
            for node in ast.walk(statement):
                if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
                    continue
                if vars(self._module).get(node.func.id) is flow:
                    return _arguments(inspect.signature(flow.fn), node, held)
            if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
                name = statement.targets[0].id
                held.pop(name, None)
                with suppress(ValueError):
                    held[name] = plain(statement.value, held)
        return {}

    def deployments(self) -> list[Any]:
        """The deployments that it makes, and what it says of these without effect. Only what makes them is carried out, in
        functions of the file as well."""
        statements = self._spread(self._statements, ())
        wanted = [each for each in statements if self._makes(each, ())]
        if not wanted:
            return []
        held = {**vars(self._module), "__name__": "__main__"}
        with gathered() as found, _as_script(self._file):
            for each in _needed(statements, wanted):
                self._carry_out(each, held)
        return found

    def _carry_out(self, statement: ast.stmt, held: dict[str, Any]) -> None:
        tree = ast.Module([statement], [])
        try:
            code = compile(tree, self._file, "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
            awaited = eval(code, held)
            if awaited is not None:
                driven(awaited)
        except PenstockError:
            raise
        except (Exception, SystemExit) as error:
            raise DefinitionError(
                f"what makes a deployment raises {type(error).__name__}: {error}",
                where=f"{self._file}:{statement.lineno}",
                remedy="Let it depend on nothing but what the file itself defines.",
            ) from None

    def _spread(self, statements: Iterable[ast.stmt], inside: tuple[str, ...]) -> list[ast.stmt]:
        """Statements, with those of a function of the file in the place of the statement that calls it, where they make
        deployments."""
        found: list[ast.stmt] = []
        for each in statements:
            call = _called_alone(each)
            function = None if call is None else self._functions.get(cast(ast.Name, call.func).id)
            if call is None or function is None or function.name in inside or not self._makes(each, inside):
                found.append(each)
                continue
            given = _given(function, call)
            body = [_without_returns(part) for part in function.body]
            found += [each] if given is None else [*given, *self._spread(body, (*inside, function.name))]
        return found

    def _makes(self, statement: ast.stmt, inside: tuple[str, ...]) -> bool:
        """Whether a statement makes deployments, itself or by a function of the file."""
        for node in ast.walk(statement):
            if not isinstance(node, ast.Call):
                continue
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if name in _DEPLOYING and name not in self._functions:
                return True
            function = self._functions.get(name) if isinstance(node.func, ast.Name) else None
            if function is None or name in inside or isinstance(vars(self._module).get(name), Flow):
                continue
            if any(self._makes(each, (*inside, name)) for each in function.body):
                return True
        return False


def _called_alone(statement: ast.stmt) -> ast.Call | None:
    """The call of a name that a statement consists of: `main()`, `await main()`, `asyncio.run(main())`."""
    found: Any = statement.value if isinstance(statement, ast.Expr) else None
    if isinstance(found, ast.Await):
        found = found.value
    if (
        isinstance(found, ast.Call)
        and isinstance(found.func, ast.Attribute)
        and found.func.attr == "run"
        and found.args
    ):
        found = found.args[0]
    return found if isinstance(found, ast.Call) and isinstance(found.func, ast.Name) else None


def _given(function: ast.FunctionDef | ast.AsyncFunctionDef, call: ast.Call) -> list[ast.stmt] | None:
    """The parameters of a function as assignments; None where they cannot be told."""
    names = [each.arg for each in (*function.args.posonlyargs, *function.args.args)]
    only = [each.arg for each in function.args.kwonlyargs]
    defaults = dict(zip(reversed(names), reversed(function.args.defaults), strict=False))
    defaults.update(
        {name: each for name, each in zip(only, function.args.kw_defaults, strict=True) if each is not None}
    )
    named = {each.arg: each.value for each in call.keywords if each.arg is not None}
    values = {**defaults, **dict(zip(names, call.args, strict=False)), **named}
    if set(values) != {*names, *only} or any(isinstance(each, ast.Starred) for each in call.args):
        return None
    return [
        ast.copy_location(ast.Assign([ast.copy_location(ast.Name(name, ast.Store()), each)], each), each)
        for name, each in values.items()
    ]


class _Unreturned(ast.NodeTransformer):
    """Leaves out where a function ends."""

    def visit_Return(self, node: ast.Return) -> ast.stmt:
        found = ast.Pass() if node.value is None else ast.Expr(node.value)
        return ast.copy_location(found, node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.stmt:
        return node

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.stmt:
        return node


def _without_returns(statement: ast.stmt) -> ast.stmt:
    return cast(ast.stmt, _Unreturned().visit(statement))


def _needed(statements: list[ast.stmt], wanted: list[ast.stmt]) -> list[ast.stmt]:
    """The statements that make deployments, with those before them that they take something from: imports, assignments, and
    calls of methods of what is assigned."""
    kept = list(wanted)
    assigned = {name for each in statements for name in _stored(each)}
    for each in reversed(statements):
        names = {node.id for other in kept for node in ast.walk(other) if isinstance(node, ast.Name)}
        made = _stored(each) | (_changed(each) & assigned)
        if each not in kept and (isinstance(each, (ast.Import, ast.ImportFrom)) or made & names):
            kept.append(each)
    return [each for each in statements if each in kept]


def _stored(statement: ast.stmt) -> set[str]:
    return {each.id for each in ast.walk(statement) if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store)}


def _changed(statement: ast.stmt) -> set[str]:
    """The name whose method a statement calls, and nothing else: `parser.add_argument("--name")`."""
    match statement:
        case ast.Expr(ast.Call(ast.Attribute(ast.Name(id=name)))):
            return {name}
        case ast.Expr(ast.Await(ast.Call(ast.Attribute(ast.Name(id=name))))):
            return {name}
        case _:
            return set()


@contextmanager
def _as_script(file: str) -> Generator[None]:
    """Let what reads the command line find that of the script, with nothing else on it."""
    before, sys.argv = sys.argv, [file]
    try:
        yield
    finally:
        sys.argv = before


def _arguments(signature: inspect.Signature, call: ast.Call, held: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a call that can be told from the text and from the names that are there."""
    try:
        given = {each.arg: each.value for each in call.keywords if each.arg is not None}
        found = signature.bind_partial(*call.args, **given).arguments
    except TypeError:
        return {}
    values: dict[str, Any] = {}
    for name, node in found.items():
        with suppress(ValueError):
            values[name] = plain(node, held)
    return values


def _is_main(test: ast.expr) -> bool:
    return ast.unparse(test).replace('"', "'") in (
        "__name__ == '__main__'",
        "'__main__' == __name__",
    )


__all__ = ["Main"]
