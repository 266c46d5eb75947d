"""What the calls in the text of a flow say that has no effect: how long to wait for a future, where a deployment runs."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from typing import Any

from penstock.authoring.source import nearby
from penstock.dialects.prefect.flow_runs import run_deployment
from penstock.dialects.prefect.futures import as_completed, wait
from penstock.dialects.prefect.sites import node_of
from penstock.model.graph import Ignored
from penstock.model.place import Location

_PATIENT = "the flow waits for its end; give the task timeout_seconds="
_BACKGROUND = "the run waits for it before it ends"
#: options of `run_deployment` that say nothing about what is run
_APART = {"tags", "flow_run_name", "work_queue_name", "infra_overrides", "job_variables", "scheduled_time", "timeout"}


def asides(function: Callable[..., Any]) -> tuple[Ignored, ...]:
    """What a flow's function says so."""
    node = node_of(function)
    if node is None:
        return ()
    file = nearby(function.__code__.co_filename)
    names = getattr(function, "__globals__", {})
    futures = _futures(node)
    found: list[Ignored] = []
    for call in (each for each in ast.walk(node) if isinstance(each, ast.Call)):
        for what, why in _said(call, names, futures):
            found.append(Ignored(what, Location(file, call.lineno), why))
    return tuple(found)


def _said(call: ast.Call, names: dict[str, Any], futures: set[str]) -> Iterator[tuple[str, str]]:
    options = {each.arg: each.value for each in call.keywords if each.arg and not _is_none(each.value)}
    match call.func:
        case ast.Name(id=name) if names.get(name) is run_deployment:
            for option in sorted(_APART & options.keys()):
                yield f"run_deployment(..., {option}={ast.unparse(options[option])})", "it is run here and now"
        case ast.Name(id=name) if names.get(name) in (as_completed, wait) and "timeout" in options:
            yield ast.unparse(call), _PATIENT
        case ast.Attribute(value=owner, attr="result" | "wait") if "timeout" in options:
            if _names(owner) & futures or _submits(owner):
                yield ast.unparse(call), _PATIENT
        case ast.Attribute(ast.Name(id=name), "delay" | "apply_async") if hasattr(names.get(name), "given_options"):
            yield ast.unparse(call), _BACKGROUND
        case _:
            pass


def _futures(node: ast.AST) -> set[str]:
    """The names in a function that may hold what `submit` and `map` give, or a part of it."""
    found: set[str] = set()
    bindings = list(_bindings(node))
    while True:
        more = {
            name for target, value in bindings if _submits(value) or _names(value) & found for name in _names(target)
        }
        if more <= found:
            return found
        found |= more


def _bindings(node: ast.AST) -> Iterator[tuple[ast.AST, ast.AST]]:
    for each in ast.walk(node):
        match each:
            case ast.Assign(targets, value):
                yield from ((target, value) for target in targets)
            case ast.For(target=target, iter=value) | ast.AsyncFor(target=target, iter=value):
                yield target, value
            case ast.comprehension(target=target, iter=value) | ast.NamedExpr(target=target, value=value):
                yield target, value
            case ast.Call(ast.Attribute(ast.Name() as owner, "append" | "extend"), [value]):
                yield owner, value
            case _:
                pass


def _submits(node: ast.AST) -> bool:
    return any(
        isinstance(each, ast.Call)
        and isinstance(each.func, ast.Attribute)
        and each.func.attr in ("submit", "map", "delay", "apply_async")
        for each in ast.walk(node)
    )


def _names(node: ast.AST) -> set[str]:
    return {each.id for each in ast.walk(node) if isinstance(each, ast.Name)}


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


__all__ = ["asides"]
