"""A pipeline as the manifest of a workflow."""

from __future__ import annotations

import json
import math
import re
from typing import Any, cast

import yaml

from penstock.dialects import Account, Export, Written
from penstock.dialects.argo.dags import Dag, Manifest, result_of
from penstock.dialects.argo.scripts import POOLS
from penstock.dialects.portable.forms import form_of
from penstock.errors import DefinitionError
from penstock.model.expression import Constant, Outcome
from penstock.model.graph import Graph, Node
from penstock.model.schedule import Cron, Together
from penstock.model.trigger import Trigger


def written(export: Export) -> Written:
    """See `penstock.dialects.argo.write`."""
    definition = export.definition
    graph = export.whole()
    manifest = Manifest(definition)
    manifest.name("main")
    exits = _exits(graph)
    nodes = tuple(node for node in graph.nodes if node not in exits)
    dag = Dag(manifest, nodes)
    main = dag.template("main", stop=graph.policy.on_failure == "stop")
    manifest.templates.append(main)
    if graph.result != Constant(None):
        main["outputs"] = {"parameters": [{"name": "result", "valueFrom": result_of(dag, graph.result)}]}
    spec: dict[str, Any] = {"entrypoint": "main", **_arguments(graph)}
    if exits:
        spec["onExit"] = _exit_template(manifest, exits)
    if graph.policy.timeout is not None:
        spec["activeDeadlineSeconds"] = math.ceil(graph.policy.timeout)
    if graph.policy.concurrency == 1:
        spec["synchronization"] = {"mutexes": [{"name": _name(graph.name)}]}
    elif graph.policy.concurrency is not None:
        reference = {"name": POOLS, "key": _name(graph.name)}
        spec["synchronization"] = {"semaphores": [{"configMapKeyRef": reference}]}
    templates = sorted(manifest.templates, key=lambda each: each["name"] != "main")
    spec["templates"] = templates
    accounts = [*manifest.accounts, *_whole(export)]
    document, more = _document(graph, spec, export.triggers)
    return Written(_dumped(document), tuple(accounts + more))


