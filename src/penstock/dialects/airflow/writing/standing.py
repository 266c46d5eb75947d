"""DAGs that are written as they stand in the file that they were read from."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from penstock.dialects import Account, Export, Grade, Written
from penstock.dialects.airflow.dag import DAG
from penstock.dialects.airflow.params import CONF
from penstock.dialects.airflow.templates import files_of
from penstock.dialects.airflow.writing.cutting import Cut, numbers_at
from penstock.dialects.code.modules import Module, module_of
from penstock.dialects.foreign import made_in
from penstock.model.action import OpaqueAction
from penstock.model.graph import Node, PipelineAction

if TYPE_CHECKING:
    from types import ModuleType

    from penstock.model.graph import Graph


def standing(export: Export) -> Written | None:
    """The file that a DAG was read from, without what only other DAGs of the file need, and the templates beside it. None
    for a pipeline that is no DAG as its file has it."""
    graph = export.definition.graph
    dag = None if export.definition.parameters.get(CONF) else _dag(export)
    if dag is None:
        return None
    try:
        module = module_of(dag.module)
    except OSError:
        return None
    others = [each for each in made_in(module.module) if isinstance(each, DAG) and each is not dag]
    text, along = _text(module, dag, [each for each in others if each.task_dict or each.problem])
    how = f"as it stands in {Path(module.module.__file__ or '').name}"
    accounts = [Account(shown, _grade(graph, node), how) for shown, node in _nodes(graph)]
    if any(isinstance(each, ast.Name) and each.id == "__file__" for each in ast.walk(ast.parse(text))):
        accounts.append(Account("", "changed", "it asks for the name of its file, which may be another one there"))
    if along:
        told = f"the code that makes it makes {', '.join(repr(each.dag_id) for each in along)} as well"
        accounts.append(Account("", "equivalent", told))
    return Written(text, tuple(accounts), _files(dag))


def _dag(export: Export) -> DAG | None:
    """The DAG that a graph was made of."""
    graph = export.definition.graph
    functions = export.definition.functions.values()
    named = [getattr(each.reference or each.function, "module", "") or each.function.__module__ for each in functions]
    files = {str(Path(node.location.file).resolve()) for node in graph.nodes}
    loaded = list(sys.modules.items())
    candidates = [module for name, module in loaded if name in named or getattr(module, "__file__", None) in files]
    return next((found for each in candidates if (found := _dag_in(each, graph)) is not None), None)


def _dag_in(module: ModuleType, graph: Graph) -> DAG | None:
    found = [each for each in made_in(module) if isinstance(each, DAG) and each.dag_id == graph.name]
    return next((each for each in found if each.task_dict and each.module == module.__name__), None)


def _text(module: Module, dag: DAG, others: list[DAG]) -> tuple[str, list[DAG]]:
    """The text of the file, and which of the other DAGs it still makes."""
    places = {each.dag_id: numbers_at(module, _lines(module, each)) for each in (dag, *others)}
    own = places[dag.dag_id]
    if not own:
        # other modules make them, so that nothing tells which statement is whose
        return module.source, others
    cut = Cut(module, {each for other in others for each in places[other.dag_id]} - own, own)
    along = [each for each in others if not places[each.dag_id] <= cut.out]
    return (cut.text() if cut.out else module.source), along


def _lines(module: Module, dag: DAG) -> Iterator[int]:
    """The lines of the file that make a DAG, its groups and its tasks."""
    file = Path(module.module.__file__ or "").resolve()
    for each in (dag, *dag.task_group_dict.values(), *dag.tasks):
        if Path(each.location.file).resolve() == file:
            yield each.location.line


def _files(dag: DAG) -> dict[str, str]:
    """The templates that its tasks name, as they are found beside its file."""
    found: dict[str, str] = {}
    for name in (name for task in dag.tasks for name in files_of(task)):
        file = Path(dag.location.file).resolve().parent / name
        if not Path(name).is_absolute() and ".." not in Path(name).parts and file.is_file():
            found[name] = file.read_text("utf-8")
    return found


def _nodes(graph: Graph) -> Iterator[tuple[str, Node]]:
    yield from ((node.id, node) for node in graph.nodes)
    for task in graph.tasks.values():
        if isinstance(task.action, PipelineAction):
            yield from ((f"{task.name}/{node.id}", node) for node in task.action.nodes)


def _grade(graph: Graph, node: Node) -> Grade:
    return "opaque" if isinstance(graph.task_of(node).action, OpaqueAction) else "exact"


__all__ = ["standing"]
