"""What Argo's own JSON schema says of all that penstock writes, and what is wrong with a manifest by it.

The facts are those of `api/jsonschema/schema.json` of argoproj/argo-workflows at commit
3e3345ae6a951984204ce06e13d1c528f41d4801 of its main branch, which became version 4.1.0. There, fields that are not known are
let through; here they are refused, and so are those that lead to something that penstock never writes (volumes, affinity, ...).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

ARGO = "io.argoproj.workflow.v1alpha1."
CORE = "io.k8s.api.core.v1."
MACHINERY = "io.k8s.apimachinery.pkg."

#: an object on each line, and its fields: `*` is before those that have to be there, and after a colon is what they hold,
#: where that is no text: another object, a list in [], a map by name in {}, anything, or just the one text after =
OBJECTS = {
    ARGO: """
        Workflow apiVersion:=argoproj.io/v1alpha1 kind:=Workflow *metadata:ObjectMeta *spec:WorkflowSpec
        CronWorkflow apiVersion:=argoproj.io/v1alpha1 kind:=CronWorkflow *metadata:ObjectMeta *spec:CronWorkflowSpec
        CronWorkflowSpec concurrencyPolicy failedJobsHistoryLimit:integer *schedules:[string] startingDeadlineSeconds:integer
            successfulJobsHistoryLimit:integer suspend:boolean timezone when workflowMetadata:ObjectMeta
            *workflowSpec:WorkflowSpec
        WorkflowSpec activeDeadlineSeconds:integer archiveLogs:boolean arguments:Arguments
            automountServiceAccountToken:boolean dnsPolicy entrypoint hostNetwork:boolean
            imagePullSecrets:[LocalObjectReference] nodeSelector:{string} onExit parallelism:integer podPriorityClassName
            podResources:ResourceRequirements podSpecPatch priority:integer retryStrategy:RetryStrategy schedulerName
            serviceAccountName shutdown suspend:boolean synchronization:Synchronization templateDefaults:Template
            templates:[Template]
        Template activeDeadlineSeconds:IntOrString annotations:{string} automountServiceAccountToken:boolean
            container:Container daemon:boolean dag:DAGTemplate failFast:boolean inputs:Inputs memoize:Memoize name
            nodeSelector:{string} outputs:Outputs parallelism:integer pendingTimeout podResources:ResourceRequirements
            podSpecPatch priorityClassName retryStrategy:RetryStrategy schedulerName script:ScriptTemplate
            serviceAccountName suspend:SuspendTemplate synchronization:Synchronization timeout
        DAGTemplate failFast:boolean target *tasks:[DAGTask]
        DAGTask arguments:Arguments continueOn:ContinueOn dependencies:[string] depends inline:Template *name onExit template
            when withItems:[Item] withParam
        ContinueOn error:boolean failed:boolean
        ScriptTemplate args:[string] command:[string] env:[EnvVar] *image imagePullPolicy name resources:ResourceRequirements
            restartPolicy *source stdin:boolean stdinOnce:boolean terminationMessagePath terminationMessagePolicy tty:boolean
            workingDir
        SuspendTemplate duration
        RetryStrategy backoff:Backoff expression limit:IntOrString retryPolicy
        Backoff cap duration factor:IntOrString maxDuration
        Memoize *cache:Cache *key *maxAge
        Cache *configMap:LocalObjectReference
        Synchronization mutexes:[Mutex] semaphores:[SemaphoreRef]
        Mutex database:boolean name namespace
        SemaphoreRef configMapKeyRef:ConfigMapKeySelector namespace
        Arguments artifacts:[Artifact] parameters:[Parameter]
        Inputs artifacts:[Artifact] parameters:[Parameter]
        Outputs artifacts:[Artifact] exitCode parameters:[Parameter] result
        Artifact archiveLogs:boolean deleted:boolean from fromExpression globalName mode:integer *name optional:boolean path
            recurseMode:boolean subPath
        Parameter default description enum:[string] globalName *name value valueFrom:ValueFrom
        ValueFrom configMapKeyRef:ConfigMapKeySelector default event expression jqFilter jsonPath parameter path
    """,
    CORE: """
        Container args:[string] command:[string] env:[EnvVar] *image imagePullPolicy name resources:ResourceRequirements
            restartPolicy stdin:boolean stdinOnce:boolean terminationMessagePath terminationMessagePolicy tty:boolean
            workingDir
        EnvVar *name value valueFrom:EnvVarSource
        EnvVarSource configMapKeyRef:ConfigMapKeySelector secretKeyRef:SecretKeySelector
        ResourceRequirements limits:{Quantity} requests:{Quantity}
        ConfigMapKeySelector *key name optional:boolean
        SecretKeySelector *key name optional:boolean
        LocalObjectReference name
    """,
    f"{MACHINERY}apis.meta.v1.": """
        ObjectMeta annotations:{string} deletionGracePeriodSeconds:integer finalizers:[string] generateName generation:integer
            labels:{string} name namespace resourceVersion selfLink uid
    """,
}
#: what is no object
OTHERS: dict[str, dict[str, Any]] = {
    f"{ARGO}Item": {},
    f"{MACHINERY}api.resource.Quantity": {"type": "string"},
    # numbers that may be given as {{...}}: they are written as texts
    f"{MACHINERY}util.intstr.IntOrString": {"type": "string"},
}
KINDS = ("CronWorkflow", "Workflow")


def schema(kind: str) -> dict[str, Any]:
    """The schema of manifests of a kind, under Argo's own names of definitions."""
    lines = {prefix: _lines(text) for prefix, text in OBJECTS.items()}
    names = {name: f"{prefix}{name}" for prefix, listed in lines.items() for name in listed}
    names |= {name.rsplit(".", 1)[-1]: name for name in OTHERS}
    definitions = dict(OTHERS)
    for listed in lines.values():
        for name, fields in listed.items():
            definitions[names[name]] = _object(fields, names)
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "definitions": definitions,
        "allOf": [{"$ref": f"#/definitions/{names[kind]}"}],
    }


