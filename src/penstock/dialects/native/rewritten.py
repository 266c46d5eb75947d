"""Bodies whose graph is not known as a whole, as their own text: where the dialect that they come from can rewrite it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from penstock.authoring.pipeline import Composition
from penstock.authoring.task import Task
from penstock.dialects.code.formatting import block, call, docstring, keywords, quoted
from penstock.dialects.code.sources import Sources
from penstock.dialects.native.drafts import pipeline_at
from penstock.errors import DefinitionError
from penstock.model.place import Location

if TYPE_CHECKING:
    from penstock.dialects.native.writing import Writer


def rewritten(writer: Writer, sources: Sources, location: Location) -> list[str] | None:
    """The lines of the body of the pipeline of a writer, and in the file all that they call; None where that cannot be."""
    flow = pipeline_at(location, writer.graph.name)
    if flow is None or not hasattr(flow, "native_source"):
        return None
    try:
        with sources.whole():
            return _Texts(writer, sources).main(flow)
    except DefinitionError:
        return None


class _Texts:
    def __init__(self, writer: Writer, sources: Sources) -> None:
        self._writer, self._sources = writer, sources
        self._decorators: dict[str, str] = {}
        self._bodies: dict[str, list[str]] = {}
        self._remarks: list[str] = []
        self._known: dict[int, str] = {}

    def main(self, flow: Any) -> list[str]:
        lines = self._text(flow).body
        for name, value in vars(sys.modules[flow.fn.__module__]).items():
            if isinstance(value, (Task, Composition)) and self._sources.reached(name):
                raise DefinitionError(f"{name} is called by plain functions")
        self._writer.add_rewritten(self._decorators, self._bodies, self._remarks)
        return list(lines)

    def _text(self, flow: Any) -> Any:
        found = flow.native_source()
        if found is None:
            raise DefinitionError(f"{flow.name} has no text for penstock")
        for called, task in found.tasks.items():
            self._task(called, task)
        for called, part in found.flows.items():
            self._part(called, part)
        for name in found.names:
            self._sources.reach(flow.fn, name, flow.name)
        for alias, name in found.imports.items():
            self._writer.imports.name("penstock", name, alias)
        self._remarks += found.remarks
        return found

    def _task(self, called: str, task: Task[..., Any]) -> None:
        name = self._writer.known_name(task)
        if not name:
            name, head = self._writer.mentioned(called, task)
            self._decorators[name] = f"@{head}"
        if name != called or self._sources.reached(name) or self._sources.is_imported(name):
            raise DefinitionError(f"{called} is called {name} in the file")

    def _part(self, called: str, flow: Any) -> None:
        if id(flow) in self._known:
            if self._known[id(flow)] != called:
                raise DefinitionError(f"{called} has two names")
            return
        self._known[id(flow)] = called
        if called != flow.fn.__name__ or self._sources.reserve(called) != called:
            raise DefinitionError(f"{called} is not the name of its function alone")
        found = self._text(flow)
        for name in found.signature_names:
            self._sources.reach(flow.fn, name, flow.name)
        decorator = self._writer.imports.name("penstock", "pipeline")
        head = call(decorator, keywords({"name": quoted(flow.name)})) if flow.name != called else decorator
        self._bodies[called] = [
            f"@{head}",
            f"def {called}{found.signature}",
            *block([*docstring(found.docstring), *found.body]),
        ]


__all__ = ["rewritten"]
