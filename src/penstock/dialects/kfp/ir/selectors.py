"""Where the inputs of compiled tasks come from, as seen from the pipeline that they are in.

Compiled groups are pipelines of their own, to which values are handed through inputs; here these are seen through.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

import msgspec

from penstock.dialects.kfp.ir.signatures import inputs_of, typed, whole
from penstock.dialects.kfp.structures import (
    Collected,
    Constant,
    FinalStatus,
    Item,
    Nested,
    OneOf,
    Produced,
    Resources,
    Retry,
    Source,
    TaskSettings,
    Text,
)
from penstock.errors import NotCoveredError

if TYPE_CHECKING:
    from penstock.dialects.kfp.ir.reading import _Reader  # pyright: ignore[reportPrivateUsage]

_PLACE = re.compile(r"\{\{\$\.inputs\.parameters\[(?:'([^']+)'|\"([^\"]+)\"|\\?'([^']+?)\\?')\]\}\}")
_KEYS = re.compile(r'\[(?:"([^"]*)"|\'([^\']*)\')\]')


class Scope:
    """The tasks of one graph of a document; `sources` are what its inputs stand for."""

    def __init__(self, reader: _Reader, dag: Mapping[str, Any], sources: Mapping[str, Source]) -> None:
        self.reader, self.dag, self.sources = reader, dag, sources
        self.tasks: Mapping[str, Any] = dag.get("tasks", {})

    def component(self, task: str) -> Mapping[str, Any]:
        return self.reader.components[self.tasks[task]["componentRef"]["name"]]

    def inner(self, task: str, more: Mapping[str, Source] | None = None) -> Scope:
        """The scope inside of a group."""
        given = {name: value for name, value in self.arguments(task).items() if not isinstance(value, tuple)}
        return Scope(self.reader, self.component(task)["dag"], {**given, **(more or {})})

    def arguments(self, task: str) -> dict[str, Source | tuple[Source, ...]]:
        """What a task is given, by input."""
        given: Mapping[str, Any] = self.tasks[task].get("inputs", {})
        kinds = {each.name: each.type for each in inputs_of(self.component(task))}
        found: dict[str, Source | tuple[Source, ...]] = {}
        for kind in ("parameters", "artifacts"):
            for name, selector in given.get(kind, {}).items():
                if "runtimeValue" not in selector:
                    found[name] = self._selected(selector, task)
        for name, selector in given.get("parameters", {}).items():
            if "runtimeValue" in selector:
                found[name] = self._constant(selector["runtimeValue"], kinds.get(name), found)
        return found

    def producers(self, task: str) -> set[str]:
        """The tasks of the graph that a task takes values of."""
        given: Mapping[str, Any] = self.tasks[task].get("inputs", {})
        return {
            inner["producerTask"]
            for kind in given.values()
            for selector in kind.values()
            for inner in selector.values()
            if isinstance(inner, Mapping) and "producerTask" in inner
        }

    def raw(self, text: str) -> Source:
        """The items of a loop that are written out; constants, or a text with places for values."""
        return Constant(json.loads(text))

    def _constant(self, value: Mapping[str, Any], kind: Any, given: Mapping[str, Any]) -> Source:
        constant: Any = value.get("constant")
        if "constantValue" in value:
            constant = next(iter(value["constantValue"].values()))
        if isinstance(constant, str) and _PLACE.search(constant):
            return Text(tuple(_pieces(constant, given)))
        if isinstance(constant, (list, dict)) and _PLACE.search(json.dumps(constant).replace('\\"', '"')):
            return Nested(_nested(whole(constant), given))
        return Constant(typed(constant, kind))

    def _selected(self, selector: Mapping[str, Any], task: str) -> Source:
        path = tuple(one or two for one, two in _KEYS.findall(selector.get("parameterExpressionSelector", "")))
        match selector:
            case {"componentInputParameter": str(name)} | {"componentInputArtifact": str(name)}:
                return self._part(self.sources[name], path, task)
            case {"taskOutputParameter": given}:
                return self._part(self.produced(given["producerTask"], given["outputParameterKey"]), path, task)
            case {"taskOutputArtifact": given}:
                return self.produced(given["producerTask"], given["outputArtifactKey"])
            case {"taskFinalStatus": given}:
                return FinalStatus(given["producerTask"])
            case _:
                raise self._refused(f"an input of {task!r} that comes from {', '.join(selector)}")

    def _part(self, source: Source, path: tuple[str, ...], task: str) -> Source:
        if not path:
            return source
        if isinstance(source, (Produced, Item)):
            return msgspec.structs.replace(source, path=source.path + path)
        if isinstance(source, Constant):
            value = source.value
            for key in path:
                value = value[key]
            return Constant(value)
        raise self._refused(f"a part of what {task!r} is given")

    def _refused(self, what: str) -> NotCoveredError:
        return NotCoveredError(
            f"{what} is not covered by penstock's reader of compiled pipelines",
            where=self.reader.home.where,
            remedy="Read the Python file that it was compiled from, or let a component take the part out of the value.",
        )

    def produced(self, task: str, output: str) -> Source:
        """An output of a task; that of a group is of a task in it."""
        if not self._is_group(task):
            return Produced(task, output)
        inner = self.inner_for_outputs(task)
        found = inner.output(output)
        spec = self.tasks[task]
        if "parameterIterator" in spec or "artifactIterator" in spec:
            return found if isinstance(found, Collected) else Collected(cast(Produced, found))
        return found

    def inner_for_outputs(self, task: str) -> Scope:
        """The scope inside of a group, where only what its tasks produce is asked for."""
        return Scope(self.reader, self.component(task)["dag"], {})

    def _is_group(self, task: str) -> bool:
        spec = self.tasks[task]
        iterated = "parameterIterator" in spec or "artifactIterator" in spec
        group = iterated or bool(re.match(r"(condition|condition-branches|exit-handler|for-loop)-\d+$", task))
        return group and "dag" in self.component(task)

    def output(self, name: str) -> Source:
        """Where an output of the graph comes from."""
        given: Mapping[str, Any] = self.dag.get("outputs", {})
        parameter = given.get("parameters", {}).get(name)
        if parameter is not None:
            if "valueFromOneof" in parameter:
                return self._one_of(parameter["valueFromOneof"]["parameterSelectors"], "outputParameterKey")
            chosen = parameter["valueFromParameter"]
            return self.produced(chosen["producerSubtask"], chosen["outputParameterKey"])
        chosen = given["artifacts"][name]["artifactSelectors"]
        return self._one_of(chosen, "outputArtifactKey")

    def _one_of(self, selectors: list[Mapping[str, Any]], key: str) -> Source:
        found = [self.produced(each["producerSubtask"], each[key]) for each in selectors]
        return found[0] if len(found) == 1 else OneOf(tuple(cast("list[Produced]", found)))


def _pieces(text: str, given: Mapping[str, Any]) -> list[str | Source]:
    found: list[str | Source] = []
    at = 0
    for match in _PLACE.finditer(text):
        if match.start() > at:
            found.append(text[at : match.start()])
        found.append(given[next(each for each in match.groups() if each is not None)])
        at = match.end()
    if at < len(text):
        found.append(text[at:])
    return found


def _nested(value: Any, given: Mapping[str, Any]) -> Any:
    if isinstance(value, list):
        return [_nested(each, given) for each in cast("list[Any]", value)]
    if isinstance(value, dict):
        return {key: _nested(each, given) for key, each in cast("dict[str, Any]", value).items()}
    if not isinstance(value, str) or not _PLACE.search(value):
        return value
    pieces = _pieces(value, given)
    return pieces[0] if len(pieces) == 1 else Text(tuple(pieces))


def task_settings(
    name: str,
    spec: Mapping[str, Any],
    container: Mapping[str, Any],
    resources: Resources,
    platforms: Mapping[str, Mapping[str, Any]],
) -> TaskSettings:
    """How a compiled task is run."""
    shown = spec.get("taskInfo", {}).get("name", name)
    caching: Mapping[str, Any] = spec.get("cachingOptions", {})
    on = caching.get("enableCache", False) if "cachingOptions" in spec else None
    policy = spec.get("triggerPolicy", {})
    return TaskSettings(
        "" if shown == name else shown,
        None if on in (True, None) else False,
        caching.get("cacheKey", ""),
        _retry(spec.get("retryPolicy")),
        resources,
        {each["name"]: str(each.get("value", "")) for each in container.get("env", ())},
        "",
        policy.get("strategy") == "ALL_UPSTREAM_TASKS_COMPLETED",
        whole(platforms),
    )


def _retry(policy: Mapping[str, Any] | None) -> Retry | None:
    if policy is None:
        return None
    return Retry(
        int(policy.get("maxRetryCount", 0)),
        _seconds(policy.get("backoffDuration", "0s")),
        float(policy.get("backoffFactor", 2.0)),
        _seconds(policy.get("backoffMaxDuration", "3600s")),
    )


def _seconds(text: str) -> float:
    return float(str(text).removesuffix("s"))


__all__ = ["Scope", "task_settings"]
