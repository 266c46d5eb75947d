"""Pipelines as compiled files: what the compiler of Kubeflow's own kit makes."""

from __future__ import annotations

import json
from typing import Any, cast

import yaml

from penstock.dialects.kfp.ir.conditions import constant, told
from penstock.dialects.kfp.ir.groups import Group, Pipeline, floated
from penstock.dialects.kfp.ir.programs import VERSION, executor
from penstock.dialects.kfp.ir.selection import is_artifact
from penstock.dialects.kfp.structures import (
    ArtifactType,
    Branch,
    Branches,
    Collected,
    Component,
    Condition,
    Constant,
    Exit,
    Given,
    Graph,
    Importer,
    Input,
    Item,
    Logic,
    Loop,
    Nested,
    OneOf,
    Output,
    ParameterType,
    Produced,
    Source,
    Step,
    Task,
    Text,
)


def written(component: Component) -> str:
    """A pipeline, or a single component as a pipeline of it alone, as YAML; with what is said for platforms in a second
    document."""
    whole = component if isinstance(component.implementation, Graph) else _alone(component)
    writer = _Writer()
    root = writer.graph(whole)
    info = {"name": whole.name, "description": whole.description, "displayName": whole.display_name}
    spec: dict[str, Any] = {
        "components": writer.components,
        "deploymentSpec": {"executors": writer.executors},
        "pipelineInfo": {key: value for key, value in info.items() if value},
        "root": root,
        "schemaVersion": "2.1.0",
        "sdkVersion": f"kfp-{VERSION}",
    }
    if whole.pipeline_root:
        spec["defaultPipelineRoot"] = whole.pipeline_root
    documents = [spec]
    if writer.platforms:
        platforms = {name: {"deploymentSpec": {"executors": each}} for name, each in writer.platforms.items()}
        documents.append({"platforms": platforms})
    text = "---\n".join(yaml.safe_dump(each, sort_keys=True, allow_unicode=True) for each in documents)
    return _heading(whole) + text


def _heading(whole: Component) -> str:
    lines = ["# PIPELINE DEFINITION", f"# Name: {whole.name}"]
    if whole.description:
        lines.append("# Description: " + whole.description.replace("\n", "\n#              "))
    for title, ports in (("Inputs", whole.inputs), ("Outputs", whole.outputs)):
        if ports:
            lines += [f"# {title}:", *(f"#    {_port(each)}" for each in ports)]
    return "\n".join(lines) + "\n"


_SHORT = {"STRING": "str", "NUMBER_INTEGER": "int", "NUMBER_DOUBLE": "float", "BOOLEAN": "bool", "LIST": "list"}


def _port(port: Input | Output) -> str:
    kind = port.type.title if isinstance(port.type, ArtifactType) else _SHORT.get(port.type, "dict")
    default = getattr(port, "default", None)
    return f"{port.name}: {kind}" + ("" if default is None else f" [Default: {json.dumps(floated(default))}]")


def _alone(component: Component) -> Component:
    task = Task(component.name, component, {each.name: Given(each.name) for each in component.inputs})
    outputs = {each.name: Produced(component.name, each.name) for each in component.outputs}
    made = Graph((task,), outputs)
    return Component(component.name, made, component.inputs, component.outputs, component.description)


