"""The JSON Schema of the files. The keys are those that the reader knows."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from penstock.dialects.yaml import document, notifications, parameters, policies, schedules, stages
from penstock.model.graph import RULES, Loop, Wait
from penstock.model.policy import Policy

ADDRESS = "https://json-schema.org/draft/2020-12/schema"

_TEXT: dict[str, Any] = {"type": "string"}
_LABEL: dict[str, Any] = {"type": ["string", "number"]}
_FLAG: dict[str, Any] = {"type": "boolean"}
_WHOLE: dict[str, Any] = {"type": "integer"}
_NUMBER: dict[str, Any] = {"type": "number"}
_ANY: dict[str, Any] = {}
_LENGTH: dict[str, Any] = {
    "type": ["number", "string", "null"],
    "description": 'Seconds, or a text such as "90s", "10m", "1h 30m".',
}
_SIZE: dict[str, Any] = {
    "type": ["integer", "string", "null"],
    "description": 'Bytes, or a text such as "16Gi", "2GB".',
}
_CONDITION: dict[str, Any] = {
    "type": ["string", "boolean", "object"],
    "description": 'An expression: "evaluate.accuracy >= 0.8 and not failed(load)".',
}


def _texts(about: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {"anyOf": [_TEXT, {"type": "array", "items": _LABEL}]}
    return found | ({"description": about} if about else {})


def _mapping(of: dict[str, Any] | None = None, about: str = "") -> dict[str, Any]:
    return {"type": "object", "additionalProperties": of or {}} | ({"description": about} if about else {})


def _object(known: Iterable[str], fields: dict[str, Any], **more: Any) -> dict[str, Any]:
    """An object with the keys that a reader knows; those of `fields` are described."""
    names = list(known)
    odd = set(fields) - set(names)
    assert not odd, f"the reader knows none of {odd}"
    properties = {name: fields.get(name, _ANY) for name in names}
    return {"type": "object", "properties": properties, "additionalProperties": False, **more}


def _ref(name: str) -> dict[str, Any]:
    return {"$ref": f"#/$defs/{name}"}


def _either(*options: dict[str, Any], about: str = "") -> dict[str, Any]:
    return {"anyOf": list(options)} | ({"description": about} if about else {})


_INPUT = 'A value, or what comes from elsewhere: "${load.rows}", or only the name of a stage or an output: load.rows.'


def _group(name: str) -> dict[str, Any]:
    fields: dict[str, dict[str, Any]] = {
        "retries": {"count": _WHOLE, "delay": _ANY, "backoff": _NUMBER, "cap": _LENGTH, "jitter": _NUMBER},
        "timeout": {"attempt": _LENGTH, "total": _LENGTH, "queue": _LENGTH},
        "resources": {"cpu": _NUMBER, "memory": _SIZE, "memory_cap": _SIZE, "gpu": _WHOLE, "strict": _FLAG},
        "cache": {"enabled": _FLAG, "for": _LENGTH, "version": _TEXT, "refresh": _FLAG},
    }
    return _object(policies.GROUPS[name][0], fields[name])


def _work() -> dict[str, Any]:
    """The keys that say what a stage does."""
    return {
        "uses": _TEXT
        | {
            "description": "The function: module:function or file.py:function. Without it, the one of the stage's own name. "
            "Or a whole pipeline: module:pipeline, other.yaml."
        },
        "run": _either(
            _TEXT, {"type": "array", "items": _LABEL}, about="Lines for the shell, or a program and its arguments."
        ),
        "container": _either(_TEXT, _object(("image", "command", "mount", "network", "arguments"), {"image": _TEXT})),
        "approve": _either(_TEXT, _mapping(), about="The question that a person has to answer."),
        "opaque": _mapping(about="Something of another system, as it stands there."),
        "stages": _ref("stages"),
        "task": _either(_LABEL, _mapping()),
        "outputs": _either(
            _texts(), _mapping(), {"type": "null"}, about="The names of the outputs; of run:, where they come from."
        ),
        "environment": _either(
            _mapping(),
            _texts(),
            {"type": "null"},
            about="Variables of the environment; or requirements of a Python environment, or the name of a file with them.",
        ),
        "folder": _TEXT,
        "files": _mapping(_TEXT),
        "exit_codes": _object(("success", "skip"), {}),
        "reads": _either(_texts(), _mapping(_TEXT)),
    }


def _stage() -> dict[str, Any]:
    """A stage."""
    functions = {hook: _texts("Functions, as module:function.") for hook in policies.HOOKS}
    fields: dict[str, Any] = {
        **_work(),
        "name": _LABEL,
        "description": _TEXT,
        "depends_on": _texts("Stages that it waits for."),
        "after": _texts("The same, where data flows from them as well."),
        "inputs": _mapping(about=_INPUT),
        "result": {"description": "What a stage with stages: results in."},
        "map": {"description": "Runs once for every element: {region: [eu, us]}, {row: load.rows}."},
        "map_options": _object(
            ("mode", "spread", "key", "max_parallel", "failure_threshold", "bindings"),
            {"mode": {"enum": ["zip", "product"]}, "key": _CONDITION, "failure_threshold": _NUMBER},
        ),
        "repeat": _object(Loop.__struct_fields__, {"maximum": _WHOLE, "until": _CONDITION, "strict": _FLAG}),
        "wait": _either(
            _FLAG, {"type": "null"}, _object(Wait.__struct_fields__, {"poll": _LENGTH, "timeout": _LENGTH})
        ),
        "fallback": _either(_TEXT, {"type": "null"}, _mapping()),
        "condition": _CONDITION,
        "when": _CONDITION,
        "join": _either({"enum": list(RULES)}, _CONDITION),
        "decides": _FLAG,
        "final": _FLAG,
        "timeout": _either(_LENGTH, _group("timeout")),
        "retries": _either(_WHOLE, _group("retries")),
        "resources": _group("resources"),
        "cache": _either(_FLAG, _group("cache")),
        "effects": _FLAG,
        "secrets": _either(_texts(), _mapping(_TEXT)),
        "allow_secrets": _FLAG,
        "priority": _WHOLE,
        "concurrency": _either(_WHOLE, {"type": "null"}),
        "deadline": _LENGTH,
        "tags": _texts(),
        "retry_if": _TEXT,
        "threads": _FLAG,
        "policy": _object(Policy.__struct_fields__, {}),
        **functions,
    }
    return _object(stages.KEYS, fields)


def _schedule() -> dict[str, Any]:
    fields: dict[str, Any] = {
        "cron": _TEXT,
        "timezone": _TEXT,
        "zone": _TEXT,
        "every": _LENGTH,
        "parameters": _mapping(),
        "enabled": _FLAG,
        "missed": {"enum": ["all", "latest", "none"]},
        "overlap": {"enum": ["queue", "skip", "cancel"]},
        "priority": _WHOLE,
    }
    return _object(schedules.KEYS, fields)


def _notification() -> dict[str, Any]:
    """One message."""
    properties: dict[str, Any] = {
        kind: _either(_texts(), _object(keys, {})) for kind, (_, _, keys) in notifications.KINDS.items()
    }
    properties |= dict.fromkeys(("mail", "e-mail"), properties["email"])
    return {"type": "object", "properties": properties, "additionalProperties": False}


def _pipeline() -> dict[str, Any]:
    fields: dict[str, Any] = {
        "name": _LABEL,
        "version": _LABEL,
        "description": _either(_TEXT, {"type": "null"}),
        "parameters": _ref("parameters"),
        "outputs": _either(_mapping(), {"type": "array", "items": _TEXT}, about="What the pipeline returns, by name."),
        "on_failure": {"enum": ["continue", "stop"]},
        "timeout": _LENGTH,
        "concurrency": _WHOLE,
        "deadline": _LENGTH,
    }
    return _object(document.PIPELINE, fields)


def _parameters() -> dict[str, Any]:
    described = _object(
        parameters.KEYS,
        {"name": _TEXT, "type": _TEXT, "required": _FLAG, "choices": {"type": "array"}, "description": _TEXT},
    )
    plain: dict[str, Any] = {"description": "The default, whose type is that of the parameter."}
    return _either(
        {"type": "object", "additionalProperties": _either(described, plain)},
        {"type": "array", "items": _either(_TEXT, described)},
    )


def schema() -> dict[str, Any]:
    """The JSON Schema of the files, for editors."""
    hooks = {"anyOf": [_ref("notification"), {"type": "array", "items": _ref("notification")}]}
    schedule = _either(_TEXT, _ref("schedule"), {"type": "null"})
    fields: dict[str, Any] = {
        "pipeline": _either(_LABEL, _ref("pipeline")),
        "stages": _ref("stages"),
        "parameters": _ref("parameters"),
        "schedule": _either(schedule, {"type": "array", "items": schedule}),
        "notifications": _object(notifications.KEYS, dict.fromkeys(notifications.KEYS, hooks)),
        "outputs": _pipeline()["properties"]["outputs"],
        "version": _LABEL,
        "name": _LABEL,
        "description": _TEXT,
    }
    return {
        "$schema": ADDRESS,
        "title": "A pipeline of penstock",
        **_object(document.KEYS, fields, required=["stages"]),
        "$defs": {
            "pipeline": _pipeline(),
            "parameters": _parameters(),
            "stage": _stage(),
            "stages": _either(
                {"type": "array", "items": {"allOf": [_ref("stage"), {"required": ["name"]}]}},
                {"type": "object", "additionalProperties": _either(_ref("stage"), {"type": "null"})},
            ),
            "schedule": _schedule(),
            "notification": _notification(),
        },
    }


__all__ = ["ADDRESS", "schema"]
