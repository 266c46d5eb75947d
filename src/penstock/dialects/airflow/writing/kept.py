"""Operators that are written back as they stand in the user's file."""

from __future__ import annotations

import ast
import builtins
import io
import sys
import tokenize
from pathlib import Path
from typing import TYPE_CHECKING

from penstock.dialects.airflow.dag import DAG
from penstock.dialects.code.formatting import Unwritable, literal, quoted
from penstock.dialects.code.modules import bound, free, module_of
from penstock.dialects.foreign import made_in
from penstock.errors import DefinitionError
from penstock.model.action import OpaqueAction
from penstock.model.graph import Node
from penstock.model.place import Location

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import ModuleType

    from penstock.dialects.airflow.writing.dags import Writer

#: arguments that say where an operator is: it stands there
_PLACES = ("dag", "task_group")


class _Operator:
    """Where an operator stands, for what is looked up beside it."""

    def __init__(self, module: ModuleType, location: Location) -> None:
        self.__module__ = module.__name__
        self.location = location

    def __call__(self) -> None:
        """Nothing is called."""


def kept(writer: Writer, node: Node, action: OpaqueAction, options: Mapping[str, str]) -> str:
    """The call of an operator as it stands in the user's file, with the options that differ in the one that is written. What it
    names comes along. Raises DefinitionError for one that takes what only the user's file has there: other tasks, and the
    variables of a function around it."""
    module, call = _module(action.location), _call(action)
    if module is None or call is None:
        raise _refused(node, action, "is not called by itself in a file that is to be had")
    local = _local(module_of(module.__name__).tree, action.location.line)
    call.keywords = [each for each in call.keywords if each.arg not in (*_PLACES, *options)]
    for name in free(call):
        if name in local or not (name in vars(module) or hasattr(builtins, name)):
            raise _refused(node, action, f"takes {name}, which is made where it stands")
    texts = dict(options)
    defaults = _defaults(module, writer.graph.name, node)
    if defaults and "default_args" not in {each.arg for each in call.keywords}:
        try:
            texts["default_args"] = literal(defaults, writer.imports)
        except Unwritable as problem:
            raise _refused(node, action, f"has {problem} in the default_args of its DAG") from None
    for name in free(call):
        writer.sources.reach(_Operator(module, action.location), name, node.id)
    given = [*call.keywords, *(ast.keyword(name, ast.parse(text, mode="eval").body) for name, text in texts.items())]
    return _double(ast.unparse(ast.Call(call.func, call.args, given)))


def _module(location: Location) -> ModuleType | None:
    file = str(Path(location.file).resolve())
    return next((each for each in list(sys.modules.values()) if getattr(each, "__file__", None) == file), None)


def _call(action: OpaqueAction) -> ast.Call | None:
    try:
        found = ast.parse(action.source.strip(), mode="eval").body
    except SyntaxError:
        return None
    if not isinstance(found, ast.Call):
        return None
    name = found.func.attr if isinstance(found.func, ast.Attribute) else getattr(found.func, "id", "")
    return found if name == action.kind else None


def _local(tree: ast.Module, line: int) -> set[str]:
    """The names that the functions and loops around a line bind."""
    found: set[str] = set()
    for each in ast.walk(tree):
        if not isinstance(each, ast.stmt) or not each.lineno <= line <= (each.end_lineno or 0):
            continue
        if isinstance(each, (ast.FunctionDef, ast.AsyncFunctionDef)):
            found |= {part.arg for part in ast.walk(each.args) if isinstance(part, ast.arg)}
            found |= {name for part in each.body for name in bound(part)}
        elif isinstance(each, (ast.For, ast.While)):
            found |= set(bound(each))
    return found


def _defaults(module: ModuleType, dag_id: str, node: Node) -> dict[str, object]:
    """What an operator takes from its DAG and its groups."""
    dag = next((each for each in made_in(module) if isinstance(each, DAG) and each.dag_id == dag_id), None)
    task = None if dag is None else dag.task_dict.get(node.id.replace("/", "."))
    return {} if task is None else dict(task.default_args)


def _double(text: str) -> str:
    """A line of code with its plain texts in double quotes."""
    found = text
    for each in reversed(list(tokenize.generate_tokens(io.StringIO(text).readline))):
        if each.type == tokenize.STRING and each.string[0] in "'\"":
            begin, end = each.start[1], each.end[1]
            found = f"{found[:begin]}{quoted(ast.literal_eval(each.string))}{found[end:]}"
    return found


def _refused(node: Node, action: OpaqueAction, why: str) -> DefinitionError:
    return DefinitionError(
        f"{node.id!r} is {action.kind}, which is written as it stands, and {why}",
        where=str(action.location),
        remedy="Let its call take plain values, and what stands at the top of the file.",
    )


__all__ = ["kept"]