def _name(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") or "pipeline"


def _arguments(graph: Graph) -> dict[str, Any]:
    found: list[dict[str, Any]] = []
    for port in graph.parameters:
        parameter: dict[str, Any] = {"name": port.name}
        if not port.required:
            try:
                told = json.dumps(port.default)
            except TypeError:
                raise DefinitionError(
                    f"{graph.name!r} cannot be written for Argo Workflows: the default of {port.name!r} is {port.default!r}",
                    remedy="Give it a default that is a plain value.",
                ) from None
            plain = form_of(port.type) == "str" and isinstance(port.default, str)
            parameter["value"] = port.default if plain else told
        found.append(parameter)
    return {"arguments": {"parameters": found}} if found else {}


def _exits(graph: Graph) -> tuple[Node, ...]:
    """The nodes that run at the end of all others, and that nothing follows: handlers of the exit."""
    final = {node.id for node in graph.nodes if node.final}
    others = {node.id for node in graph.nodes} - final
    found: list[Node] = []
    for node in graph.nodes:
        outcomes = {name for each in node.expressions() if isinstance(each, Outcome) for name in each.nodes}
        waits = set(node.upstream()) | outcomes
        if node.final and node.join == "all_done" and others <= waits and not waits & final:
            found.append(node)
    return tuple(found)


def _exit_template(manifest: Manifest, exits: tuple[Node, ...]) -> str:
    """The template that runs the handlers of the exit."""
    import msgspec

    taking = next((node for node in exits if any(isinstance(each, Outcome) for each in node.bindings.values())), None)
    if taking is not None:
        raise manifest.writing.refuse(
            taking.id,
            "takes how the tasks ended, as a value",
            "Let the handler take no argument.",
            str(taking.location),
        )
    nodes = tuple(msgspec.structs.replace(node, after=(), join="all_success", final=False) for node in exits)
    dag = Dag(manifest, nodes)
    template = dag.template("on-exit", stop=False)
    return manifest.add(template)


def _whole(export: Export) -> list[Account]:
    """What belongs to the pipeline as a whole."""
    found: list[Account] = []
    hooks = export.definition.settings.hooks
    if any(getattr(hooks, each) for each in hooks.__struct_fields__):
        found.append(Account("", "changed", "functions that are told of events are left out"))
    if export.definition.settings.deadline is not None:
        found.append(Account("", "changed", "nobody is told of a missed deadline"))
    if export.definition.graph.policy.timeout is not None:
        found.append(Account("", "exact", "the timeout is activeDeadlineSeconds"))
    if any(node.policy.resources.pools for node in export.definition.graph.nodes):
        found.append(Account("", "equivalent", f"the sizes of pools are read from the ConfigMap {POOLS}"))
    if any(node.policy.secrets for node in export.definition.graph.nodes):
        found.append(Account("", "equivalent", "secrets are read from the Secret penstock"))
    return found


def _document(
    graph: Graph, spec: dict[str, Any], triggers: tuple[Trigger, ...]
) -> tuple[dict[str, Any], list[Account]]:
    annotations = {"workflows.argoproj.io/description": graph.description} if graph.description else {}
    metadata: dict[str, Any] = {"annotations": annotations} if annotations else {}
    accounts: list[Account] = []
    scheduled: list[tuple[Trigger, Cron]] = []
    for trigger in triggers:
        crons = _crons(trigger)
        if crons is None:
            accounts.append(
                Account("", "changed", f"the trigger {trigger.name!r} is left out: it is no cron expression")
            )
        else:
            scheduled += [(trigger, each) for each in crons]
    head = {"apiVersion": "argoproj.io/v1alpha1"}
    if not scheduled:
        document = {**head, "kind": "Workflow", "metadata": {"generateName": f"{_name(graph.name)}-", **metadata}}
        return {**document, "spec": spec}, accounts
    first = scheduled[0][0]
    zones = {cron.zone for _, cron in scheduled}
    if len(zones) > 1:
        raise DefinitionError(
            f"{graph.name!r} cannot be written for Argo Workflows: its schedules are in several time zones",
            remedy="Write them in one time zone.",
        )
    cron: dict[str, Any] = {
        "schedules": [each.expression for _, each in scheduled],
        "timezone": zones.pop(),
        "concurrencyPolicy": _overlap(first),
        "workflowSpec": _with_parameters(spec, first),
    }
    if not first.enabled:
        cron["suspend"] = True
    accounts.append(Account("", "equivalent", "the schedule is a CronWorkflow"))
    return {**head, "kind": "CronWorkflow", "metadata": {"name": _name(graph.name), **metadata}, "spec": cron}, accounts


def _crons(trigger: Trigger) -> list[Cron] | None:
    timetable: Any = trigger.source
    schedule = getattr(timetable, "schedule", None)
    plain = schedule is not None and timetable.calendar is None and timetable.start is None and timetable.end is None
    if plain and isinstance(schedule, Cron):
        return [schedule]
    if plain and isinstance(schedule, Together) and all(isinstance(each, Cron) for each in schedule.schedules):
        return [each for each in schedule.schedules if isinstance(each, Cron)]
    return None


def _overlap(trigger: Trigger) -> str:
    if trigger.limits.at_most is None:
        return "Allow"
    return "Replace" if trigger.limits.overlap == "cancel" else "Forbid"


def _with_parameters(spec: dict[str, Any], trigger: Trigger) -> dict[str, Any]:
    """The specification with the values that a trigger gives."""
    if not trigger.parameters:
        return spec
    parameters = [
        {**each, "value": _text(trigger.parameters[each["name"]])} if each["name"] in trigger.parameters else each
        for each in spec.get("arguments", {}).get("parameters", [])
    ]
    return {**spec, "arguments": {"parameters": parameters}}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


class _Dumper(yaml.SafeDumper):
    """Writes text of several lines as blocks, as people do."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _block(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    return cast(Any, dumper).represent_scalar("tag:yaml.org,2002:str", value, style="|" if "\n" in value else None)


_Dumper.add_representer(str, _block)


def _dumped(document: dict[str, Any]) -> str:
    return yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)


__all__ = ["written"]
