"""The client, as files call it, against penstock's own store.

While a file is loaded, nothing that its top level calls is started: a recurring run becomes a trigger, and a run is told
of as without effect. What runs later (a component, a test) starts real runs.
"""

from __future__ import annotations

import importlib
import sys
import time
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from penstock.authoring.pipeline import Composition
from penstock.authoring.source import caller
from penstock.authoring.triggers.schedules import cron, every
from penstock.authoring.triggers.trigger import Trigger, trigger
from penstock.dialects import foreign
from penstock.dialects.kfp.compiling import Compiled, as_component
from penstock.dialects.kfp.components import BaseComponent
from penstock.dialects.kfp.refusing import uncovered
from penstock.errors import DefinitionError
from penstock.model.place import Location

_POLL = 0.2
#: how penstock calls the states of runs -> how Kubeflow does
_STATES = {"succeeded": "SUCCEEDED", "failed": "FAILED", "cancelled": "CANCELED", "paused": "PAUSED"}


class Planned(NamedTuple):
    """What a file asks the client for while it is loaded."""

    #: the pipeline, or the file that it was compiled to
    target: BaseComponent | str
    #: the call, for people
    what: str
    location: Location
    name: str = ""
    parameters: Mapping[str, Any] = {}
    #: of a recurring run; None for a single one
    schedule: Any = None
    options: Mapping[str, Any] = {}

    def concerns(self, pipeline: BaseComponent, made: Iterable[Any]) -> bool:
        """Whether it is about a pipeline: itself, or one that was compiled to its file."""
        if not isinstance(self.target, str):
            return self.target is pipeline
        compiled = [each for each in made if isinstance(each, Compiled) and each.path == self.target]
        return any(each.component is pipeline for each in compiled)

    def trigger(self, pipeline: Composition[..., Any]) -> Trigger:
        """The trigger that a recurring run is."""
        made = trigger(pipeline, self.schedule, name=self.name, parameters=dict(self.parameters), **self.options)
        made.noun = msgspec.structs.replace(made.noun, location=self.location)
        made.module = pipeline.function.__module__
        return made


class RunPipelineResult:
    """See `kfp.client.RunPipelineResult`: a run, by its id; empty while the file is loaded."""

    def __init__(self, client: Client, run_id: str) -> None:
        self.run_id = run_id
        self._client = client

    @property
    def run_info(self) -> ApiRun:
        return self._client.get_run(self.run_id)

    def wait_for_run_completion(self, timeout: float | None = None) -> ApiRun:
        return self._client.wait_for_run_completion(self.run_id, timeout)

    def __repr__(self) -> str:
        return f"RunPipelineResult(run_id={self.run_id})"


class ApiRun:
    """A run, as the client tells of it."""

    def __init__(self, run_id: str, state: str, name: str) -> None:
        self.run_id = self.id = run_id
        self.state = self.status = state
        self.display_name = self.name = name

    @property
    def run(self) -> ApiRun:
        """Itself, as the first version has it."""
        return self


class RecurringRun:
    """A recurring run."""

    def __init__(self, name: str) -> None:
        self.recurring_run_id = self.id = self.display_name = self.name = name


class Experiment:
    """What runs belonged to. penstock keeps runs by their pipelines."""

    def __init__(self, name: str) -> None:
        self.experiment_id = self.id = self.display_name = self.name = name


