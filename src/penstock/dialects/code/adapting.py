"""Functions that are more than the one of the user's that they wrap, as a function of plain Python that does the same."""

from __future__ import annotations

import ast
import contextlib
import inspect
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol

from penstock.dialects.code.formatting import Imports, block, broken, call, literal, quoted
from penstock.dialects.code.modules import FunctionNode

#: the attribute of a function that is not to be taken for the one that it wraps
ADAPTS = "__penstock_adapts__"

#: types that every file knows
_PLAIN = (int, float, bool, str, bytes, list, dict, tuple, set)


class AsPaths(Protocol):
    """How a function that is handed what only its own system has can do with paths."""

    def function(self, taken: frozenset[str], bound: Mapping[str, bool]) -> Callable[..., Any]:
        """A function that takes and returns files as paths, with an `Adapts` that says its text or what it lacks; `taken` are
        the outputs that others take, and `bound` says of inputs whether files come in by them."""
        ...


#: stands for the type of what a function returns, where that is several outputs
RETURNED = "__returned__"


class Text(NamedTuple):
    """The definition of a function that is written anew."""

    #: what follows `def NAME`, up to its end; `RETURNED` stands for the type of several outputs
    text: str
    #: output -> type, where it returns several as a dict
    outputs: Mapping[str, str] = {}
    #: (module, name) that it needs besides what it reaches in its own module
    imports: tuple[tuple[str, str], ...] = ()
    #: what it is called, where that is not the name of the function that it stands for
    name: str = ""


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
    #: the function that it wraps, where that is not its `__wrapped__`
    wraps: Callable[..., Any] | None = None
    #: how it can do without what it needs; None where it cannot
    paths: AsPaths | None = None
    #: its definition, where that is not the one of the function that it wraps
    text: Text | None = None
    #: why it cannot be written, and what to do
    lacks: tuple[str, str] | None = None

    @property
    def problem(self) -> tuple[str, str] | None:
        """Why it cannot be written, and what to do; None where it can."""
        if self.lacks is not None:
            return self.lacks
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


def wrapped_by(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function of the user's own in one that does more."""
    about = adapts(function)
    return inspect.unwrap(function if about is None or about.wraps is None else about.wraps)


def adapted_text(
    function: Callable[..., Any], inner: str, definition: FunctionNode, name: str, imports: Imports
) -> str:
    """The definition of a function that calls `inner`, which stands in the file as `definition`, as `function` does.
    Raises Unwritable for a default that is no literal."""
    about = adapts(function)
    assert about is not None
    signature = inspect.signature(function)
    value = call(inner, _handed_on(signature))
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
    if names:
        signature = signature.replace(return_annotation=inspect.Signature.empty)
    return "\n".join(broken([f"def {name}{_head(signature, imports)}{returns}:", *block(lines)]))


def _handed_on(signature: inspect.Signature) -> list[str]:
    """The arguments of a call with all that a function is given itself."""
    places = {inspect.Parameter.POSITIONAL_ONLY: "", inspect.Parameter.VAR_POSITIONAL: "*"}
    if any(each.kind == each.VAR_POSITIONAL for each in signature.parameters.values()):
        places[inspect.Parameter.POSITIONAL_OR_KEYWORD] = ""
    found: list[str] = []
    for each in signature.parameters.values():
        if each.kind in places:
            found.append(f"{places[each.kind]}{each.name}")
        else:
            found.append(f"**{each.name}" if each.kind == each.VAR_KEYWORD else f"{each.name}={each.name}")
    return found


def _head(signature: inspect.Signature, imports: Imports) -> inspect.Signature:
    """A signature that is shown with nothing that needs an import, and with parameters by place where all may be."""
    shown = [
        each.replace(annotation=_plain_type(each.annotation), default=_Shown.of(each.default, imports))
        for each in signature.parameters.values()
    ]
    returns = _plain_type(signature.return_annotation)
    by_place = [
        each.replace(kind=each.POSITIONAL_OR_KEYWORD) if each.kind == each.KEYWORD_ONLY else each for each in shown
    ]
    with contextlib.suppress(ValueError):
        return inspect.Signature(by_place, return_annotation=returns)
    return inspect.Signature(shown, return_annotation=returns)


class _Shown:
    """A value that shows itself as text of Python."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return self._text

    @classmethod
    def of(cls, value: Any, imports: Imports) -> Any:
        return value if value is inspect.Parameter.empty else cls(literal(value, imports))


def _plain_type(kind: Any) -> Any:
    """A type that needs no import; nothing for any other."""
    return next((each for each in _PLAIN if kind in (each, each.__name__)), inspect.Parameter.empty)


def _returns_dicts(definition: FunctionNode) -> bool:
    """Whether all that a function returns is written as a dict."""
    found = [each.value for each in ast.walk(definition) if isinstance(each, ast.Return)]
    return bool(found) and all(isinstance(each, (ast.Dict, ast.DictComp)) for each in found)


__all__ = [
    "ADAPTS",
    "RETURNED",
    "Adapts",
    "AsPaths",
    "Text",
    "adapted_text",
    "adapts",
    "wrapped_by",
]
