"""Pipelines as Python files for Kubeflow's kit, version 2."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import msgspec

from penstock.authoring.pipeline import Definition
from penstock.dialects import Account, Export, Written
from penstock.dialects.code.attempts import noted
from penstock.dialects.code.paths import with_paths
from penstock.dialects.kfp import structures as kfp
from penstock.dialects.kfp.writing_programs import TYPES
from penstock.dialects.kfp.writing_shapes import parameter_form
from penstock.dialects.kfp.writing_shared import Shared
from penstock.dialects.kfp.writing_steps import Steps
from penstock.dialects.kfp.writing_text import module_of
from penstock.errors import DefinitionError
from penstock.model.expression import Constant, Mapping, Outcome
from penstock.model.graph import Graph, Node, ParameterPort


def written(export: Export) -> Written:
    """A pipeline as a file of components, and of the pipeline that they make up; one that was read from Kubeflow's own
    dialect is written as it stood there.

    Raises DefinitionError, naming the node, for what Kubeflow cannot say.
    """
    own = _own(export.definition)
    if own is not None:
        accounts = tuple(Account(node.id, "exact") for node in export.definition.graph.nodes)
        return Written(module_of(own, export.definition.graph.description), (*accounts, *_whole(export)))
    export = with_paths(export)
    component, accounts = compiled(export.definition)
    text = module_of(component, export.definition.graph.description)
    return noted(Written(text, (*accounts, *_whole(export))), export, metrics=True)


def _own(definition: Definition) -> kfp.Component | None:
    """The pipeline as it was read, where all of it was read from a file of Kubeflow's."""
    # what stands between the tasks of the file is penstock's own
    tasks = [task for task in definition.functions.values() if not task.function.__module__.startswith("penstock.")]
    found = {task.reference for task in tasks}
    homes = {(each.module, each.qualname.partition("/")[0]) for each in found if each is not None}
    if None in found or len(homes) != 1 or any(each is not None and each.dialect not in ("", "kfp") for each in found):
        return None
    ((name, pipeline),) = homes
    from penstock.dialects.kfp.reading import components_in

    module = sys.modules.get(name)
    if module is None or getattr(module, "__penstock_dialect__", "") != "kfp":
        return None
    known = components_in(module).get(pipeline)
    return None if known is None else known.component


def compiled(definition: Definition) -> tuple[kfp.Component, tuple[Account, ...]]:
    """A pipeline as what Kubeflow says, and how each node is said. Raises DefinitionError as `written` does."""
    graph = definition.graph
    if graph.dynamic_at is not None:
        raise DefinitionError(
            f"{graph.name!r} cannot be written for Kubeflow Pipelines: its body uses the value of a result",
            where=str(graph.dynamic_at),
            remedy="Keep it in the graph: when(...), map(...), and tasks for the rest.",
        )
    shared = Shared(definition)
    exits = tuple(_exits(graph))
    steps = Steps(shared, (node for node in graph.nodes if node not in exits), result=graph.result)
    listed = list(steps.all())
    outputs: dict[str, kfp.Source] = {}
    ports: list[kfp.Output] = []
    results = graph.result.items if isinstance(graph.result, Mapping) else {"Output": graph.result}
    for name, expression in results.items():
        if expression == Constant(None):
            continue
        if exits or steps.is_conditional(expression):
            why = "is made before an exit handler" if exits else "is made under a condition"
            shared.accounts.append(Account("", "changed", f"{name} {why}, and so is no output of the pipeline"))
            continue
        more, found = steps.result(expression, "")
        listed += more
        if found is not None:
            outputs[name] = found.source
            ports.append(kfp.Output(name, found.kind))
            if found.form == "json":
                shared.accounts.append(Account("", "changed", f"{name} is JSON as text: its type is not known"))
    whole = tuple(listed)
    for node in exits:
        plain = msgspec.structs.replace(node, after=(), join="all_success", final=False, decides=True)
        handler = Steps(shared, (plain,)).node(plain)[-1]
        assert isinstance(handler, kfp.Task)
        whole = (kfp.Exit(shared.group("exit-handler"), handler, whole, node.location),)
    made = kfp.Component(
        graph.name.replace("_", "-").lower(),
        kfp.Graph(whole, outputs),
        tuple(_input(graph, port) for port in graph.parameters),
        tuple(ports),
        graph.description.partition("\n")[0],
    )
    return made, tuple(shared.accounts)


def _input(graph: Graph, port: ParameterPort) -> kfp.Input:
    import json

    form = parameter_form(port.type)
    if form == "none":
        raise DefinitionError(f"the parameter {port.name!r} of {graph.name!r} has no values", remedy="Take it out.")
    default = port.default
    if form == "json" and not port.required:
        try:
            default = json.dumps(default)
        except TypeError:
            raise DefinitionError(
                f"{graph.name!r} cannot be written for Kubeflow Pipelines: the default of {port.name!r} is {default!r}",
                remedy="Give it a default that is a plain value.",
            ) from None
    return kfp.Input(port.name, TYPES[form], None if port.required else default, not port.required)


def _exits(graph: Graph) -> Iterator[Node]:
    """The handlers at the end of everything, that nothing follows."""
    final = {node.id for node in graph.nodes if node.final}
    others = {node.id for node in graph.nodes} - final
    for node in graph.nodes:
        outcomes = {name for each in node.expressions() if isinstance(each, Outcome) for name in each.nodes}
        waits = {*node.upstream(), *outcomes}
        if node.final and node.join == "all_done" and others <= waits and not waits & final:
            yield node


def _whole(export: Export) -> list[Account]:
    """What belongs to the pipeline as a whole."""
    found: list[Account] = []
    settings = export.definition.settings
    if any(getattr(settings.hooks, each) for each in settings.hooks.__struct_fields__):
        found.append(Account("", "changed", "functions that are told of events are left out"))
    policy: Any = export.definition.graph.policy
    if policy.timeout is not None or settings.deadline is not None:
        found.append(Account("", "changed", "there is no limit of time for the whole"))
    if policy.concurrency is not None:
        found.append(Account("", "changed", "how many runs may be under way is said of recurring runs"))
    for trigger in export.triggers:
        found.append(
            Account("", "changed", f"the trigger {trigger.name!r} is left out: make a recurring run on the server")
        )
    return found


__all__ = ["compiled", "written"]
