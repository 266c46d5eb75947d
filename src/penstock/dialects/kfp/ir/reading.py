"""Compiled pipelines, read: the document as a component whose steps stand in groups again."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, cast

import msgspec

from penstock.dialects.kfp.ir.conditions import parsed
from penstock.dialects.kfp.ir.executors import Home, implementation, resources
from penstock.dialects.kfp.ir.selectors import Scope, task_settings
from penstock.dialects.kfp.ir.signatures import artifact_type, inputs_of, outputs_of
from penstock.dialects.kfp.structures import (
    Branch,
    Branches,
    Component,
    Condition,
    Constant,
    Exit,
    Given,
    Graph,
    Importer,
    Item,
    Logic,
    Loop,
    Resources,
    Source,
    Step,
    Task,
)
from penstock.errors import DefinitionError, NotCoveredError
from penstock.model.place import Location

_VERSIONS = ("2.0.0", "2.1.0")
_BRANCHES = re.compile(r"condition-branches-\d+$")


def component_of(documents: Iterable[Any], where: str, module: str) -> Component:
    """The pipeline, or the single component, of a compiled file; `module` is what its functions are said to be in.

    Raises NotCoveredError for other versions of the format, and DefinitionError for a document that is not whole.
    """
    listed = [cast("Mapping[str, Any]", each) for each in documents if isinstance(each, Mapping)]
    spec = next((each for each in listed if "root" in each), None)
    if spec is None:
        raise DefinitionError("this is no compiled pipeline: there is no root in it", where=where)
    version = str(spec.get("schemaVersion", ""))
    if version not in _VERSIONS:
        raise NotCoveredError(
            f"version {version or '(none)'} of compiled pipelines is not covered",
            where=where,
            remedy=f"Compile it anew with kfp 2: {', '.join(_VERSIONS)} are read.",
        )
    nothing: Mapping[str, Any] = {}
    platforms = next((each["platforms"] for each in listed if "platforms" in each), nothing)
    try:
        return _Reader(spec, platforms, Home(where, module)).whole()
    except (KeyError, TypeError, AttributeError) as error:
        raise DefinitionError(
            f"the compiled pipeline is not whole: {type(error).__name__}: {error}", where=where
        ) from error


class _Reader:
    def __init__(self, spec: Mapping[str, Any], platforms: Mapping[str, Any], home: Home) -> None:
        self.spec, self.platforms, self.home = spec, platforms, home
        self.components: Mapping[str, Any] = spec.get("components", {})
        self.executors: Mapping[str, Any] = spec.get("deploymentSpec", {}).get("executors", {})
        self._leaves: dict[str, Component] = {}

    def whole(self) -> Component:
        info: Mapping[str, Any] = self.spec.get("pipelineInfo", {})
        root = self.spec["root"]
        return Component(
            info.get("name", "pipeline"),
            self.graph(root),
            inputs_of(root),
            outputs_of(root),
            info.get("description", ""),
            info.get("displayName", ""),
            self.spec.get("defaultPipelineRoot", ""),
            Location(self.home.where, 1),
        )

    def graph(self, component: Mapping[str, Any]) -> Graph:
        """The steps of a pipeline, whose inputs are its own."""
        dag = component["dag"]
        scope = Scope(self, dag, {each.name: Given(each.name) for each in inputs_of(component)})
        given = dag.get("outputs", {})
        outputs = {name: scope.output(name) for kind in given.values() for name in kind}
        return Graph(self.steps(scope), outputs)

    def steps(self, scope: Scope) -> tuple[Step, ...]:
        handlers = {each: name for name in scope.tasks for each in self.handled(scope, name)}
        found: list[Step] = []
        for name in _ordered(scope.tasks):
            if name in handlers.values():
                continue
            step = self.step(scope, name)
            if name in handlers:
                handler = self.task(scope, handlers[name])
                handler = msgspec.structs.replace(
                    handler, settings=msgspec.structs.replace(handler.settings, ignore_upstream_failure=False)
                )
                inner = scope.inner(name)
                step = Exit(name, handler, self.steps(inner), Location(self.home.where, 1))
            found.append(step)
        return tuple(found)

    def handled(self, scope: Scope, name: str) -> list[str]:
        """The groups that a task is the exit handler of."""
        task = scope.tasks[name]
        if task.get("triggerPolicy", {}).get("strategy") != "ALL_UPSTREAM_TASKS_COMPLETED":
            return []
        return [each for each in task.get("dependentTasks", ()) if re.match(r"exit-handler-\d+$", each)]

    def step(self, scope: Scope, name: str) -> Step:
        task = scope.tasks[name]
        location = Location(self.home.where, 1)
        iterator = task.get("parameterIterator") or task.get("artifactIterator")
        if iterator is not None:
            return self.loop(scope, name, iterator)
        if _BRANCHES.match(name) and "dag" in scope.component(name):
            inner = scope.inner(name)
            return Branches(name, self.branches(inner), location)
        if "condition" in task.get("triggerPolicy", {}):
            return Branches("", (Branch(name, self.condition(scope, name), self.under(scope, name)),), location)
        if "dag" in scope.component(name) and re.match(r"exit-handler-\d+$", name):
            return Branches("", (Branch(name, None, self.steps(scope.inner(name))),), location)
        return self.task(scope, name)

    def under(self, scope: Scope, name: str) -> tuple[Step, ...]:
        """The steps of a group under a condition; a condition may also be that of a task alone."""
        if re.match(r"condition-\d+$", name) and "dag" in scope.component(name):
            return self.steps(scope.inner(name))
        return (self.task(scope, name),)

    def branches(self, scope: Scope) -> tuple[Branch, ...]:
        found: list[Branch] = []
        before: list[Condition] = []
        for name in sorted(scope.tasks, key=_number):
            condition = _own_part(self.condition(scope, name), before)
            found.append(Branch(name, condition, self.under(scope, name)))
            if condition is not None:
                before.append(condition)
        return tuple(found)

    def condition(self, scope: Scope, name: str) -> Condition:
        text = scope.tasks[name]["triggerPolicy"]["condition"]
        given = scope.arguments(name)
        return parsed(text, lambda each: cast(Source, given[each]), f"{self.home.where}: {name}")

    def loop(self, scope: Scope, name: str, iterator: Mapping[str, Any]) -> Loop:
        task = scope.tasks[name]
        given = iterator["items"]
        items = scope.raw(given["raw"]) if "raw" in given else scope.arguments(name)[_first(given)]
        item = iterator["itemInput"]
        inner = scope.inner(name, {item: Item(name)})
        artifacts = None
        if "artifactIterator" in task:
            artifacts = artifact_type(scope.component(name)["inputDefinitions"]["artifacts"][item])
        parallel = int(task.get("iteratorPolicy", {}).get("parallelismLimit", 0))
        location = Location(self.home.where, 1)
        return Loop(name, cast(Source, items), self.steps(inner), parallel, artifacts, location)

    def task(self, scope: Scope, name: str) -> Task:
        spec = scope.tasks[name]
        component = self.leaf(spec["componentRef"]["name"])
        given = scope.arguments(name)
        # the address of an importer that is known stands in what it does as well
        known = {each.name for each in component.inputs}
        producers = scope.producers(name)
        settings = task_settings(
            name, spec, self.container(component), self.resources(component), self.platform(component)
        )
        return Task(
            name,
            component,
            {key: value for key, value in given.items() if key in known},
            tuple(each for each in spec.get("dependentTasks", ()) if each not in producers),
            settings,
            Location(self.home.where, 1),
        )

    def container(self, component: Component) -> Mapping[str, Any]:
        return self._executor(component).get("container", {})

    def resources(self, component: Component) -> Resources:
        return resources(self.container(component))

    def platform(self, component: Component) -> dict[str, Mapping[str, Any]]:
        label = self._label(component)
        found: dict[str, Mapping[str, Any]] = {}
        for platform, spec in self.platforms.items():
            own = spec.get("deploymentSpec", {}).get("executors", {}).get(label)
            if own:
                found[platform] = own
        return found

    def _label(self, component: Component) -> str:
        return self.components[f"comp-{component.name}"].get("executorLabel", "")

    def _executor(self, component: Component) -> Mapping[str, Any]:
        return self.executors.get(self._label(component), {})

    def leaf(self, reference: str) -> Component:
        """The component of a reference, which is a pipeline where it has steps of its own."""
        known = self._leaves.get(reference)
        if known is None:
            known = self._leaves[reference] = self._component(reference)
        return known

    def _component(self, reference: str) -> Component:
        spec = self.components[reference]
        name = reference.removeprefix("comp-")
        if "dag" in spec:
            made = self.graph(spec)
        else:
            label = spec["executorLabel"]
            made = implementation(label, self.executors[label], self.home)
        fixed = isinstance(made, Importer) and isinstance(made.uri, Constant)
        inputs = () if fixed else inputs_of(spec)
        return Component(name, made, inputs, outputs_of(spec), location=Location(self.home.where, 1))


def _own_part(condition: Condition, before: list[Condition]) -> Condition | None:
    """A branch's own condition, without those of the branches before it; None for a branch that has none."""
    operands = condition.operands if isinstance(condition, Logic) and condition.operator == "and" else (condition,)
    for each in before:
        if not operands or operands[0] != Logic("not", (each,)):
            return condition
        operands = operands[1:]
    if not operands:
        return None
    return operands[0] if len(operands) == 1 else Logic("and", operands)


def _number(name: str) -> int:
    return int(name.rpartition("-")[2]) if name.rpartition("-")[2].isdigit() else 0


def _first(items: Mapping[str, Any]) -> str:
    return items.get("inputParameter") or items["inputArtifact"]


def _ordered(tasks: Mapping[str, Any]) -> list[str]:
    """The names of tasks, each after those that it waits for."""
    from graphlib import TopologicalSorter

    order = TopologicalSorter({name: task.get("dependentTasks", ()) for name, task in tasks.items()})
    return [name for name in order.static_order() if name in tasks]


__all__ = ["component_of"]