class _Writer:
    def __init__(self) -> None:
        self.components: dict[str, Any] = {}
        self.executors: dict[str, Any] = {}
        self.platforms: dict[str, dict[str, Any]] = {}

    def name(self, wanted: str) -> str:
        name, count = f"comp-{wanted}", 1
        while name in self.components:
            count += 1
            name = f"comp-{wanted}-{count}"
        self.components[name] = {}
        return name

    def graph(self, component: Component) -> dict[str, Any]:
        """The body of a pipeline, with its inputs and outputs."""
        pipeline = Pipeline(component)
        group = Group(pipeline, pipeline.graph.steps)
        self.fill(group)
        spec: dict[str, Any] = {"dag": {"tasks": group.tasks}, **_signature(component.inputs, component.outputs)}
        outputs: dict[str, Any] = {}
        for name, source in pipeline.graph.outputs.items():
            kind = "artifacts" if is_artifact(pipeline.type_of(source)) else "parameters"
            outputs.setdefault(kind, {})[name] = group.handed(source)
        if outputs:
            spec["dag"]["outputs"] = outputs
        self.close(group)
        return spec

    def close(self, group: Group) -> None:
        """Write the groups of a graph, now that all that they hand out is known."""
        for label, child in group.children.items():
            pipeline = child.pipeline
            self.close(child)
            spec: dict[str, Any] = {"dag": {"tasks": child.tasks}}
            inputs, outputs, handed = dict[str, Any](), dict[str, Any](), dict[str, Any]()
            for channel, source in child.imports.items():
                _put(inputs, channel, _definition(pipeline.type_of(source), pipeline.is_listed(source)))
            if child.loop is not None:
                kind = pipeline.type_of(Item(child.loop.name))
                _put(inputs, pipeline.channel(Item(child.loop.name)), _definition(kind))
            for channel, source in child.outputs.items():
                kind = pipeline.type_of(source)
                looped = child.loop is not None
                listed = looped or pipeline.is_listed(source)
                kind = "LIST" if looped and not isinstance(kind, ArtifactType) else kind
                _put(outputs, channel, _definition(kind, listed))
                handed.setdefault("artifacts" if is_artifact(kind) else "parameters", {})[channel] = child.surfaced[
                    channel
                ]
            if handed:
                spec["dag"]["outputs"] = handed
            spec |= {
                name: each for name, each in (("inputDefinitions", inputs), ("outputDefinitions", outputs)) if each
            }
            self.components[group.tasks[label]["componentRef"]["name"]] = spec

    def fill(self, group: Group) -> None:
        for step in group.steps:
            for name, home in _homes(step):
                group.homes[name] = home
        for step in group.steps:
            match step:
                case Task():
                    self.task(group, step)
                case Branches(""):
                    self.branch(group, step.branches[0], ())
                case Branches():
                    self.branches(group, step)
                case Loop():
                    self.loop(group, step)
                case Exit():
                    self.child(group, step.name, step.steps)
                    self.task(group, step.handler, after=step.name)

    def child(
        self,
        group: Group,
        label: str,
        steps: tuple[Step, ...],
        loop: Loop | None = None,
        branches: Branches | None = None,
    ) -> dict[str, Any]:
        """Add a group. Returns the task that stands for it."""
        child = group.children[label] = Group(group.pipeline, steps, group, label)
        child.loop = loop
        task: dict[str, Any] = {"componentRef": {"name": self.name(label)}, "taskInfo": {"name": label}}
        group.tasks[label] = task
        if branches is None:
            self.fill(child)
        else:
            child.chooses = True
            self.fill_branches(child, branches)
        inputs: dict[str, Any] = {}
        for channel, source in child.imports.items():
            kind = "artifacts" if is_artifact(group.pipeline.type_of(source)) else "parameters"
            inputs.setdefault(kind, {})[channel] = group.selector(source)
        _set_inputs(task, inputs, [])
        return task

    def branches(self, group: Group, step: Branches) -> None:
        self.child(group, step.name, (), branches=step)

    def fill_branches(self, group: Group, step: Branches) -> None:
        for branch in step.branches:
            for inner in branch.steps:
                group.homes.update((name, branch.name) for name, _ in _homes(inner))
            group.homes[branch.name] = branch.name
        before: list[Condition] = []
        for branch in step.branches:
            self.branch(group, branch, tuple(before))
            if branch.condition is not None:
                before.append(branch.condition)

    def branch(self, group: Group, branch: Branch, before: tuple[Condition, ...]) -> None:
        task = self.child(group, branch.name, branch.steps)
        child = group.children[branch.name]
        parts: list[Condition] = [Logic("not", (each,)) for each in before]
        if branch.condition is not None:
            parts.append(branch.condition)
        if not parts:
            return
        condition = parts[0] if len(parts) == 1 else Logic("and", tuple(parts))

        def operand(source: Source) -> tuple[str, str]:
            if isinstance(source, Constant):
                return constant(source.value)
            # the condition is on the task, and reads its inputs
            selector = group.selector(source)
            channel = group.pipeline.channel(source)
            child.imports.setdefault(channel, source)
            _set_inputs(task, {"parameters": {channel: selector}}, [])
            return f"inputs.parameter_values['{channel}']", str(group.pipeline.type_of(source))

        task["triggerPolicy"] = {"condition": told(condition, operand)}

    def loop(self, group: Group, step: Loop) -> None:
        task = self.child(group, step.name, step.steps, loop=step)
        child = group.children[step.name]
        item = group.pipeline.channel(Item(step.name))
        kind = "Parameter" if step.artifacts is None else "Artifact"
        if isinstance(step.items, Constant):
            items: dict[str, Any] = {"raw": json.dumps(step.items.value)}
        else:
            channel = group.pipeline.channel(step.items)
            child.imports.setdefault(channel, step.items)
            _set_inputs(task, {f"{kind.lower()}s": {channel: group.selector(step.items)}}, [])
            items = {f"input{kind}": channel}
        task[f"{kind.lower()}Iterator"] = {"itemInput": item, "items": items}
        if step.parallelism:
            task["iteratorPolicy"] = {"parallelismLimit": step.parallelism}

    def task(self, group: Group, task: Task, after: str = "") -> None:
        settings = task.settings
        reference = self.name(task.name)
        spec: dict[str, Any] = {
            "componentRef": {"name": reference},
            "taskInfo": {"name": settings.display_name or task.name},
        }
        inputs = self.arguments(group, task)
        ordered = [after] if after else []
        for name in task.after:
            found = group.home_of(name)
            if found is None:
                continue
            holder, home = found
            if holder is group:
                ordered.append(home)
            else:
                _set_inputs(holder.tasks[group.ancestor(holder)], {}, [home])
        _set_inputs(spec, inputs, ordered)
        caching: dict[str, Any] = {} if settings.caching is False else {"enableCache": True}
        spec["cachingOptions"] = {**caching, "cacheKey": settings.cache_key} if settings.cache_key else caching
        if settings.retry is not None:
            retry = settings.retry
            spec["retryPolicy"] = {
                "maxRetryCount": retry.count,
                "backoffDuration": f"{retry.delay:g}s",
                "backoffFactor": retry.factor,
                "backoffMaxDuration": f"{retry.longest:g}s",
            }
        if settings.ignore_upstream_failure or after:
            spec["triggerPolicy"] = {"strategy": "ALL_UPSTREAM_TASKS_COMPLETED"}
        group.tasks[task.name] = spec
        self.components[reference] = self.leaf(reference, task)

    def leaf(self, reference: str, task: Task) -> dict[str, Any]:
        component = task.component
        if isinstance(component.implementation, Graph):
            return self.graph(component)
        label = f"exec-{reference.removeprefix('comp-')}"
        self.executors[label] = executor(component.implementation, task.settings)
        for platform, said in task.settings.platforms.items():
            self.platforms.setdefault(platform, {})[label] = dict(said)
        inputs = component.inputs
        if isinstance(component.implementation, Importer) and not inputs:
            inputs = (Input("uri", "STRING"),)
        return {"executorLabel": label, **_signature(inputs, component.outputs)}

    def arguments(self, group: Group, task: Task) -> dict[str, Any]:
        inputs: dict[str, Any] = {}
        what = task.component.implementation
        if isinstance(what, Importer) and "uri" not in task.arguments:
            inputs["parameters"] = {"uri": group.selector(what.uri)}
        for name, source in task.arguments.items():
            port = task.component.input(name)
            kind = "artifacts" if port is not None and is_artifact(port.type) else "parameters"
            if isinstance(source, tuple):
                inner = [group.selector(each) for each in source]
                inputs.setdefault(kind, {})[name] = {"artifactList": inner} if len(inner) > 1 else inner[0]
            elif isinstance(source, Text):
                inputs.setdefault(kind, {})[name] = {"runtimeValue": {"constant": self.text(group, source, inputs)}}
            elif isinstance(source, Nested):
                inputs.setdefault(kind, {})[name] = {
                    "runtimeValue": {"constant": floated(self.nested(group, source.value, inputs))}
                }
            else:
                inputs.setdefault(kind, {})[name] = group.selector(source)
        return inputs

    def nested(self, group: Group, value: Any, inputs: dict[str, Any]) -> Any:
        """A list or dict with places for the values in it."""
        if isinstance(value, list):
            return [self.nested(group, each, inputs) for each in cast("list[Any]", value)]
        if isinstance(value, dict):
            return {key: self.nested(group, each, inputs) for key, each in cast("dict[str, Any]", value).items()}
        if isinstance(value, (Given, Produced, Item, Collected, OneOf)):
            return self.text(group, Text((value,)), inputs)
        return self.text(group, value, inputs) if isinstance(value, Text) else value

    def text(self, group: Group, text: Text, inputs: dict[str, Any]) -> str:
        """A text with places for values, which become inputs of the task."""
        found = ""
        for part in text.parts:
            if isinstance(part, str):
                found += part
            elif isinstance(part, Constant):
                found += str(part.value)
            else:
                channel = group.pipeline.channel(part)
                inputs.setdefault("parameters", {})[channel] = group.selector(part)
                found += f"{{{{$.inputs.parameters['{channel}']}}}}"
        return found


