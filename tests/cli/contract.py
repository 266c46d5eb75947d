"""The run document, as the documentation promises it."""

from __future__ import annotations

from typing import Any

TIME = {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$"}
SECONDS = {"type": "number", "minimum": 0}
#: a value that was stored; `value` is only there when it is small and JSON can hold it
OUTPUT: dict[str, Any] = {
    "type": "object",
    "required": ["type", "digest", "size"],
    "properties": {
        "type": {"type": "string", "minLength": 1},
        "digest": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
        "size": {"type": "integer", "minimum": 0},
        "path": {"type": "string"},
        "value": {},
    },
}
OUTPUTS: dict[str, Any] = {"type": "object", "additionalProperties": OUTPUT}
NODE_STATES = [
    "succeeded",
    "cached",
    "failed",
    "skipped",
    "upstream_failed",
    "cancelled",
    "waiting",
    "running",
    "pending",
]
TASK: dict[str, Any] = {
    "type": "object",
    "required": ["id", "task", "state", "attempts", "duration_s", "error", "outputs"],
    "properties": {
        "id": {"type": "string", "minLength": 1},
        "task": {"type": "string", "minLength": 1},
        "state": {"enum": NODE_STATES},
        "attempts": {"type": "integer", "minimum": 0},
        "duration_s": SECONDS,
        "error": {"type": ["string", "null"]},
        "outputs": OUTPUTS,
    },
    "allOf": [
        {
            "if": {"properties": {"state": {"const": "failed"}}},
            "then": {"properties": {"error": {"type": "string"}}, "required": ["traceback"]},
        },
        {
            "if": {"properties": {"state": {"const": "cached"}}},
            "then": {"properties": {"attempts": {"const": 0}, "outputs": {"minProperties": 1}}},
        },
        {
            "if": {"properties": {"state": {"enum": ["skipped", "upstream_failed"]}}},
            "then": {"properties": {"outputs": {"maxProperties": 0}}, "required": ["reason"]},
        },
    ],
}
RUN: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "required": [
        "run_id",
        "pipeline",
        "state",
        "parameters",
        "started_at",
        "duration_s",
        "outputs",
        "metrics",
        "tasks",
    ],
    "properties": {
        "run_id": {"type": "string", "minLength": 1},
        "pipeline": {"type": "string", "minLength": 1},
        "state": {"enum": ["succeeded", "failed", "cancelled", "running", "paused"]},
        "parameters": {"type": "object"},
        "started_at": TIME,
        "duration_s": {"anyOf": [SECONDS, {"type": "null"}]},
        "outputs": OUTPUTS,
        "metrics": {"type": "object", "additionalProperties": {"type": ["number", "null"]}},
        "tasks": {"type": "array", "items": TASK},
    },
    "if": {"properties": {"state": {"enum": ["running", "paused"]}}},
    "else": {"properties": {"duration_s": SECONDS}},
}


def check_run(document: Any) -> None:
    """Assert that a run document is as promised."""
    from jsonschema import Draft202012Validator

    problems = [f"{error.json_path}: {error.message}" for error in Draft202012Validator(RUN).iter_errors(document)]
    assert problems == []


def states(document: Any) -> dict[str, str]:
    """The state of every task of a run document."""
    return {task["id"]: task["state"] for task in document["tasks"]}
