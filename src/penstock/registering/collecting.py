"""What a file or a module defines: pipelines, assets and triggers as they are registered, with the identity of their code."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, cast

import msgspec

from penstock.app import Pipeline
from penstock.authoring.decorated import Decorated
from penstock.authoring.kinds.parameters import to_json
from penstock.authoring.pipeline import Composition
from penstock.authoring.pipeline import Definition as Composed
from penstock.authoring.source import location_of
from penstock.errors import DefinitionError, PenstockError, TargetError
from penstock.model.action import CommandAction, ContainerAction
from penstock.model.asset import AssetSpec
from penstock.model.graph import Graph
from penstock.model.identity import SourceText, TaskIdentity
from penstock.model.place import Location
from penstock.model.registration import Definition, Kind
from penstock.registering.composing import composing
from penstock.registering.loading import load_module, place_of, reading_of
from penstock.registering.parts import AskedFor, parts_of_document, parts_of_graph, whole
from penstock.registering.places import Place
from penstock.runtime.identities import Identities
from penstock.runtime.opaque import check_runnable
from penstock.starting import name_in
from penstock.values import Values

if TYPE_CHECKING:
    from penstock.authoring.assets.asset import Asset
    from penstock.authoring.assets.external import ExternalAsset
    from penstock.authoring.triggers.trigger import Trigger


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """What is wrong with a file, or with something in it."""

    #: the file or module
    place: str
    what: str
    where: str | None = None
    remedy: str | None = None
    #: another file or module that it is about as well
    beside: str = ""


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """Something that can be registered."""

    definition: Definition
    #: `file:line`
    where: str
    #: it is only here because a trigger of the file starts it
    implied: bool = False


class Collected(msgspec.Struct, kw_only=True):
    """What a file or a module defines, and what is wrong in it."""

    found: list[Found] = []
    faults: list[Fault] = []
    identities: list[TaskIdentity] = []
    texts: list[SourceText] = []


def collect(place: Place, values: Values, folder: Path) -> Collected:
    """What there is in a place. `values` digest the constants in code, `folder` is that of the project. Never raises for
    what is wrong with the user's code."""
    collected = Collected()
    with _told(collected, place.origin):
        module = load_module(place.origin)
        collector = _Collector(module, place, Identities(values, folder), values, collected)
        collector.collect()
        collector.keep()
    return collected


@contextmanager
def _told(collected: Collected, place: str, where: str | None = None) -> Generator[None]:
    """What goes wrong in the block is told among the faults."""
    try:
        yield
    except PenstockError as error:
        collected.faults.append(Fault(place=place, what=error.what, where=error.where, remedy=error.remedy))
    except (
        Exception
    ) as error:  # what is wrong with one definition, even if that is our doing, is not to lose the others
        lines = "".join(traceback.format_exception(error)).rstrip()
        what = f"this is a fault in penstock; please report it with these lines\n{lines}"
        collected.faults.append(Fault(place=place, what=what, where=where))


