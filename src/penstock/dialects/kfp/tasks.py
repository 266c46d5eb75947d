"""A task of a pipeline, as the file sees it: what a call of a component returns."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self, cast

import msgspec

from penstock.authoring.source import caller
from penstock.dialects.kfp.channels import Channel, constant_type, source_of, type_text
from penstock.dialects.kfp.structures import (
    ArtifactType,
    Component,
    FinalStatus,
    Graph,
    Importer,
    Input,
    Produced,
    Retry,
    Source,
    Task,
    TaskSettings,
)
from penstock.errors import DefinitionError
from penstock.model.graph import Ignored

if TYPE_CHECKING:
    from penstock.dialects.kfp.tracing import TasksGroup, Trace

_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([a-z]*)")
_UNITS = {
    name: length
    for length, names in (
        (1, ("", "s", "sec", "second", "seconds")),
        (60, ("m", "min", "minute", "minutes")),
        (3600, ("h", "hour", "hours")),
        (86400, ("d", "day", "days")),
    )
    for name in names
}


class Outputs(dict[str, Channel]):
    """The outputs of a task. One that there is not is a DefinitionError, which says what there is."""

    def __init__(self, task: str, outputs: Mapping[str, Channel]) -> None:
        super().__init__(outputs)
        self._task = task

    def __missing__(self, name: str) -> Channel:
        # the first version also has them by names as Python writes them
        plain = next((each for each in self if each != name and _as_name(each) == name), None)
        if plain is not None:
            return self[plain]
        told = ", ".join(self) or "none"
        raise DefinitionError(f"{self._task} has no output {name!r}; its outputs are: {told}", where=str(caller()))


def _as_name(text: str) -> str:
    """What the first version makes of the name of an output: `Model file` is `model_file`."""
    return re.sub(r"\W+", "_", text).strip("_").lower()


class PipelineTask:
    """A component called in a pipeline."""

    def __init__(
        self,
        trace: Trace,
        component: Component,
        arguments: Mapping[str, Any],
        details: Mapping[str, Any],
        *,
        checked: bool = True,
    ) -> None:
        self.component = component
        self.location = caller()
        self._trace = trace
        self._details = details
        for name, value in arguments.items():
            wanted = component.input(name)
            if wanted is not None and checked:
                check_fits(component, wanted, value)
        self.inputs = dict(arguments)
        self._arguments: dict[str, Source | tuple[Source, ...]] = {
            name: _argument(value) for name, value in arguments.items()
        }
        self._after: list[str] = []
        self.settings = TaskSettings()
        #: the name of the exit handler that it is the task of
        self.exit = ""
        self.name = trace.add(self)

    # What it produces.

    @property
    def outputs(self) -> Mapping[str, Channel]:
        return Outputs(self.name, self._outputs())

    def _outputs(self) -> dict[str, Channel]:
        return {
            each.name: Channel(
                Produced(self.name, each.name),
                each.type,
                each.name,
                task_name=self.name,
                listed=each.listed,
                detail=self._details.get(each.name),
            )
            for each in self.component.outputs
        }

    @property
    def output(self) -> Channel:
        outputs = list(self._outputs().values())
        if len(outputs) != 1:
            told = ", ".join(self.outputs) or "none"
            raise DefinitionError(
                f"{self.name} does not have exactly one output; its outputs are: {told}",
                where=str(caller()),
                remedy='Name the one that is meant: task.outputs["name"].' if outputs else None,
            )
        return outputs[0]

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        from penstock.dialects.kfp import refusing

        raise refusing.unknown(f"PipelineTask.{name}")

    @property
    def dependent_tasks(self) -> list[str]:
        return list(self._after)

    def waits_for_others(self) -> bool:
        """Whether it takes outputs of other tasks, or waits for some."""
        from penstock.dialects.kfp.sources import tasks_of

        return bool(self._after) or any(True for source in self._arguments.values() for _ in tasks_of(source))

    def noun(self) -> Task:
        """What it is, as data."""
        arguments = dict(self._arguments)
        for each in self.component.inputs:
            if each.type == "TASK_FINAL_STATUS" and each.name not in arguments:
                arguments[each.name] = FinalStatus(self.exit)
        return Task(self.name, self.component, arguments, tuple(self._after), self.settings, self.location)

    # How it is run.

    def _change(self, **fields: Any) -> Self:
        self.settings = msgspec.structs.replace(self.settings, **fields)
        return self

    def _need(self, **fields: Any) -> Self:
        if isinstance(self.component.implementation, (Graph, Importer)):
            what = "a pipeline" if isinstance(self.component.implementation, Graph) else "an importer"
            raise DefinitionError(
                f"{self.name} is {what}, which takes no resources, image or variables",
                where=str(caller()),
                remedy="Say it of the tasks in the pipeline.",
            )
        resources = msgspec.structs.replace(self.settings.resources, **{k: str(v) for k, v in fields.items()})
        return self._change(resources=resources)

    def ignore(self, what: str, why: str) -> Self:
        """Note something that has no effect."""
        self._trace.ignored.append(Ignored(f"the task {self.name!r}: {what}", caller(), why))
        return self

    def after(self, *tasks: PipelineTask | TasksGroup) -> Self:
        """Wait for others, though nothing is taken from them."""
        for task in tasks:
            if not task.name:
                raise DefinitionError("only tasks and groups of this pipeline can be waited for", where=str(caller()))
            self._after.append(task.name)
        return self

    def set_caching_options(self, enable_caching: bool, cache_key: str | None = None) -> Self:
        return self._change(caching=bool(enable_caching), cache_key=cache_key or "")

    def set_display_name(self, name: str) -> Self:
        self.ignore(f"set_display_name({name!r})", "a node is called by the name of its task")
        return self._change(display_name=name)

    def set_retry(
        self,
        num_retries: int,
        backoff_duration: str | None = None,
        backoff_factor: float | None = None,
        backoff_max_duration: str | None = None,
    ) -> Self:
        if num_retries < 0:
            raise DefinitionError(f"num_retries cannot be {num_retries}", where=str(caller()))
        delay = 0.0 if backoff_duration is None else _seconds(backoff_duration)
        longest = 3600.0 if backoff_max_duration is None else _seconds(backoff_max_duration)
        return self._change(retry=Retry(num_retries, delay, backoff_factor or 2.0, longest))

    def set_cpu_limit(self, cpu: Any) -> Self:
        return self._need(cpu_limit=_checked("cpu", cpu, r"([0-9]*[.])?[0-9]+m?"))

    def set_cpu_request(self, cpu: Any) -> Self:
        return self._need(cpu_request=_checked("cpu", cpu, r"([0-9]*[.])?[0-9]+m?"))

    def set_memory_limit(self, memory: Any) -> Self:
        return self._need(memory_limit=_checked("memory", memory, r"[0-9]+(E|Ei|P|Pi|T|Ti|G|Gi|M|Mi|K|Ki)?"))

    def set_memory_request(self, memory: Any) -> Self:
        return self._need(memory_request=_checked("memory", memory, r"[0-9]+(E|Ei|P|Pi|T|Ti|G|Gi|M|Mi|K|Ki)?"))

    def set_accelerator_limit(self, limit: Any) -> Self:
        return self._need(accelerators=_checked("the number of accelerators", limit, r"[0-9]+"))

    def set_gpu_limit(self, gpu: Any, vendor: str = "nvidia") -> Self:
        return self.set_accelerator_limit(gpu)

    def set_accelerator_type(self, accelerator: Any) -> Self:
        self.ignore(f"set_accelerator_type({str(accelerator)!r})", "any device of the machine is taken")
        return self._need(accelerator=_checked("the type of accelerators", accelerator, r".+"))

    def add_node_selector_constraint(self, accelerator: Any, value: Any = None) -> Self:
        told = repr(accelerator) if value is None else f"{accelerator!r}, {value!r}"
        self.ignore(f"add_node_selector_constraint({told})", "there are no nodes to choose from")
        return self if value is not None else self._need(accelerator=str(accelerator))

    def set_env_variable(self, name: str, value: str) -> Self:
        self._need()
        return self._change(environment={**self.settings.environment, name: str(value)})

    def add_env_variable(self, variable: Any) -> Self:
        """Of the first version: something with a `name` and a `value`."""
        if variable.value is None:
            from penstock.dialects.kfp import refusing

            raise refusing.uncovered(
                f"add_env_variable({variable.name!r}) without a value",
                f"Set {variable.name} where penstock runs, or with task.set_env_variable(...).",
            )
        return self.set_env_variable(variable.name, variable.value)

    def apply(self, change: Any) -> Any:
        """Of the first version: let a function say something of the task."""
        found = change(self)
        return self if found is None else found

    @property
    def execution_options(self) -> _ExecutionOptions:
        """Of the first version: `task.execution_options.caching_strategy.max_cache_staleness = "P0D"`."""
        return _ExecutionOptions(self)

    @property
    def container(self) -> Self:
        """Of the first version: itself, which is asked the same."""
        return self

    def _for_a_pod(self, what: str, *given: Any) -> Self:
        return self.ignore(f"{what}({', '.join(map(repr, given))})", "there are no pods")

    def add_pod_label(self, name: str, value: str) -> Self:
        return self._for_a_pod("add_pod_label", name, value)

    def add_pod_annotation(self, name: str, value: str) -> Self:
        return self._for_a_pod("add_pod_annotation", name, value)

    def add_toleration(self, tolerations: Any) -> Self:
        return self._for_a_pod("add_toleration", tolerations)

    def add_affinity(self, affinity: Any) -> Self:
        return self._for_a_pod("add_affinity", affinity)

    def set_image_pull_policy(self, policy: str) -> Self:
        return self._for_a_pod("set_image_pull_policy", policy)

    def set_container_image(self, name: Any) -> Self:
        self._need()
        return self._change(image=_checked("the image", name, r".+"))

    def ignore_upstream_failure(self) -> Self:
        for each in self.component.inputs:
            if each.optional or not isinstance(self.inputs.get(each.name), Channel):
                continue
            if cast(Channel, self.inputs[each.name]).task_name is not None:
                raise DefinitionError(
                    f"{self.name} is to run though what is before it fails, and its input {each.name!r} has no default "
                    "to take then",
                    where=str(caller()),
                    remedy=f"Give {each.name} a default in the component.",
                )
        return self._change(ignore_upstream_failure=True)

    def set_timeout(self, seconds: int) -> Self:
        return self.set_platform("kubernetes", "activeDeadlineSeconds", seconds)

    def set_platform(self, platform: str, name: str, value: Any) -> Self:
        """Keep something that only a platform knows."""
        known = {**self.settings.platforms.get(platform, {}), name: value}
        return self._change(platforms={**self.settings.platforms, platform: known})


class _ExecutionOptions:
    """What the first version calls how a task is run: whether it is taken from the cache."""

    def __init__(self, task: PipelineTask) -> None:
        self.__dict__["_task"] = task

    @property
    def caching_strategy(self) -> _ExecutionOptions:
        return self

    def __setattr__(self, name: str, value: Any) -> None:
        from penstock.dialects.kfp import refusing

        task: PipelineTask = self.__dict__["_task"]
        if name != "max_cache_staleness":
            raise refusing.unknown(f"execution_options.{name}")
        if value == "P0D":
            task.set_caching_options(False)
        elif value is not None:
            task.ignore(f"max_cache_staleness={value!r}", "results are kept until they are collected")


def check_fits(component: Component, wanted: Input, value: Any) -> None:
    """Raise DefinitionError where a value can never be what an input takes."""
    if isinstance(value, (list, tuple)) and isinstance(wanted.type, ArtifactType):
        for each in cast("list[Any]", value):
            check_fits(component, msgspec.structs.replace(wanted, listed=False), each)
        return
    if isinstance(value, Channel):
        given, listed = value.type, value.listed
        if given is None or fits(given, listed, wanted):
            return
        told = type_text(given, listed=listed)
    else:
        given = constant_type(value)
        if given is not None and given == wanted.type:
            return
        told = f"{given or type(cast(Any, value)).__name__} ({value!r})"
    raise DefinitionError(
        f"the input {wanted.name!r} of {component.name} takes {type_text(wanted.type, listed=wanted.listed)}, and is given {told}",
        where=str(caller()),
        remedy=f"{component.name} is defined at {component.location}.",
    )


def fits(given: Any, listed: bool, wanted: Input) -> bool:
    if isinstance(given, ArtifactType) and isinstance(wanted.type, ArtifactType):
        anything = "system.Artifact" in (given.title, wanted.type.title)
        same = given.title == wanted.type.title and given.version.split(".")[0] == wanted.type.version.split(".")[0]
        return listed == wanted.listed and (anything or same)
    return given == wanted.type


def _argument(value: Any) -> Source | tuple[Source, ...]:
    if isinstance(value, (list, tuple)):
        listed = list(cast("list[Any]", value))
        if any(isinstance(each, Channel) and each.is_artifact for each in listed):
            return tuple(source_of(each) for each in listed)
    return source_of(cast(Any, value))


def _seconds(text: Any) -> float:
    found = _DURATION.fullmatch(str(text).strip().lower())
    if found is None or found[2] not in _UNITS:
        raise DefinitionError(f"{text!r} is no length of time", where=str(caller()), remedy='Write "30s".')
    return float(found[1]) * _UNITS[found[2]]


def _checked(what: str, value: Any, form: str) -> str:
    if isinstance(value, Channel):
        from penstock.dialects.kfp import refusing

        raise refusing.uncovered(f"a value to come as {what}", "Write the value into the pipeline.")
    if re.fullmatch(form, str(value)) is None:
        raise DefinitionError(f"{what} cannot be {value!r}", where=str(caller()))
    return str(value)


__all__ = ["PipelineTask", "check_fits", "fits"]
