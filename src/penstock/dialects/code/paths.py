"""A pipeline with paths in place of what only the system that it was read from has for files."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import msgspec

from penstock.authoring.pipeline import Definition
from penstock.authoring.task import Task as AuthoredTask
from penstock.dialects import Export
from penstock.dialects.code.adapting import AsPaths, adapts
from penstock.dialects.code.parts import changed, rewritten
from penstock.model.expression import Choose, Expression, Item, Output, leaves
from penstock.model.graph import Graph, Node, PipelineAction, Task


def with_paths(export: Export) -> Export:
    """The same pipeline, in which tasks take and return files as paths wherever their functions can be written so."""
    found: dict[str, AsPaths] = {}
    for key, task in export.definition.functions.items():
        about = adapts(task.function)
        if about is not None and about.paths is not None and not about.contained:
            found[key] = about.paths
    return export._replace(definition=_WithPaths(export.definition, found).definition()) if found else export


class _WithPaths:
    def __init__(self, definition: Definition, found: Mapping[str, AsPaths]) -> None:
        self._whole = definition
        self._found = found
        self._graph = definition.graph
        self._bodies: list[tuple[Node, ...]] = [self._graph.nodes]
        results = [self._graph.result]
        for task in self._graph.tasks.values():
            if isinstance(task.action, PipelineAction):
                self._bodies.append(task.action.nodes)
                results.append(task.action.result)
        #: key of a task -> its outputs that others take, and inputs of whose values it is known that they are no files
        self._taken: dict[str, set[str]] = {}
        self._bound: dict[str, dict[str, bool]] = {}
        for nodes, result in zip(self._bodies, results, strict=True):
            self._look(nodes, result)

    def _look(self, nodes: Iterable[Node], result: Expression) -> None:
        known = {node.id: node for node in nodes}
        for expression in (result, *(each for node in known.values() for each in _all(node))):
            for leaf in leaves(expression):
                if isinstance(leaf, Output) and leaf.node in known:
                    key = known[leaf.node].task
                    ports = [each.name for each in self._graph.tasks[key].outputs]
                    self._taken.setdefault(key, set()).update([leaf.port] if leaf.port in ports else ports)
        for node in known.values():
            bound = self._bound.setdefault(node.task, {})
            for name, expression in node.bindings.items():
                bound[name] = bound.get(name, True) and self._is_file(expression, node, known)

    def _is_file(self, expression: Expression, node: Node, known: Mapping[str, Node]) -> bool:
        match expression:
            case Item(name) if node.each is not None and name in node.each.over:
                return self._is_file(node.each.over[name], node, known)
            case Choose(options):
                return any(self._is_file(each, node, known) for each in options)
            case Output(name, port) if name in known:
                task = self._graph.tasks[known[name].task]
                types = [each.type for each in task.outputs if port in (None, each.name)]
                return any("StoredArtifact" in each or "Path" in each for each in types)
            case _:
                return False

    def definition(self) -> Definition:
        functions, tasks = dict(self._whole.functions), dict(self._graph.tasks)
        single: set[str] = set()
        for key, paths in self._found.items():
            function = paths.function(frozenset(self._taken.get(key, ())), self._bound.get(key, {}))
            former = functions[key]
            made = AuthoredTask[..., Any](function, former.name, former.given)
            made.reference = former.reference
            functions[key] = made
            if tasks[key].record is not None and made.noun.record is None:
                single.add(key)
            tasks[key] = msgspec.structs.replace(
                tasks[key], inputs=made.noun.inputs, outputs=made.noun.outputs, record=made.noun.record
            )
        graph = _graph(self._graph, tasks, single)
        return self._whole._replace(graph=graph, functions=functions, tasks={**self._whole.tasks, **graph.tasks})


def _graph(graph: Graph, tasks: Mapping[str, Task], single: set[str]) -> Graph:
    """A graph of other tasks; those that are `single` return one value where they returned several."""
    found: dict[str, Task] = {}
    for key, task in tasks.items():
        action = task.action
        if isinstance(action, PipelineAction):
            change = _single(action.nodes, single)
            nodes = tuple(changed(node, change) for node in action.nodes)
            action = msgspec.structs.replace(action, nodes=nodes, result=rewritten(action.result, change))
        found[key] = msgspec.structs.replace(task, action=action)
    change = _single(graph.nodes, single)
    nodes = tuple(changed(node, change) for node in graph.nodes)
    return msgspec.structs.replace(graph, nodes=nodes, tasks=found, result=rewritten(graph.result, change))


def _single(nodes: Iterable[Node], single: set[str]) -> Callable[[Expression], Expression | None]:
    names = {node.id for node in nodes if node.task in single}

    def change(part: Expression) -> Expression | None:
        return Output(part.node) if isinstance(part, Output) and part.node in names else None

    return change


def _all(node: Node) -> Iterator[Expression]:
    yield from node.expressions()
    if node.each is not None and node.each.key is not None:
        yield node.each.key


__all__ = ["with_paths"]
