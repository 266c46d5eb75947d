"""The compiler, as files call it: it writes a pipeline as Kubeflow's own format.

What the top level of a file compiles is written once a run of the file begins: whoever only looks at it, or lists or
registers what it has, and every worker, loads it as well.
"""

from __future__ import annotations

import io
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from penstock.authoring.source import caller
from penstock.dialects import foreign
from penstock.dialects.kfp.components import BaseComponent, pipeline
from penstock.dialects.kfp.structures import Component, Graph
from penstock.dialects.kfp.tracing import kubernetes_name
from penstock.errors import DefinitionError

_INSIDE = "pipeline.yaml"


class Compiled(NamedTuple):
    """A file that was compiled while a file was loaded."""

    component: BaseComponent
    path: str
    text: str

    def put(self) -> None:
        """Write the file, unless it says the same already."""
        _put(Path(self.path), self.text)


class Compiler:
    """See `kfp.compiler.Compiler`."""

    def __init__(self, *_: Any, **__: Any) -> None:
        """What the first version is given, its modes, has no effect."""

    def compile(
        self,
        pipeline_func: BaseComponent | Callable[..., Any],
        package_path: str,
        pipeline_name: str | None = None,
        pipeline_parameters: Mapping[str, Any] | None = None,
        type_check: bool = True,
        **_: Any,
    ) -> None:
        """Write a pipeline, or a component, to a file: while a file is loaded, once a run of it begins. One that says the
        same already is left as it is.

        Raises DefinitionError for a file name that has no format.
        """
        from penstock.dialects.kfp.ir.writing import written

        made = as_component(pipeline_func)
        component = _changed(made.component, pipeline_name, pipeline_parameters)
        compiled = Compiled(made, str(package_path), written(component))
        _check_format(Path(package_path))
        if foreign.loading():
            foreign.made(compiled)
        else:
            compiled.put()


def compiled_above(path: str | Path) -> str | None:
    """What the file that is being loaded has compiled to a path; None where it has not."""
    found = [
        each.text for each in foreign.made_so_far() if isinstance(each, Compiled) and Path(each.path) == Path(path)
    ]
    return found[-1] if found else None


def as_component(given: Any) -> BaseComponent:
    """A component; a plain function as a pipeline, as the first version had it. Raises DefinitionError for anything else."""
    if isinstance(given, BaseComponent):
        return given
    if callable(given) and hasattr(given, "__name__"):
        return pipeline(given)
    raise DefinitionError(f"{given!r} is no pipeline, and cannot be compiled", where=str(caller()))


def _changed(component: Component, name: str | None, parameters: Mapping[str, Any] | None) -> Component:
    if name is not None:
        component = msgspec.structs.replace(component, name=kubernetes_name(name))
    if not parameters:
        return component
    known = {each.name for each in component.inputs}
    unknown = next((each for each in parameters if each not in known), None)
    if unknown is not None or not isinstance(component.implementation, Graph):
        raise DefinitionError(f"{component.name} has no parameter {unknown!r} to compile", where=str(caller()))
    inputs = tuple(
        msgspec.structs.replace(each, default=parameters[each.name], optional=True) if each.name in parameters else each
        for each in component.inputs
    )
    return msgspec.structs.replace(component, inputs=inputs)


def _check_format(path: Path) -> None:
    if not path.name.endswith((".yaml", ".yml", ".json", ".zip", ".tar.gz", ".tgz")):
        raise DefinitionError(
            f"{path} does not say in which format to compile", where=str(caller()), remedy="Call it NAME.yaml."
        )


def _put(path: Path, text: str) -> None:
    if path.name.endswith(".zip"):
        content = _zipped(text)
    else:
        content = text.encode() if path.name.endswith((".yaml", ".yml", ".json")) else _tarred(text)
    if not path.is_file() or path.read_bytes() != content:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def _zipped(text: str) -> bytes:
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w") as archive:
        archive.writestr(zipfile.ZipInfo(_INSIDE), text)
    return whole.getvalue()


def _tarred(text: str) -> bytes:
    import gzip

    inner = io.BytesIO()
    with tarfile.open(fileobj=inner, mode="w") as archive:
        info = tarfile.TarInfo(_INSIDE)
        info.size = len(text.encode())
        archive.addfile(info, io.BytesIO(text.encode()))
    return gzip.compress(inner.getvalue(), mtime=0)


__all__ = ["Compiled", "Compiler", "as_component", "compiled_above"]