class _Collector:
    """Goes through the top level of a module."""

    def __init__(
        self, module: ModuleType, place: Place, identities: Identities, values: Values, collected: Collected
    ) -> None:
        self._module = module
        self._place = place
        self._identities = identities
        self._values = values
        self._collected = collected
        #: what is registered already: by the address of the function, and the name
        self._seen: set[tuple[int, str]] = set()

    def collect(self) -> None:
        from penstock.authoring.assets.asset import Asset
        from penstock.authoring.assets.external import ExternalAsset
        from penstock.authoring.triggers.trigger import Trigger

        before = len(self._collected.found) + len(self._collected.faults)
        for name, value in self._defined():
            if not isinstance(value, (Pipeline, Asset, ExternalAsset, Trigger)):
                continue
            found = cast("Pipeline[..., Any] | Asset[..., Any] | ExternalAsset | Trigger", value)
            if not self._is_meant(name, found) or not self._is_own(found):
                continue
            with _told(self._collected, self._place.origin, f"{name} in {self._place.origin}"):
                match found:
                    case Pipeline():
                        self._add_pipeline(name, found)
                    case Asset():
                        self._add_asset(name, found)
                    case ExternalAsset():
                        self._add_external(name, found)
                    case Trigger():
                        self._add_trigger(name, found)
        if self._place.name and len(self._collected.found) + len(self._collected.faults) == before:
            raise TargetError(f"there is no pipeline, asset or trigger {self._place.name!r} in {self._place.origin}")

    def _defined(self) -> list[tuple[str, Any]]:
        """What the module has at its top level, or defines in another system's dialect, by name."""
        reading = reading_of(self._module)
        if reading is None:
            return list(vars(self._module).items())
        return [*reading.pipelines.items(), *reading.triggers.items()]

    def keep(self) -> None:
        """Take along what the digests are of."""
        known = {identity.digest: identity for identity in self._identities.known.values()}
        self._collected.identities = list(known.values())
        self._collected.texts = [SourceText(digest, text) for digest, text in self._identities.texts.items()]

    def _is_meant(self, name: str, value: Any) -> bool:
        return self._place.name in ("", name, getattr(value, "name", ""))

    def _is_own(self, value: Any) -> bool:
        """Whether something is not merely imported from another module."""
        if reading_of(self._module) is not None:
            return True
        location = getattr(value, "location", None)
        if not isinstance(value, Decorated) and isinstance(location, Location) and self._module.__file__ is not None:
            return Path(location.file).resolve() == Path(self._module.__file__).resolve()
        module = cast(Any, value).function.__module__
        elsewhere = vars(sys.modules[module]) if module in sys.modules else {}
        return module == self._module.__name__ or not any(each is value for each in elsewhere.values())

    def _add_pipeline(self, name: str, pipeline: Pipeline[..., Any], *, implied: bool = False) -> None:
        key = (id(pipeline.function), pipeline.name)
        if key in self._seen:
            # the same under other options
            return
        self._seen.add(key)
        parts, graph = self._composed(pipeline)
        document = {
            "parameters": msgspec.to_builtins(pipeline.parameters, enc_hook=to_json),
            "description": "" if graph is None else graph.description,
            "tasks": None if graph is None else len(graph.nodes),
            "dynamic": graph is None or graph.dynamic_at is not None,
        }
        where = str(location_of(pipeline.function))
        self._add("pipeline", pipeline.name, name, parts, document, where, implied=implied)

    def _composed(self, pipeline: Pipeline[..., Any]) -> tuple[dict[str, bytes], Graph | None]:
        """The parts of a pipeline, and its graph as far as it does not depend on values that are not known."""
        from penstock.runtime.inputs.constants import with_stored_constants

        known = AskedFor(pipeline.signature.resolve(given={}, partial=True))
        try:
            with composing(pipeline):
                composed = pipeline.define(known)
        except PenstockError:
            if not known.missing:
                raise
            parts = parts_of_graph(Graph(pipeline.name, pipeline.parameters, {}, ()), {})
            return {**parts, f"function {pipeline.name}": self._body(pipeline)}, None
        check_runnable(composed.graph.nodes, composed.graph.tasks)
        graph = with_stored_constants(composed.graph, self._values)
        parts = parts_of_graph(graph, dict(self._code(pipeline.name, composed)))
        if graph.dynamic_at is not None or composed.bodies:
            # what it may call yet, its code alone can tell
            parts[f"function {pipeline.name}"] = self._body(pipeline)
        return parts, graph

    def _body(self, pipeline: Composition[..., Any]) -> bytes:
        return self._identities.add_code(f"body {pipeline.name}", pipeline.name, pipeline.function).digest

    def _code(self, pipeline: str, composed: Composed) -> Iterator[tuple[str, bytes]]:
        for key, noun in composed.graph.tasks.items():
            own = f"{pipeline} {key}"
            if isinstance(noun.action, (CommandAction, ContainerAction)):
                yield key, self._identities.add_program(own, noun.name, noun.action).digest
            elif key in composed.functions:
                yield key, self._identities.add_function(own, composed.functions[key]).digest

    def _add_asset(self, name: str, asset: Asset[..., Any]) -> None:
        code = {asset.name: self._identities.add_function(f"asset {asset.name}", asset).digest}
        for check in asset.checks:
            key = f"{asset.name}.{check.name}"
            code[key] = self._identities.add_function(f"check {key}", check).digest
        self._add_spec(name, asset.spec, code)

    def _add_external(self, name: str, asset: ExternalAsset) -> None:
        function = asset.function
        code = {} if function is None else {asset.name: self._function(f"asset {asset.name}", function)}
        self._add_spec(name, asset.spec, code)

    def _add_spec(self, name: str, spec: AssetSpec, code: Mapping[str, bytes]) -> None:
        document = {"spec": msgspec.to_builtins(spec), "code": code[spec.name].hex() if spec.name in code else ""}
        self._add("asset", spec.name, name, parts_of_document(spec, code), document, str(spec.location))

    def _add_trigger(self, name: str, trigger: Trigger) -> None:
        trigger = trigger.named(name)
        trigger.check()
        noun = trigger.noun
        if trigger.composition is not None:
            self._add_started(trigger, trigger.composition)
        code = {each: self._function(f"{noun.name} {each}", function) for each, function in trigger.functions.items()}
        parts = parts_of_document(noun, code)
        self._add("trigger", noun.name, name, parts, msgspec.to_builtins(noun), str(noun.location))

    def _function(self, key: str, function: Callable[..., Any]) -> bytes:
        return self._identities.add_code(key, key, function).digest

    def _add_started(self, trigger: Trigger, started: Composition[..., Any]) -> None:
        """Take along the pipeline that a trigger starts, which may be defined elsewhere. Raises DefinitionError for one that
        no other process can load."""
        module = sys.modules.get(started.function.__module__)
        name = started.target.rpartition(":")[2] or name_in(module, started)
        if module is None or name is None:
            raise DefinitionError(
                f"{started.name}, which {trigger.noun.name} starts, cannot be loaded by another process: it is not at the "
                "top level of a module",
                where=str(trigger.location),
                remedy="Define it at the top level of a file, under its own name.",
            )
        known = cast("Pipeline[..., Any]", started) if started.target else None
        pipeline = known or cast("Pipeline[..., Any]", getattr(module, name))
        with self._in(module):
            self._add_pipeline(name, pipeline, implied=True)

    @contextmanager
    def _in(self, module: ModuleType) -> Generator[None]:
        """What is added in the block is of another module."""
        before, self._module = self._module, module
        try:
            yield
        finally:
            self._module = before

    def _add(
        self,
        kind: Kind,
        called: str,
        name: str,
        parts: Mapping[str, bytes],
        document: Any,
        where: str,
        *,
        implied: bool = False,
    ) -> None:
        definition = Definition(
            kind=kind,
            name=called,
            target=f"{place_of(self._module)}:{name}",
            digest=whole(parts),
            parts=dict(parts),
            document=document,
            origin=_origin_of(self._module) if implied else self._place.origin,
        )
        self._collected.found.append(Found(definition=definition, where=where, implied=implied))


def _origin_of(module: ModuleType) -> str:
    place = place_of(module)
    return str(Path(module.__file__).resolve()) if module.__file__ is not None and place == module.__name__ else place


__all__ = ["Collected", "Fault", "Found", "collect"]
