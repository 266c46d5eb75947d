"""What a function asks of the attempt that it runs in, where there is no penstock to ask."""

from __future__ import annotations

import ast
import inspect
from typing import NamedTuple

from penstock.dialects import Export, Written
from penstock.dialects.code.adapting import adapts
from penstock.dialects.code.edits import Edits
from penstock.dialects.code.modules import bound
from penstock.model.graph import PipelineAction

#: what is recorded with a run, and printed elsewhere
_LOGS = ("log_metric", "log_artifact")


class Alone(NamedTuple):
    """The definition of a function that needs no attempt."""

    text: str
    #: (module, name) that it needs instead
    imports: tuple[tuple[str, str], ...]


def alone(text: str, name: str = "current", *, metrics: str = "", prints: bool = False) -> Alone | None:
    """A definition with temporary folders for `current().folder`; `metrics` takes the place of `current().log_metric`, and
    what is recorded besides is printed if it `prints`. None where it asks for more of the attempt; `name` is what
    `penstock.current` is called in it."""
    tree = ast.parse(text)
    definition = tree.body[0]
    local = {found for each in ast.iter_child_nodes(definition) for found in bound(each)}
    folder = "pathlib.Path" if "Path" in local else "Path"
    parents = {child: each for each in ast.walk(tree) for child in ast.iter_child_nodes(each)}
    edits = Edits(text)
    imports: dict[tuple[str, str], None] = {}
    for node in ast.walk(tree):
        if not isinstance(node, ast.Name) or node.id != name:
            continue
        called = parents.get(node)
        asked = parents.get(called) if isinstance(called, ast.Call) and called.func is node else None
        if not isinstance(asked, ast.Attribute) or any(
            isinstance(each, ast.JoinedStr) for each in _around(node, parents)
        ):
            return None
        after = parents.get(asked)
        if asked.attr == "folder":
            put = f"{folder}(tempfile.mkdtemp())"
            imports |= {("tempfile", ""): None, ("pathlib", "" if folder != "Path" else "Path"): None}
        elif asked.attr in _LOGS and isinstance(after, ast.Call) and after.func is asked:
            put = metrics if asked.attr == "log_metric" and metrics else "print" if prints else ""
            if not put or (put == metrics and metrics.partition(".")[0] in local):
                return None
            if not edits.by_place(after, ("name", "value")):
                return None
        else:
            return None
        edits.replace((asked.lineno, asked.col_offset), (asked.end_lineno or 0, asked.end_col_offset or 0), put)
    return Alone(edits.lines(1, len(text.splitlines())), tuple(imports))


def _around(node: ast.AST, parents: dict[ast.AST, ast.AST]) -> list[ast.AST]:
    found: list[ast.AST] = []
    while node in parents:
        node = parents[node]
        found.append(node)
    return found


def noted(written: Written, export: Export, *, metrics: bool = False) -> Written:
    """What was written, with the nodes told of that print what they record in penstock: all of it, or without `metrics`,
    if those are recorded."""
    graph = export.definition.graph
    logs = tuple(each for each in _LOGS if not (metrics and each == "log_metric"))
    logging = {node.id for node in graph.nodes if _logs(export, node.task, logs)}
    for node in graph.nodes:
        action = graph.task_of(node).action
        if isinstance(action, PipelineAction):
            logging |= {f"{node.id}/{inner.id}" for inner in action.nodes if _logs(export, inner.task, logs)}
    accounts = [
        each._replace(grade="changed", how="; ".join(filter(None, (each.how, "what it records is printed"))))
        if each.node in logging and each.grade in ("exact", "equivalent", "changed")
        else each
        for each in written.accounts
    ]
    return written._replace(accounts=tuple(accounts))


def _logs(export: Export, key: str, logs: tuple[str, ...]) -> bool:
    task = export.definition.functions.get(key)
    if task is None:
        return False
    about = adapts(task.function)
    if about is not None and about.text is not None:
        return any(f"current().{each}(" in about.text.text for each in logs)
    code = getattr(inspect.unwrap(task.function), "__code__", None)
    return code is not None and "current" in code.co_names and any(each in code.co_names for each in logs)


__all__ = ["Alone", "alone", "noted"]