def _lines(text: str) -> dict[str, list[str]]:
    """Fields by the names of their objects; lines that are set in further go on with the one before."""
    found: dict[str, list[str]] = {}
    name = ""
    for line in text.splitlines():
        words = line.split()
        if words and not line.startswith(" " * 12):
            name, *words = words
            found[name] = []
        if words:
            found[name] += words
    return found


def _object(fields: list[str], names: dict[str, str]) -> dict[str, Any]:
    split = [field.removeprefix("*").partition(":") for field in fields]
    found: dict[str, Any] = {
        "type": "object",
        "properties": {name: _held(held, names) for name, _, held in split},
        "additionalProperties": False,
    }
    required = [field[1:].partition(":")[0] for field in fields if field.startswith("*")]
    return {**found, "required": required} if required else found


def _held(held: str, names: dict[str, str]) -> dict[str, Any]:
    if held.startswith("="):
        return {"type": "string", "const": held[1:]}
    if held.startswith("["):
        return {"type": "array", "items": _held(held[1:-1], names)}
    if held.startswith("{"):
        return {"type": "object", "additionalProperties": _held(held[1:-1], names)}
    if held in names:
        return {"$ref": f"#/definitions/{names[held]}"}
    return {"type": held or "string"}


@cache
def _validator(kind: str) -> Any:
    from jsonschema import Draft7Validator

    Draft7Validator.check_schema(schema(kind))
    return Draft7Validator(schema(kind))


def problems(document: Any) -> list[str]:
    """What is wrong with a manifest: places, and what the schema says of them, or the rules of Argo's definitions on a
    cluster."""
    kind = document.get("kind")
    if kind not in KINDS:
        return [f"kind: {kind!r} is none of {', '.join(KINDS)}"]
    found = [
        f"{'/'.join(map(str, each.absolute_path))}: {each.message[:200]}"
        for each in _validator(kind).iter_errors(document)
    ]
    return found or [*_broken_rules(document)]


_NAME = re.compile(r"[a-zA-Z0-9][-a-zA-Z0-9]{0,127}")
_PART = re.compile(r"[-a-zA-Z0-9_]+")


def _broken_rules(document: Any) -> Iterator[str]:
    """What the definitions on a cluster check besides (`+kubebuilder:validation` in workflow_types.go, at that commit)."""
    for template in document["spec"].get("workflowSpec", document["spec"])["templates"]:
        name = template["name"]
        if sum(kind in template for kind in ("container", "script", "dag", "suspend")) != 1:
            yield f"{name}: is of one type"
        if "dag" in template and template.keys() & {"timeout", "activeDeadlineSeconds"}:
            yield f"{name}: only leaves have limits of time"
        tasks = template.get("dag", {"tasks": [{"name": name}]})["tasks"]
        if not tasks:
            yield f"{name}: has no tasks"
        for task in tasks:
            if {"depends", "continueOn"} <= task.keys():
                yield f"{name}/{task['name']}: has no continueOn where it has depends"
            if not _NAME.fullmatch(task["name"]) or ("depends" in task and task["name"][0].isdigit()):
                yield f"{name}/{task['name']}: has no such name"
        for held in (template.get("inputs", {}), template.get("outputs", {})):
            for each in (*held.get("parameters", ()), *held.get("artifacts", ())):
                if not _PART.fullmatch(each["name"]):
                    yield f"{name}: has no part with the name {each['name']}"
