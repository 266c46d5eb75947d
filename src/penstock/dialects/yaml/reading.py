"""A file as pipelines and triggers."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any, cast

from penstock.authoring.building import Building, required_building
from penstock.authoring.ref import Ref
from penstock.authoring.triggers.trigger import Trigger
from penstock.dialects import Maker, Reading
from penstock.dialects.yaml.code import RETURNS, identifier
from penstock.dialects.yaml.composed import place
from penstock.dialects.yaml.document import Document, read_document
from penstock.dialects.yaml.source import text_of
from penstock.errors import DefinitionError
from penstock.model.expression import Constant, Expression, Mapping

_DOCUMENT = "__penstock_document__"
_CLAIMED = re.compile(r"""^["']?(?:pipelines?|stages?)["']?\s*:""", re.MULTILINE)
_JSON = re.compile(r'\A\s*\{.*"(?:pipeline|stages)"\s*:', re.DOTALL)


def claims(text: str) -> bool:
    """Whether a text looks like a file of penstock's."""
    return bool(_CLAIMED.search(text) or _JSON.match(text))


def execute(module: ModuleType) -> None:
    """Read the file that a module stands for. Raises one DefinitionError for all that is wrong in it."""
    file = Path(str(module.__file__))
    vars(module)[_DOCUMENT] = read_document(text_of(file.read_bytes(), str(file)), file, module.__name__)


def find(module: ModuleType, key: str) -> Callable[..., Any]:
    """The function of a task by its key. Raises AttributeError where there is none."""
    document = cast(Document, vars(module)[_DOCUMENT])
    if key not in document.functions:
        raise AttributeError(f"{module.__file__} has no task {key!r}")
    return document.functions[key].function


def read(module: ModuleType, make: Maker) -> Reading:
    """The pipeline of a file, and its triggers."""
    if _DOCUMENT not in vars(module):
        raise DefinitionError(
            f"{Path(str(module.__file__)).name} is a part of itself", remedy="Take it out of its own stages."
        )
    document = cast(Document, vars(module)[_DOCUMENT])
    pipeline = make(_body(document, module.__name__), document.name, document.settings, document.ignored)
    triggers: dict[str, Trigger] = {}
    for scheduled in document.schedules:
        trigger = Trigger(scheduled.noun, pipeline, {})
        trigger.module = module.__name__
        triggers[scheduled.noun.name] = trigger
    return Reading({document.name: pipeline}, triggers)


def _body(document: Document, module: str) -> Any:
    """The function of the pipeline: it puts the nodes of the file into the graph that is being made."""

    def body(**parameters: Any) -> Any:
        build = required_building(document.name)
        if any(build.blocks.groups):
            raise DefinitionError(
                f"the pipeline {document.name} of {document.location.file} cannot be called inside another one",
                remedy="Give it options that make it a part of its own, such as after=; or name it in a stage: uses: FILE.",
            )
        return _result(place(document, build, parameters), build)

    body.__name__ = body.__qualname__ = identifier(document.name)
    body.__module__ = module
    body.__doc__ = document.description or None
    named: Any = body
    named.__signature__ = document.signature
    named.__annotations__ = {each.name: each.kind for each in document.parameters}
    named.location = document.location
    if isinstance(document.result, Mapping):
        setattr(named, RETURNS, tuple(document.result.items))
    return body


def _result(result: Expression, build: Building) -> Any:
    if result == Constant(None):
        return None
    if isinstance(result, Mapping):
        return {name: Ref(each, build) for name, each in result.items.items()}
    return Ref(result, build)


__all__ = ["claims", "execute", "find", "read"]
