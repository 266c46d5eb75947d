"""Functions that are more than the one of the user's that they wrap, as a function of plain Python that does the same."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from penstock.dialects.code.formatting import Imports, block, broken, call, keywords, literal, quoted
from penstock.dialects.code.modules import FunctionNode

#: the attribute of a function that is not to be taken for the one that it wraps
ADAPTS = "__penstock_adapts__"


class Adapts(NamedTuple):
    """What a function does besides calling the one that it wraps."""

    #: variables that it is called with
    environment: Mapping[str, str] = {}
    #: it runs in an image of its own
    contained: bool = False
    #: the names that the parts of what it returns get; none where that is handed on whole
    returned: tuple[str, ...] = ()
    #: what it does that only its own system can: "takes 'data', an artifact"
    needs: tuple[str, ...] = ()

    @property
    def problem(self) -> tuple[str, str] | None:
        """Why it cannot be written, and what to do; None where it can."""
        if self.contained:
            return (
                "runs in an image of its own",
                "Let it run where the others do, or write it as a container: container(image, command).",
            )
        if self.needs:
            return (
                f"{self.needs[0]}, which is only in Kubeflow",
                "Let it take and return plain values, or files as pathlib.Path.",
            )
        return None


def adapts(function: Callable[..., Any]) -> Adapts | None:
    """What a function does besides; None for one that is the user's own."""
    return getattr(function, ADAPTS, None)


def adapted_text(
    function: Callable[..., Any], inner: str, definition: FunctionNode, name: str, imports: Imports
) -> str:
    """The definition of a function that calls `inner`, which stands in the file as `definition`, as `function` does.
    Raises Unwritable for a default that is no literal."""
    about = adapts(function)
    assert about is not None
    signature = inspect.signature(function).parameters
    value = call(inner, keywords({each: each for each in signature}))
    names = about.returned
    by_name = _returns_dicts(definition)
    returns = ""
    if len(names) == 1:
        value = f"{value}[{quoted(names[0]) if by_name else 0}]"
    elif names:
        returns = f" -> dict[str, {imports.name('typing', 'Any')}]"
        keys = ", ".join(map(quoted, names))
        value = value if by_name else f"dict(zip(({keys}), {value}, strict=True))"
    lines = [f"return {value}"]
    if about.environment:
        changed = f"{imports.module('os')}.environ, {literal(dict(about.environment), imports)}"
        lines = [f"with {imports.name('unittest.mock', 'patch')}.dict({changed}):", *block(lines)]
    given = ", ".join(_parameter(each, imports) for each in signature.values())
    return "\n".join(broken([f"def {name}({given}){returns}:", *block(lines)]))


def _parameter(parameter: inspect.Parameter, imports: Imports) -> str:
    if parameter.default is parameter.empty:
        return parameter.name
    return f"{parameter.name}={literal(parameter.default, imports)}"


def _returns_dicts(definition: FunctionNode) -> bool:
    """Whether all that a function returns is written as a dict."""
    found = [each.value for each in ast.walk(definition) if isinstance(each, ast.Return)]
    return bool(found) and all(isinstance(each, (ast.Dict, ast.DictComp)) for each in found)


__all__ = ["ADAPTS", "Adapts", "adapted_text", "adapts"]
