"""The graphs of a compiled pipeline while it is written: what is inside of a group is handed to it and out of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from penstock.dialects.kfp.ir.selection import channel_of, is_artifact, list_type, literal
from penstock.dialects.kfp.structures import (
    ArtifactType,
    Branches,
    Collected,
    Component,
    Constant,
    Exit,
    FinalStatus,
    Given,
    Graph,
    Item,
    Loop,
    OneOf,
    ParameterType,
    Produced,
    Source,
    Step,
    Task,
)

Type = ParameterType | ArtifactType


class Pipeline:
    """What is known of all that is in one pipeline, whichever group it is in."""

    def __init__(self, component: Component) -> None:
        assert isinstance(component.implementation, Graph)
        self.component = component
        self.graph = component.implementation
        self.tasks = {task.name: task for task in self.graph.tasks()}
        self.loops = {loop.name: loop for loop in _loops(self.graph.steps)}
        #: branches -> the values that were chosen of it, so that each has a number
        self.chosen: dict[str, list[OneOf]] = {}

    def channel(self, source: Source, owner: str = "") -> str:
        """What a source is called where it is handed from group to group."""
        if isinstance(source, OneOf):
            known = self.chosen.setdefault(owner, [])
            if source not in known:
                known.append(source)
            return f"pipelinechannel--{owner}-oneof-{known.index(source) + 1}"
        return channel_of(source, self.loops)

    def type_of(self, source: Source) -> Type:
        match source:
            case Given(name):
                port = self.component.input(name)
                return "STRING" if port is None else port.type
            case Produced(task, output):
                found = self.tasks[task].component.output(output)
                return "STRING" if found is None else found.type
            case Item(loop, ()):
                return self._item_type(self.loops[loop])
            case Item():
                return "STRUCT"
            case OneOf(options):
                return self.type_of(options[0])
            case Collected(inner):
                return list_type(self.type_of(inner))
            case Constant(value):
                return literal(value)
            case _:
                return "STRING"

    def is_listed(self, source: Source) -> bool:
        """Whether it is a list of artifacts."""
        match source:
            case Collected(inner):
                return is_artifact(self.type_of(inner))
            case Given(name):
                port = self.component.input(name)
                return port is not None and port.listed
            case Produced(task, output):
                found = self.tasks[task].component.output(output)
                return found is not None and found.listed
            case _:
                return False

    def _item_type(self, loop: Loop) -> Type:
        if loop.artifacts is not None:
            return loop.artifacts
        if isinstance(loop.items, Constant):
            values = loop.items.value
            return literal(values[0]) if values else "STRING"
        for task in self.tasks.values():
            for name, source in task.arguments.items():
                if isinstance(source, Item) and source.loop == loop.name:
                    port = task.component.input(name)
                    return "STRUCT" if source.path or port is None else port.type
        return "STRING"


class Group:
    """One graph: that of the pipeline, or of a group in it."""

    def __init__(
        self, pipeline: Pipeline, steps: tuple[Step, ...], parent: Group | None = None, label: str = ""
    ) -> None:
        self.pipeline, self.steps, self.parent, self.label = pipeline, steps, parent, label
        #: of the loop that it is the body of
        self.loop: Loop | None = None
        #: the group holds nothing but branches, of which one is taken
        self.chooses = False
        self.children: dict[str, Group] = {}
        #: what stands in it directly, by all that is in it
        self.homes: dict[str, str] = {}
        self.imports: dict[str, Source] = {}
        self.outputs: dict[str, Source] = {}
        self.tasks: dict[str, dict[str, Any]] = {}
        self.surfaced: dict[str, dict[str, Any]] = {}

    # Where values come from.

    def selector(self, source: Source) -> dict[str, Any]:
        """What says where a task of this graph gets a value from."""
        pipeline = self.pipeline
        match source:
            case Constant(value):
                return {"runtimeValue": {"constant": floated(value)}}
            case FinalStatus(name):
                return {"taskFinalStatus": {"producerTask": name}}
            case Produced() if source.path:
                return self._part(msgspec.structs.replace(source, path=()), source.path)
            case Item() if source.path:
                return self._part(Item(source.loop), source.path)
            case Given(name) if self.parent is None:
                return {self._input(source): name}
            case Item(name) if self.loop is not None and self.loop.name == name:
                return {self._input(source): pipeline.channel(source)}
            case Produced() | Collected() | OneOf():
                home = self.homes.get(_producer(source))
                if home is not None:
                    return self._produced(source, home)
            case _:
                pass
        channel = pipeline.channel(source, self._owner(source))
        self.imports[channel] = source
        return {self._input(source): channel}

    def _owner(self, source: Source) -> str:
        """The branches that a value is chosen of: the nearest group around that has them in it."""
        group: Group | None = self
        while group is not None and isinstance(source, OneOf):
            home = group.homes.get(_producer(source))
            if home is not None:
                return group.chooser(home)
            group = group.parent
        return ""

    def chooser(self, home: str) -> str:
        """The name of the branches in a child."""
        child = self.children[home]
        return home if child.chooses else next((each for each in child.children), home)

    def _input(self, source: Source) -> str:
        return f"componentInput{'Artifact' if is_artifact(self.pipeline.type_of(source)) else 'Parameter'}"

    def _part(self, whole: Source, path: tuple[str, ...]) -> dict[str, Any]:
        keys = "".join(f'["{each}"]' for each in path)
        return {**self.selector(whole), "parameterExpressionSelector": f"parseJson(string_value){keys}"}

    def _produced(self, source: Source, home: str) -> dict[str, Any]:
        kind = "Artifact" if is_artifact(self.pipeline.type_of(source)) else "Parameter"
        key = source.output if isinstance(source, Produced) and home == source.task else self.surface(source, home)
        return {f"taskOutput{kind}": {"producerTask": home, f"output{kind}Key": key}}

    # What groups hand out.

    def surface(self, source: Source, home: str) -> str:
        """Let a group hand out what is produced in it. Returns what the output is called."""
        group = self.children[home]
        channel = self.pipeline.channel(source, home if group.chooses else "")
        if isinstance(source, OneOf) and not group.chooses:
            channel = self.pipeline.channel(source, self.chooser(home))
        if channel not in group.outputs:
            group.outputs[channel] = source
            group.surfaced[channel] = group.handed(source)
        return channel

    def handed(self, source: Source) -> dict[str, Any]:
        """What says of which task an output of this graph is."""
        artifact = is_artifact(self.pipeline.type_of(source))
        if isinstance(source, OneOf) and self.chooses:
            found = [self._subtask(each) for each in source.options]
        else:
            found = [self._subtask(source)]
        if artifact:
            return {"artifactSelectors": found}
        if isinstance(source, OneOf) and self.chooses:
            return {"valueFromOneof": {"parameterSelectors": found}}
        return {"valueFromParameter": found[0]}

    def _subtask(self, source: Source) -> dict[str, Any]:
        home = self.homes[_producer(source)]
        kind = "Artifact" if is_artifact(self.pipeline.type_of(source)) else "Parameter"
        inner = source.source if isinstance(source, Collected) and home == source.source.task else source
        key = inner.output if isinstance(inner, Produced) and home == inner.task else self.surface(inner, home)
        return {f"output{kind}Key": key, "producerSubtask": home}

    # Order.

    def home_of(self, name: str) -> tuple[Group, str] | None:
        """The nearest graph around that has a task or a group in it, and what it stands in there."""
        group: Group | None = self
        while group is not None:
            if name in group.homes:
                return group, group.homes[name]
            group = group.parent
        return None

    def ancestor(self, group: Group) -> str:
        """What this graph stands in, in one of the graphs around it; empty for that graph itself."""
        inner, label = self, ""
        while inner is not group:
            assert inner.parent is not None
            inner, label = inner.parent, inner.label
        return label


def _producer(source: Source) -> str:
    match source:
        case Produced(task):
            return task
        case Collected(inner):
            return inner.task
        case OneOf(options):
            return _producer(options[0])
        case _:
            return ""


def _loops(steps: tuple[Step, ...]) -> Iterator[Loop]:
    for step in steps:
        match step:
            case Loop():
                yield step
                yield from _loops(step.steps)
            case Branches():
                for branch in step.branches:
                    yield from _loops(branch.steps)
            case Exit():
                yield from _loops(step.steps)
            case Task():
                pass


def floated(value: Any) -> Any:
    """A constant as the format holds it: all of its numbers are floats."""
    if isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, (list, tuple)):
        return [floated(each) for each in value]  # pyright: ignore[reportUnknownVariableType]
    if isinstance(value, dict):
        return {str(key): floated(each) for key, each in value.items()}  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    return value


__all__ = ["Group", "Pipeline", "floated"]