def _set_inputs(task: dict[str, Any], inputs: dict[str, Any], ordered: list[str]) -> None:
    """Give a task more inputs; it waits for what they are produced by."""
    before = set(task.get("dependentTasks", ())) | set(ordered)
    for kind, given in inputs.items():
        task.setdefault("inputs", {}).setdefault(kind, {}).update(given)
        for selector in given.values():
            before |= {
                inner["producerTask"]
                for inner in selector.values()
                if isinstance(inner, dict) and "producerTask" in inner
            }
    if before:
        task["dependentTasks"] = sorted(before)


def _homes(step: Step) -> list[tuple[str, str]]:
    """What is in a step, with the name of what stands in the graph for it."""
    match step:
        case Task():
            return [(step.name, step.name)]
        case Branches(""):
            label, inner = step.branches[0].name, step.branches[0].steps
        case Branches():
            label, inner = step.name, tuple(each for branch in step.branches for each in branch.steps)
        case Loop() | Exit():
            label, inner = step.name, step.steps
    found = [(name, label) for each in inner for name, _ in _homes(each)]
    if isinstance(step, Exit):
        found.append((step.handler.name, step.handler.name))
    return [*found, (label, label)]


def _put(definitions: dict[str, Any], name: str, definition: dict[str, Any]) -> None:
    definitions.setdefault("artifacts" if "artifactType" in definition else "parameters", {})[name] = definition


def _definition(kind: ParameterType | ArtifactType, listed: bool = False) -> dict[str, Any]:
    if not isinstance(kind, ArtifactType):
        return {"parameterType": kind}
    made: dict[str, Any] = {"artifactType": {"schemaTitle": kind.title, "schemaVersion": kind.version}}
    return {**made, "isArtifactList": True} if listed else made


def _signature(inputs: tuple[Input, ...], outputs: tuple[Output, ...]) -> dict[str, Any]:
    given, made = dict[str, Any](), dict[str, Any]()
    for port in inputs:
        definition = _definition(port.type, port.listed)
        if port.optional:
            definition["isOptional"] = True
            if port.default is not None:
                definition["defaultValue"] = floated(port.default)
        if port.description:
            definition["description"] = port.description
        _put(given, port.name, definition)
    for port in outputs:
        definition = _definition(port.type, port.listed)
        if port.description:
            definition["description"] = port.description
        _put(made, port.name, definition)
    return {name: each for name, each in (("inputDefinitions", given), ("outputDefinitions", made)) if each}


__all__ = ["written"]
