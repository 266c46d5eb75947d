"""Functions that go to a Python environment by themselves, without their files, which may import what is not there.

As Airflow does it, their source is run there, so that they have to import all they use. A worker finds one of them as an
attribute of this module, by a name that holds all of that.
"""

from __future__ import annotations

import ast
import builtins
import copy
import json
from collections.abc import Callable
from types import FunctionType, ModuleType
from typing import Any, NamedTuple, cast

from penstock.authoring.source import location_of
from penstock.dialects.code.modules import FunctionNode, free, module_of
from penstock.errors import DefinitionError
from penstock.model.work import Imported

_BUILTINS = frozenset(dir(builtins))


class Source(NamedTuple):
    """A function as it stands in its file."""

    name: str
    module: str
    file: str
    #: of its `def`
    line: int
    #: its `def`, under a line that lets it be indented
    text: str

    @property
    def address(self) -> str:
        """A name for it, which has no dots in it."""
        return f"{self.name}:{json.dumps(self).encode().hex()}"

    def function(self) -> Callable[..., Any]:
        """The function, made anew. What it imports of Airflow is what stands for that here."""
        from penstock.dialects.recognition import speaking

        tree = ast.parse(f"from __future__ import annotations\n{self.text}")
        ast.increment_lineno(tree, self.line - 3)
        module = ModuleType(self.module)
        with speaking(module, "airflow"):
            exec(compile(tree, self.file, "exec"), module.__dict__)
        return cast("Callable[..., Any]", vars(module)[self.name])


def reference_of(function: Callable[..., Any]) -> Imported | None:
    """How a worker in another environment gets at a function; None for one that needs more than it imports itself."""
    source = _source_of(function)
    return None if source is None else Imported(__name__, source.address, __file__)


def _source_of(function: Callable[..., Any]) -> Source | None:
    if not isinstance(function, FunctionType) or function.__code__.co_freevars:
        return None
    definition = _definition_of(function)
    if definition is None or _needed(definition) - _BUILTINS - {definition.name}:
        return None
    file = function.__code__.co_filename
    return Source(definition.name, function.__module__, file, definition.lineno, _text(function, definition))


def text_of(function: Callable[..., Any]) -> str:
    """The source of a function, without its decorators, for a script. Raises DefinitionError where it is not to be had."""
    definition = _definition_of(function) if isinstance(function, FunctionType) else None
    if definition is None:
        raise DefinitionError(
            f"the source of {getattr(function, '__name__', function)!r} is not to be had, and it is to run elsewhere by that",
            where=str(location_of(function)),
            remedy="Write it as a `def` in the file.",
        )
    return _text(function, definition)


def _definition_of(function: FunctionType) -> FunctionNode | None:
    try:
        module = module_of(function.__module__)
    except (OSError, SyntaxError):
        return None
    return module.function(function.__name__, function.__code__.co_firstlineno)


def _text(function: FunctionType, definition: FunctionNode) -> str:
    lines = module_of(function.__module__).lines[definition.lineno - 1 : definition.end_lineno]
    # texts over several lines in it stay as they are
    return "\n".join(["if True:" if lines[0][:1].isspace() else "", *lines])


def _needed(definition: FunctionNode) -> set[str]:
    """The names that a function takes from what is around it; those in annotations do not count."""
    bare = copy.deepcopy(definition)
    bare.decorator_list = []
    bare.returns = None
    for each in ast.walk(bare.args):
        if isinstance(each, ast.arg):
            each.annotation = None
    return set(free(bare))


def __getattr__(name: str) -> Callable[..., Any]:
    called, colon, told = name.partition(":")
    if not colon:
        raise AttributeError(f"module {__name__!r} has no attribute {called!r}")
    return Source(*json.loads(bytes.fromhex(told))).function()


__all__ = ["Source", "reference_of", "text_of"]
