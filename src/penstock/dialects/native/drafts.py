"""What a person has to finish: tasks, and bodies, that have no form in penstock yet, with their source as comments."""

from __future__ import annotations

import ast
import sys
import textwrap
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from penstock.authoring.pipeline import Composition
from penstock.authoring.source import location_of
from penstock.authoring.task import Task as AuthoredTask
from penstock.dialects.code.formatting import block, quoted
from penstock.dialects.code.modules import free
from penstock.errors import DefinitionError
from penstock.model.action import OpaqueAction
from penstock.model.expression import Expression, Input, Output, Parameter, leaves
from penstock.model.graph import Node, Task
from penstock.model.place import Location

#: characters of a line of comment
_LENGTH = 110


def taken(node: Node) -> list[Expression]:
    """What a node takes of its pipeline, each once: parameters and the results of other nodes, as a whole."""
    found: dict[tuple[str, str], Expression] = {}
    listed = [*node.bindings.values(), *(() if node.each is None else node.each.over.values())]
    for leaf in (leaf for each in listed for leaf in leaves(each)):
        if isinstance(leaf, Output):
            found.setdefault(("", leaf.node), Output(leaf.node))
        elif isinstance(leaf, (Parameter, Input)):
            found.setdefault((type(leaf).__name__, leaf.name), leaf)
    return list(found.values())


def draft_task(name: str, inputs: Iterable[str], problem: DefinitionError, source: str) -> list[str]:
    """The definition of a function that a person has to write: why that is so, and what it was."""
    return [f"def {name}({', '.join(inputs)}):", *block(_to_do(name, problem, source))]


def draft_body(name: str, problem: DefinitionError, source: str) -> list[str]:
    """The statements of a body that a person has to write."""
    return _to_do(name, problem, source)


def _to_do(name: str, problem: DefinitionError, source: str) -> list[str]:
    about = [f"{problem.what} ({problem.where})" if problem.where else problem.what]
    if problem.remedy:
        about.append(problem.remedy)
    lines = [f"# {line}" for each in about for line in textwrap.wrap(each, _LENGTH)]
    if source:
        lines += ["#", *(f"#     {line}".rstrip() for line in textwrap.dedent(source).strip("\n").splitlines())]
    return [*lines, f"raise NotImplementedError({quoted(f'{name} is to be written: see the comment')})"]


def source_of(task: Task, function: Any, node: Node) -> str:
    """What a node was in the file that it comes from; empty where that is not to be had."""
    if isinstance(task.action, OpaqueAction):
        return statement_at(task.action.location) or task.action.source
    operator = getattr(function, "operator", None)
    if operator is not None:
        called = getattr(operator, "python_callable", None)
        whole = [statement_at(operator.location)]
        if called is not None and hasattr(called, "__code__"):
            whole.insert(0, statement_at(location_of(called)))
        return "\n\n".join(dict.fromkeys(each for each in whole if each))
    return statement_at(node.location if function is None else location_of(function)) or statement_at(node.location)


def statement_at(location: Location) -> str:
    """The innermost statement on a line of a file; a definition with its decorators. Empty where it is not to be had."""
    found = [each for each in _statements(location) if _first(each[1]) <= location.line <= (each[1].end_lineno or 0)]
    simple = [each for each in found if not isinstance(each[1], (ast.With, ast.If, ast.For, ast.Try))]
    definition = [each for each in simple if _first(each[1]) == location.line] or simple
    return _text(definition[-1]) if definition else ""


def definition_around(location: Location) -> str:
    """The outermost function around a line of a file, with its decorators. Empty where there is none."""
    for lines, statement in _statements(location):
        inside = _first(statement) <= location.line <= (statement.end_lineno or 0)
        if inside and isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef)):
            return _text((lines, statement))
    return ""


def pipeline_at(location: Location, name: str) -> Composition[..., Any] | None:
    """The pipeline of a name that the module of a line has at its top level."""
    file = str(Path(location.file).resolve())
    module = next((each for each in list(sys.modules.values()) if getattr(each, "__file__", None) == file), None)
    found: list[Any] = [] if module is None else list(vars(module).values())
    pipelines: list[Composition[..., Any]] = [each for each in found if isinstance(each, Composition)]
    return next((each for each in pipelines if each.name == name), None)


def body_of(name: str, location: Location) -> Location:
    """Where the body of a pipeline is that asks for a value in a line, which may be that of a function that it calls, or of
    another pipeline; that line itself where the body is not to be had."""
    found = pipeline_at(location, name)
    return location if found is None else location_of(getattr(found, "fn", found.function))


def tasks_around(location: Location) -> dict[str, AuthoredTask[..., Any]]:
    """The tasks that the function around a line calls by their names, of those that its module has at its top level."""
    text = definition_around(location)
    file = str(Path(location.file).resolve())
    module = next((each for each in list(sys.modules.values()) if getattr(each, "__file__", None) == file), None)
    if not text or module is None:
        return {}
    names = free(ast.parse(text).body[0])
    return {name: value for name in names if isinstance(value := vars(module).get(name), AuthoredTask)}


def _statements(location: Location) -> Iterator[tuple[list[str], ast.stmt]]:
    """All statements of a file, those that are inside others after them."""
    try:
        text = Path(location.file).read_text()
        tree = ast.parse(text)
    except (OSError, SyntaxError, ValueError):
        return
    lines = text.splitlines()
    yield from ((lines, each) for each in ast.walk(tree) if isinstance(each, ast.stmt))


def _first(statement: ast.stmt) -> int:
    return min([statement.lineno, *(each.lineno for each in getattr(statement, "decorator_list", ()))])


def _text(found: tuple[list[str], ast.stmt]) -> str:
    lines, statement = found
    return textwrap.dedent("\n".join(lines[_first(statement) - 1 : statement.end_lineno]))


__all__ = [
    "body_of",
    "definition_around",
    "draft_body",
    "draft_task",
    "pipeline_at",
    "source_of",
    "statement_at",
    "taken",
    "tasks_around",
]