class Client:
    """See `kfp.Client`."""

    def __init__(self, *_: Any, **__: Any) -> None:
        """Addresses and credentials of a server have no effect."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        raise uncovered(f"Client.{name}()", "Use penstock's command line: penstock runs, show, triggers.")

    def create_experiment(self, name: str, *_: Any, **__: Any) -> Experiment:
        return Experiment(name)

    get_experiment = create_experiment

    def create_run_from_pipeline_func(
        self,
        pipeline_func: Any,
        arguments: Mapping[str, Any] | None = None,
        run_name: str | None = None,
        experiment_name: str | None = None,
        *_: Any,
        **__: Any,
    ) -> RunPipelineResult:
        return self._begun(as_component(pipeline_func), "create_run_from_pipeline_func", arguments or {})

    def create_run_from_pipeline_package(
        self,
        pipeline_file: str,
        arguments: Mapping[str, Any] | None = None,
        run_name: str | None = None,
        experiment_name: str | None = None,
        *_: Any,
        **__: Any,
    ) -> RunPipelineResult:
        return self._begun(str(pipeline_file), "create_run_from_pipeline_package", arguments or {})

    def run_pipeline(
        self,
        experiment_id: str,
        job_name: str,
        pipeline_package_path: str | None = None,
        params: Mapping[str, Any] | None = None,
        *_: Any,
        **__: Any,
    ) -> RunPipelineResult:
        if pipeline_package_path is None:
            raise uncovered("Client.run_pipeline() of an uploaded pipeline", "Give it pipeline_package_path.")
        return self._begun(str(pipeline_package_path), "run_pipeline", params or {})

    def create_recurring_run(
        self,
        experiment_id: str = "",
        job_name: str = "",
        description: str | None = None,
        start_time: str | datetime | None = None,
        end_time: str | datetime | None = None,
        interval_second: int | None = None,
        cron_expression: str | None = None,
        max_concurrency: int | None = None,
        no_catchup: bool | None = None,
        params: Mapping[str, Any] | None = None,
        pipeline_package_path: str | None = None,
        pipeline_id: str | None = None,
        version_id: str | None = None,
        enabled: bool | None = None,
        **_: Any,
    ) -> RecurringRun:
        if pipeline_package_path is None:
            raise uncovered("a recurring run of an uploaded pipeline", "Give it pipeline_package_path.")
        if not foreign.loading():
            raise uncovered("Client.create_recurring_run() in a run", "Call it at the top level of the file.")
        bounds: dict[str, Any] = {
            name: value for name, value in (("start", start_time), ("end", end_time)) if value is not None
        }
        if (interval_second is None) == (cron_expression is None):
            raise DefinitionError("a recurring run has either cron_expression or interval_second", where=str(caller()))
        schedule = (
            every(interval_second, **bounds) if interval_second is not None else cron(str(cron_expression), **bounds)
        )
        options = {
            "missed": "latest" if no_catchup else "all",
            **({} if max_concurrency is None else {"at_most": max_concurrency}),
            **({} if enabled is None else {"enabled": enabled}),
            **({} if description is None else {"description": description}),
        }
        what = f"create_recurring_run({job_name!r})"
        foreign.made(Planned(pipeline_package_path, what, caller(), job_name, params or {}, schedule, options))
        return RecurringRun(job_name)

    def get_run(self, run_id: str) -> ApiRun:
        if not run_id:
            return ApiRun("", "PENDING", "")
        found = importlib.import_module("penstock").find_run(run_id)
        state = str(getattr(found.state, "value", found.state))
        return ApiRun(run_id, _STATES.get(state, "RUNNING"), getattr(found, "pipeline", ""))

    def wait_for_run_completion(
        self, run_id: str, timeout: float | None = None, sleep_duration: float = _POLL
    ) -> ApiRun:
        begun = time.monotonic()
        while True:
            found = self.get_run(run_id)
            if found.state not in ("RUNNING", "PAUSED"):
                return found
            if timeout is not None and time.monotonic() - begun > timeout:
                raise TimeoutError(f"the run {run_id} has not ended within {timeout} s")
            time.sleep(min(sleep_duration, _POLL))

    def _begun(self, target: BaseComponent | str, method: str, arguments: Mapping[str, Any]) -> RunPipelineResult:
        if foreign.loading():
            given = "".join(f" -p {name}={value}" for name, value in arguments.items())
            foreign.made(Planned(target, f"Client.{method}(...){given}", caller()))
            return RunPipelineResult(self, "")
        place = target if isinstance(target, str) else _place(target)
        return RunPipelineResult(self, importlib.import_module("penstock").start(place, wait=False, **arguments))


def _place(component: BaseComponent) -> str:
    """What names a pipeline to another process."""
    function = getattr(component, "__wrapped__", None)
    module = sys.modules.get(getattr(function, "__module__", ""))
    file = getattr(module, "__file__", None)
    if function is None or file is None:
        raise DefinitionError(f"{component.name} cannot be started: it is in no file", where=str(caller()))
    return f"{Path(file)}:{function.__name__}"


__all__ = ["ApiRun", "Client", "Planned", "RunPipelineResult"]
