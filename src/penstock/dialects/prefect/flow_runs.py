"""`run_deployment`: a flow that starts another one by the name of its deployment."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid5

from penstock.authoring.placing import Placing
from penstock.authoring.ref import value_of
from penstock.authoring.source import DIALECT
from penstock.authoring.task import Task as PenstockTask
from penstock.dialects.prefect.noting import check_known, not_covered
from penstock.dialects.prefect.options import node_name
from penstock.dialects.prefect.sessions import Session, current_session, either_way
from penstock.dialects.prefect.states import Completed, Failed, State
from penstock.errors import DefinitionError

if TYPE_CHECKING:
    from penstock.dialects.prefect.flows import Flow

_NAMESPACE = UUID("3d9c0b5e-53ab-4f6f-8f0c-0d2a4f0a7c11")
#: options that make no difference to what is run
_OPTIONS = ("client", "scheduled_time", "flow_run_name", "poll_interval", "tags", "idempotency_key", "work_queue_name",
            "as_subflow", "infra_overrides", "job_variables", "_sync")  # fmt: skip


class FlowRun:
    """The run of a deployment, which has ended."""

    def __init__(self, id: UUID, name: str, state: State, parameters: Mapping[str, Any]) -> None:
        self.id = id
        self.name = name
        self.state = state
        self.parameters = dict(parameters)

    @property
    def state_name(self) -> str:
        return self.state.name

    @property
    def state_type(self) -> Any:
        return self.state.type


def run_deployment(
    name: Any, parameters: Mapping[str, Any] | None = None, timeout: float | None = None, **options: Any
) -> Any:
    """Run the flow of a deployment, `flow/deployment`. In a flow, one of the same file becomes a part of it; any other is a
    registered pipeline, and has a run of its own, as one that a task starts. Gives its run, once that has ended; with
    `timeout=0`, a run of its own goes on by itself."""
    check_known("run_deployment", options, _OPTIONS)
    given = dict(parameters or {})
    session = current_session()
    flow, deployed = _flow_of(str(name), session)
    given = {**deployed, **given}
    if session is None:
        return either_way(lambda: _started(_target(str(name), flow), given, timeout != 0), options)
    if flow is None:
        return either_way(lambda: _apart(session, str(name), given, timeout != 0), options)
    return either_way(lambda: _within(session, flow, str(name), given), options)


def _flow_of(name: str, session: Session | None) -> tuple[Flow | None, Mapping[str, Any]]:
    """The flow of a deployment, if the user's file has it, with the parameters that the deployment gives it."""
    from penstock.dialects.prefect.flows import Flow

    called, mark, deployment = name.partition("/")
    if not mark:
        raise not_covered(f"run_deployment({name!r})", 'Name the deployment: "flow/deployment".')
    held = _around() if session is None else _of_session(session)
    for flow in (each for names in held for each in names.values() if isinstance(each, Flow)):
        if called in (flow.name, flow.given_options.get("name")):
            return flow, flow.deployed.get(deployment, {})
    return None, {}


def _of_session(session: Session) -> Iterator[Mapping[str, Any]]:
    yield session.flow.fn.__globals__
    if session.outer is not None:
        yield from _of_session(session.outer)


def _around() -> Iterator[Mapping[str, Any]]:
    """What the user's modules have that lead here."""
    frame: Any = sys._getframe(1)  # pyright: ignore[reportPrivateUsage]
    while frame is not None:
        if DIALECT in frame.f_globals:
            yield frame.f_globals
        frame = frame.f_back


def _target(name: str, flow: Flow | None) -> str:
    """What names the pipeline to another process."""
    file = None if flow is None else flow.fn.__globals__.get("__file__")
    if flow is None or file is None:
        return node_name(name.partition("/")[0])
    return f"{Path(file).absolute()}:{flow.fn.__name__}"


def _started(target: str, parameters: Mapping[str, Any], wait: bool) -> FlowRun:
    """A run of its own, from a task."""
    # by the public face, as a user's own code has it
    run_pipeline = importlib.import_module("penstock.starting").run_pipeline
    return _run_of(target, parameters, lambda: run_pipeline(target, parameters, wait))


def _apart(session: Session, name: str, parameters: Mapping[str, Any], wait: bool) -> FlowRun:
    """The same from a flow, by a task."""
    start = importlib.import_module("penstock.starting").run_pipeline
    task: PenstockTask[..., Any] = PenstockTask(start, f"start-{node_name(name)}", {"cache": False})
    placing = Placing().changed({"after": list(session.latest)})
    arguments = {"target": _target(name, None), "parameters": dict(parameters), "wait": wait}
    return _run_of(name, parameters, lambda: value_of(session.building.call(task, placing, arguments)), session)


def _within(session: Session, flow: Flow, name: str, parameters: Mapping[str, Any]) -> FlowRun:
    """A part of the flow at hand."""
    return _run_of(name, parameters, lambda: flow.inline(session.building, (), dict(parameters)), session)


def _run_of(
    name: str, parameters: Mapping[str, Any], call: Callable[[], Any], session: Session | None = None
) -> FlowRun:
    try:
        state = Completed(data=call())
    except DefinitionError:
        raise
    except Exception as error:
        state = Failed(message=f"{type(error).__name__}: {error}", data=error)
    known: dict[UUID, Any] = {} if session is None else session.runs
    found = FlowRun(uuid5(_NAMESPACE, f"{name}/{len(known)}"), name, state, parameters)
    known[found.id] = found
    return found


def wait_for_flow_run(flow_run_id: Any, *_: Any, **options: Any) -> Any:
    """The run that `run_deployment` has given."""
    session = current_session()
    found = None if session is None else session.runs.get(flow_run_id)
    if found is None:
        raise not_covered("wait_for_flow_run() of another run", "Let run_deployment() wait for it.")
    return either_way(lambda: found, options)


__all__ = ["FlowRun", "run_deployment", "wait_for_flow_run"]
