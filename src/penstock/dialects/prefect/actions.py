"""What automations of Prefect's do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from penstock.authoring.source import caller
from penstock.dialects.prefect.declared import Declared, choice
from penstock.dialects.prefect.event_templates import check_message
from penstock.dialects.prefect.noting import not_covered
from penstock.errors import DefinitionError


class Action(Declared):
    """Something that is done once an automation is triggered."""

    type: str


class DoNothing(Action):
    """Nothing."""

    type: str = "do-nothing"


class DeploymentAction(Action):
    """About a deployment: the one that is named, or that of the run which the event is about."""

    source: Any = "selected"
    deployment_id: Any = None

    def __init__(self, **values: Any) -> None:
        super().__init__(**values)
        self.source = choice(f"source of {type(self).__name__}", self.source, ("selected", "inferred"))
        if (self.source == "selected") != bool(self.deployment_id):
            said = "not allowed" if self.deployment_id else "required"
            raise DefinitionError(f"deployment_id of {type(self).__name__} is {said}", where=str(self.location))


class RunDeployment(DeploymentAction):
    """Start a deployment."""

    type: str = "run-deployment"
    parameters: Any = None
    job_variables: Any = None
    schedule_after: Any = None

    def __init__(self, **values: Any) -> None:
        super().__init__(**values)
        seconds = getattr(self.schedule_after, "total_seconds", lambda: self.schedule_after)()
        if seconds:
            raise not_covered(f"schedule_after={self.schedule_after!r} of RunDeployment")


class PauseDeployment(DeploymentAction):
    """Switch what starts a deployment off."""

    type: str = "pause-deployment"


class ResumeDeployment(DeploymentAction):
    """Switch what starts a deployment on."""

    type: str = "resume-deployment"


class CancelFlowRun(Action):
    """Cancel the run that the event is about."""

    type: str = "cancel-flow-run"


class ChangeFlowRunState(Action):
    """Give the run that the event is about another state; here, that it is cancelled."""

    type: str = "change-flow-run-state"
    name: Any = None
    state: Any
    message: Any = None
    force: bool = False

    def __init__(self, **values: Any) -> None:
        super().__init__(**values)
        state = str(getattr(self.state, "value", self.state))
        if state not in ("CANCELLED", "CANCELLING"):
            raise not_covered(f"state={state} of ChangeFlowRunState", "A run can be cancelled: CancelFlowRun().")


class _OfBlock(Action):
    """With a block that tells it to somebody."""

    block_document_id: Any


class SendNotification(_OfBlock):
    """Tell somebody."""

    type: str = "send-notification"
    subject: str = "Prefect automated notification"
    body: str

    def __init__(self, **values: Any) -> None:
        super().__init__(**values)
        for text in (self.subject, self.body):
            check_message(text, self.location)


class CallWebhook(_OfBlock):
    """Send a request."""

    type: str = "call-webhook"
    payload: Any = ""

    def __init__(self, **values: Any) -> None:
        super().__init__(**values)
        if isinstance(self.payload, Mapping):
            import json

            self.payload = json.dumps(cast(Any, self.payload), indent=2)
        check_message(self.payload, self.location)


class _OfAutomation(Action):
    """About an automation of the file."""

    source: Any = "selected"
    automation_id: Any = None

    def __init__(self, **values: Any) -> None:
        super().__init__(**values)
        if choice(f"source of {type(self).__name__}", self.source, ("selected", "inferred")) == "inferred":
            raise not_covered(f"source='inferred' of {type(self).__name__}", "Name it: automation_id=other.id.")
        if not self.automation_id:
            raise DefinitionError(f"automation_id of {type(self).__name__} is required", where=str(self.location))


class PauseAutomation(_OfAutomation):
    """Switch an automation off."""

    type: str = "pause-automation"


class ResumeAutomation(_OfAutomation):
    """Switch an automation on."""

    type: str = "resume-automation"


class _Refused:
    """An action that penstock has no counterpart of."""

    remedy = ""

    def __init__(self, **_: Any) -> None:
        raise not_covered(f"the action {type(self).__name__} of an automation", self.remedy)


class DeclareIncident(_Refused):
    remedy = "It is one of Prefect Cloud: use SendNotification."


class DeleteFlowRun(_Refused):
    remedy = "Runs are removed with `penstock gc`."


class SuspendFlowRun(_Refused):
    remedy = "A flow suspends itself: suspend_flow_run()."


class ResumeFlowRun(_Refused):
    remedy = "What a run waits for is answered with `penstock approve`."


class PauseWorkPool(_Refused):
    remedy = "There are no work pools: the daemon starts the runs."


class ResumeWorkPool(PauseWorkPool):
    pass


class PauseWorkQueue(PauseWorkPool):
    pass


class ResumeWorkQueue(PauseWorkPool):
    pass


_TYPES: dict[str, Any] = {
    each.__dict__["type"]: each
    for each in (
        *(DoNothing, RunDeployment, PauseDeployment, ResumeDeployment, CancelFlowRun, ChangeFlowRunState),
        *(SendNotification, CallWebhook, PauseAutomation, ResumeAutomation),
    )
}
_REFUSED: dict[str, Any] = {
    "declare-incident": DeclareIncident,
    "delete-flow-run": DeleteFlowRun,
    "suspend-flow-run": SuspendFlowRun,
    "resume-flow-run": ResumeFlowRun,
    "pause-work-pool": PauseWorkPool,
    "resume-work-pool": ResumeWorkPool,
    "pause-work-queue": PauseWorkQueue,
    "resume-work-queue": ResumeWorkQueue,
}


def actions_of(given: Any) -> list[Action]:
    """Actions, from themselves or from dicts. Raises DefinitionError."""
    listed = cast("Sequence[Any]", given) if isinstance(given, (list, tuple)) else [given] * (given is not None)
    return [_action_of(each) for each in listed]


def _action_of(given: Any) -> Action:
    if isinstance(given, Action):
        return given
    if isinstance(given, Mapping):
        options = dict(cast("Mapping[str, Any]", given))
        kind = options.pop("type", None)
        known = {**_TYPES, **_REFUSED}
        if kind in known:
            return known[kind](**options)
        raise DefinitionError(
            f"there is no action {kind!r}", where=str(caller()), remedy=f"There are: {', '.join(known)}."
        )
    raise DefinitionError(f"{given!r} is no action", where=str(caller()), remedy="Write RunDeployment(...), say.")


__all__ = [
    "Action",
    "CallWebhook",
    "CancelFlowRun",
    "ChangeFlowRunState",
    "DeclareIncident",
    "DeleteFlowRun",
    "DoNothing",
    "DeploymentAction",
    "PauseAutomation",
    "PauseDeployment",
    "PauseWorkPool",
    "PauseWorkQueue",
    "ResumeAutomation",
    "ResumeDeployment",
    "ResumeFlowRun",
    "ResumeWorkPool",
    "ResumeWorkQueue",
    "RunDeployment",
    "SendNotification",
    "SuspendFlowRun",
    "actions_of",
]
