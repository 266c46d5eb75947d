"""What a compiled component does: its executor, read."""

from __future__ import annotations

import functools
import json
import re
import shlex
from collections.abc import Mapping
from typing import Any, NamedTuple, cast

from penstock.dialects.kfp.ir.sourced import function_of, has_function, without_header
from penstock.dialects.kfp.structures import (
    ArtifactType,
    Concat,
    Constant,
    Container,
    Given,
    IfPresent,
    Implementation,
    Importer,
    Python,
    Resources,
    Word,
)
from penstock.errors import NotCoveredError

_RUNNER = re.compile(r"kfp(?:\.dsl|\.components|\.v2\.components)\.executor_main")
_INSTALL = re.compile(r"pip3? install ([^&\n]*)")
_DEFAULT_IMAGES = frozenset({"python:3.11", "python:3.9", "python:3.7"})


class Home(NamedTuple):
    """Where components stand."""

    #: of messages
    where: str
    #: of the module that their functions are said to be in
    module: str


def implementation(name: str, executor: Mapping[str, Any], home: Home) -> Implementation:
    """What an executor does. Raises NotCoveredError for a kind that is not known."""
    if "importer" in executor:
        return _importer(executor["importer"])
    if "container" not in executor:
        raise NotCoveredError(
            f"the executor {name!r} ({', '.join(executor)}) is not covered by penstock's reader of compiled pipelines",
            where=home.where,
            remedy="Executors are containers, Python functions and importers.",
        )
    container = executor["container"]
    command = [str(each) for each in container.get("command", ())]
    arguments = [str(each) for each in container.get("args", ())]
    function = _function_name(command, arguments)
    if function is not None and command and has_function(command[-1], function):
        return _python(name, container, command, function, home)
    return Container(
        container.get("image", ""),
        tuple(word(each) for each in command),
        tuple(word(each) for each in arguments),
        _environment(container),
    )


def _function_name(command: list[str], arguments: list[str]) -> str | None:
    """The function that a program of Kubeflow's own runs; None for any other program."""
    if not any(_RUNNER.search(each) for each in command) or "--function_to_execute" not in arguments[:-1]:
        return None
    return arguments[arguments.index("--function_to_execute") + 1]


def _python(name: str, container: Mapping[str, Any], command: list[str], function: str, home: Home) -> Python:
    text = command[-1]
    installs = [shlex.split(each) for each in _INSTALL.findall("\n".join(command[:-1]))]
    packages: list[str] = []
    indexes: dict[str, list[str]] = {"index": [], "trusted": []}
    version, kfp = "", False
    for install in installs:
        words = iter(install)
        of_kfp = any(each == "kfp" or re.match(r"kfp[=<>~!\[]", each) for each in install) and "--no-deps" in install
        for each in words:
            if each in ("--index-url", "--extra-index-url", "-i"):
                indexes["index"].append(next(words, ""))
            elif each == "--trusted-host":
                indexes["trusted"].append(next(words, ""))
            elif of_kfp and each.startswith("kfp"):
                kfp, version = True, each.partition("==")[2]
            elif not each.startswith("-") and not of_kfp:
                packages.append(each)
    image = container.get("image")
    return Python(
        function=function_of(text, function, f"{home.where}: {name}", home.module),
        source=without_header(text),
        base_image=None if image in _DEFAULT_IMAGES else image,
        packages=tuple(packages),
        index_urls=tuple(dict.fromkeys(indexes["index"])),
        trusted_hosts=tuple(dict.fromkeys(indexes["trusted"])),
        install_kfp=kfp,
        kfp_version=version,
        reference=name,
    )


def _importer(importer: Mapping[str, Any]) -> Importer:
    uri = importer.get("artifactUri", {})
    schema = importer.get("typeSchema", {})
    constant = uri.get("constant", uri.get("constantValue", {}).get("stringValue"))
    return Importer(
        Given(uri.get("runtimeParameter", "uri")) if constant is None else Constant(constant),
        ArtifactType(schema.get("schemaTitle", "system.Artifact"), schema.get("schemaVersion", "0.0.1")),
        bool(importer.get("reimport", False)),
        importer.get("metadata", {}),
    )


def _environment(container: Mapping[str, Any]) -> dict[str, str]:
    return {each["name"]: str(each.get("value", "")) for each in container.get("env", ())}


def word(text: str) -> Word:
    """A part of a command; what is concatenated or conditional is written as JSON inside of it."""
    if not text.startswith(('{"Concat"', '{"IfPresent"')):
        return text
    try:
        return structured(json.loads(text))
    except ValueError:
        return text


def structured(found: Any) -> Word:
    """The same of what was read already."""
    if isinstance(found, Mapping):
        given = cast("Mapping[str, Any]", found)
        if "Concat" in given:
            return Concat(tuple(structured(each) for each in given["Concat"]))
        if "IfPresent" in given:
            inner = given["IfPresent"]
            return IfPresent(inner["InputName"], _words(inner.get("Then", ())), _words(inner.get("Else", ())))
    return word(found) if isinstance(found, str) else str(cast(Any, found))


def _words(given: Any) -> tuple[Word, ...]:
    listed = cast("list[Any]", given) if isinstance(given, list) else [given]
    return tuple(structured(each) for each in listed)


def resources(container: Mapping[str, Any]) -> Resources:
    """What an executor takes of the machine."""
    given: Mapping[str, Any] = container.get("resources", {})
    accelerator: Mapping[str, Any] = given.get("accelerator", {})
    amount = functools.partial(_amount, given)
    return Resources(
        amount("resourceCpuRequest", "cpuRequest"),
        amount("resourceCpuLimit", "cpuLimit"),
        amount("resourceMemoryRequest", "memoryRequest", "G"),
        amount("resourceMemoryLimit", "memoryLimit", "G"),
        str(accelerator.get("resourceType", accelerator.get("type", ""))),
        str(accelerator.get("resourceCount", accelerator.get("count", ""))),
    )


def _amount(given: Mapping[str, Any], name: str, older: str, unit: str = "") -> str:
    if name in given:
        return str(given[name])
    return f"{given[older]:g}{unit}" if older in given else ""


__all__ = ["Home", "implementation", "resources", "structured", "word"]
