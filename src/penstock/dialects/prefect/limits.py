"""Concurrency limits: `concurrency("name")` takes part of the pool of that name.

A limit that nobody has set up lets all pass, in Prefect as here. One counts once it is named in `PREFECT_LIMITS` (names
with commas between them), or under `limits` in `prefect.local.json`; how much there is of it is the size of penstock's pool
of that name. A worker cannot wait for a pool while a task runs, so the whole task takes it: what the text of a task says, or
the block in a flow that the call stands in.
"""

from __future__ import annotations

import ast
import inspect
import os
import textwrap
from collections.abc import Callable, Iterable
from typing import Any

from penstock.authoring.source import location_of
from penstock.dialects.prefect.local import whole
from penstock.dialects.prefect.sessions import current_session
from penstock.model.graph import Ignored


class concurrency:
    """Take parts of pools: in a flow, all tasks that are called in the block do; in a task, the whole task does."""

    def __init__(self, names: str | Iterable[str], occupy: int = 1, **_: Any) -> None:
        self._pools = {name: occupy for name in _listed(names) if name in known_limits()}
        self._before: Any = {}

    def __enter__(self) -> None:
        session = current_session()
        if session is not None:
            self._before = session.pools
            session.pools = {**session.pools, **self._pools}

    def __exit__(self, *_: object) -> None:
        session = current_session()
        if session is not None:
            session.pools = self._before

    async def __aenter__(self) -> None:
        self.__enter__()

    async def __aexit__(self, *_: object) -> None:
        self.__exit__()


class rate_limit:
    """A slot that comes back with time. Without a limit of that name, which penstock has none of, Prefect lets all pass."""

    def __init__(self, names: str | Iterable[str], occupy: int = 1, **_: Any) -> None:
        """Nothing to wait for."""

    def __await__(self) -> Any:
        yield from ()


def known_limits() -> frozenset[str]:
    """The names of the limits that are set up."""
    text = os.environ.get("PREFECT_LIMITS")
    if text is not None:
        return frozenset(each.strip() for each in text.split(","))
    return frozenset(whole("limits"))


def _listed(names: Any) -> list[str]:
    return [names] if isinstance(names, str) else list(names)


def _calls(function: Callable[..., Any], wanted: Any) -> Iterable[ast.Call]:
    """The calls of something in the text of a function."""
    names = getattr(function, "__globals__", {})
    if not any(names.get(name) is wanted for name in getattr(getattr(function, "__code__", None), "co_names", ())):
        return ()
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    except (OSError, SyntaxError):
        return ()
    calls = (node for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name))
    return [each for each in calls if names.get(each.func.id) is wanted]  # type: ignore[attr-defined]


def pools_of(function: Callable[..., Any]) -> dict[str, int]:
    """The pools that a task takes parts of, by its text."""
    found: dict[str, int] = {}
    for call in _calls(function, concurrency):
        try:
            given = [ast.literal_eval(each) for each in call.args]
            options = {each.arg: ast.literal_eval(each.value) for each in call.keywords if each.arg}
        except ValueError:
            continue
        names, occupy = options.get("names", given[0] if given else ()), options.get("occupy", [*given, 1, 1][1])
        found.update({name: occupy for name in _listed(names) if name in known_limits()})
    return found


def limits_noted(function: Callable[..., Any]) -> tuple[Ignored, ...]:
    """What the text of a function says of limits that has no effect."""
    found = [
        Ignored(ast.unparse(each), location_of(function), "there are no rates") for each in _calls(function, rate_limit)
    ]
    for each in _calls(function, concurrency):
        if not each.args or not _is_plain(each.args[0]):
            why = "the name of a limit has to stand in the text"
        elif known_limits().issuperset(_listed(ast.literal_eval(each.args[0]))):
            continue
        else:
            why = "there is no limit of that name; set one up with PREFECT_LIMITS"
        found.append(Ignored(ast.unparse(each), location_of(function), why))
    return tuple(found)


def _is_plain(node: ast.expr) -> bool:
    try:
        ast.literal_eval(node)
    except ValueError:
        return False
    return True


__all__ = ["concurrency", "limits_noted", "pools_of", "rate_limit"]
