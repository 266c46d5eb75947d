"""What a file in Prefect's dialect defines: its flows, and what starts them."""

from __future__ import annotations

import ast
import inspect
import linecache
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from types import ModuleType
from typing import Any

from penstock.authoring.pipeline import Composition
from penstock.dialects import Maker, Reading
from penstock.dialects.foreign import made_in
from penstock.dialects.prefect.deployments import Deployment, gathered
from penstock.dialects.prefect.flows import Called, Flow, part_ignored
from penstock.dialects.prefect.plain import plain
from penstock.dialects.prefect.starting import triggers_of
from penstock.dialects.prefect.tasks import CONDITION, Task
from penstock.dialects.uncovered import Uncovered, cells_of, names_in, unused
from penstock.errors import DefinitionError, PenstockError
from penstock.model.graph import Ignored

#: calls that make deployments
_DEPLOYING = ("serve", "deploy", "to_deployment", "build_from_flow")


def read(module: ModuleType, make: Maker) -> Reading:
    """The flows of a module as pipelines, and its deployments (those of the `prefect.yaml` beside it as well) as triggers."""
    from penstock.dialects.prefect.projects import deployments_beside, read_project, with_defaults

    project = read_project(module, make)
    if project is not None:
        return project
    flows = {name: each for name, each in vars(module).items() if isinstance(each, Flow)}
    block = Main(module)
    deployments = [each for each in made_in(module) if isinstance(each, Deployment)]
    deployments += block.deployments()
    deployments += deployments_beside(module, flows)
    by_flow: dict[int, Composition[..., Any]] = {}
    for flow in flows.values():
        if id(flow) not in by_flow:
            own = tuple(note for each in deployments if each.flow is flow for note in each.ignored)
            given = _given_at_start(module, block, flow)
            function = with_defaults(flow, given) if given else flow.function
            noted = (*ignored_of(flow), *unused(vars(module).values()), *own)
            by_flow[id(flow)] = make(function, flow.name, flow.settings, noted)
    pipelines = {name: by_flow[id(flow)] for name, flow in flows.items()}
    own_flows = {name: flow for name, flow in flows.items() if flow.fn.__module__ == module.__name__}
    first = _first(own_flows or flows, [*_called_at_top(module), *block.called(), *(each.flow for each in deployments)])
    return Reading(pipelines, triggers_of(module, deployments, by_flow), first)


def find(module: ModuleType, name: str) -> Callable[..., Any]:
    """What a worker runs: the function of a task, or its condition for further attempts. Raises AttributeError."""
    qualname, _, part = name.partition("/")
    found: Any = module
    for each in qualname.split("."):
        found = getattr(found, each)
    if not isinstance(found, Task):
        return getattr(found, "fn", found)
    if part == CONDITION:
        return found.given["retry_if"]
    return found.function


def _given_at_start(module: ModuleType, block: Main, flow: Flow) -> dict[str, Any]:
    """What the file itself calls a flow with, of parameters that have no default."""
    calls = [each.parameters for each in made_in(module) if isinstance(each, Called) and each.flow is flow]
    given = {**block.given_to(flow), **(calls[0] if calls else {})}
    parameters = inspect.signature(flow.fn).parameters
    return {name: each for name, each in given.items() if parameters[name].default is inspect.Parameter.empty}


# Which flow is meant.


def _first(flows: dict[str, Flow], started: Iterable[Flow]) -> str:
    """The name of the flow that is run where none is named: the only one; the only one that the file starts itself; the only
    one that no other one calls. Empty where there is none."""
    unique = {id(flow): name for name, flow in reversed(flows.items())}
    if len(unique) == 1:
        return next(iter(unique.values()))
    chosen = {id(flow) for flow in started} & unique.keys()
    inner = {
        id(each) for flow in flows.values() for each in _reached(flow) if isinstance(each, Flow) and each is not flow
    }
    for candidates in (chosen, chosen - inner, unique.keys() - inner):
        if len(candidates) == 1:
            return unique[next(iter(candidates))]
    return ""


