"""What a file in Prefect's dialect defines: its flows, and what starts them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

from penstock.authoring.pipeline import Composition
from penstock.authoring.source import DIALECT
from penstock.dialects import Maker, Reading
from penstock.dialects.foreign import made_in
from penstock.dialects.prefect.automating import automated, known_of, notes_of
from penstock.dialects.prefect.automations import Automation, at_run_time
from penstock.dialects.prefect.deployments import Deployment
from penstock.dialects.prefect.flows import Called, Flow, part_ignored
from penstock.dialects.prefect.mains import Main
from penstock.dialects.prefect.starting import triggers_of
from penstock.dialects.prefect.tasks import CONDITION, Task
from penstock.dialects.uncovered import Uncovered, cells_of, names_in, unused
from penstock.model.graph import Ignored

#: the options of tasks and flows that functions are given to
HOOKS = ("on_completion", "on_failure", "on_running", "on_cancellation", "on_crashed", "on_rollback", "on_commit",
         "retry_condition_fn", "cache_key_fn")  # fmt: skip


def read(module: ModuleType, make: Maker) -> Reading:
    """The flows of a module as pipelines, and its deployments (those of the `prefect.yaml` beside it as well) as triggers."""
    from penstock.dialects.prefect.automation_files import read_automations
    from penstock.dialects.prefect.projects import deployments_beside, read_project, with_defaults

    project = read_project(module, make) or read_automations(module, make)
    if project is not None:
        return project
    flows = {name: each for name, each in vars(module).items() if isinstance(each, Flow)}
    block = Main(module)
    said = [*made_in(module), *block.deployments()]
    deployments = [each for each in said if isinstance(each, Deployment)]
    flows |= {each.flow.fn.__name__: each.flow for each in deployments if each.flow not in flows.values()}
    deployments += deployments_beside(module, flows)
    without_effect = [*(each for each in said if isinstance(each, Ignored)), *notes_of(said, deployments)]
    by_flow: dict[int, Composition[..., Any]] = {}
    for flow in flows.values():
        if id(flow) not in by_flow:
            own = tuple(note for each in deployments if each.flow is flow for note in each.ignored)
            given = _given_at_start(module, block, flow)
            function = with_defaults(flow, given) if given else flow.function
            noted = (*ignored_of(flow), *unused(vars(module).values()), *own, *without_effect)
            by_flow[id(flow)] = make(function, flow.name, flow.settings, noted)
    pipelines = {name: by_flow[id(flow)] for name, flow in flows.items()}
    own_flows = {name: flow for name, flow in flows.items() if flow.fn.__module__ == module.__name__}
    triggers = triggers_of(module, deployments, by_flow)
    others = automated(module, known_of(said, deployments), by_flow, triggers, make, tuple(without_effect))
    started = [*block.called(), *(each.flow for each in deployments)]
    first = _first(own_flows or flows, [*_called_at_top(module), *block.run()], started)
    return Reading({**pipelines, **others.pipelines}, {**triggers, **others.triggers}, first)


def find(module: ModuleType, name: str) -> Callable[..., Any]:
    """What a worker runs: the function of a task, or its condition for further attempts. Raises AttributeError."""
    qualname, _, part = name.partition("/")
    found: Any = module
    for each in qualname.split("."):
        found = getattr(found, each)
    if not isinstance(found, Task):
        return getattr(found, "fn", found)
    if part == CONDITION:
        return found.given["retry_if"]
    return found.function


def _given_at_start(module: ModuleType, block: Main, flow: Flow) -> dict[str, Any]:
    """What the file itself calls a flow with, of parameters that have no default."""
    calls = [each.parameters for each in made_in(module) if isinstance(each, Called) and each.flow is flow]
    given = {**block.given_to(flow), **(calls[0] if calls else {})}
    parameters = inspect.signature(flow.fn).parameters
    return {name: each for name, each in given.items() if parameters[name].default is inspect.Parameter.empty}


# Which flow is meant.


def _first(flows: dict[str, Flow], run: list[Flow], started: list[Flow]) -> str:
    """The name of the flow that is run where none is named: the only one; the only one that the file runs itself, or starts
    in whichever way; the only one that no other one calls. Empty where there is none."""
    unique = {id(flow): name for name, flow in reversed(flows.items())}
    if len(unique) == 1:
        return next(iter(unique.values()))
    called = {id(flow) for flow in run} & unique.keys()
    chosen = called | ({id(flow) for flow in started} & unique.keys())
    inner = {
        id(each) for flow in flows.values() for each in _reached(flow) if isinstance(each, Flow) and each is not flow
    }
    for candidates in (called, chosen, chosen - inner, unique.keys() - inner):
        if len(candidates) == 1:
            return unique[next(iter(candidates))]
    return ""


def _called_at_top(module: ModuleType) -> Iterator[Flow]:
    return (each.flow for each in made_in(module) if isinstance(each, Called))


def _reached(flow: Flow) -> list[Any]:
    """The tasks and flows that the text of a flow names, also by way of functions of modules in the dialect and of hooks, and
    what is not covered."""
    return [each for each, _ in _named(flow).values()]


def _named(flow: Flow) -> dict[int, tuple[Any, str]]:
    """The same with the function that names each, by their identities."""
    found: dict[int, tuple[Any, str]] = {}
    pending: list[Any] = [flow.fn, *_hooks(flow)]
    seen = {id(each) for each in pending}
    while pending:
        function = pending.pop()
        names, held = names_in(function.__code__), {**function.__globals__, **cells_of(function)}
        for each in (getattr(held[name], "__self__", held[name]) for name in names if name in held):
            inner = [each]
            if isinstance(each, Uncovered) or each is Automation:
                found.setdefault(id(each), (each, function.__name__))
                inner = []
            elif isinstance(each, (Task, Flow)):
                found.setdefault(id(each), (each, function.__name__))
                inner = [each.fn, *_hooks(each)]
            for one in inner:
                if hasattr(one, "__code__") and DIALECT in one.__globals__ and id(one) not in seen:
                    seen.add(id(one))
                    pending.append(one)
    return found


def _hooks(owner: Task | Flow) -> list[Any]:
    """The functions that are called when something becomes of a task or a flow."""
    given: list[Any] = [owner.given_options.get(option) for option in HOOKS]
    listed: list[Any] = [one for each in given for one in (each if isinstance(each, (list, tuple)) else [each])]  # pyright: ignore[reportUnknownVariableType]
    return [each for each in listed if hasattr(each, "__code__")]


def ignored_of(flow: Flow) -> tuple[Ignored, ...]:
    """What the text of a flow says without effect, with that of the tasks and flows that it calls."""
    from penstock.dialects.prefect.asides import asides
    from penstock.dialects.prefect.limits import limits_noted

    found = dict.fromkeys((*flow.noted, *asides(flow.fn)))
    found.update(dict.fromkeys(limits_noted(flow.fn)))
    for each in _reached(flow):
        if isinstance(each, Task):
            found.update(dict.fromkeys((*each.ignored, *limits_noted(each.fn))))
        elif isinstance(each, Flow) and each is not flow:
            found.update(dict.fromkeys((*part_ignored(each), *asides(each.fn))))
    return tuple(found)


def check_covered(flow: Flow) -> None:
    """Raise NotCoveredError where the text of a flow, or of what it calls, names what has no counterpart."""
    for found, user in _named(flow).values():
        if isinstance(found, Uncovered):
            raise found.error(user=user)
        if found is Automation:
            raise at_run_time(f"Automation, which {user} uses,")


__all__ = ["check_covered", "find", "ignored_of", "read"]
