"""What a file of Kubeflow's defines: its pipelines, and what starts them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import ModuleType
from typing import Any

from penstock.authoring.options.settings import Settings
from penstock.authoring.pipeline import Composition
from penstock.authoring.triggers.trigger import Trigger
from penstock.dialects import Maker, Reading
from penstock.dialects.foreign import made_in
from penstock.dialects.kfp.actions import function_of, importing, is_plain_python, settings_ignored
from penstock.dialects.kfp.calls import About
from penstock.dialects.kfp.client import Planned
from penstock.dialects.kfp.compiling import Compiled, as_component
from penstock.dialects.kfp.components import BaseComponent
from penstock.dialects.kfp.local import LocalTask
from penstock.dialects.kfp.lowering import alone, body_of, exit_of
from penstock.dialects.kfp.mains import pipelines_of_main, recurring_elsewhere
from penstock.dialects.kfp.structures import Component, Graph, Importer, Python, Task
from penstock.dialects.uncovered import unused
from penstock.errors import NotCoveredError
from penstock.model.graph import Ignored
from penstock.model.work import Imported

#: between the names in what names the function of a task
_MARK = "/"


def read(module: ModuleType, make: Maker) -> Reading:
    """The pipelines of a file, and its recurring runs as triggers. A file without a pipeline has its components, each as a
    pipeline of one task."""
    found = components_in(module)
    graphs = {name: each for name, each in found.items() if isinstance(each.component.implementation, Graph)}
    planned = [each for each in made_in(module) if isinstance(each, Planned)]
    elsewhere = recurring_elsewhere(module, {each.location.line for each in planned})
    chosen = _outermost(graphs)
    # first those that are meant where the file alone is named
    ordered = {name: graphs[name] for name in [*chosen, *graphs]} or found
    pipelines: dict[str, Composition[..., Any]] = {}
    for name, each in ordered.items():
        function = body_of(each.component, name, module.__name__, _address(module, name))
        noted = tuple(dict.fromkeys((*_ignored(each, made_in(module)), *elsewhere, *unused(vars(module).values()))))
        made = pipelines[name] = make(function, name, Settings(), noted)
        made.beginnings = tuple(known.put for known in made_in(module) if isinstance(known, Compiled))
    return Reading(
        pipelines, _triggers(planned, graphs, pipelines, made_in(module)), chosen[0] if len(chosen) == 1 else ""
    )


def components_in(module: ModuleType) -> dict[str, BaseComponent]:
    """The pipelines and components of a module, by name."""
    found = {name: value for name, value in vars(module).items() if isinstance(value, BaseComponent)}
    known = {id(each) for each in found.values()}
    compiled = {id(getattr(each, "__wrapped__", None)) for each in made_in(module)}
    found |= {
        name: as_component(value) for name, value in pipelines_of_main(module).items() if id(value) not in compiled
    }
    for each in made_in(module):
        if isinstance(each, BaseComponent) and id(each) not in known:
            name = each.name.replace("-", "_")
            number = 1
            while name in found:
                number += 1
                name = f"{each.name.replace('-', '_')}_{number}"
            found[name] = each
    return found


def _outermost(found: Mapping[str, BaseComponent]) -> list[str]:
    """The pipelines that no other one of the file has inside."""
    inner = {
        id(task.component)
        for each in found.values()
        for task in _graph(each.component).tasks()
        if isinstance(task.component.implementation, Graph)
    }
    return [name for name, each in found.items() if id(each.component) not in inner]


def _graph(component: Component) -> Graph:
    found = component.implementation
    return found if isinstance(found, Graph) else alone(component)


# Workers.


def _address(module: ModuleType, name: str) -> Callable[[tuple[str, ...]], Imported]:
    def address(path: tuple[str, ...]) -> Imported:
        return Imported(module.__name__, _MARK.join((name, *path)), getattr(module, "__file__", None), "kfp")

    return address


def find(module: ModuleType, qualname: str) -> Callable[..., Any]:
    """The function of a task, by the names of the pipeline and of the tasks that lead to it. Raises AttributeError."""
    name, *path = qualname.split(_MARK)
    found = components_in(module).get(name)
    if found is None:
        raise AttributeError(f"module {module.__name__!r} has no pipeline {name!r}")
    if not path:
        return getattr(found, "python_func", found)
    component = holder = found.component
    task: Task | None = None
    for step in path:
        task = next((each for each in _graph(component).tasks() if each.name == step), None)
        if task is None:
            raise AttributeError(f"the pipeline {component.name!r} has no task {step!r}")
        holder, component = component, task.component
    assert task is not None
    what = task.component.implementation
    if isinstance(what, Importer):
        return importing(what)
    return function_of(task, About(holder.name, task.name, task.settings.environment, exit_of(task)))[0]


# What has no effect.


def _ignored(pipeline: BaseComponent, made: list[Any]) -> Iterable[Ignored]:
    yield from pipeline.ignored
    for task in _graph(pipeline.component).tasks():
        if isinstance(task.component.implementation, Python):
            yield from (
                known
                for each in made
                if isinstance(each, BaseComponent) and each.component is task.component
                for known in each.ignored
            )
    yield from _said_in(pipeline.component)
    for each in made:
        if isinstance(each, Planned) and each.schedule is None and each.concerns(pipeline, made):
            yield Ignored(each.what, each.location, "penstock run starts it")
        if isinstance(each, LocalTask) and each.concerns(pipeline):
            yield Ignored(each.what, each.location, "penstock run runs it")


def _said_in(component: Component) -> Iterable[Ignored]:
    for task in _graph(component).tasks():
        what = task.component.implementation
        for told in settings_ignored(task.settings):
            yield Ignored(f"the task {task.name!r}: {told}", task.location, "it is for a cluster")
        if isinstance(what, Python) and what.base_image and is_plain_python(what.base_image):
            yield Ignored(
                f"the component {task.component.name!r}: base_image={what.base_image!r}",
                task.component.location,
                "it runs in penstock's own Python, or in an environment with its packages",
            )
        if isinstance(what, Graph):
            yield from _said_of_whole(task)
            yield from _said_in(task.component)


def _said_of_whole(task: Task) -> Iterable[Ignored]:
    for name, given in (("set_retry", task.settings.retry), ("set_caching_options", task.settings.caching is False)):
        if given:
            yield Ignored(
                f"the task {task.name!r}: {name}(...)", task.location, "it is a pipeline; say it of the tasks in it"
            )


def _triggers(
    planned: list[Planned],
    found: Mapping[str, BaseComponent],
    pipelines: Mapping[str, Composition[..., Any]],
    made: list[Any],
) -> dict[str, Trigger]:
    triggers: dict[str, Trigger] = {}
    for each in planned:
        if each.schedule is None:
            continue
        name = next((name for name, known in found.items() if each.concerns(known, made)), None)
        if name is None:
            raise NotCoveredError(
                f"{each.what} is of {each.target}, which this file does not compile",
                where=str(each.location),
                remedy="Compile the pipeline to that file above, or say when it runs with penstock's own triggers.",
            )
        triggers[each.name] = each.trigger(pipelines[name])
    return triggers


__all__ = ["components_in", "find", "read"]
