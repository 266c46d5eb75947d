"""Components called outside a pipeline, and `kfp.local`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from penstock.authoring.source import caller, location_of
from penstock.dialects import foreign
from penstock.dialects.kfp.actions import function_of
from penstock.dialects.kfp.calls import About
from penstock.dialects.kfp.refusing import uncovered
from penstock.dialects.kfp.stored import StoredArtifact
from penstock.dialects.kfp.structures import Constant, Python, Task
from penstock.errors import DefinitionError

if TYPE_CHECKING:
    from penstock.dialects.kfp.components import BaseComponent


class SubprocessRunner:
    """See `kfp.local.SubprocessRunner`. penstock has executors of its own."""

    def __init__(self, use_venv: bool = True, **_: Any) -> None:
        self.use_venv = use_venv


class DockerRunner:
    """See `kfp.local.DockerRunner`. Components run in containers where their images say so."""

    def __init__(self, **_: Any) -> None:
        """What it is given is for Docker's own library."""


def init(runner: Any = None, pipeline_root: str = "./local_outputs", raise_on_error: bool = True, **_: Any) -> None:
    """See `kfp.local.init`. Components that are called outside a pipeline run right there, also without it."""


class LocalTask:
    """A component called outside a pipeline. It runs once somebody asks for an output of it."""

    def __init__(self, called: BaseComponent, arguments: Mapping[str, Any]) -> None:
        self._called = called
        self._arguments = dict(arguments)
        self._where = caller()
        self.name = called.component.name
        self._outputs: dict[str, Any] | None = None
        if not isinstance(called.component.implementation, Python):
            foreign.made(self)

    @property
    def what(self) -> str:
        """The call, for people."""
        given = ", ".join(f"{name}={value!r}" for name, value in self._arguments.items())
        return f"{self._called.name}({given})"

    @property
    def location(self) -> Any:
        return self._where

    def concerns(self, component: BaseComponent) -> bool:
        return component is self._called

    @property
    def outputs(self) -> Mapping[str, Any]:
        if self._outputs is None:
            self._outputs = self._run()
        return self._outputs

    @property
    def output(self) -> Any:
        if len(self.outputs) != 1:
            raise DefinitionError(f"{self.name} does not have exactly one output", where=str(caller()))
        return next(iter(self.outputs.values()))

    def __getattr__(self, name: str) -> Any:
        if name.startswith(("set_", "add_", "after", "ignore_")):
            return self._said
        raise AttributeError(name)

    def _said(self, *_: Any, **__: Any) -> LocalTask:
        """What is said of how it is run is for pipelines."""
        return self

    def _run(self) -> dict[str, Any]:
        component = self._called.component
        if not isinstance(component.implementation, Python):
            raise uncovered(
                f"the value of {component.name}, called outside a pipeline,",
                f"Run it: penstock run {location_of(getattr(self._called, '__wrapped__', caller)).file}",
            )
        known = {name: Constant(value) for name, value in self._arguments.items()}
        task = Task(component.name, component, known, location=self._where)
        function, _ = function_of(task, About("local", component.name))
        returned = function(**self._arguments)
        names = [each.name for each in component.outputs]
        found = {names[0]: returned} if len(names) == 1 else dict(returned or {})
        return {name: _shown(value) for name, value in found.items()}


def _shown(value: Any) -> Any:
    from penstock.dialects.kfp.artifacts import SYSTEM, Artifact

    return value.opened(SYSTEM.get(value.type, Artifact)) if isinstance(value, StoredArtifact) else value


__all__ = ["DockerRunner", "LocalTask", "SubprocessRunner", "init"]