def _called_at_top(module: ModuleType) -> Iterator[Flow]:
    return (each.flow for each in made_in(module) if isinstance(each, Called))


def _reached(flow: Flow) -> list[Any]:
    """The tasks and flows that the text of a flow names, also by way of functions of its own module, and what is not covered."""
    found: dict[int, Any] = {}
    pending: list[Any] = [flow.fn]
    seen: set[int] = set()
    while pending:
        function = pending.pop()
        names, held = names_in(function.__code__), {**function.__globals__, **cells_of(function)}
        for each in (getattr(held[name], "__self__", held[name]) for name in names if name in held):
            if isinstance(each, (Task, Flow, Uncovered)):
                found[id(each)] = each
                inner = None if isinstance(each, Uncovered) else each.fn
            else:
                inner = each
            same = getattr(inner, "__module__", None) == flow.fn.__module__
            if hasattr(inner, "__code__") and same and id(inner) not in seen:
                seen.add(id(inner))
                pending.append(inner)
    return list(found.values())


def ignored_of(flow: Flow) -> tuple[Ignored, ...]:
    """What the text of a flow says without effect, with that of the tasks and flows that it calls."""
    from penstock.dialects.prefect.limits import limits_noted

    found = dict.fromkeys(flow.noted)
    found.update(dict.fromkeys(limits_noted(flow.fn)))
    for each in _reached(flow):
        if isinstance(each, Task):
            found.update(dict.fromkeys((*each.ignored, *limits_noted(each.fn))))
        elif isinstance(each, Flow) and each is not flow:
            found.update(dict.fromkeys(part_ignored(each)))
    return tuple(found)


def check_covered(flow: Flow) -> None:
    """Raise NotCoveredError where the text of a flow, or of what it calls, names what has no counterpart."""
    found = next((each for each in _reached(flow) if isinstance(each, Uncovered)), None)
    if found is not None:
        raise found.error()


# What stands under `if __name__ == "__main__":`.


class Main:
    """The block of a file that Python only runs for a script."""

    def __init__(self, module: ModuleType) -> None:
        self._module = module
        self._file = getattr(module, "__file__", None) or ""
        try:
            tree = ast.parse("".join(linecache.getlines(self._file)))
        except SyntaxError:
            tree = ast.Module([], [])
        blocks = [node for node in tree.body if isinstance(node, ast.If) and _is_main(node.test)]
        self._statements: list[ast.stmt] = [each for block in blocks for each in block.body]

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

    def deployments(self) -> list[Deployment]:
        """The deployments that it makes. Only what makes them is carried out."""
        wanted = [each for each in self._statements if any(map(_deploys, ast.walk(each)))]
        if not wanted:
            return []
        needed = self._needed(wanted)
        held = {**vars(self._module), "__name__": "__main__"}
        with gathered() as found:
            for each in needed:
                try:
                    exec(compile(ast.Module([each], []), self._file, "exec"), held)
                except PenstockError:
                    raise
                except Exception as error:
                    raise DefinitionError(
                        f"what makes a deployment raises {type(error).__name__}: {error}",
                        where=f"{self._file}:{each.lineno}",
                        remedy="Let it depend on nothing but what the file itself defines.",
                    ) from None
        return found

    def _needed(self, wanted: list[ast.stmt]) -> list[ast.stmt]:
        """The statements that make deployments, with the assignments before them that they take something from."""
        kept = list(wanted)
        for each in reversed(self._statements):
            names = {node.id for other in kept for node in ast.walk(other) if isinstance(node, ast.Name)}
            stored = {
                node.id for node in ast.walk(each) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
            }
            if each not in kept and (isinstance(each, (ast.Import, ast.ImportFrom)) or stored & names):
                kept.append(each)
        return [each for each in self._statements if each in kept]


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


def _deploys(node: ast.AST) -> bool:
    if not isinstance(node, ast.Call):
        return False
    function = node.func
    name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
    return name in _DEPLOYING


__all__ = ["check_covered", "find", "ignored_of", "read"]
