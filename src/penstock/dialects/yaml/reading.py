"""A file as pipelines and triggers."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any, cast

from penstock.authoring.building import Building, required_building
from penstock.authoring.ref import Ref, expression_of
from penstock.authoring.triggers.trigger import Trigger
from penstock.dialects import Maker, Reading
from penstock.dialects.yaml.code import identifier
from penstock.dialects.yaml.document import Document, read_document
from penstock.dialects.yaml.source import text_of
from penstock.errors import DefinitionError
from penstock.model.expression import Constant, Mapping, Parameter

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
        for name, value in parameters.items():
            if isinstance(value, Ref) and expression_of(value) == Parameter(name):
                continue
            raise DefinitionError(
                f"the pipeline {document.name} of {document.location.file} cannot be a part of another one",
                remedy="Run it by itself.",
            )
        catalogue = build.catalogue
        catalogue.tasks.update(document.tasks)
        catalogue.functions.update(document.functions)
        catalogue.attached.update(document.attached)
        catalogue.predicates.update(document.predicates)
        build.nodes.update({node.id: node for node in document.nodes})
        return _result(document, build)

    body.__name__ = body.__qualname__ = identifier(document.name)
    body.__module__ = module
    body.__doc__ = document.description or None
    named: Any = body
    named.__signature__ = document.signature
    named.__annotations__ = {each.name: each.kind for each in document.parameters}
    named.location = document.location
    return body


def _result(document: Document, build: Building) -> Any:
    if document.result == Constant(None):
        return None
    if isinstance(document.result, Mapping):
        return {name: Ref(each, build) for name, each in document.result.items.items()}
    return Ref(document.result, build)


__all__ = ["claims", "execute", "find", "read"]
