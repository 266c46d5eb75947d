"""What the actions of automations do, each as a task: from plain values, and the events that an automation was triggered by."""

from __future__ import annotations

import importlib
import time
from collections.abc import Mapping, Sequence
from typing import Any, cast

import msgspec

from penstock.dialects.prefect.blocks import Block
from penstock.dialects.prefect.event_patterns import HOLDER
from penstock.dialects.prefect.event_templates import rendered
from penstock.errors import Fail, NotFoundError
from penstock.model.schedule import Timetable
from penstock.model.trigger import Trigger

_STATES = {"succeeded": "Completed", "failed": "Failed", "cancelled": "Cancelled"}
_RUN = "prefect.flow-run."

#: events as penstock's templates give them
Events = Sequence[Mapping[str, Any]]


def send(block: str, subject: str, body: str, automation: Mapping[str, Any], events: Events) -> str:
    """Tell somebody by a block. Returns the message."""
    context = _context(automation, events, subject + body)
    message = rendered(body, context)
    _loaded(block).notify(message, rendered(subject, context))
    return message


def call(block: str, payload: str, automation: Mapping[str, Any], events: Events) -> int:
    """Send a request by a block. Returns the status of the answer."""
    return _loaded(block).call(rendered(payload, _context(automation, events, payload))).status_code


def start(target: str, parameters: Mapping[str, Any]) -> str:
    """Start a registered pipeline. Returns the id of its run."""
    return importlib.import_module("penstock.starting").run_pipeline(target, parameters, False)


def start_again(deployments: Mapping[str, Any], parameters: Mapping[str, Any], events: Events) -> str:
    """Start the deployment of the run that an event is about, by what is known of deployments. Returns the id of the run."""
    record = _record(_run_id(_last(events)))
    known = deployments.get(_trigger(record), {}).get("parameters", {})
    return start(record.pipeline, {**known, **parameters})


def switch(triggers: Sequence[str], enabled: bool) -> list[str]:
    """Switch triggers on or off. Returns their names."""
    switching = importlib.import_module("penstock.registering.switching").switch
    with _services().existing_store() as store:
        return [each.trigger for each in switching(store.agenda, list(triggers), time.time(), enabled=enabled)]


def switch_deployment(deployments: Mapping[str, Any], enabled: bool, events: Events) -> list[str]:
    """Switch the schedules of the deployment on or off that has started the run which an event is about; of one that is not
    known, the schedule that has. Returns their names."""
    run_id = _run_id(_last(events))
    trigger = _trigger(_record(run_id))
    if not trigger:
        raise Fail(f"the run {run_id} was started by no deployment")
    known = deployments.get(trigger)
    return switch([trigger] * _is_schedule(trigger) if known is None else known["triggers"], enabled)


def cancel(automation: Mapping[str, Any], events: Events) -> str:
    """Cancel the run that an event is about. Returns its state then."""
    run = importlib.import_module("penstock").find_run(_run_id(_last(events)))
    return run.cancel(f"the automation {automation['name']}").state.value


def _loaded(block: str) -> Any:
    # so that their classes are known by their names
    importlib.import_module("penstock.dialects.prefect.notifications")
    return Block.load(block)


def _services() -> Any:
    # what is recorded stands above the dialects
    return importlib.import_module("penstock.services").Services()


def _record(run_id: str) -> Any:
    with _services().existing_store() as store:
        return store.find(run_id)


def _trigger(record: Any) -> str:
    """The trigger that has started a run; empty where that was a person."""
    return "" if record.cause is None else record.cause.trigger


def _is_schedule(trigger: str) -> bool:
    with _services().existing_store() as store:
        document = store.agenda.definition("trigger", trigger).document
    return isinstance(msgspec.convert(document, Trigger).source, Timetable)


def _last(events: Events) -> Mapping[str, Any]:
    if not events:
        raise Fail("it is not known which event this is about")
    return max(events, key=lambda each: each["at"])


def _data(event: Mapping[str, Any]) -> dict[str, Any]:
    found: Any = event["data"]
    return cast("dict[str, Any]", found) if isinstance(found, dict) else {}


def _run_id(event: Mapping[str, Any]) -> str:
    """The run that an event is about. Raises Fail where it is about none."""
    data = _data(event)
    if str(event["type"]).startswith("run."):
        return data["run_id"]
    held: Any = data.get(HOLDER, {})
    if str(event["subject"]).startswith(_RUN):
        return event["subject"].removeprefix(_RUN)
    found: list[str] = _at(held, "related", "any", "prefect", "resource", "id") or []
    named = next((each.removeprefix(_RUN) for each in found if each.startswith(_RUN)), held.get("run_id"))
    if not named:
        raise Fail(f"the event {event['type']} ({event['id']}) is about no run")
    return named


def _at(tree: Any, *path: str) -> Any:
    for step in path:
        tree = cast("Mapping[str, Any]", tree).get(step) if isinstance(tree, Mapping) else None
    return tree


# What messages are made of.


class Resource(dict[str, str]):
    """The labels of a resource."""

    @property
    def id(self) -> str:
        return self["prefect.resource.id"]

    @property
    def name(self) -> str:
        return self.get("prefect.resource.name", "")


def _context(automation: Mapping[str, Any], events: Events, text: str) -> dict[str, Any]:
    """What messages know: the automation, the event, and, where they ask for it, its run."""
    context: dict[str, Any] = {"automation": automation}
    if not events:
        return context
    last = _last(events)
    data = _data(last)
    labels = _flat(_at(data, HOLDER, "labels") or {})
    context["event"] = {
        "id": last["id"],
        "event": last["type"],
        "occurred": last["at"],
        "payload": {name: each for name, each in data.items() if name != HOLDER},
        "resource": Resource({"prefect.resource.id": last["subject"], **labels}),
        "related": _at(data, HOLDER, "related") or {},
    }
    if "flow_run" in text or "flow." in text:
        run_id = _run_id(last)
        context["flow_run"] = _flow_run(run_id)
        context["flow"] = {"name": context["flow_run"]["pipeline"]}
    return context


def _flow_run(run_id: str) -> dict[str, Any]:
    try:
        run = importlib.import_module("penstock").find_run(run_id)
    except NotFoundError as error:
        raise Fail(error.what) from None
    state = str(_STATES.get(run.state.value, run.state.value.capitalize()))
    messages = [each["error"] for each in run.document["tasks"] if each.get("error")]
    return {
        "id": run_id,
        "name": run_id,
        "pipeline": run.pipeline,
        "tags": list(run.tags),
        "parameters": dict(run.parameters),
        "state": {"name": state, "type": state.upper(), "message": messages[0] if messages else ""},
        "state_name": state,
        "state_type": state.upper(),
    }


def _flat(tree: Mapping[str, Any], before: str = "") -> dict[str, str]:
    found: dict[str, str] = {}
    for name, each in tree.items():
        found |= (
            _flat(cast("Mapping[str, Any]", each), f"{before}{name}.")
            if isinstance(each, Mapping)
            else {f"{before}{name}": str(each)}
        )
    return found


__all__ = ["call", "cancel", "send", "start", "start_again", "switch", "switch_deployment"]
