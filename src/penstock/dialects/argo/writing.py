"""A pipeline as the manifest of a workflow."""

from __future__ import annotations

import math
import re
from typing import Any, cast

import yaml

from penstock.dialects import Account, Export, Written
from penstock.dialects.argo.braces import shown
from penstock.dialects.argo.dags import Dag, Manifest
from penstock.dialects.argo.results import results
from penstock.dialects.argo.schedules import as_text, scheduled
from penstock.dialects.argo.scripts import POOLS
from penstock.dialects.code.attempts import noted
from penstock.dialects.code.paths import with_paths
from penstock.dialects.portable.forms import choices
from penstock.dialects.portable.programs import is_simple
from penstock.errors import DefinitionError
from penstock.model.expression import Constant, Outcome
from penstock.model.graph import Graph, Node
from penstock.model.trigger import Trigger

#: of inputs, which are parts of the names of environment variables as well
_NAME = re.compile(r"[A-Za-z0-9_-]+")
#: bytes; etcd keeps no more in one piece
_LARGEST = 1_000_000
#: templates, and tasks of a DAG, that the full CRDs of version 4 let through
_MOST = 200


def written(export: Export) -> Written:
    """See `penstock.dialects.argo.write`."""
    export = with_paths(export)
    definition = export.definition
    graph = export.whole()
    manifest = Manifest(definition)
    manifest.name("main")
    exits = _exits(graph)
    nodes = tuple(node for node in graph.nodes if node not in exits)
    dag = Dag(manifest, nodes, outcome=graph.result)
    main = dag.template("main", stop=graph.policy.on_failure == "stop")
    manifest.templates.append(main)
    if graph.result != Constant(None):
        main["outputs"] = results(dag, whole=True)
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
    accounts = [*manifest.accounts, *_whole(export), *_large(templates)]
    document, more = _document(graph, spec, export.triggers)
    return noted(Written(_checked(graph, document), tuple(accounts + more)), export)


def _name(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") or "pipeline"


def _arguments(graph: Graph) -> dict[str, Any]:
    found: list[dict[str, Any]] = []
    for port in graph.parameters:
        parameter: dict[str, Any] = {"name": port.name}
        if not port.required:
            try:
                parameter["value"] = as_text(port, port.default)
            except TypeError:
                raise DefinitionError(
                    f"{graph.name!r} cannot be written for Argo Workflows: the default of {port.name!r} is {port.default!r}",
                    remedy="Give it a default that is a plain value.",
                ) from None
        if listed := choices(port.type):
            parameter["enum"] = [as_text(port, each) for each in listed]
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
    # whether they work decides nothing; where no task depends on another, the tasks themselves say so
    alone = all(is_simple(each) for node in exits for each in node.expressions() if each is not node.join)
    nodes = tuple(
        msgspec.structs.replace(node, after=(), join="all_success", final=False, decides=alone or node.decides)
        for node in exits
    )
    dag = Dag(manifest, nodes)
    template = dag.template("on-exit", stop=False)
    if alone:
        for node, task in zip(exits, dag.tasks, strict=True):
            if not node.decides:
                task["continueOn"] = {"failed": True, "error": True}
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


def _large(templates: list[dict[str, Any]]) -> list[Account]:
    """What a cluster needs where there is more than the full definitions of its resources let through."""
    tasks = max(len(each.get("dag", {}).get("tasks", ())) for each in templates)
    found = [(len(templates), "templates"), (tasks, "tasks in one")]
    told = [f"{count} {what}" for count, what in found if count > _MOST]
    how = f"{' and '.join(told)}: from version 4 on, more than {_MOST} need Argo's minimal CRDs"
    return [Account("", "equivalent", how)] if told else []


def _document(
    graph: Graph, spec: dict[str, Any], triggers: tuple[Trigger, ...]
) -> tuple[dict[str, Any], list[Account]]:
    name = _name(graph.name)
    annotations = {"workflows.argoproj.io/description": graph.description} if graph.description else {}
    metadata: dict[str, Any] = {"annotations": annotations} if annotations else {}
    cron, accounts = scheduled(graph, spec, name, triggers)
    head = {"apiVersion": "argoproj.io/v1alpha1"}
    if cron is None:
        return {
            **head,
            "kind": "Workflow",
            "metadata": {"generateName": f"{name}-", **metadata},
            "spec": spec,
        }, accounts
    return {**head, "kind": "CronWorkflow", "metadata": {"name": name, **metadata}, "spec": cron}, accounts


def _checked(graph: Graph, document: dict[str, Any]) -> str:
    """The text of a manifest that a cluster takes. Raises DefinitionError."""

    def refused(what: str, remedy: str) -> DefinitionError:
        return DefinitionError(f"{graph.name!r} cannot be written for Argo Workflows: {what}", remedy=remedy)

    for path, value in shown(document):
        line = next(line for line in value.splitlines() if "{{" in line)
        raise refused(
            f"{path.removeprefix('spec.')} has two braces, which Argo takes for a place to fill in: {line.strip()[:80]}",
            "Put them together where the program runs: '{' + '{'.",
        )
    for port in graph.parameters:
        if not _NAME.fullmatch(port.name):
            raise refused(
                f"the parameter {port.name!r} has a name that Kubernetes does not take",
                "Use letters without accents, digits and underscores.",
            )
    for template in document["spec"].get("workflowSpec", document["spec"])["templates"]:
        for kind in ("inputs", "outputs"):
            held = template.get(kind, {})
            for each in (*held.get("parameters", ()), *held.get("artifacts", ())):
                if not _NAME.fullmatch(each["name"]):
                    raise refused(
                        f"the {kind[:-1]} {each['name']!r} of {template['name']!r} has a name that Kubernetes does not take",
                        "Use letters without accents, digits and underscores.",
                    )
    text = _dumped(document)
    if len(text.encode()) > _LARGEST:
        raise refused(
            f"it has {len(text.encode()):,} bytes, and a cluster takes up to {_LARGEST:,}",
            "Load large values in a task rather than writing them into the pipeline.",
        )
    return text


class _Dumper(yaml.SafeDumper):
    """Writes text of several lines as blocks, as people do."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _block(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    style = "|" if "\n" in value else '"' if "'" in value and '"' not in value and "\\" not in value else None
    return cast(Any, dumper).represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Dumper.add_representer(str, _block)


def _dumped(document: dict[str, Any]) -> str:
    return yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=math.inf)


__all__ = ["written"]
